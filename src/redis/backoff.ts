/**
 * How long to wait before the next attempt: longer each time, and never the same for two hosts, so that thirty of them do
 * not come back to a server all at once.
 */
const FIRST_MS = 100;
const MOST_MS = 5_000;

/** One for one thing that is tried again and again. */
export class Backoff {
  #next = FIRST_MS;

  /** The next wait in milliseconds: between half and the whole of a time that doubles. */
  next(): number {
    const most = this.#next;
    this.#next = Math.min(MOST_MS, most * 2);
    return most / 2 + Math.random() * (most / 2);
  }

  /** It worked. */
  reset(): void {
    this.#next = FIRST_MS;
  }
}
