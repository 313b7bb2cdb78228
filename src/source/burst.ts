/**
 * Many calls that follow one another closely become one. It knows nothing of what is called for.
 */

/** One for one thing that is told of. */
export class Burst {
  readonly #quietMs: number;
  readonly #mostMs: number;
  readonly #then: () => void;
  #timer: NodeJS.Timeout | undefined;
  #since = 0;

  /** `then` is called when nobody has told anything for `quietMs`, and after `mostMs` though somebody goes on. */
  constructor(quietMs: number, mostMs: number, then: () => void) {
    this.#quietMs = quietMs;
    this.#mostMs = mostMs;
    this.#then = then;
  }

  tell(): void {
    const now = performance.now();
    if (this.#timer === undefined) this.#since = now;
    clearTimeout(this.#timer);
    const wait = Math.max(0, Math.min(this.#quietMs, this.#since + this.#mostMs - now));
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#then();
    }, wait);
  }

  /** What was told and not yet called for is forgotten. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
