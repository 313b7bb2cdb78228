/**
 * What is other between two records of a domain, in words, a line for each key. For people who ask what was changed.
 */
import { isTable, type Table } from '../toml/table-reader.ts';
import { normalRecord, sameValue } from './domain-record.ts';

/** Longer values are not shown whole. */
const LONGEST = 200;

/** `incoming.receipt.require_tls: "always" → "never"`; undefined is a domain that was not there, or is no more. */
export function recordDifference(before: Table | undefined, after: Table | undefined): readonly string[] {
  if (after === undefined) return ['removed'];
  const was = flatten(before === undefined ? {} : normalRecord(before));
  const is = flatten(normalRecord(after));
  const lines = before === undefined ? ['new'] : [];
  for (const key of new Set([...was.keys(), ...is.keys()])) {
    const [old, now] = [was.get(key), is.get(key)];
    if (sameValue(old, now)) continue;
    if (old === undefined) lines.push(`${key}: ${word(now)}`);
    else lines.push(`${key}: ${word(old)} → ${now === undefined ? 'removed' : word(now)}`);
  }
  return lines;
}

/** The keys that a domain had and has no more, as `incoming.receipt.senders`. */
export function removedKeys(before: Table, after: Table): readonly string[] {
  const is = flatten(normalRecord(after));
  return [...flatten(normalRecord(before)).keys()].filter((key) => !is.has(key));
}

function flatten(table: Table, path = '', into = new Map<string, unknown>()): ReadonlyMap<string, unknown> {
  for (const [key, value] of Object.entries(table)) {
    const own = path === '' ? key : `${path}.${key}`;
    if (isTable(value) && Object.keys(value).length > 0) flatten(value, own, into);
    else into.set(own, value);
  }
  return into;
}

function word(value: unknown): string {
  const text = JSON.stringify(value) ?? '';
  return text.length <= LONGEST ? text : `${text.slice(0, LONGEST)}…`;
}
