/**
 * At most so many of something at once; the others wait their turn. It knows no time and stops nothing.
 */
/** One for each thing that is limited, shared by all who do it. */
export class Limiter {
  readonly #most: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  /** `most`: tasks at once, 1 or more. */
  constructor(most: number) {
    this.#most = most;
  }

  /** Runs the task when it is its turn, first come, first served, and gives what it gives or throws what it throws. */
  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#most) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else this.#running += 1;
    try {
      return await task();
    } finally {
      // Whoever waits takes over the place, so that nobody comes in between.
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }
}
