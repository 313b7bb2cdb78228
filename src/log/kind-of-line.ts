/**
 * What the lines of one kind have in common, as a number, for a flood to be told by. A number, since the text of thousands of
 * kinds would be kept, made anew for each line and looked up by all of it. It writes nothing.
 */
import { hashOfText } from '../text/hash-of-text.ts';

/** What differs from one line to the next without making it one of another kind. */
const VARYING_FIELDS: ReadonlySet<string> = new Set(['instance', 'more', 'generation', 'domains', 'ms']);

/** Of a second hash, so that 53 bits come out. */
const HIGH_BITS = 0x1fffff;

/**
 * A safe integer: equal for lines that differ in nothing but what varies. Should two others have one, in spite of its 53 bits,
 * they are counted as one kind.
 */
export function kindOfLine(message: string, fields: Readonly<Record<string, unknown>>): number {
  let low = hashOfText(message, 0);
  let high = hashOfText(message, 1);
  // Not Object.entries: that makes an array of each field.
  for (const name in fields) {
    if (VARYING_FIELDS.has(name)) continue;
    const value = fields[name];
    const text = typeof value === 'string' ? value : typeof value === 'object' ? JSON.stringify(value) : String(value);
    low = hashOfText(text, low);
    high = hashOfText(text, high);
  }
  return (high & HIGH_BITS) * 2 ** 32 + (low >>> 0);
}
