/**
 * A lock between processes on one host that ends with its holder, however that ends. Node.js has no flock(2), so flock(1)
 * of util-linux takes it on a file that this process holds open: the lock is the open file's, and the kernel drops it
 * when nobody has that open any more. The file stays: one that comes and goes locks nothing.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';

/** flock(1)'s exit status for "somebody else has it". */
const BUSY = 1;

/** The lock could not be had. */
export class LockError extends Error {}

/**
 * Runs `body` while no other process holds the lock file `path`; `waiting` is called if one does. A program that inherits
 * the descriptor keeps the lock until it ends, should this process end before it.
 */
export async function withExclusiveLock<T>(
  path: string,
  waiting: (() => void) | undefined,
  body: (fd: number) => Promise<T>,
): Promise<T> {
  const file = await open(path, 'a', 0o644);
  try {
    if (!(await flock(path, file.fd, ['--exclusive', '--nonblock']))) {
      waiting?.();
      await flock(path, file.fd, ['--exclusive']);
    }
    return await body(file.fd);
  } finally {
    await file.close();
  }
}

/** Whether the lock was had; without `--nonblock` it is, or {@link LockError} is thrown. */
async function flock(path: string, fd: number, options: readonly string[]): Promise<boolean> {
  // In a process group of its own, so that a terminal's interrupt leaves nobody in doubt whether it was had.
  const child = spawn('flock', [...options, '3'], { stdio: ['ignore', 'ignore', 'ignore', fd], detached: true });
  let status: number | null;
  try {
    [status] = (await once(child, 'close')) as [number | null];
  } catch (error) {
    throw new LockError(`${path} cannot be locked: flock(1) of util-linux is needed: ${(error as Error).message}`);
  }
  if (status === 0 || (status === BUSY && options.includes('--nonblock'))) return status === 0;
  throw new LockError(`${path} cannot be locked: flock ended with exit status ${status}`);
}
