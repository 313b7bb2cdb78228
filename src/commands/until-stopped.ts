/**
 * The signals of the commands that stay: SIGHUP reloads, SIGTERM and SIGINT stop.
 */

/** Resolves at the first SIGTERM or SIGINT. A second one ends the process at once, as if nothing caught it. */
export function untilStopped(reload: () => void): Promise<void> {
  return new Promise((resolve) => {
    process.on('SIGHUP', reload);
    process.once('SIGTERM', () => resolve());
    process.once('SIGINT', () => resolve());
  });
}
