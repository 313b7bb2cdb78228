/**
 * Counts in Redis, one set of all hosts: each adds what it counted, a few hundred rows a step, and each step counts once
 * even if its answer was lost on the way. It follows no settings and keeps no count of its own but what Redis has not
 * confirmed.
 */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { formatNumbers } from '../report/counters.ts';
import { beginningOf, type Counted, IDLE_MS, type ReportBounds, type ReportStore } from '../report/report-store.ts';
import { formatKey, parseRow, type Row } from '../report/row.ts';
import { boundsOf, Tally } from '../report/tally.ts';
import { REPORT_ABOUT_KEY, REPORT_KEY, REPORT_SIZES_KEY } from './layout.ts';
import type { RedisAddress } from './redis-address.ts';
import { type Argument, RedisLink, withRedisLink } from './redis-link.ts';
import { ADD_SCRIPT, FOLD_SCRIPT, RESET_SCRIPT } from './report-script.ts';

const INTERVAL_MS = 5_000;
/** Rows of one step, which Redis does nothing else for. */
const ROWS_AT_ONCE = 200;
/** Fields in one reply. */
const FIELDS_AT_ONCE = 1_000;
/** How often a host looks for rows to fold, at the most. */
const FOLD_EVERY_MS = 3_600_000;

/**
 * One for each process that counts. What Redis has not confirmed goes there again with the next rows, and is lost with
 * this process.
 */
export class ReportInRedis implements ReportStore {
  readonly #address: RedisAddress;
  readonly #bounds: ReportBounds;
  readonly #run = randomBytes(8).toString('hex');
  #link: RedisLink | undefined;
  /** The steps that Redis has not confirmed; the first may have been done. */
  #owed: (readonly Row[])[] = [];
  #sequence = 1;
  #foldedAt = Number.NEGATIVE_INFINITY;

  constructor(address: RedisAddress, bounds: ReportBounds) {
    this.#address = address;
    this.#bounds = bounds;
  }

  get name(): string {
    return this.#address.name;
  }

  get intervalMs(): number {
    return INTERVAL_MS;
  }

  get isSettled(): boolean {
    return this.#owed.length === 0;
  }

  async add(rows: readonly Row[], now: number): Promise<void> {
    for (let i = 0; i < rows.length; i += ROWS_AT_ONCE) this.#owed.push(rows.slice(i, i + ROWS_AT_ONCE));
    if (this.isSettled) return;
    try {
      this.#link ??= await RedisLink.open(this.#address);
      let isFull = false;
      for (let step = this.#owed[0]; step !== undefined; step = this.#owed[0]) {
        isFull = (await this.#send(this.#link, step, now)) || isFull;
        this.#owed.shift();
        this.#sequence += 1;
      }
      if (isFull && performance.now() - this.#foldedAt > FOLD_EVERY_MS) {
        this.#foldedAt = performance.now();
        await this.#fold(this.#link, now);
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  async read(): Promise<Counted | undefined> {
    return await withRedisLink(this.#address, readCounted);
  }

  async reset(now: number): Promise<void> {
    await withRedisLink(this.#address, (link) => run(link, RESET_SCRIPT, [now]));
  }

  /** Ends the connection; what is still owed is not lost by that. */
  close(): void {
    this.#link?.close();
    this.#link = undefined;
  }

  /** Gives whether little room is left. */
  async #send(link: RedisLink, step: readonly Row[], now: number): Promise<boolean> {
    const { maxRows, maxRemotes, roomForRemotes } = boundsOf(this.#bounds.maxRows);
    const head = [
      this.#run,
      this.#sequence,
      hostname(),
      now,
      beginningOf(step, now),
      maxRows,
      maxRemotes,
      roomForRemotes,
    ];
    const rows = step.flatMap((row) => [formatKey(row), formatNumbers(row.numbers)]);
    return (await run(link, ADD_SCRIPT, [...head, ...rows])) === '1';
  }

  /** Makes room as a host's own tally does. */
  async #fold(link: RedisLink, now: number): Promise<void> {
    const tally = new Tally(this.#bounds);
    const found = await fieldsOf(link, REPORT_KEY);
    for (const [key, text] of found) {
      const row = parseRow(key, text);
      if (row !== undefined) tally.absorb(row);
    }
    tally.sweep(now - IDLE_MS);
    const kept = new Set<string>();
    for (const row of tally.rows()) kept.add(formatKey(row));
    const gone = [...found].filter(([key]) => !kept.has(key));
    for (let i = 0; i < gone.length; i += ROWS_AT_ONCE) {
      await run(link, FOLD_SCRIPT, gone.slice(i, i + ROWS_AT_ONCE).flat());
    }
  }
}

async function run(link: RedisLink, script: string, args: readonly Argument[]): Promise<unknown> {
  const keys = [REPORT_KEY, REPORT_SIZES_KEY, REPORT_ABOUT_KEY];
  return await link.command('EVAL', script, keys.length, ...keys, ...args);
}

async function readCounted(link: RedisLink): Promise<Counted | undefined> {
  const about = await fieldsOf(link, REPORT_ABOUT_KEY);
  const since = Number(about.get('since') ?? Number.NaN);
  if (Number.isNaN(since)) return undefined;
  const hosts = new Set<string>();
  for (const [field, value] of about) {
    const [, at = '', host] = value.split(' ');
    if (field.startsWith('run:') && host !== undefined && Number(at) >= since) hosts.add(host);
  }
  const rows: Row[] = [];
  for (const [key, text] of await fieldsOf(link, REPORT_KEY)) {
    const row = parseRow(key, text);
    // What somebody else wrote there is not ours to judge.
    if (row !== undefined) rows.push(row);
  }
  return { since, hosts: [...hosts].sort(), rows };
}

/** A whole hash, in pieces. */
async function fieldsOf(link: RedisLink, key: string): Promise<ReadonlyMap<string, string>> {
  const fields = new Map<string, string>();
  let cursor = '0';
  do {
    const reply = await link.command('HSCAN', key, cursor, 'COUNT', FIELDS_AT_ONCE);
    const [next, flat] = reply as readonly [string, readonly string[]];
    for (let i = 0; i + 1 < flat.length; i += 2) fields.set(flat[i] as string, flat[i + 1] as string);
    cursor = next;
  } while (cursor !== '0');
  return fields;
}
