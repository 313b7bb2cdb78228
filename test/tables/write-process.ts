// A writer as a process of its own, for tests that kill it, run several at once, or take its disk away. Its argument is
// a file with a Job as JSON; it prints a line of JSON for each set of settings, and dies before the step that it is told to die at.

import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import type { TablesOptions } from '../../src/tables/check-tables.ts';
import type { RawSettings } from '../oracle/oracle.ts';

export interface Job {
  readonly settings: readonly RawSettings[];
  readonly options: TablesOptions;
  /** Which of the calls that change the file system is not lived to see; absent: all are. */
  readonly dieAt?: number;
  /** Says when it has to wait for another writer. */
  readonly sayWaiting?: boolean;
}

/** What became of one set of settings. */
export type Outcome =
  | { readonly changed: boolean; readonly steps: number; readonly entries: readonly string[]; readonly current: string }
  | { readonly error: string; readonly kind: string; readonly entries: readonly string[]; readonly current: string }
  | { readonly waiting: true };

let steps = 0;

/** Counts the calls that change the file system, and dies instead of one of them. */
function mortal(dieAt: number | undefined): void {
  const { promises } = fs;
  for (const name of ['mkdir', 'rename', 'symlink', 'unlink', 'rm', 'open', 'chmod'] as const) {
    const living = promises[name] as (...args: unknown[]) => Promise<unknown>;
    Object.assign(promises, {
      [name]: (...args: unknown[]): Promise<unknown> => {
        if (steps === dieAt) process.kill(process.pid, 'SIGKILL');
        steps += 1;
        return living(...args);
      },
    });
  }
  syncBuiltinESMExports();
}

function link(path: string): string {
  try {
    return fs.readlinkSync(path);
  } catch {
    return '';
  }
}

async function main(job: Job): Promise<void> {
  // After the calls have been replaced.
  const { writeTables } = await import('../../src/tables/write-tables.ts');
  const { TablesError } = await import('../../src/tables/tables-error.ts');
  const { compile } = await import('../decision/core.ts');
  const say = (outcome: Outcome): void => void process.stdout.write(`${JSON.stringify(outcome)}\n`);
  const { directory } = job.options;
  const seen = (): { entries: string[]; current: string } => ({
    entries: fs.existsSync(directory) ? fs.readdirSync(directory).sort() : [],
    current: link(`${directory}/current`),
  });
  for (const raw of job.settings) {
    try {
      const { changed } = await writeTables(compile(raw).settings, job.options, (event) => {
        if (event.kind === 'waiting' && job.sayWaiting === true) say({ waiting: true });
      });
      say({ changed, steps, ...seen() });
    } catch (error) {
      if (!(error instanceof TablesError)) throw error;
      say({ error: error.message, kind: error.kind, ...seen() });
    }
  }
}

const job = process.argv[2];
if (job !== undefined) {
  const parsed = JSON.parse(fs.readFileSync(job, 'utf8')) as Job;
  mortal(parsed.dieAt);
  await main(parsed);
}
