/**
 * All settings of a snapshot into a replica. It keeps nothing, writes nothing and knows no Redis.
 */
import { stat } from 'node:fs/promises';
import type { DomainName } from '../address/domain-name.ts';
import type { Table } from '../toml/table-reader.ts';
import { nameInRecord, type Position, parseRecordJson } from './layout.ts';
import type { SettingsReplica } from './settings-replica.ts';
import { readSnapshot } from './snapshot.ts';

/** What a start without Redis goes by. */
export interface LoadedSnapshot {
  readonly replica: SettingsReplica;
  /** Milliseconds since the epoch. */
  readonly writtenAt: number;
}

/**
 * Reads the snapshot at `path` into the replica that `begin` makes; undefined: there is none. Rejects with a SnapshotDamaged, or
 * with what keeps the file from being read: nothing of it may be used then.
 */
export async function loadSnapshot(
  path: string,
  begin: (position: Position) => SettingsReplica,
): Promise<LoadedSnapshot | undefined> {
  const replica = begin({ epoch: '', id: '', seq: 0 });
  const position = await readSnapshot(path, (record) => {
    const name = nameInRecord(record);
    if (name !== undefined) replica.put(name, record);
  });
  if (position === undefined) return undefined;
  replica.position = position;
  return { replica, writtenAt: (await stat(path)).mtimeMs };
}

/** The record of this domain in the snapshot at `path`; undefined: it has none that can be read. Rejects as {@link loadSnapshot} does. */
export async function recordInSnapshot(path: string, name: DomainName): Promise<Table | undefined> {
  let found: Table | string | undefined;
  await readSnapshot(path, (record) => {
    if (nameInRecord(record) === name) found = parseRecordJson(name, record);
  });
  return typeof found === 'string' ? undefined : found;
}
