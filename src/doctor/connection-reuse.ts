/**
 * How long smtp(8) may send by a connection that is open already: a change of the settings counts on a bound. Pure.
 */
import type { Finding } from './finding.ts';

/** postconf(5); of main.cf, or of one client in master.cf. */
export const REUSE_LIMIT = 'smtp_connection_reuse_time_limit';
/** Postfix's default, which the time that tables need to be in force is made of. */
const MOST_S = 300;

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** Whether this time of main.cf (`300s`, `1h`) is longer than the service counts on. */
export function isReusedTooLong(time: string): boolean {
  const [, number = '0', unit = 's'] = /^(\d+)([smhdw]?)/u.exec(time) ?? [];
  return Number(number) * (UNITS[unit] ?? 1) > MOST_S;
}

/** What is found where it is; place and commands are the finder's. */
export function reuseFinding(time: string): Omit<Finding, 'where' | 'mend'> {
  return {
    id: 'connection-reuse',
    severity: 'breach',
    what: `It is ${time}; the service counts on ${MOST_S}s at most.`,
    why: 'A domain that begins to ask for TLS may get mail by a plaintext session that is open already.',
  };
}
