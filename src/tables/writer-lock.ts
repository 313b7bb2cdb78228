/**
 * One writer at a time, over processes: flock(2) on `.lock` in the maps directory. Node has no flock, so flock(1) takes
 * the lock on a file that we hold open; the lock is the open file's, not the program's, and the kernel drops it when the
 * last process that has it open ends, however it ends.
 */
import { spawn } from 'node:child_process';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode, TablesError, wordSystemError } from './tables-error.ts';

export const LOCK_FILE = '.lock';

/** flock(1)'s exit status for "somebody else has it". */
const BUSY = 1;

export class WriterLock {
  readonly #file: FileHandle;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  /** Takes the lock; `waiting` is called if another writer has it. */
  static async take(directory: string, waiting: () => void): Promise<WriterLock> {
    const path = join(directory, LOCK_FILE);
    const file = await open(path, 'a', 0o644).catch((error: unknown) => {
      throw new TablesError('directory', path, wordSystemError(error), error);
    });
    try {
      if ((await flock(path, ['--exclusive', '--nonblock'], file.fd)) === BUSY) {
        waiting();
        await flock(path, ['--exclusive'], file.fd);
      }
    } catch (error) {
      await file.close();
      throw error;
    }
    return new WriterLock(file);
  }

  /** To be inherited by programs that write under this lock. */
  get fd(): number {
    return this.#file.fd;
  }

  async release(): Promise<void> {
    await this.#file.close();
  }
}

async function flock(path: string, options: readonly string[], fd: number): Promise<number> {
  const status = await new Promise<number | null>((resolve, reject) => {
    // The lock file's descriptor is number 3 there.
    const child = spawn('flock', [...options, '3'], { stdio: ['ignore', 'ignore', 'ignore', fd] });
    child.once('error', reject);
    child.once('close', resolve);
  }).catch((error: unknown) => {
    const message =
      errorCode(error) === 'ENOENT' ? 'flock (util-linux) was not found in PATH' : (error as Error).message;
    throw new TablesError('lock', path, message, error);
  });
  if (status === 0 || (status === BUSY && options.includes('--nonblock'))) return status;
  throw new TablesError('lock', path, `flock failed (exit status ${status})`);
}
