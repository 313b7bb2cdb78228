/**
 * Has Postfix read anew what it reads only once: it sees for itself that a compiled table was replaced, but not that a text
 * was (texthash, cidr, regexp). It starts and stops nothing.
 *
 * The signal is master(8)'s own, and what `postfix reload` comes to. That command besides has postsuper(1) look through
 * the queue, which takes capabilities and write access that a table writer should not have.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parameterValue } from '../fragments/postconf.ts';
import { errorCode } from './tables-error.ts';

/** flock(1)'s exit status for "somebody else has it". */
const BUSY = 1;

/** Postfix could not be told. The message is its reason. */
export class ReloadError extends Error {}

/** Sends SIGHUP to the master(8) of this configuration if it runs; tells whether it does. Rejects with {@link ReloadError}. */
export async function reloadPostfix(configDirectory: string): Promise<boolean> {
  try {
    const pidFile = join(await parameterValue(configDirectory, 'queue_directory'), 'pid', 'master.pid');
    const text = await readFile(pidFile, 'utf8').catch((error: unknown) => {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw error;
    });
    // What a master that was killed leaves behind may be the number of another process by now. One that runs locks it.
    if (text === undefined || !(await isLocked(pidFile))) return false;
    const pid = Number(text.trim());
    if (!Number.isInteger(pid) || pid <= 1) throw new Error(`${pidFile} names no process`);
    process.kill(pid, 'SIGHUP');
    return true;
  } catch (error) {
    throw new ReloadError((error as Error).message, { cause: error });
  }
}

function isLocked(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    execFile('flock', ['--shared', '--nonblock', path, 'true'], (error, _stdout, stderr) => {
      if (error === null || error.code === BUSY) resolve(error !== null);
      else reject(new Error(`flock: ${stderr.trim() || error.message}`));
    });
  });
}
