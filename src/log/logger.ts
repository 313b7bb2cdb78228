/**
 * The log: one JSON line an event on standard error, or readable lines if that is a terminal. Whatever a stranger sent
 * reaches it as a JSON string or not at all, so nobody writes a second line; a flood of lines of one kind is summed up.
 */
import { type DestinationStream, type Logger, pino } from 'pino';
import { printable } from '../text/printable.ts';
import { Flood } from './flood.ts';
import { kindOfLine } from './kind-of-line.ts';
import { StandardError } from './standard-error.ts';

/** How long a line may wait for company before it is written. */
const FLUSH_MS = 200;

/** Lines of one kind that are written within {@link WINDOW_MS}; what comes beyond becomes one line with their number. */
const INFO_BURST = 100;
const WARNING_BURST = 10;
const WINDOW_MS = 60_000;
/** Kinds that are told apart at once. */
const KINDS = 4096;

const [INFO, WARNING] = [pino.levels.values['info'] ?? 0, pino.levels.values['warn'] ?? 0];

/** Where lines go to, and how the last of them come out. */
export interface Log {
  readonly logger: Logger;
  /** Writes out what is counted and what is buffered; call it before the process ends. */
  flush(): void;
}

type Fields = Readonly<Record<string, unknown>>;

/** A line on its way. */
interface Line {
  /** pino's number of it. */
  readonly level: number;
  readonly fields: Fields;
  readonly message: string;
}

/** Once for each process. `level`: one of LOG_LEVELS in main-file.ts, `silent` for none. */
export function openLog(level: string): Log {
  const floods = [INFO_BURST, WARNING_BURST].map((burst) => {
    const options = { burst, windowMs: WINDOW_MS, capacity: KINDS, now: () => performance.now() };
    return new Flood<number, Line>(options, (_, line, more) => destination.write(formatLine(line, more)));
  });
  const [infos, warnings] = floods;
  const isTerminal = process.stderr.isTTY;
  const file = isTerminal
    ? undefined
    : new StandardError((lost) => logger.error({ lost }, 'lines of the log are lost: nobody took them in'));
  const destination = file ?? readable(process.stderr);
  const options: pino.LoggerOptions = {
    level,
    base: null,
    hooks: {
      logMethod(given, method, number) {
        if (number < INFO) {
          method.apply(this, given);
          return;
        }
        const [first, second] = given as readonly unknown[];
        const fields = typeof first === 'string' ? {} : (first as Fields);
        const message = String(second ?? first);
        const flood = number < WARNING ? infos : warnings;
        flood?.tell(kindOfLine(message, fields), { level: number, fields, message }, Number(fields['more'] ?? 0));
      },
    },
  };
  const logger = pino(options, destination);
  // A library that prints by itself would write a line that is no event: ioredis does, of a password that nobody asks for.
  console.warn = (...words: readonly unknown[]) => logger.warn({ warning: words.join(' ') }, 'a library warns');
  const timer = setInterval(() => {
    for (const flood of floods) flood.tick();
    file?.pass();
  }, FLUSH_MS);
  timer.unref();
  return {
    logger,
    flush() {
      for (const flood of floods) flood.flush();
      file?.flush();
    },
  };
}

/**
 * The line as pino writes it; `more`: how many besides it stands for. pino makes a line field by field, which takes longer,
 * and with a large fleet a good part of all requests gives one.
 */
function formatLine({ level, fields, message }: Line, more: number): string {
  const json = JSON.stringify(more === 0 ? fields : { ...fields, more });
  const inner = json === '{}' ? '' : `${json.slice(1, -1)},`;
  return `{"level":${level},"time":${Date.now()},${inner}"msg":${JSON.stringify(message)}}\n`;
}

const LEVEL_NAMES: Readonly<Record<number, string>> = {
  10: 'trace',
  20: 'debug',
  30: 'info',
  40: 'warning',
  50: 'error',
  60: 'fatal',
};

/** `22:31:04 warning  text  key=value …`; what would move a cursor is escaped, since values may be a stranger's. */
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
  if (typeof value === 'string' && /^[\x21-\x7e]+$/u.test(value)) return value;
  return printable(JSON.stringify(value), Number.POSITIVE_INFINITY);
}
