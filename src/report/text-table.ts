/**
 * Tables for a terminal: names, columns of numbers, bars, and the words around them. Pure; it knows nothing of what is
 * counted.
 */
import type { Flow } from '../settings/setting.ts';

/** What the terminal is like, and how much of a table is wanted. */
export interface TextForm {
  /** Columns of the terminal; Infinity where there is none: nothing is cut then. */
  readonly width: number;
  /** Whether it shows block characters; else ASCII. */
  readonly blocks: boolean;
  /** Rows of each table. */
  readonly most: number;
}

const BAR = 12;
const NAMES_SHOWN = 5;
/** The narrowest that a name is cut to. */
const LEAST_NAME = 16;

/** `cells` has one for each row of the table, which it is not told of otherwise. */
export interface Column {
  readonly title: string;
  readonly cells: readonly string[];
  readonly align: 'left' | 'right';
}

/** A column of words, one a row. */
export function words<T>(
  title: string,
  rows: readonly T[],
  word: (row: T) => string,
  align: Column['align'] = 'right',
): Column {
  return { title, cells: rows.map(word), align };
}

/** A column of numbers. */
export const numbers = <T>(title: string, rows: readonly T[], value: (row: T) => number): Column =>
  words(title, rows, (row) => number(value(row)));

/** The same; of what there is none, there is no column. */
export const rare = <T>(title: string, rows: readonly T[], value: (row: T) => number): readonly Column[] =>
  rows.some((row) => value(row) > 0) ? [numbers(title, rows, value)] : [];

/** What a table that shows only some rows says of the others. */
export function more(all: readonly unknown[], shown: readonly unknown[]): readonly string[] {
  const left = all.length - shown.length;
  return left === 0 ? [] : [`and ${number(left)} more; -n ${all.length} shows all`];
}

interface Named {
  readonly flow: Flow;
  readonly domain: string | undefined;
  readonly remote: string | undefined;
}

/** What rows are called; of one domain alone, which the head names, its remotes. */
export function namesOf(rows: readonly Named[], domains: readonly string[]): readonly string[] {
  return rows.map((row) => (domains.length === 1 && row.remote !== undefined ? row.remote : nameOf(row)));
}

/** A pair as the mail goes: from whom to whom. */
function nameOf({ flow, domain, remote }: Named): string {
  if (domain === undefined || remote === undefined) return domain ?? remote ?? '';
  return flow === 'incoming' ? `${remote} > ${domain}` : `${domain} > ${remote}`;
}

/** Lines: the head, then one for each name. Names alone are cut where the terminal is narrow. */
export function table(
  title: string,
  names: readonly string[],
  columns: readonly Column[],
  { width }: TextForm,
): readonly string[] {
  const widths = columns.map((column) => Math.max(column.title.length, ...column.cells.map((cell) => cell.length)));
  const right = widths.reduce((sum, one) => sum + one + 2, 0);
  const longest = Math.max(title.length, ...names.map((name) => name.length));
  const room = Math.min(longest, Math.max(LEAST_NAME, title.length, width - right));
  const line = (name: string, cells: readonly string[]): string => {
    const rest = cells.map((cell, i) => {
      const size = widths[i] ?? 0;
      return columns[i]?.align === 'left' ? cell.padEnd(size) : cell.padStart(size);
    });
    return [shorten(name, room).padEnd(room), ...rest].join('  ').trimEnd();
  };
  return [
    line(
      title,
      columns.map((column) => column.title),
    ),
    ...names.map((name, row) =>
      line(
        name,
        columns.map((column) => column.cells[row] ?? ''),
      ),
    ),
  ];
}

/** The end of a domain name tells more than its middle. */
function shorten(name: string, room: number): string {
  if (name.length <= room) return name;
  const half = Math.floor((room - 1) / 2);
  return `${name.slice(0, room - 1 - half)}~${name.slice(-half)}`;
}

const signsOf = (blocks: boolean) =>
  blocks ? { plain: '█', old: '▒', good: '·' } : { plain: '#', old: '+', good: '.' };

/** With commas between thousands, whatever the locale: 1,234. */
export const number = (n: number): string => n.toLocaleString('en');
/** `one` takes an s: 1 recipient, 2 recipients. */
export const plural = (n: number, one: string): string => `${number(n)} ${one}${n === 1 ? '' : 's'}`;

/** `12 %`, below ten with one decimal; '' for none. */
export function percent(part: number, all: number): string {
  if (all === 0 || part === 0) return '';
  const share = (100 * part) / all;
  return `${share < 0.1 ? '<0.1' : share.toFixed(share < 10 ? 1 : 0)} %`;
}

/** `131 (0.9 %)`, or `none`. */
export const wordShare = (part: number, all: number): string =>
  part === 0 ? 'none' : `${number(part)} (${percent(part, all)})`;

/** Which hosted domains it is about, if it is not about all of them. */
export const wordDomains = (domains: readonly string[]): string =>
  domains.length === 0 ? '' : ` of ${wordNames(domains)}`;

/** The first few, and how many more; `no host` for none. */
export function wordNames(names: readonly string[]): string {
  const more = names.length - NAMES_SHOWN;
  return more > 1
    ? `${names.slice(0, NAMES_SHOWN).join(', ')} and ${number(more)} more`
    : names.join(', ') || 'no host';
}

/** What a bar is of. */
export interface Shares {
  /** Everything that the bar stands for; the parts below are of it. */
  readonly all: number;
  readonly plaintext: number;
  /** TLS older than 1.2. */
  readonly old: number;
}

/** One sign at least for what there is at all. */
export function bar({ all, plaintext, old }: Shares, blocks: boolean): string {
  if (all === 0) return '';
  const signs = signsOf(blocks);
  const count = (n: number): number => (n === 0 ? 0 : Math.max(1, Math.round((BAR * n) / all)));
  const plain = Math.min(BAR, count(plaintext));
  const outdated = Math.min(BAR - plain, count(old));
  return signs.plain.repeat(plain) + signs.old.repeat(outdated) + signs.good.repeat(BAR - plain - outdated);
}

/** What the signs of a bar mean. */
export function wordKey(blocks: boolean): string {
  const { plain, old, good } = signsOf(blocks);
  return `TLS: ${plain} plaintext  ${old} older than TLSv1.2  ${good} TLSv1.2 or newer`;
}
