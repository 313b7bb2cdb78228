/**
 * Reads the keys of one TOML table (or of the same thing as JSON), collecting every complaint instead of stopping at
 * the first. It knows types, limits and misspelt keys; what a key means is its caller's.
 */
import { splitList } from '../address/pattern.ts';
import { quoted } from '../text/printable.ts';
import type { Complaint, Place } from './complaint.ts';
import { likelyMeant } from './likely-meant.ts';

/** A table of TOML, or an object of JSON: nobody has looked at its values yet. */
export type Table = Readonly<Record<string, unknown>>;

/** Characters of a string: as many as a path may have, more than any other value needs. */
const MAX_STRING = 4096;
/** Entries of a list: beyond any use, and few enough for the service to take in while it answers requests. */
export const MAX_ENTRIES = 100_000;
/** Characters of a list that is written as a string: likewise. */
export const MAX_LIST_STRING = 8 * 1024 * 1024;
/** Complaints about one key, or about unknown keys of one table, after which the others go without saying. */
const MAX_ALIKE = 20;

/** What was probably meant by a key that has no meaning in the table at `place`, in words, or undefined. */
export type KeyHint = (key: string, value: unknown, place: Place) => string | undefined;

/** Neither an array nor a date is one. */
export function isTable(value: unknown): value is Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

/** What is absent is undefined; what cannot be used is undefined too, and a complaint. */
export class TableReader {
  readonly #table: Table;
  readonly #place: Place | (() => Place);
  readonly #complaints: Complaint[];
  readonly #hint: KeyHint | undefined;
  #told: Map<string, number> | undefined;

  /**
   * `place.key` is the dotted path of the table itself, '' or absent at the top; asked for only when there is something to
   * complain of. Unknown keys are complained of at once, with what `hint` says of them; it holds for tables within too.
   */
  constructor(
    value: unknown,
    place: Place | (() => Place),
    known: readonly string[],
    complaints: Complaint[],
    hint?: KeyHint,
  ) {
    this.#place = place;
    this.#complaints = complaints;
    this.#hint = hint;
    this.#table = isTable(value) ? value : {};
    if (!isTable(value)) complaints.push({ ...this.#placeOfTable(), message: `must be a table, not ${nameOf(value)}` });
    let unknown = 0;
    for (const key of Object.keys(this.#table)) {
      if (known.includes(key)) continue;
      unknown += 1;
      if (unknown > MAX_ALIKE) {
        complaints.push({ ...this.#placeOfTable(), message: 'has more unknown keys' });
        break;
      }
      const hint = this.#hint?.(key, this.#table[key], this.#placeOfTable()) ?? meantKey(key, known);
      this.complain(key, `unknown key${hint === undefined ? '' : `; ${hint}`}`);
    }
  }

  /** `message`: a sentence about the key, without it. Of one key only so many are taken. */
  complain(key: string, message: string): void {
    this.#told ??= new Map();
    const told = this.#told.get(key) ?? 0;
    this.#told.set(key, told + 1);
    if (told > MAX_ALIKE) return;
    this.#complaints.push({ ...this.placeOf(key), message: told < MAX_ALIKE ? message : 'has more mistakes' });
  }

  /** Where the key stands, or would stand. */
  placeOf(key: string): Place {
    const place = this.#placeOfTable();
    return { ...place, key: place.key ? `${place.key}.${key}` : key };
  }

  #placeOfTable(): Place {
    return typeof this.#place === 'function' ? this.#place() : this.#place;
  }

  /** The table that stands under this key, and may have these keys of its own. */
  table(key: string, known: readonly string[]): TableReader {
    return new TableReader(this.raw(key), () => this.placeOf(key), known, this.#complaints, this.#hint);
  }

  /** Whether the key stands there, whatever its value. */
  has(key: string): boolean {
    return Object.hasOwn(this.#table, key);
  }

  /** The value as it stands, of a type that the caller checks. */
  raw(key: string): unknown {
    return this.has(key) ? this.#table[key] : undefined;
  }

  /** All keys, unknown ones too. */
  keys(): readonly string[] {
    return Object.keys(this.#table);
  }

  /** A string of no more than {@link MAX_STRING} characters, be it empty. */
  string(key: string): string | undefined {
    const value = this.raw(key);
    if (value === undefined) return undefined;
    if (typeof value === 'string' && value.length <= MAX_STRING) return value;
    this.complain(
      key,
      typeof value === 'string' ? `is longer than ${MAX_STRING} characters` : `must be a string, not ${nameOf(value)}`,
    );
    return undefined;
  }

  boolean(key: string): boolean | undefined {
    const value = this.raw(key);
    if (value === undefined || typeof value === 'boolean') return value;
    this.complain(key, `must be true or false, not ${nameOf(value)}`);
    return undefined;
  }

  /** `least` and `most` are allowed. */
  integer(key: string, least: number, most: number): number | undefined {
    const value = this.raw(key);
    if (value === undefined) return undefined;
    if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value;
    this.complain(key, `must be a whole number from ${least} to ${most}`);
    return undefined;
  }

  /** One of these words; `plain` takes from what is written that which does not count. */
  oneOf<T extends string>(key: string, words: readonly T[], plain?: (value: string) => string): T | undefined {
    const raw = this.raw(key);
    if (raw !== undefined && typeof raw !== 'string') {
      this.complain(key, `must be ${choice(words)}, not ${nameOf(raw)}`);
      return undefined;
    }
    const value = this.string(key);
    if (value === undefined) return undefined;
    const wanted = plain === undefined ? value : plain(value);
    const found = words.find((word) => word === wanted);
    if (found !== undefined) return found;
    const meant = likelyMeant(value, words);
    const hint = meant === undefined ? '' : `; did you mean "${meant}"?`;
    this.complain(key, `${quoted(value)} is none of ${words.map((word) => `"${word}"`).join(', ')}${hint}`);
    return undefined;
  }

  /** A list: an array of strings, or one string split at spaces, commas and newlines. */
  list(key: string): readonly string[] | undefined {
    const value = this.raw(key);
    if (value === undefined) return undefined;
    if (typeof value === 'string' && value.length > MAX_LIST_STRING) {
      this.complain(key, `is longer than ${MAX_LIST_STRING} characters`);
      return undefined;
    }
    const entries = typeof value === 'string' ? splitList(value, MAX_ENTRIES + 1) : value;
    if (Array.isArray(entries) && entries.length > MAX_ENTRIES) {
      this.complain(key, `has more than ${MAX_ENTRIES} entries`);
      return undefined;
    }
    if (!Array.isArray(entries) || !entries.every((entry): entry is string => typeof entry === 'string')) {
      this.complain(key, 'must be a string or an array of strings');
      return undefined;
    }
    return entries;
  }
}

function meantKey(key: string, known: readonly string[]): string | undefined {
  const meant = likelyMeant(key, known);
  return meant === undefined ? undefined : `did you mean "${meant}"?`;
}

/** `a, b or c`. */
export function alternatives(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

/** `"a", "b" or "c"`. */
function choice(words: readonly string[]): string {
  return alternatives(words.map((word) => `"${word}"`));
}

function nameOf(value: unknown): string {
  if (Array.isArray(value)) return 'an array';
  if (value instanceof Date) return 'a date';
  if (isTable(value)) return 'a table';
  return typeof value === 'string' ? `the string ${quoted(value)}` : JSON.stringify(value);
}
