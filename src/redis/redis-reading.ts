/**
 * What is read of Redis, as commands and nothing more: records, entries of the stream, and where the stream is. It keeps
 * nothing and decides nothing.
 */
import {
  ADOPTED_KEY,
  CHANGES_KEY,
  type ChangeEntry,
  DOMAINS_KEY,
  MAX_NAMES,
  type Position,
  parseEntries,
} from './layout.ts';
import { type RedisLink, RedisTrouble } from './redis-link.ts';

/** Domains in one reply. */
const DOMAINS_AT_ONCE = 1000;
/** Entries in one reply. */
const ENTRIES_AT_ONCE = 500;

/** A domain's name and its record. */
export type NamedRecord = readonly [name: string, record: string];

/**
 * The newest entry of the stream; undefined: there is none, so nobody ever wrote settings here. Throws {@link RedisTrouble}
 * also if it is none of ours.
 */
export async function lastEntry(link: RedisLink): Promise<ChangeEntry | undefined> {
  const entries = parseEntries(await link.command('XREVRANGE', CHANGES_KEY, '+', '-', 'COUNT', 1));
  if (entries.length > 0 && entries[0] === undefined) throw strangeEntry();
  return entries[0];
}

/** Whether the stream has the entry at this very place. It may be trimmed away, or lost by a failover. */
export async function isInStream(link: RedisLink, { epoch, id, seq }: Position): Promise<boolean> {
  const [entry] = parseEntries(await link.command('XREVRANGE', CHANGES_KEY, id, id));
  return entry?.epoch === epoch && entry.seq === seq;
}

/** The entries after this id, oldest first. Waits for one so long; empty, if there is none then. */
export async function entriesAfter(link: RedisLink, id: string, waitMs: number): Promise<readonly ChangeEntry[]> {
  const waiting = waitMs === 0 ? [] : ['BLOCK', waitMs];
  const reply = await link.command('XREAD', 'COUNT', ENTRIES_AT_ONCE, ...waiting, 'STREAMS', CHANGES_KEY, id);
  if (!Array.isArray(reply)) return [];
  const entries = parseEntries((reply[0] as readonly unknown[] | undefined)?.[1]);
  return entries.map((entry) => {
    if (entry === undefined) throw strangeEntry();
    return entry;
  });
}

function strangeEntry(): RedisTrouble {
  return new RedisTrouble(`${CHANGES_KEY} holds an entry that tlswarden did not write`);
}

/** Every record, some of them twice; what changes meanwhile may be there as it was or as it is. */
export async function* allRecords(link: RedisLink): AsyncIterable<readonly NamedRecord[]> {
  const scan = async (cursor: string): Promise<readonly [string, readonly string[]]> => {
    const reply = await link.command('HSCAN', DOMAINS_KEY, cursor, 'COUNT', DOMAINS_AT_ONCE);
    return reply as readonly [string, readonly string[]];
  };
  let reply = await scan('0');
  for (;;) {
    const [cursor, flat] = reply;
    // The next reply is on its way while this one is worked on.
    const next = cursor === '0' ? undefined : scan(cursor);
    next?.catch(() => {});
    const records: NamedRecord[] = [];
    for (let i = 0; i + 1 < flat.length; i += 2) records.push([flat[i] as string, flat[i + 1] as string]);
    yield records;
    if (next === undefined) return;
    reply = await next;
  }
}

/** The records of these names, {@link MAX_NAMES} at one moment; null where there is none. */
export async function recordsOf(link: RedisLink, names: readonly string[]): Promise<readonly (string | null)[]> {
  const records: (string | null)[] = [];
  for (let from = 0; from < names.length; from += MAX_NAMES) {
    const some = await link.command('HMGET', DOMAINS_KEY, ...names.slice(from, from + MAX_NAMES));
    for (const record of some as readonly (string | null)[]) records.push(record);
  }
  return records;
}

/** How many records there are, if the stream stands at this very id; undefined: it has moved on. */
export async function recordCount(link: RedisLink, { id }: Position): Promise<number | undefined> {
  const count = Number(await link.command('HLEN', DOMAINS_KEY));
  return (await lastEntry(link))?.id === id ? count : undefined;
}

/** The epoch that hosts are to go over to. */
export async function adoptedEpoch(link: RedisLink): Promise<string | undefined> {
  const epoch = await link.command('GET', ADOPTED_KEY);
  return typeof epoch === 'string' ? epoch : undefined;
}
