/**
 * From bytes to a string, for an attribute that is mostly the same as in the request before: the requests of one message
 * follow each other on one connection, with the same client, sender and instance, and at DATA mostly the same recipient.
 * Then the string is the one from before, which spares making it and hashing it.
 *
 * It compares bytes with bytes, four at a time: to compare them with the string takes longer.
 */

/** Longer texts are made anew each time. No local part with its domain is longer in practice, and few are half of it. */
export const MAX_KEPT = 128;

/** In each byte of a word: the highest bit. */
const HIGH_BITS = 0x80808080;

/** One attribute of one connection: {@link read} gives the same string as long as the bytes are the same. */
export class RepeatedText {
  readonly #kept: DataView;
  readonly #keptAt: number;
  #keptLength = 0;
  #text = '';

  /** Bytes are kept in {@link MAX_KEPT} of `kept` from `keptAt` on: with all that is kept of a connection in one place. */
  constructor(kept: DataView, keptAt: number) {
    this.#kept = kept;
    this.#keptAt = keptAt;
  }

  /**
   * [start, end) as a string of its own, UTF-8, invalid sequences as U+FFFD. `view` is a view of `bytes`, and `bits` has a
   * high bit if any of the bytes does.
   */
  read(bytes: Buffer, view: DataView, start: number, end: number, bits: number): string {
    const length = end - start;
    if (length === this.#keptLength && this.#isKept(view, start, length)) return this.#text;
    const isAscii = (bits & HIGH_BITS) === 0;
    this.#text = length === 0 ? '' : bytes.toString(isAscii ? 'latin1' : 'utf8', start, end);
    this.#keep(view, start, length);
    return this.#text;
  }

  #isKept(view: DataView, start: number, length: number): boolean {
    const kept = this.#kept;
    const keptAt = this.#keptAt;
    let at = 0;
    for (; at + 4 <= length; at += 4) if (view.getInt32(start + at) !== kept.getInt32(keptAt + at)) return false;
    for (; at < length; at += 1) if (view.getInt8(start + at) !== kept.getInt8(keptAt + at)) return false;
    return true;
  }

  #keep(view: DataView, start: number, length: number): void {
    if (length > MAX_KEPT) {
      this.#keptLength = -1;
      return;
    }
    const kept = this.#kept;
    const keptAt = this.#keptAt;
    this.#keptLength = length;
    let at = 0;
    for (; at + 4 <= length; at += 4) kept.setInt32(keptAt + at, view.getInt32(start + at));
    for (; at < length; at += 1) kept.setInt8(keptAt + at, view.getInt8(start + at));
  }
}
