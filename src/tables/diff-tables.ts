/**
 * What writing the tables would change, line by line. The texts in force and the new ones have one order, so a merge
 * tells, in little memory however many lines there are. It writes nothing.
 */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Settings } from '../settings/settings.ts';
import type { TablesOptions } from './check-tables.ts';
import { compiledSuffix } from './compiled-table.ts';
import { MapsDirectory } from './maps-directory.ts';
import { render } from './render.ts';
import { CURRENT_LINK } from './stamp.ts';
import type { Table } from './table.ts';
import { errorCode, TablesError, wordSystemError } from './tables-error.ts';

/** One line of `maps --diff`. */
export interface DiffLine {
  readonly table: string;
  /** `-`: the line goes. `+`: it comes. A changed entry is both, in this order. */
  readonly sign: '-' | '+';
  readonly line: string;
}

/** Table by table, each in its order. Rejects with {@link TablesError}, be it after some lines. */
export async function* diffTables(settings: Settings, options: TablesOptions): AsyncGenerator<DiffLine> {
  compiledSuffix(options.type, options.directory);
  const directory = new MapsDirectory(options.directory);
  const { tables } = render(settings, {
    exemptClients: options.exemptClients,
    keep: await directory.policiesKept(),
  });
  for (const table of tables) yield* diffTable(table, directory.file(CURRENT_LINK, table.name));
}

async function* diffTable(table: Table, path: string): AsyncGenerator<DiffLine> {
  const { name } = table;
  const old = linesOfFile(path);
  const wanted = linesOfTable(table);
  let before = await old.next();
  let after = wanted.next();
  while (before.done !== true || after.done !== true) {
    const [gone, come] = [before.value, after.value];
    const order = gone === undefined ? 1 : come === undefined ? -1 : compareLines(gone, come, table);
    if (gone !== undefined && order <= 0) {
      if (gone !== come) yield { table: name, sign: '-', line: gone };
      before = await old.next();
    }
    if (come !== undefined && order >= 0) {
      if (gone !== come) yield { table: name, sign: '+', line: come };
      after = wanted.next();
    }
  }
}

function* linesOfTable(table: Table): Generator<string, undefined> {
  for (const { text } of table.text()) {
    if (text !== '') yield* text.slice(0, -1).split('\n');
  }
  return undefined;
}

async function* linesOfFile(path: string): AsyncGenerator<string, undefined> {
  try {
    for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })) {
      if (line !== '' && !line.startsWith('#')) yield line;
    }
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw new TablesError('directory', path, wordSystemError(error), error);
  }
  return undefined;
}

/** The order in which tables are rendered: by domain, and of one domain the addresses before the domain itself. */
function compareLines(a: string, b: string, { kind }: Table): number {
  if (a === b) return 0;
  // In these the order has a meaning, and there are few lines: whatever stands elsewhere goes and comes.
  if (kind !== 'indexed') return compareText(a, b);
  const [one, other] = [keyOf(a), keyOf(b)];
  return compareText(one.domain, other.domain) || compareText(one.local, other.local);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Sorts behind every local part. */
const WHOLE_DOMAIN = '\uffff';

function keyOf(line: string): { readonly domain: string; readonly local: string } {
  const key = line.slice(0, line.indexOf(' '));
  const at = key.lastIndexOf('@');
  return at < 0 ? { domain: key, local: WHOLE_DOMAIN } : { domain: key.slice(at + 1), local: key.slice(0, at) };
}
