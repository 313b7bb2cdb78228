// A clock that stands still until a test moves it on, so that no test waits for a timeout.

import type { Clock } from '../../src/service/clock.ts';

interface Timer {
  readonly ms: number;
  readonly tick: () => void;
  due: number;
}

export class HeldClock implements Clock {
  #now = 0;
  readonly #timers = new Set<Timer>();

  now(): number {
    return this.#now;
  }

  every(ms: number, tick: () => void): () => void {
    const timer: Timer = { ms, tick, due: this.#now + ms };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Moves on, and lets everything happen that is due on the way. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const next = [...this.#timers].filter(({ due }) => due <= end).sort((a, b) => a.due - b.due)[0];
      if (next === undefined) break;
      this.#now = next.due;
      next.due += next.ms;
      next.tick();
    }
    this.#now = end;
  }

  /** How many timers run. */
  get timers(): number {
    return this.#timers.size;
  }
}
