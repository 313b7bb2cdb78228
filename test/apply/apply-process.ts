// `postfix apply` as a process of its own, for a test that kills it. Its argument is a file with a Job as JSON; it dies before
// the step that it is told to die at.

import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import type { ChangeOptions } from '../../src/apply/change-files.ts';
import type { RawSettings } from '../oracle/oracle.ts';

export interface Job {
  readonly settings: RawSettings;
  readonly options: Omit<ChangeOptions, 'waiting'>;
  /** Which of the renames and removals in the configuration directory is not lived to see: what comes between shows nowhere. */
  readonly dieAt: number;
}

function mortal(directory: string, dieAt: number): void {
  const { promises } = fs;
  let steps = 0;
  for (const name of ['rename', 'rm'] as const) {
    const living = promises[name] as (...args: unknown[]) => Promise<unknown>;
    Object.assign(promises, {
      [name]: (...args: unknown[]): Promise<unknown> => {
        if (String(args[0]).startsWith(directory)) {
          if (steps === dieAt) process.kill(process.pid, 'SIGKILL');
          steps += 1;
        }
        return living(...args);
      },
    });
  }
  syncBuiltinESMExports();
}

const file = process.argv[2];
if (file !== undefined) {
  const job = JSON.parse(fs.readFileSync(file, 'utf8')) as Job;
  mortal(job.options.configDirectory, job.dieAt);
  // After the calls have been replaced.
  const { applyFragments } = await import('../../src/apply/apply-fragments.ts');
  const { compile } = await import('../decision/core.ts');
  await applyFragments(compile(job.settings).settings, { ...job.options, waiting: () => {} });
}
