/**
 * What the process itself takes, and how long its event loop keeps work waiting. One small timer while it runs.
 */
import { Histogram } from './histogram.ts';

/** How often the event loop's delay is looked at. */
const LOOK_MS = 100;

/** Timers of Node are late by up to a millisecond by themselves. */
const DELAY_BOUNDS = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5] as const;

/** Measures from when it is made until it is stopped. */
export class ProcessMeter {
  /** In seconds. */
  readonly delay = new Histogram(DELAY_BOUNDS);
  /** When this process began, in seconds since the epoch. */
  readonly startedAt = performance.timeOrigin / 1000;
  readonly #timer: NodeJS.Timeout;

  constructor() {
    let due = performance.now() + LOOK_MS;
    this.#timer = setInterval(() => {
      const now = performance.now();
      this.delay.observe(Math.max(0, now - due) / 1000, 1);
      due = now + LOOK_MS;
    }, LOOK_MS);
    this.#timer.unref();
  }

  /** User and system time so far, in seconds. */
  get cpuSeconds(): number {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  }

  get residentBytes(): number {
    return process.memoryUsage.rss();
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
