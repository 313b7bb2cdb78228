/**
 * Keeps a flood of the same line from flooding the log: the first of a kind are written at once, those that follow are
 * counted, and the count is written when the window is over. It never drops a count silently: what is pending is written
 * by {@link Flood.tick} or {@link Flood.flush}. It has no timer and no clock of its own.
 */

import { RecentMap } from '../recent/recent-map.ts';

/** From when on lines are counted instead of written. */
export interface FloodOptions {
  /** Lines of one kind that are written at once in one window. */
  readonly burst: number;
  /** How long a window is, from its first line. */
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

/** Lines of one kind are counted together; of those that are counted only the last one is kept. */
export class Flood<Kind extends string | number, Line> {
  /** Writes one line; `more` is how many besides this one, 0 for a line of its own. */
  readonly #write: (kind: Kind, line: Line, more: number) => void;
  readonly #options: FloodOptions;
  readonly #windows = new RecentMap<Kind, Window<Line>>();

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
    if (window === undefined && this.#windows.size >= capacity) this.#forgetOldest();
    this.#windows.set(kind, { openedAt: now(), written: 1, pending: 0, line: undefined });
    this.#write(kind, line, more);
  }

  /** Writes the counts that are due; to be called every second or so. */
  tick(): void {
    const now = this.#options.now();
    for (let { oldest } = this.#windows; oldest !== undefined; { oldest } = this.#windows) {
      const [kind, window] = oldest;
      if (now - window.openedAt < this.#options.windowMs) return;
      this.#close(kind, window);
    }
  }

  /** Writes all counts, due or not: the process ends. */
  flush(): void {
    while (this.#windows.size > 0) this.#forgetOldest();
  }

  #forgetOldest(): void {
    const { oldest } = this.#windows;
    if (oldest !== undefined) this.#forget(...oldest);
  }

  /** The window is over. Where something was counted, the line that says so begins another. */
  #close(kind: Kind, window: Window<Line>): void {
    const { now, burst } = this.#options;
    this.#forget(kind, window);
    if (window.pending > 0) this.#windows.set(kind, { openedAt: now(), written: burst, pending: 0, line: undefined });
  }

  #forget(kind: Kind, { pending, line }: Window<Line>): void {
    this.#windows.delete(kind);
    if (pending > 0 && line !== undefined) this.#write(kind, line, pending - 1);
  }
}
