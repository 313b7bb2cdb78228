/**
 * Looks into tables of Postfix by postmap(1), many keys at once, within a bounded time. What a table holds is its reader's
 * business; what cannot be read is remembered, once for each table.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** Tables that can be listed; of others only single keys can be asked for. */
const LISTABLE = new Set(['hash', 'btree', 'lmdb', 'dbm', 'sdbm', 'texthash', 'inline']);

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

/** The beginning of a table, or all of it. */
export interface TableListing {
  /** Value by key, as postmap(1) prints them. */
  readonly entries: ReadonlyMap<string, string>;
  /** Whether that is all of it. */
  readonly isWhole: boolean;
}

/**
 * Asks the tables of one configuration directory. Nothing rejects: {@link TableLookups.troubles} says what could not be
 * read.
 */
export class TableLookups {
  readonly #configDirectory: string;
  readonly #timeoutMs: number;
  readonly #troubles = new Map<string, string>();

  /** `timeoutMs` is for one table. */
  constructor(configDirectory: string, timeoutMs: number) {
    this.#configDirectory = configDirectory;
    this.#timeoutMs = timeoutMs;
  }

  /** Why tables could not be read, by table. */
  get troubles(): ReadonlyMap<string, string> {
    return this.#troubles;
  }

  /** What a table has under these keys; nothing if it cannot be read. */
  async find(table: string, keys: readonly string[]): Promise<ReadonlyMap<string, string>> {
    if (keys.length === 0 || this.#troubles.has(table)) return new Map();
    const { entries, trouble } = await this.#run(['-q', '-', withoutProxy(table)], `${keys.join('\n')}\n`, keys.length);
    if (trouble !== undefined) this.#troubles.set(table, trouble);
    return entries;
  }

  /** The first `most` entries; undefined if a table of this type cannot be listed. */
  async list(table: string, most: number): Promise<TableListing | undefined> {
    const bare = withoutProxy(table);
    if (!LISTABLE.has(bare.slice(0, bare.indexOf(':'))) || this.#troubles.has(table)) return undefined;
    const { entries, isWhole, trouble } = await this.#run(['-s', bare], '', most);
    if (trouble === undefined) return { entries, isWhole };
    this.#troubles.set(table, trouble);
    return undefined;
  }

  async #run(
    args: readonly string[],
    input: string,
    most: number,
  ): Promise<TableListing & { readonly trouble: string | undefined }> {
    const child = spawn('postmap', ['-c', this.#configDirectory, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
    let said = '';
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      child.kill('SIGKILL');
    }, this.#timeoutMs);
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      if (said.length < 4096) said += text;
    });
    // It may end without having read all.
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    const entries = new Map<string, string>();
    let isWhole = true;
    const ended = new Promise<string | undefined>((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('close', () => resolve(undefined));
    });
    for await (const line of createInterface({ input: child.stdout, crlfDelay: Number.POSITIVE_INFINITY })) {
      const tab = line.indexOf('\t');
      if (tab < 0) continue;
      if (entries.size === most && !entries.has(line.slice(0, tab))) {
        isWhole = false;
        child.kill('SIGKILL');
        // Unread, it would never be closed.
        child.stdout.destroy();
        break;
      }
      entries.set(line.slice(0, tab), line.slice(tab + 1));
    }
    const failed = await ended;
    clearTimeout(timer);
    // It exits with 1 also where nothing was found; what is wrong it says.
    const fatal = /fatal: (.*)/u.exec(said)?.[1] ?? failed;
    const trouble = isLate ? `it does not answer within ${this.#timeoutMs / 1000} s` : fatal;
    return { entries, isWhole: isWhole && trouble === undefined, trouble };
  }
}

/** The table behind proxymap(8), which is not asked: it is there only while Postfix runs. */
function withoutProxy(table: string): string {
  return table.startsWith('proxy:') ? table.slice('proxy:'.length) : table;
}
