/**
 * A domain's table in its one normal form, as it is exported: keys in the documented order, lists as arrays. It
 * validates nothing: what it does not know it leaves as it is, for the parser to complain of.
 */
import { type DomainName, parseDomain } from '../address/domain-name.ts';
import { splitList } from '../address/pattern.ts';
import { formatHeader, formatKey, formatValue } from '../toml/format-toml.ts';
import { isTable, type Table } from '../toml/table-reader.ts';
import { DOMAIN_KEYS } from './hosted-domain.ts';
import { SETTING_KEYS } from './parse-setting.ts';
import { FLOWS, HOPS } from './setting.ts';

/** The keys whose values are lists. */
export const LIST_KEYS: readonly string[] = ['aliases', 'senders', 'recipients', 'certificate_names', 'fingerprints'];

/** The table in normal form. */
export function normalRecord(table: Table): Table {
  const record: Record<string, unknown> = {};
  for (const [key, value] of inOrder(table, DOMAIN_KEYS)) {
    if (!(FLOWS as readonly string[]).includes(key) || !isTable(value)) {
      define(record, key, normalValue(key, value));
      continue;
    }
    const flow: Record<string, unknown> = {};
    for (const [hop, setting] of inOrder(value, HOPS)) define(flow, hop, normalSetting(hop, setting));
    // A flow without settings says nothing, unlike a setting without keys.
    if (Object.keys(flow).length > 0) define(record, key, flow);
  }
  return record;
}

/** The aliases that a table names, which may hold what cannot be used: those of them that are domains. */
export function aliasesIn({ aliases }: Table): readonly DomainName[] {
  const texts = normalValue('aliases', aliases);
  if (!Array.isArray(texts)) return [];
  return texts
    .map((text: unknown) => (typeof text === 'string' ? parseDomain(text) : undefined))
    .filter((name) => name !== undefined);
}

/** The tables of a domain's TOML text: the headers' paths below the domain, and the pairs of each, in order. */
export function recordTables(record: Table): readonly (readonly [path: readonly string[], pairs: Table])[] {
  const own = Object.fromEntries(inOrder(record, DOMAIN_KEYS).filter(([, value]) => !isTable(value)));
  const settings = FLOWS.flatMap((flow) => {
    const hops = record[flow];
    if (!isTable(hops)) return [];
    return HOPS.filter((hop) => isTable(hops[hop])).map(
      (hop) => [[flow, hop], Object.fromEntries(inOrder(hops[hop] as Table, SETTING_KEYS[hop]))] as const,
    );
  });
  return Object.keys(own).length > 0 || settings.length === 0 ? [[[], own], ...settings] : settings;
}

/** The record as TOML, as one would write it by hand. */
export function formatRecord(name: string, record: Table): string {
  return recordTables(record)
    .map(([path, pairs]) => formatTable(['domains', name, ...path], pairs))
    .join('\n');
}

/** One table: header and pairs. */
export function formatTable(path: readonly string[], pairs: Table): string {
  return `${formatHeader(path)}\n${Object.entries(pairs)
    .map(([key, value]) => `${formatPair(key, value)}\n`)
    .join('')}`;
}

/** `key = value` without the last newline; a long list takes a line for each entry. */
export function formatPair(key: string, value: unknown): string {
  const start = `${formatKey(key)} = `;
  return start + formatValue(value, start.length);
}

/** Whether two values from TOML or JSON are the same. */
export function sameValue(a: unknown, b: unknown): boolean {
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, i) => sameValue(item, b[i]));
  if (!isTable(a) || !isTable(b)) return Object.is(a, b);
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && sameValue(a[key], b[key]))
  );
}

function normalSetting(hop: string, setting: unknown): unknown {
  if (!isTable(setting)) return setting;
  const record: Record<string, unknown> = {};
  const order = hop === 'receipt' || hop === 'delivery' ? SETTING_KEYS[hop] : [];
  for (const [key, value] of inOrder(setting, order)) define(record, key, normalValue(key, value));
  return record;
}

function normalValue(key: string, value: unknown): unknown {
  return typeof value === 'string' && LIST_KEYS.includes(key) ? splitList(value) : value;
}

function inOrder(table: Table, order: readonly string[]): readonly (readonly [string, unknown])[] {
  const place = (key: string): number => (order.includes(key) ? order.indexOf(key) : order.length);
  return Object.entries(table).sort(([a], [b]) => place(a) - place(b));
}

/** Like an assignment, also for the key `__proto__`. */
function define(record: Record<string, unknown>, key: string, value: unknown): void {
  // An import of a million domains comes by here ten million times, and defineProperty is slow.
  if (key !== '__proto__') record[key] = value;
  else Object.defineProperty(record, key, { value, enumerable: true, writable: true, configurable: true });
}
