/**
 * Which run of `doctor --live` this one is, and which other runs are over, so that what they have left may be taken out. It
 * asks whether a process of this host lives, and changes nothing.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import type { DomainName } from '../address/domain-name.ts';
import type { Settings } from '../settings/settings.ts';
import { type RunName, runOf } from '../settings/trial-domain.ts';

/** Longer than any run. */
const LONGEST_MS = 3_600_000;

/** The run of this process, which begins now. Of the host a digest is told, since the name is seen by others. */
export function thisRun(): RunName {
  const host = createHash('sha256').update(hostname()).digest('hex').slice(0, 8);
  return { began: Date.now(), pid: process.pid, host };
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
