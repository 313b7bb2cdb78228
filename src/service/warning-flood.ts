/**
 * Keeps a flood of the same warning from flooding the log: the first of a kind is written at once, those that follow
 * are counted, and the count is written at most once in ten seconds. It never drops a count silently: what is pending
 * is written by {@link WarningFlood.tick} or {@link WarningFlood.flush}.
 */

/** Milliseconds between two lines of one kind. */
export const FLOOD_WINDOW_MS = 10_000;

/** Writes one line; `more` is how many besides the one that `fields` tells of, 0 for a line of its own. */
export type FloodLine<Kind extends string> = (kind: Kind, fields: object, more: number) => void;

interface Window {
  /** When the last line of this kind was written. */
  writtenAt: number;
  /** How many came since. */
  pending: number;
  /** Of the last one that came since. */
  fields: object;
}

/** `Kind` is a closed set of words, which bounds the memory. */
export class WarningFlood<Kind extends string> {
  readonly #write: FloodLine<Kind>;
  readonly #now: () => number;
  readonly #windows = new Map<Kind, Window>();

  constructor(write: FloodLine<Kind>, now: () => number) {
    this.#write = write;
    this.#now = now;
  }

  /** One warning of a kind. */
  warn(kind: Kind, fields: object): void {
    const window = this.#windows.get(kind);
    if (window !== undefined) {
      window.pending += 1;
      window.fields = fields;
      this.#writeIfDue(kind, window);
      return;
    }
    this.#windows.set(kind, { writtenAt: this.#now(), pending: 0, fields });
    this.#write(kind, fields, 0);
  }

  /** Writes the counts that are due; to be called every second or so. */
  tick(): void {
    for (const [kind, window] of this.#windows) this.#writeIfDue(kind, window);
  }

  /** Writes all counts, due or not: the service stops. */
  flush(): void {
    for (const [kind, window] of this.#windows) this.#writePending(kind, window);
    this.#windows.clear();
  }

  #writeIfDue(kind: Kind, window: Window): void {
    if (this.#now() - window.writtenAt < FLOOD_WINDOW_MS) return;
    if (window.pending === 0) this.#windows.delete(kind);
    else this.#writePending(kind, window);
  }

  #writePending(kind: Kind, window: Window): void {
    if (window.pending === 0) return;
    const more = window.pending - 1;
    window.pending = 0;
    window.writtenAt = this.#now();
    this.#write(kind, window.fields, more);
  }
}
