/**
 * The signals of the commands that stay: SIGHUP reloads, SIGTERM and SIGINT stop.
 */

/** The longest interval that a timer can have. */
const FOREVER_MS = 0x7fffffff;

/** Resolves at the first SIGTERM or SIGINT. A second one ends the process at once, as if nothing caught it. */
export function untilStopped(reload: () => void): Promise<void> {
  return new Promise((resolve) => {
    // Neither signal handlers nor a watched directory keep Node from ending a process that has nothing else to do.
    const staying = setInterval(() => {}, FOREVER_MS);
    const stop = (): void => {
      clearInterval(staying);
      resolve();
    };
    process.on('SIGHUP', reload);
    process.once('SIGTERM', stop);
    process.once('SIGINT', stop);
  });
}
