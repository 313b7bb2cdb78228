/**
 * Looks into tables of Postfix, many keys at once, within a bounded time. What a table holds is its reader's business; what
 * cannot be read is remembered, once for each table.
 */
import { findInTable, isListable, listTable, type TableListing } from '../postfix/postmap.ts';

/** Entries of one table that are listed at most. */
const MOST_LISTED = 200_000;

/** A mailbox that nobody has: what a table says of it, it says of any address of that domain. */
const ANYONE = 'tlswarden-doctor';

/** Any address of a domain, for tables that have patterns for whole addresses, or one answer for all. */
export function anyoneAt(domain: string): string {
  return `${ANYONE}@${domain}`;
}

/** Whether an address is one of {@link anyoneAt}. */
export function isAnyone(address: string): boolean {
  return address.startsWith(`${ANYONE}@`);
}

/** Whether Postfix gives such a table whole addresses only, and never looks for a domain in it (regexp_table(5)). */
export function hasPatterns(table: string): boolean {
  return /^(?:regexp|pcre|cidr|tcp):/u.test(withoutProxy(table));
}

/**
 * Asks the tables of one configuration directory. Nothing rejects: {@link TableLookups.troubles} says what could not be
 * read.
 */
export class TableLookups {
  readonly #configDirectory: string;
  readonly #timeoutMs: number;
  readonly #most: number;
  readonly #troubles = new Map<string, string>();

  /** `timeoutMs` is for one table; of each so many entries are listed at `most`. */
  constructor(configDirectory: string, timeoutMs: number, most = MOST_LISTED) {
    this.#configDirectory = configDirectory;
    this.#timeoutMs = timeoutMs;
    this.#most = most;
  }

  /** Why tables could not be read, by table. */
  get troubles(): ReadonlyMap<string, string> {
    return this.#troubles;
  }

  /** What a table has under these keys; nothing if it cannot be read. */
  async find(table: string, keys: readonly string[]): Promise<ReadonlyMap<string, string>> {
    if (keys.length === 0 || this.#troubles.has(table)) return new Map();
    const bare = withoutProxy(table);
    const { entries, trouble } = await findInTable(this.#configDirectory, bare, keys, this.#timeoutMs);
    if (trouble !== undefined) this.#troubles.set(table, trouble);
    return entries;
  }

  /** All entries; of a table that cannot be listed whole the first ones, if any, and what it has under these keys. */
  async entries(table: string, keys: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const listing = await this.list(table);
    if (listing?.isWhole === true) return listing.entries;
    const found = await this.find(table, keys);
    return listing === undefined ? found : new Map([...listing.entries, ...found]);
  }

  /** The first entries, or all; undefined if a table of this type cannot be listed. */
  async list(table: string): Promise<TableListing | undefined> {
    const bare = withoutProxy(table);
    if (!isListable(bare) || this.#troubles.has(table)) return undefined;
    const { trouble, ...listing } = await listTable(this.#configDirectory, bare, this.#most, this.#timeoutMs);
    if (trouble === undefined) return listing;
    this.#troubles.set(table, trouble);
    return undefined;
  }
}

/** The table behind proxymap(8), which is not asked: it is there only while Postfix runs. */
function withoutProxy(table: string): string {
  return table.startsWith('proxy:') ? table.slice('proxy:'.length) : table;
}
