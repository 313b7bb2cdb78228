/**
 * The names of the domains that one run of `doctor --live` hosts for a minute. A name tells which run it is, so that the next
 * one knows what a killed run has left, and nobody takes such a domain for somebody's. Pure.
 */

/** A run: when it began (milliseconds since the epoch), its process, and its host. */
export interface RunName {
  readonly began: number;
  readonly pid: number;
  readonly host: string;
}

/** Domains below this are nobody's (RFC 2606). */
export const DEFAULT_BASE = 'tlswarden.invalid';

/** What a run's domains are for. */
export const ROLES = ['receipt', 'tls', 'plaintext', 'table'] as const;
/**
 * A trial of `doctor --live`: receipt, delivery to a server with TLS and to one without, and delivery by the tables.
 */
export type Role = (typeof ROLES)[number];

/** {@link domainOf}, below whichever domain. */
const TRIAL = new RegExp(`^(?:${ROLES.join('|')})\\.doctor-([0-9a-z]{6,10})-(\\d+)-([0-9a-f]{8})\\.`, 'u');

/** `tls.doctor-mb2k3xq0-4711-0a1b2c3d.tlswarden.invalid` */
export function domainOf(run: RunName, role: Role, base: string): string {
  return `${role}.doctor-${run.began.toString(36)}-${run.pid}-${run.host}.${base}`;
}

/** The run that a domain is of, or undefined. */
export function runOf(domain: string): RunName | undefined {
  const [, began, pid, host] = TRIAL.exec(domain) ?? [];
  if (began === undefined || pid === undefined || host === undefined) return undefined;
  return { began: Number.parseInt(began, 36), pid: Number(pid), host };
}

/** Whether a hosted domain is one of a run. Asked of every recipient that is counted: it makes nothing. */
export const isTrialDomain = (domain: string): boolean => TRIAL.test(domain);
