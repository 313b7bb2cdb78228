/**
 * Keeps a flood of the same line from flooding the log: the first of a kind are written at once, those that follow are
 * counted, and the count is written when the window is over. It never drops a count silently: what is pending is written
 * by {@link Flood.tick} or {@link Flood.flush}. It has no timer and no clock of its own.
 */

export interface FloodOptions {
  /** Lines of one kind that are written at once in one window. */
  readonly burst: number;
  readonly windowMs: number;
  /** Kinds that are told apart; of more, the oldest is written out and forgotten. */
  readonly capacity: number;
  /** Milliseconds since some fixed moment. */
  readonly now: () => number;
}

interface Window<Line> {
  readonly openedAt: number;
  written: number;
  /** How many came that were not written. */
  pending: number;
  /** The last of them. What was written is not kept: thousands of lines would grow old, which the garbage collector pays for. */
  line: Line | undefined;
}

export class Flood<Kind extends string | number, Line> {
  /** Writes one line; `more` is how many besides this one, 0 for a line of its own. */
  readonly #write: (kind: Kind, line: Line, more: number) => void;
  readonly #options: FloodOptions;
  readonly #windows = new Map<Kind, Window<Line>>();

  constructor(options: FloodOptions, write: (kind: Kind, line: Line, more: number) => void) {
    this.#options = options;
    this.#write = write;
  }

  /** One line of a kind, which may itself stand for `more` besides. */
  tell(kind: Kind, line: Line, more = 0): void {
    const { now, burst, windowMs, capacity } = this.#options;
    const window = this.#windows.get(kind);
    if (window !== undefined && now() - window.openedAt < windowMs) {
      if (window.written < burst) {
        window.written += 1;
        this.#write(kind, line, more);
      } else {
        window.pending += 1 + more;
        window.line = line;
      }
      return;
    }
    if (window !== undefined && window.pending > 0) {
      window.pending += 1 + more;
      window.line = line;
      this.#close(kind, window);
      return;
    }
    this.#windows.delete(kind);
    if (this.#windows.size >= capacity) this.#forgetOldest();
    this.#windows.set(kind, { openedAt: now(), written: 1, pending: 0, line: undefined });
    this.#write(kind, line, more);
  }

  /** Writes the counts that are due; to be called every second or so. */
  tick(): void {
    const now = this.#options.now();
    for (const [kind, window] of this.#windows) {
      if (now - window.openedAt >= this.#options.windowMs) this.#close(kind, window);
    }
  }

  /** Writes all counts, due or not: the process ends. */
  flush(): void {
    for (const [kind, window] of this.#windows) this.#close(kind, window);
    this.#windows.clear();
  }

  #forgetOldest(): void {
    const [oldest] = this.#windows;
    if (oldest === undefined) return;
    const [kind, window] = oldest;
    this.#close(kind, window);
    this.#windows.delete(kind);
  }

  /** The window is over. Where something was counted, the line that says so begins another. */
  #close(kind: Kind, { pending, line }: Window<Line>): void {
    this.#windows.delete(kind);
    if (pending === 0 || line === undefined) return;
    const { now, burst } = this.#options;
    this.#windows.set(kind, { openedAt: now(), written: burst, pending: 0, line: undefined });
    this.#write(kind, line, pending - 1);
  }
}
