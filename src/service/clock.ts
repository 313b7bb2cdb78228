/**
 * Time as the policy service sees it: a monotonic clock and one coarse, repeating timer, so that tests can hold both.
 * It never tells the time of day.
 */

/** What of time the service needs; {@link systemClock} but in tests. */
export interface Clock {
  /** Milliseconds since some fixed moment; never goes back. */
  now(): number;
  /** Calls `tick` about every `ms` milliseconds until the function that it returns is called. */
  every(ms: number, tick: () => void): () => void;
}

/** The machine's clock. Its timers do not keep the process alive. */
export const systemClock: Clock = {
  now: () => performance.now(),
  every(ms, tick) {
    const timer = setInterval(tick, ms);
    timer.unref();
    return () => clearInterval(timer);
  },
};
