/**
 * The command that would make a domain's incoming delivery as strict as all its hosts can bear, in the words of
 * `tlswarden domains set`. Pure; nothing is changed, and nobody is told to type it.
 */
import type { DomainName } from '../address/domain-name.ts';
import { DEFAULT_VERSION, type Level, type TlsVersion, versionRank } from '../settings/level.ts';
import type { NextHop } from '../settings/next-hop.ts';
import type { DeliverySetting } from '../settings/setting.ts';
import { shellWords } from '../text/shell-words.ts';
import type { DomainVerdict } from './judge.ts';

/** A setting that would work on all hosts that were reached. */
export interface Suggestion {
  /** The strongest that works. */
  readonly level: Level;
  /** Only where the default would not work. */
  readonly minProtocol: TlsVersion | undefined;
  /** Of public keys; empty but with level fingerprint. */
  readonly fingerprints: readonly string[];
  /** For a shell. */
  readonly command: string;
}

/** What the command depends on besides what the hosts can do. */
export interface SuggestionContext {
  /** The hosted domain to set it for. */
  readonly domain: DomainName;
  /** The next hop that was probed in place of the one that the settings name. */
  readonly nexthop: NextHop | undefined;
  /** What stands there now. */
  readonly setting: DeliverySetting | undefined;
  /** Whether the verdict is what works with the certificate_names that stand there. */
  readonly keepsNames: boolean;
}

/** undefined: no level works on all hosts. */
export function suggest(verdict: DomainVerdict, context: SuggestionContext): Suggestion | undefined {
  const { strongest: level, minimumVersion } = verdict;
  if (level === undefined || minimumVersion === undefined) return undefined;
  const minProtocol = versionRank(minimumVersion) < versionRank(DEFAULT_VERSION) ? minimumVersion : undefined;
  const fingerprints = level === 'fingerprint' ? verdict.fingerprints : [];
  const words = [
    ...(context.nexthop === undefined ? [] : [`nexthop=${context.nexthop}`]),
    'incoming.delivery',
    'require_tls=always',
    `level=${level}`,
    ...(fingerprints.length === 0 ? [] : [`fingerprints=${fingerprints.join(',')}`]),
    ...(minProtocol === undefined ? [] : [`protocols=>=${minProtocol}`]),
    ...clearing(level, minimumVersion, context),
  ];
  const command = shellWords('tlswarden', 'domains', 'set', context.domain, ...words);
  return { level, minProtocol, fingerprints, command };
}

/** Keys that stand there and that the new level has no use for, or that would be in its way. */
function clearing(
  level: Level,
  minimumVersion: TlsVersion,
  { setting, keepsNames }: SuggestionContext,
): readonly string[] {
  if (setting === undefined) return [];
  const minimum = versionRank(setting.minProtocol);
  // More than the hosts can, or less than they need to be allowed.
  const unfit = minimum > versionRank(minimumVersion) || minimum < versionRank(DEFAULT_VERSION);
  const byDefault = versionRank(minimumVersion) >= versionRank(DEFAULT_VERSION);
  const named = keepsNames && (level === 'verify' || level === 'secure');
  return [
    ...(setting.certificateNames.length > 0 && !named ? ['certificate_names='] : []),
    ...(setting.fingerprints.length > 0 && level !== 'fingerprint' ? ['fingerprints='] : []),
    ...(unfit && byDefault ? ['protocols='] : []),
  ];
}
