/**
 * How far a long command is, on a terminal and nowhere else. It is silent for what takes no time.
 */

const PATIENCE_MS = 500;
const INTERVAL_MS = 100;

/**
 * One line that is written over, with rate and time left. It shows itself after half a second, and never off a
 * terminal.
 */
export class Progress {
  readonly #what: string;
  readonly #stream: NodeJS.WriteStream;
  readonly #began = performance.now();
  #next = this.#began + PATIENCE_MS;
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
    const rate = (done * 1000) / (now - this.#began);
    const left = rate > 0 ? `, ${Math.round(rate)}/s, ${wordDuration((all - done) / rate)} left` : '';
    this.#stream.write(
      `\r${this.#what}: ${done} of ${all} (${Math.floor((100 * done) / Math.max(1, all))} %${left})\u001b[K`,
    );
  };

  /** Takes the line away. */
  end(): void {
    if (this.#isShown) this.#stream.write('\r\u001b[K');
    this.#isShown = false;
  }
}

function wordDuration(seconds: number): string {
  const whole = Math.ceil(seconds);
  return whole < 100 ? `${whole} s` : `${Math.ceil(whole / 60)} min`;
}
