/**
 * A number that identifies a kind of line. A text would have to be made for every line, and kept for every kind. It writes
 * nothing.
 */
import { hashOfText } from '../text/hash-of-text.ts';

/** What differs from one line to the next without making it one of another kind. */
const VARYING_FIELDS: ReadonlySet<string> = new Set(['instance', 'more', 'generation', 'domains', 'ms']);

/** Another one in each process: a stranger cannot choose an address whose lines are counted with those of another. */
const SEED = Math.floor(Math.random() * 2 ** 32);

/** 32 bits: equal for lines that differ in nothing but what varies. Kinds whose hashes collide, which is rare, are counted together. */
export function kindOfLine(message: string, fields: Readonly<Record<string, unknown>>): number {
  let hash = hashOfText(message, SEED);
  // Not Object.entries: that makes an array of each field.
  for (const name in fields) {
    if (VARYING_FIELDS.has(name)) continue;
    const value = fields[name];
    const text = typeof value === 'string' ? value : typeof value === 'object' ? JSON.stringify(value) : String(value);
    hash = hashOfText(text, hash);
  }
  return hash;
}
