/**
 * `postfix reload`, where it has to be: Postfix sees for itself that a compiled table was replaced, but texts (texthash,
 * cidr, regexp) it reads once. It starts and stops nothing.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { lastLines } from './postmap.ts';
import { errorCode } from './tables-error.ts';

/** Postfix could not be told. The message is its reason. */
export class ReloadError extends Error {}

/** Reloads the Postfix of this configuration if it runs; tells whether it did. Rejects with {@link ReloadError}. */
export async function reloadPostfix(configDirectory: string): Promise<boolean> {
  if (!(await mayRun(configDirectory))) return false;
  const { failed, output } = await run('postfix', ['-c', configDirectory, 'reload']);
  if (failed) throw new ReloadError(output);
  return true;
}

/** False only if master(8) says so itself: its lock is free. `postfix status` tells trouble from "not running" to a terminal only. */
async function mayRun(configDirectory: string): Promise<boolean> {
  const daemons = await run('postconf', ['-c', configDirectory, '-xh', 'daemon_directory']);
  if (daemons.failed) return true;
  return (await run(join(daemons.output, 'master'), ['-c', configDirectory, '-t'])).failed;
}

function run(program: string, args: readonly string[]): Promise<{ failed: boolean; output: string }> {
  return new Promise((resolve) => {
    execFile(program, args, (error, stdout, stderr) => {
      const missing = errorCode(error) === 'ENOENT' ? `${program} was not found` : undefined;
      resolve({ failed: error !== null, output: missing ?? lastLines(stderr + stdout) });
    });
  });
}
