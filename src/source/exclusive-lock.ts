/**
 * A lock between processes on one host that ends with its holder, however that ends: Node.js has no flock(2), so
 * flock(1) of util-linux holds it for as long as a pipe from this process is open. It never breaks another's lock.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** How long to wait before `waiting` is told. */
const PATIENCE_MS = 1000;

export interface Lock {
  /** Throws if the lock was lost: whoever killed its holder must not have two writers for it. */
  assertHeld(): void;
}

/** Runs `body` while no other process holds the lock file `path`, which is made if need be and stays. */
export async function withExclusiveLock<T>(
  path: string,
  waiting: (() => void) | undefined,
  body: (lock: Lock) => Promise<T>,
): Promise<T> {
  // In a process group of its own: an interrupt from the terminal must not end the lock before its holder.
  const holder = spawn('flock', ['--exclusive', path, 'cat'], { stdio: ['pipe', 'pipe', 'pipe'], detached: true });
  let errors = '';
  let isOver = false;
  holder.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  holder.stdin.on('error', () => {});
  const ended = new Promise<void>((resolve) => {
    holder.once('error', (error) => {
      errors ||= `flock(1) of util-linux is needed: ${error.message}`;
      isOver = true;
      resolve();
    });
    holder.once('close', () => {
      isOver = true;
      resolve();
    });
  });
  const impatience = waiting === undefined ? undefined : setTimeout(waiting, PATIENCE_MS);
  try {
    // cat runs, and gives the line back, once flock has the lock.
    holder.stdin.write('\n');
    await Promise.race([once(holder.stdout, 'data'), ended]);
    clearTimeout(impatience);
    const assertHeld = (): void => {
      if (isOver) throw new LockError(`the settings cannot be locked: ${errors.trim() || 'the lock was lost'}`);
    };
    assertHeld();
    return await body({ assertHeld });
  } finally {
    clearTimeout(impatience);
    holder.stdin.end();
    await ended;
  }
}

/** The lock could not be had, or was lost. */
export class LockError extends Error {}
