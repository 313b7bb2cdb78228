/**
 * Changes a domain that is not written as tables alone, but with dotted keys or inline tables, where it stands. What it adds is
 * written with dotted keys beside what is there. It knows no more of TOML than that, so its caller parses the result and
 * compares.
 */
import { formatTable, recordTables, sameValue } from '../settings/domain-record.ts';
import { formatInline, formatKey } from '../toml/format-toml.ts';
import type { Statement } from '../toml/scan-toml.ts';
import { isTable, type Table } from '../toml/table-reader.ts';
import type { DomainEdit } from './edit-settings-text.ts';
import { onNewLine, type Splice } from './splice.ts';

/** A statement of the domain as it stands in the text. */
export interface LooseStatement {
  readonly statement: Statement;
  /** The table that it is in, from the top; a header is in the one that it begins. */
  readonly section: readonly string[];
  /** What it says something of, from the top: `domains`, the domain, and what is below. */
  readonly path: readonly string[];
}

interface Missing {
  readonly path: readonly string[];
  readonly value: unknown;
}

/** `written`: all statements of the domain, of which there is at least one. */
export function editLooseDomain(
  text: string,
  written: readonly LooseStatement[],
  { before, after }: DomainEdit,
): readonly Splice[] {
  const splices: Splice[] = [];
  const root = written[0]?.path.slice(0, 2) ?? [];
  const staying: LooseStatement[] = [];
  for (const one of written) {
    const { statement, path } = one;
    const wanted = valueAt(after, path.slice(2));
    if (wanted === undefined) {
      splices.push({ from: statement.start, to: statement.end, text: '' });
      continue;
    }
    staying.push(one);
    if (statement.kind !== 'pair' || sameValue(valueAt(before, path.slice(2)), wanted)) continue;
    splices.push({ from: statement.valueStart, to: statement.valueEnd, text: formatInline(wanted) });
  }
  if (after === undefined) return splices;
  const lines = new Map<number, string>();
  /** What has to be a table of its own, at the end; by its path as JSON. */
  const tables = new Map<string, Missing[]>();
  for (const missing of missingIn(after, root, staying)) {
    const { path, value } = missing;
    const place = placeFor(path, written);
    if (place === undefined) {
      // A setting without keys is a header.
      const key = JSON.stringify(isTable(value) ? path : path.slice(0, -1));
      tables.set(key, [...(tables.get(key) ?? []), ...(isTable(value) ? [] : [missing])]);
      continue;
    }
    const { section, statement } = place;
    const line = `${path.slice(section.length).map(formatKey).join('.')} = ${formatInline(value)}\n`;
    lines.set(statement.end, (lines.get(statement.end) ?? '') + line);
  }
  // A domain of which nothing is left to say is hosted all the same.
  if (staying.length === 0 && Object.keys(after).length === 0) tables.set(JSON.stringify(root), []);
  for (const [at, added] of lines) splices.push({ from: at, to: at, text: onNewLine(text, at, added) });
  for (const [path, pairs] of tables) {
    const table = Object.fromEntries(pairs.map((pair) => [pair.path.at(-1) ?? '', pair.value]));
    const { length } = text;
    const added = `\n${formatTable(JSON.parse(path), table)}`;
    splices.push({ from: length, to: length, text: onNewLine(text, length, added), isTable: true });
  }
  return splices;
}

/** What no statement that stays says. */
function* missingIn(
  after: Table,
  root: readonly string[],
  staying: readonly LooseStatement[],
): IterableIterator<Missing> {
  const pairs = staying.filter(({ statement }) => statement.kind === 'pair');
  const isSaid = (path: readonly string[]): boolean => pairs.some((pair) => isWithin(path, pair.path));
  for (const [below, values] of recordTables(after)) {
    const table = [...root, ...below];
    const entries = Object.entries(values);
    for (const [key, value] of entries) {
      const path = [...table, key];
      if (!isSaid(path)) yield { path, value };
    }
    const isThere = below.length === 0 || staying.some(({ path }) => isWithin(path, table)) || isSaid(table);
    if (entries.length === 0 && !isThere) yield { path: table, value: {} };
  }
}

/** Behind which statement of the domain this can be said: the last one of the innermost table around it. */
function placeFor(path: readonly string[], written: readonly LooseStatement[]): LooseStatement | undefined {
  const place = written
    .filter(({ section }) => section.length < path.length && isWithin(path, section))
    .sort((a, b) => a.section.length - b.section.length || a.statement.end - b.statement.end)
    .at(-1);
  const table = path.slice(0, -1);
  if (place === undefined || place.section.length === table.length) return place;
  // Dotted keys add nothing to a table that headers have made, and a header nothing to one that dotted keys have.
  const reached = path.slice(0, place.section.length + 1);
  const isOfHeaders = written.some((one) => one.statement.kind === 'table' && isWithin(one.path, reached));
  const isOfKeys = written.some(
    (one) => one.statement.kind === 'pair' && one.section.length < table.length && isWithin(one.path, table),
  );
  return isOfHeaders && !isOfKeys ? undefined : place;
}

function isWithin(path: readonly string[], outer: readonly string[]): boolean {
  return outer.every((key, i) => path[i] === key);
}

function valueAt(record: unknown, path: readonly string[]): unknown {
  return path.reduce((value, key) => (isTable(value) && Object.hasOwn(value, key) ? value[key] : undefined), record);
}
