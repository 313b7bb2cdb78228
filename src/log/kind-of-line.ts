/**
 * What the lines of one kind have in common, as a number, for a flood to be told by. A number, since the text of thousands of
 * kinds would be kept, made anew for each line and looked up by all of it. It writes nothing.
 */
import { codeAt } from '../address/code-at.ts';

/** What differs from one line to the next without making it one of another kind. */
const VARYING_FIELDS: ReadonlySet<string> = new Set(['instance', 'more', 'generation', 'domains', 'ms']);

/** Two factors of the FNV-1a kind, so that 53 bits come out. */
const [FACTOR, OTHER_FACTOR] = [0x01000193, 0x5bd1e995];
const HIGH_BITS = 0x1fffff;

/**
 * A safe integer: equal for lines that differ in nothing but what varies. Should two others have one, in spite of its 53 bits,
 * they are counted as one kind.
 */
export function kindOfLine(message: string, fields: Readonly<Record<string, unknown>>): number {
  const hash = new Hash();
  hash.add(message);
  // Not Object.entries: that makes an array of each field.
  for (const name in fields) {
    if (VARYING_FIELDS.has(name)) continue;
    const value = fields[name];
    hash.add(typeof value === 'string' ? value : typeof value === 'object' ? JSON.stringify(value) : String(value));
  }
  return hash.value;
}

class Hash {
  #low = 0;
  #high = 0;

  add(text: string): void {
    let low = Math.imul(this.#low ^ text.length, FACTOR);
    let high = Math.imul(this.#high ^ text.length, OTHER_FACTOR);
    for (let i = 0; i < text.length; i++) {
      const code = codeAt(text, i);
      low = Math.imul(low ^ code, FACTOR);
      high = Math.imul(high ^ code ^ (high >>> 15), OTHER_FACTOR);
    }
    this.#low = low;
    this.#high = high;
  }

  get value(): number {
    return ((this.#high ^ (this.#high >>> 11)) & HIGH_BITS) * 2 ** 32 + (this.#low >>> 0);
  }
}
