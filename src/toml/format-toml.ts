/**
 * Writes values as TOML. Only what settings hold: strings, numbers, booleans, arrays of strings and, in braces, tables of
 * these; tables with headers are their caller's. The same value gives the same text.
 */

import { isTable } from './table-reader.ts';

const WIDTH = 110;

/** A key as part of a dotted key: bare where TOML allows it. */
export function formatKey(key: string): string {
  return /^[A-Za-z0-9_-]+$/u.test(key) ? key : formatString(key);
}

/** `[domains."example.com".incoming]`; the domain in quotes, as all documentation has it. */
export function formatHeader(path: readonly string[]): string {
  const [top = '', domain, ...rest] = path;
  const quoted = domain === undefined ? [] : [top === 'domains' ? formatString(domain) : formatKey(domain)];
  return `[${[formatKey(top), ...quoted, ...rest.map(formatKey)].join('.')}]`;
}

/** A value; `indent` is how many characters stand before it on its line. */
export function formatValue(value: unknown, indent = 0): string {
  if (typeof value === 'string') return formatString(value);
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (!Array.isArray(value)) throw new TypeError(`no value of a setting: ${JSON.stringify(value)}`);
  const items = value.map((item) => formatValue(item));
  const line = `[${items.join(', ')}]`;
  if (indent + line.length <= WIDTH || items.length < 2) return line;
  return `[\n${items.map((item) => `  ${item},\n`).join('')}]`;
}

/** A value, or a table in braces. */
export function formatInline(value: unknown): string {
  if (!isTable(value)) return formatValue(value);
  const pairs = Object.entries(value).map(([key, inner]) => `${formatKey(key)} = ${formatInline(inner)}`);
  return pairs.length === 0 ? '{}' : `{ ${pairs.join(', ')} }`;
}

/** JSON's escapes are TOML's, but for DEL, which TOML does not let stand. */
function formatString(text: string): string {
  return JSON.stringify(text).replaceAll('\u007f', '\\u007F');
}
