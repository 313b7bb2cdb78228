/**
 * postmap(1): compiles a text into a table, and looks into tables. What a table holds is its reader's business.
 */
import { type Ended, type RunOptions, runProgram } from '../process/run-program.ts';

/** The types of table that are compiled to files, or, texthash, read whole; and how the compiled file's name ends. */
export const COMPILED_SUFFIXES: ReadonlyMap<string, string | undefined> = new Map([
  ['lmdb', '.lmdb'],
  ['cdb', '.cdb'],
  ['hash', '.db'],
  ['btree', '.db'],
  ['texthash', undefined],
]);

/** Tables that can be listed; of others only single keys can be asked for. */
const LISTABLE = new Set(['hash', 'btree', 'lmdb', 'dbm', 'sdbm', 'texthash', 'inline']);

/** A table could not be compiled. The message is the reason. */
export class PostmapError extends Error {}

/** The beginning of a table, or all of it. */
export interface TableListing {
  /** Value by key, as postmap(1) prints them. */
  readonly entries: ReadonlyMap<string, string>;
  /** Whether that is all of it. */
  readonly isWhole: boolean;
}

/** The same, or as much of it as could be read. */
export interface TableReading extends TableListing {
  /** Why the table could not be read, or not to its end. */
  readonly trouble: string | undefined;
}

/**
 * Compiles `file` where it stands. `lockFd` is inherited, so that the lock outlives this process for as long as its postmap
 * runs: the next writer then waits for it. Rejects with {@link PostmapError}.
 */
export async function compileText(
  configDirectory: string,
  type: string,
  file: string,
  lockFd: number,
  signal: AbortSignal,
): Promise<void> {
  const { failure, stderr } = await postmap(configDirectory, [`${type}:${file}`], { inherited: lockFd, signal });
  if (failure !== undefined) throw new PostmapError(`postmap failed (${failure}): ${lastLines(stderr)}`);
}

/** Whether all entries of a table, `type:name`, can be asked for. */
export function isListable(table: string): boolean {
  return LISTABLE.has(table.slice(0, table.indexOf(':')));
}

/** The first `most` entries of a table that is {@link isListable}, within so much time. */
export async function listTable(
  configDirectory: string,
  table: string,
  most: number,
  timeoutMs: number,
): Promise<TableReading> {
  return await read(configDirectory, ['-s', table], '', most, timeoutMs);
}

/** What a table has under these keys, within so much time. */
export async function findInTable(
  configDirectory: string,
  table: string,
  keys: readonly string[],
  timeoutMs: number,
): Promise<TableReading> {
  return await read(configDirectory, ['-q', '-', table], `${keys.join('\n')}\n`, keys.length, timeoutMs);
}

async function read(
  configDirectory: string,
  args: readonly string[],
  input: string,
  most: number,
  timeoutMs: number,
): Promise<TableReading> {
  const signal = AbortSignal.timeout(timeoutMs);
  const entries = new Map<string, string>();
  let isWhole = true;
  const eachLine = (line: string): boolean => {
    const tab = line.indexOf('\t');
    if (tab < 0) return true;
    const key = line.slice(0, tab);
    isWhole = entries.size < most || entries.has(key);
    if (isWhole) entries.set(key, line.slice(tab + 1));
    return isWhole;
  };
  const trouble = await postmap(configDirectory, args, { input, signal, eachLine }).then(
    ({ failure, stderr }) => {
      const isLate = signal.aborted && isWhole && failure === 'SIGKILL';
      // It exits with 1 also where nothing was found; what is wrong it says.
      return isLate ? `it does not answer within ${timeoutMs / 1000} s` : /fatal: (.*)/u.exec(stderr)?.[1];
    },
    (error: unknown) => {
      if (!(error instanceof PostmapError)) throw error;
      return error.message;
    },
  );
  return { entries, isWhole: isWhole && trouble === undefined, trouble };
}

function postmap(configDirectory: string, args: readonly string[], options: RunOptions): Promise<Ended> {
  const toError: RunOptions['toError'] = (reason, cause) => new PostmapError(reason, cause);
  return runProgram('postmap', ['-c', configDirectory, ...args], { ...options, toError });
}

/** What postmap said before it gave up: the reason is in its last lines. */
function lastLines(stderr: string): string {
  const lines = stderr.trim().split('\n');
  return lines.slice(-3).join('; ') || 'it gave no reason';
}
