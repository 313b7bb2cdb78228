/**
 * A lock between processes on one host that ends with its holder, however that ends. Node.js has no flock(2), so flock(1)
 * of util-linux takes it on a file that this process holds open: the lock is the open file's, and the kernel drops it
 * when nobody has that open any more. The file stays: one that comes and goes locks nothing.
 */
import { open } from 'node:fs/promises';
import { type Ended, type RunOptions, runProgram } from '../process/run-program.ts';

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
    if (!(await take(path, file.fd, ['--exclusive', '--nonblock']))) {
      waiting?.();
      await take(path, file.fd, ['--exclusive']);
    }
    return await body(file.fd);
  } finally {
    await file.close();
  }
}

/** Whether any process holds a lock on this file, which has to be there. Rejects with {@link LockError}. */
export async function isLocked(path: string): Promise<boolean> {
  const { status, stderr, failure } = await flock(path, ['--shared', '--nonblock', path, 'true']);
  if (failure === undefined || status === BUSY) return status === BUSY;
  throw new LockError(`flock: ${stderr.trim() || failure}`);
}

/** Whether the lock was had; without `--nonblock` it is, or {@link LockError} is thrown. */
async function take(path: string, fd: number, options: readonly string[]): Promise<boolean> {
  const { status, failure } = await flock(path, [...options, '3'], fd);
  if (failure === undefined || (status === BUSY && options.includes('--nonblock'))) return failure === undefined;
  throw new LockError(`${path} cannot be locked: flock ended with ${failure}`);
}

function flock(path: string, args: readonly string[], inherited?: number): Promise<Ended> {
  const toError: RunOptions['toError'] = (reason, options) =>
    new LockError(`${path} cannot be locked: flock(1) of util-linux is needed: ${reason}`, options);
  // An interrupt at a terminal is to leave nobody in doubt whether the lock was had.
  return runProgram('flock', args, inherited === undefined ? { toError } : { toError, inherited, isDetached: true });
}
