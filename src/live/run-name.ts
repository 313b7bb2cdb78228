/**
 * The names of the domains that one run of `doctor --live` hosts for a minute. A name tells which run it is, so that the next
 * one knows what a killed run has left. Pure, but for the question whether a process of this host lives.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { DomainName } from '../address/domain-name.ts';
import type { Settings } from '../settings/settings.ts';

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
export type Role = (typeof ROLES)[number];

/** Longer than any run. */
const LONGEST_MS = 3_600_000;

export function thisRun(hostname: string, pid: number, now: number): RunName {
  return { began: now, pid, host: createHash('sha256').update(hostname).digest('hex').slice(0, 8) };
}

/** `tls.doctor-mb2k3xq0-4711-0a1b2c3d.tlswarden.invalid` */
export function domainOf(run: RunName, role: Role, base: string): string {
  return `${role}.doctor-${run.began.toString(36)}-${run.pid}-${run.host}.${base}`;
}

/** The run that a domain is of, or undefined. */
export function runOf(domain: string): RunName | undefined {
  const match = /^([a-z]+)\.doctor-([0-9a-z]{6,10})-(\d+)-([0-9a-f]{8})\./u.exec(domain);
  if (match === null || !(ROLES as readonly string[]).includes(match[1] ?? '')) return undefined;
  return { began: Number.parseInt(match[2] ?? '', 36), pid: Number(match[3]), host: match[4] ?? '' };
}

/** Whether a run is over, `here` being one that goes on on this host. */
export function isOver(run: RunName, here: RunName): boolean {
  if (here.began - run.began > LONGEST_MS) return true;
  if (run.host !== here.host || (run.pid === here.pid && run.began === here.began)) return false;
  if (run.pid === here.pid) return true;
  try {
    return !readFileSync(`/proc/${run.pid}/cmdline`, 'utf8').split('\0').includes('doctor');
  } catch {
    return true;
  }
}

/** The domains of runs that are over: what killed ones have left. */
export function domainsLeft(settings: Settings, here: RunName): readonly DomainName[] {
  const left: DomainName[] = [];
  for (const { name } of settings.domains()) {
    const run = runOf(name);
    if (run !== undefined && isOver(run, here)) left.push(name);
  }
  return left;
}
