/**
 * Standard error as the place of log lines, if that is no terminal: lines are collected for a moment and written together, and
 * kept up to a limit while nobody reads them. It holds up neither requests nor the end of the process, and counts
 * what it lost.
 *
 * pino's own destination collects lines too, but measures each of them first.
 */
import { type DestinationStream, pino } from 'pino';

/** How much is collected: a write costs as much as many lines. */
const FULL_LENGTH = 32 * 1024;
/** What may wait while nobody takes it in; lines beyond are lost, and counted. */
const MAX_WAITING = 4 * 1024 * 1024;
/** How long the end of the process waits for the last lines to be taken in. */
const LAST_MS = 1_000;

/** One for each process. Its caller calls {@link pass} now and then, and {@link flush} at the end. */
export class StandardError implements DestinationStream {
  #endsAt = Number.POSITIVE_INFINITY;
  readonly #file = pino.destination({
    fd: 2,
    sync: false,
    maxLength: MAX_WAITING,
    // A pipe is full whose reader has stopped: it is tried again, but holds up neither requests nor the end.
    retryEAGAIN: () => performance.now() < this.#endsAt,
  });
  #lines = '';
  #lost = 0;

  /** `onLost` is told how many lines were lost, once they are taken in again. */
  constructor(onLost: (lines: number) => void) {
    this.#file.on('error', () => {});
    this.#file.on('drop', (lines: string) => {
      this.#lost += lines.split('\n').length - 1;
    });
    this.#file.on('drain', () => {
      if (this.#lost === 0) return;
      const lost = this.#lost;
      this.#lost = 0;
      onLost(lost);
    });
  }

  /** `line` ends in a newline. */
  write(line: string): void {
    this.#lines += line;
    if (this.#lines.length >= FULL_LENGTH) this.pass();
  }

  /** Writes what has been collected; to be called now and then. */
  pass(): void {
    if (this.#lines === '') return;
    this.#file.write(this.#lines);
    this.#lines = '';
  }

  /** Writes all that waits, and returns when it is written or given up: the process ends. */
  flush(): void {
    this.pass();
    this.#endsAt = performance.now() + LAST_MS;
    try {
      this.#file.flushSync();
    } catch {
      // Nobody takes it in.
    }
  }
}
