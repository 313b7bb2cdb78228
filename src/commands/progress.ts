/**
 * How far a long command is, on a terminal and nowhere else. It is silent for what takes no time.
 */

const PATIENCE_MS = 500;
const INTERVAL_MS = 100;

export class Progress {
  readonly #what: string;
  readonly #stream: NodeJS.WriteStream;
  #next = performance.now() + PATIENCE_MS;
  #isShown = false;

  constructor(what: string, stream: NodeJS.WriteStream = process.stderr) {
    this.#what = what;
    this.#stream = stream;
  }

  /** `done` of `all`; fit to be handed on as a callback. */
  readonly show = (done: number, all: number): void => {
    const now = performance.now();
    if (!this.#stream.isTTY || now < this.#next) return;
    this.#next = now + INTERVAL_MS;
    this.#isShown = true;
    this.#stream.write(`\r${this.#what}: ${done} of ${all} (${Math.floor((100 * done) / Math.max(1, all))} %)\u001b[K`);
  };

  /** Takes the line away. */
  end(): void {
    if (this.#isShown) this.#stream.write('\r\u001b[K');
    this.#isShown = false;
  }
}
