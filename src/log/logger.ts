/**
 * The log: one JSON line an event on standard error, or readable lines if that is a terminal. Whatever a stranger sent
 * reaches it as a JSON string or not at all, so nobody writes a second line.
 */
import { type DestinationStream, type Logger, pino } from 'pino';

/** How long a line may wait for company before it is written. */
const FLUSH_MS = 200;
const BUFFER_BYTES = 8 * 1024;

export interface Log {
  readonly logger: Logger;
  /** Writes out what is buffered; call it before the process ends. */
  flush(): void;
}

export function openLog(level: string): Log {
  if (process.stderr.isTTY) return { logger: pino({ level, base: null }, readable(process.stderr)), flush: () => {} };
  const destination = pino.destination({ fd: 2, sync: false, minLength: BUFFER_BYTES });
  const timer = setInterval(() => destination.flush(), FLUSH_MS);
  timer.unref();
  return { logger: pino({ level, base: null }, destination), flush: () => destination.flushSync() };
}

const LEVEL_NAMES: Readonly<Record<number, string>> = {
  10: 'trace',
  20: 'debug',
  30: 'info',
  40: 'warning',
  50: 'error',
  60: 'fatal',
};

/** `22:31:04 warning  text  key=value …`; control characters are escaped, since values may be a stranger's. */
function readable(terminal: NodeJS.WritableStream): DestinationStream {
  return {
    write(line: string): void {
      const { time, level, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
      const clock = new Date(Number(time)).toTimeString().slice(0, 8);
      const words = Object.entries(fields).map(([key, value]) => `${key}=${wordValue(value)}`);
      terminal.write(`${[clock, (LEVEL_NAMES[Number(level)] ?? '').padEnd(7), msg ?? '', ...words].join(' ')}\n`);
    },
  };
}

function wordValue(value: unknown): string {
  return typeof value === 'string' && /^[\x21-\x7e]*$/u.test(value) ? value : JSON.stringify(value);
}
