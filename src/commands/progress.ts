/**
 * How far a long command is, on a terminal and nowhere else.
 */

const PATIENCE_MS = 500;
const INTERVAL_MS = 100;

/** Shows `text` in place of what was shown before, on a terminal; '' takes that away, and belongs before anything else is said. */
export function showProgress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text}`);
}

/**
 * One line that is written over, with rate and time left. It shows itself after half a second, and never off a
 * terminal.
 */
export class Progress {
  readonly #what: string;
  readonly #began = performance.now();
  #next = this.#began + PATIENCE_MS;
  #isShown = false;

  constructor(what: string) {
    this.#what = what;
  }

  /** `done` of `all`; fit to be handed on as a callback. */
  readonly show = (done: number, all: number): void => {
    const now = performance.now();
    if (now < this.#next) return;
    this.#next = now + INTERVAL_MS;
    this.#isShown = true;
    const rate = (done * 1000) / (now - this.#began);
    const left = rate > 0 ? `, ${Math.round(rate)}/s, ${wordDuration((all - done) / rate)} left` : '';
    showProgress(`${this.#what}: ${done} of ${all} (${Math.floor((100 * done) / Math.max(1, all))} %${left})`);
  };

  /** Takes the line away. */
  end(): void {
    if (this.#isShown) showProgress('');
    this.#isShown = false;
  }
}

function wordDuration(seconds: number): string {
  const whole = Math.ceil(seconds);
  return whole < 100 ? `${whole} s` : `${Math.ceil(whole / 60)} min`;
}
