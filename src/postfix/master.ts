/**
 * master(8): whether it runs, and having it read anew what Postfix reads only once: Postfix sees for itself that a compiled
 * table was replaced, but not that a text was (texthash, cidr, regexp). It starts and stops nothing.
 *
 * The signal is master(8)'s own, and what `postfix reload` comes to. That command besides has postsuper(1) look through
 * the queue, which takes capabilities and write access that a table writer should not have.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isLocked } from '../files/exclusive-lock.ts';
import { parameterValue } from './postconf.ts';

/** Postfix could not be told. The message is its reason. */
export class ReloadError extends Error {}

/** Sends SIGHUP to the master(8) of this configuration if it runs; tells whether it does. Rejects with {@link ReloadError}. */
export async function reloadPostfix(configDirectory: string): Promise<boolean> {
  try {
    const pidFile = join(await parameterValue(configDirectory, 'queue_directory'), 'pid', 'master.pid');
    const text = await readFile(pidFile, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
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
