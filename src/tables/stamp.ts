/**
 * `stamp.json` in the maps directory: what the tables in force hold. It is written last and taken away first, so where it
 * stands, it is true. Reading it never fails: what is no stamp of ours proves nothing.
 */
import { join } from 'node:path';
import { isTable } from '../toml/table-reader.ts';

/** Grows when the rules of rendering change, so that tables of an older program count as not current. */
export const STAMP_FORMAT = 1;

/** What one table's text was when it was written. */
export interface TableStamp {
  /** Entries; the comment above them does not count. */
  readonly lines: number;
  /** Of the text. Compiled files differ from one postmap(1) to the next. */
  readonly sha256: string;
}

/** What the tables in force hold, and what they were written from. */
export interface Stamp {
  readonly format: number;
  /** Settings.tableDigest. */
  readonly settings: string;
  /** Whether a domain by MX stands in tls_policy or in transport depends on it. */
  readonly relayhost: string;
  /** The type of the compiled tables. */
  readonly type: string;
  /** One text for one content of all the tables. */
  readonly generation: string;
  readonly tables: Readonly<Record<string, TableStamp>>;
}

const STAMP_FILE = 'stamp.json';
/** Beside the tables of a generation: `name tableDigest` for each domain that has any entry, sorted. */
export const DOMAINS_FILE = 'domains';
/** The symbolic link to the generation in force. */
export const CURRENT_LINK = 'current';

/**
 * What main.cf and master.cf call a table, after its type. There is no link beside `current`, one for each table: one whose
 * target has a slash is something that Debian's postfix(1) warns of at each start.
 */
export function tablePath(directory: string, table: string): string {
  return `${directory}/${CURRENT_LINK}/${table}`;
}

/** Its path. `directory`: `maps.directory`. */
export function stampFile(directory: string): string {
  return join(directory, STAMP_FILE);
}

/** The same stamp gives the same bytes; there are no times in it. */
export function formatStamp(stamp: Stamp): string {
  return `${JSON.stringify(stamp, undefined, 2)}\n`;
}

/** The stamp that a text is, or undefined. */
export function parseStamp(text: string): Stamp | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isTable(value) || value['format'] !== STAMP_FORMAT) return undefined;
  const { settings, relayhost, type, generation, tables } = value;
  const strings = [settings, relayhost, type, generation];
  if (!strings.every((part) => typeof part === 'string') || !isTable(tables)) return undefined;
  return value as unknown as Stamp;
}
