// Waits for a fact to become true. For tests, which must neither sleep for a guessed time nor wait for ever.
// Never hides an error that the fact itself throws.

import { setTimeout as pause } from 'node:timers/promises';

/** How long {@link waitFor} waits when it is not told. */
export const patienceMs = 15_000;

const pollMs = 15;

/**
 * Asks for a fact until it is something other than undefined, null or false, and returns it.
 *
 * @param fact - looks once and says what it sees
 * @param what - the fact in words, for the error that is thrown when it does not come true in time; a function is
 *   called only then, and may add what was seen instead
 */
export async function waitFor<T>(
  fact: () => T | Promise<T>,
  what: string | (() => string | Promise<string>),
  timeoutMs: number = patienceMs,
): Promise<Exclude<T, undefined | null | false>> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const seen = await fact();
    if (seen !== undefined && seen !== null && seen !== false) {
      return seen as Exclude<T, undefined | null | false>;
    }
    if (performance.now() > deadline) {
      throw new Error(`not within ${timeoutMs} ms: ${typeof what === 'string' ? what : await what()}`);
    }
    await pause(pollMs);
  }
}
