// A writer as a process of its own, for tests that kill it, run several at once, or take its disk away. Its argument is
// a file with a Job as JSON; it prints a line of JSON for each set of settings.

import fs from 'node:fs';
import type { TablesOptions } from '../../src/tables/check-tables.ts';
import { TablesError } from '../../src/tables/tables-error.ts';
import { writeTables } from '../../src/tables/write-tables.ts';
import { compile } from '../decision/core.ts';
import type { RawSettings } from '../oracle/oracle.ts';

export interface Job {
  readonly settings: readonly RawSettings[];
  readonly options: TablesOptions;
  /** Says when it has to wait for another writer. */
  readonly sayWaiting?: boolean;
}

/** What became of one set of settings. */
export type Outcome =
  | { readonly changed: boolean; readonly entries: readonly string[]; readonly current: string }
  | { readonly error: string; readonly kind: string; readonly entries: readonly string[]; readonly current: string }
  | { readonly waiting: true };

function link(path: string): string {
  try {
    return fs.readlinkSync(path);
  } catch {
    return '';
  }
}

async function main(job: Job): Promise<void> {
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
      say({ changed, ...seen() });
    } catch (error) {
      if (!(error instanceof TablesError)) throw error;
      say({ error: error.message, kind: error.kind, ...seen() });
    }
  }
}

const job = process.argv[2];
if (job !== undefined) {
  await main(JSON.parse(fs.readFileSync(job, 'utf8')) as Job);
}
