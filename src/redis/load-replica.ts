/**
 * All settings of Redis into a replica: every record, and then what changed while they were read, until all of it is of one
 * moment. It keeps no link and writes nothing.
 */
import type { Settings } from '../settings/settings.ts';
import { Slice } from '../slice/slice.ts';
import { type ChangeEntry, MAX_NAMES, type Position } from './layout.ts';
import type { RedisAddress } from './redis-address.ts';
import { RedisLink, RedisTrouble } from './redis-link.ts';
import { allRecords, entriesAfter, lastEntry, type NamedRecord, recordCount, recordsOf } from './redis-reading.ts';
import { type ReplicaOptions, SettingsReplica } from './settings-replica.ts';

/** The stream does not go on where these settings stand: they have to be loaded again. */
export class BrokenStream extends RedisTrouble {}

/** An empty replica that stands at this entry. `previous`: the settings that it will replace. */
export function beginReplica(options: ReplicaOptions, last: ChangeEntry, previous?: Settings): SettingsReplica {
  return new SettingsReplica(options, positionOf(last), previous);
}

/** Puts every record into the replica, and gives them batch by batch. Throws {@link RedisTrouble}. */
export async function* takeAllRecords(
  link: RedisLink,
  replica: SettingsReplica,
): AsyncIterable<readonly NamedRecord[]> {
  const slice = new Slice();
  for await (const records of allRecords(link)) {
    for (const [name, record] of records) {
      replica.put(name, record);
      if (slice.isOver) await slice.next();
    }
    yield records;
  }
}

/**
 * Makes what changed while all records were read, by `takeAll`, which makes all changes of some entries. Throws
 * {@link RedisTrouble} if not all records were found then.
 */
export async function takeWhatCameMeanwhile(
  link: RedisLink,
  replica: SettingsReplica,
  takeAll: (entries: readonly ChangeEntry[]) => Promise<void>,
): Promise<void> {
  for (;;) {
    const entries = await entriesAfter(link, replica.position.id, 0);
    await takeAll(entries);
    if (entries.length > 0) continue;
    const count = await recordCount(link, replica.position);
    if (count === replica.recordCount) return;
    if (count !== undefined) throw new RedisTrouble(`${count} records, of which ${replica.recordCount} were found`);
  }
}

/** Makes the change of one entry, and gives the records: null for one that is gone. Throws {@link BrokenStream}. */
export async function takeEntry(
  link: RedisLink,
  replica: SettingsReplica,
  entry: ChangeEntry,
): Promise<readonly (readonly [name: string, record: string | null])[]> {
  const { epoch, seq } = replica.position;
  if (entry.epoch !== epoch || entry.seq !== seq + 1) throw new BrokenStream(`entry ${seq + 1} is missing`);
  if (entry.records === undefined && entry.names.length > MAX_NAMES) {
    throw new BrokenStream(`an entry names ${entry.names.length} domains`);
  }
  const records = entry.records ?? (await recordsOf(link, entry.names));
  const changes = entry.names.map((name, i) => [name, records[i] ?? null] as const);
  replica.apply(changes);
  replica.position = positionOf(entry);
  return changes;
}

/** All settings as they stand in Redis now, for a command that reads them once. Throws {@link RedisTrouble}. */
export async function loadOnce(address: RedisAddress, options: ReplicaOptions): Promise<SettingsReplica> {
  const link = await RedisLink.open(address);
  try {
    const last = await lastEntry(link);
    if (last === undefined) {
      throw new RedisTrouble(
        `${address.name} holds no settings yet; begin with "tlswarden domains import" or "tlswarden domains set"`,
      );
    }
    const replica = beginReplica(options, last);
    for await (const _ of takeAllRecords(link, replica));
    await takeWhatCameMeanwhile(link, replica, async (entries) => {
      for (const entry of entries) await takeEntry(link, replica, entry);
    });
    return replica;
  } finally {
    link.close();
  }
}

function positionOf({ epoch, id, seq }: Position): Position {
  return { epoch, id, seq };
}
