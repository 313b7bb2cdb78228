/**
 * How long smtp(8) may send by a connection that is open already: a change of the settings counts on a bound. Pure.
 */

/** postconf(5); of main.cf, or of one client in master.cf. */
export const REUSE_LIMIT = 'smtp_connection_reuse_time_limit';
/** Seconds: Postfix's default, which the time that tables need to be in force is made of. */
export const MOST_REUSE_S = 300;

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** Whether this time of main.cf (`300s`, `1h`) is longer than the service counts on; '' is the default. */
export function isReusedTooLong(time: string): boolean {
  const [, number = '0', unit = 's'] = /^(\d+)([smhdw]?)/u.exec(time) ?? [];
  return Number(number) * (UNITS[unit] ?? 1) > MOST_REUSE_S;
}
