/**
 * Whose certificates Postfix's smtp client trusts, and whether the settings need it to trust any. Pure.
 */
import type { Level } from '../settings/level.ts';
import type { Settings } from '../settings/settings.ts';
import { transportsInUse } from '../tables/transports-in-use.ts';

/** The parameters that name authorities; all are empty by default, and then Postfix trusts none (postconf(5)). */
export const TRUST_PARAMETERS = ['smtp_tls_CAfile', 'smtp_tls_CApath', 'smtp_tls_trust_anchor_file'] as const;

const LEVELS_WITH_AUTHORITY: ReadonlySet<Level> = new Set<Level>(['verify', 'secure']);

/** Whether a level that asks for the certificate of an authority can be asked for. */
export function needsAuthority(settings: Settings): boolean {
  return transportsInUse(settings).some(({ level }) => LEVELS_WITH_AUTHORITY.has(level));
}
