/**
 * From `settings.source` of the main file to the thing that loads and watches the settings.
 */

import type { EventLog } from '../log/event-log.ts';
import { loadOnce } from '../redis/load-replica.ts';
import { loadSnapshot } from '../redis/load-snapshot.ts';
import { RedisTrouble, UnusableRedisUrl } from '../redis/redis-link.ts';
import { RedisSource } from '../redis/redis-source.ts';
import { type ReplicaOptions, SettingsReplica } from '../redis/settings-replica.ts';
import { SnapshotDamaged } from '../redis/snapshot.ts';
import type { DomainContext } from '../settings/hosted-domain.ts';
import { BY_MX } from '../settings/next-hop.ts';
import { type Settings, sizeInDigest } from '../settings/settings.ts';
import { DirectorySource, type DirectorySourceOptions } from '../source/directory-source.ts';
import type { SettingsSource } from '../source/settings-in-force.ts';
import { MapsDirectory } from '../tables/maps-directory.ts';
import { ComplaintError } from '../toml/complaint.ts';
import type { MainFile } from './main-file.ts';

/** How a process that stays follows Redis; of a directory none of it counts. */
export interface FollowOptions {
  /** Told of what happens to Redis. */
  readonly log: EventLog;
  /** Whether this process keeps the snapshot of this host. */
  readonly keepsSnapshot: boolean;
  /** How long it must be quiet before changes are told: many in a burst become one. */
  readonly quietMs?: number;
}

/** The settings for a process that stays, and follows what changes. */
export function openSource(main: MainFile, options: FollowOptions): SettingsSource {
  const { source, snapshot } = main.settings;
  if (source.kind === 'directory') return new DirectorySource(directoryOptions(main, source.path));
  return new RedisSource({
    ...replicaOptions(main, source.address.name),
    ...options,
    address: source.address,
    snapshot,
  });
}

/** The settings as they stand now, for a command that needs them once. Throws what is wrong with them. */
export async function loadSettings(main: MainFile): Promise<Settings> {
  const { source } = main.settings;
  if (source.kind === 'directory') return await new DirectorySource(directoryOptions(main, source.path)).load();
  const { settings, complaints } = await loadOnce(source.address, replicaOptions(main, source.address.name));
  if (complaints.length > 0) throw new ComplaintError(complaints);
  return settings;
}

/** The settings for a command that looks at this host; `away` undefined: they are as they stand now. */
export type SettingsAtHand =
  | { readonly settings: Settings; readonly away: undefined }
  /** The snapshot's, or none. */
  | { readonly settings: Settings | undefined; readonly away: RedisIsAway };

/** Why settings are not those that stand in Redis now, and which they are. */
export interface RedisIsAway {
  /** The address of Redis, without credentials. */
  readonly redis: string;
  /** What came of asking it, in words. */
  readonly trouble: string;
  /** What came of the snapshot: half a sentence. */
  readonly instead: string;
}

/**
 * The settings as they stand now, or, while Redis is away, those of the snapshot, as the service has them after a start. Throws
 * what is wrong with them.
 */
export async function settingsAtHand(main: MainFile): Promise<SettingsAtHand> {
  try {
    return { settings: await loadSettings(main), away: undefined };
  } catch (error) {
    const { source, snapshot } = main.settings;
    if (!(error instanceof RedisTrouble) || error instanceof UnusableRedisUrl || source.kind !== 'redis') throw error;
    const { name } = source.address;
    return await fromSnapshot(snapshot, replicaOptions(main, name), { redis: name, trouble: error.message });
  }
}

async function fromSnapshot(
  path: string | undefined,
  options: ReplicaOptions,
  away: Omit<RedisIsAway, 'instead'>,
): Promise<SettingsAtHand> {
  const without = (why: string): SettingsAtHand => ({ settings: undefined, away: { ...away, instead: why } });
  if (path === undefined) return without('settings.snapshot of the main file names no snapshot');
  try {
    const loaded = await loadSnapshot(path, (position) => new SettingsReplica(options, position));
    if (loaded === undefined) return without(`there is no snapshot in ${path}`);
    const { settings, complaints } = loaded.replica;
    if (complaints.length > 0) throw new ComplaintError(complaints);
    const written = new Date(loaded.writtenAt).toISOString().replace(/\.\d+/u, '');
    return {
      settings,
      away: { ...away, instead: `the settings are those of the snapshot ${path}, written ${written}` },
    };
  } catch (error) {
    if (error instanceof SnapshotDamaged) return without(`the snapshot ${path} is damaged: ${error.message}`);
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    return without(`the snapshot cannot be read: ${(error as Error).message}`);
  }
}

/** What every domain is read with besides its table. */
export function domainContext({ postfix: { relayhost }, defaults, pool }: MainFile): DomainContext {
  return { defaults, hasRelayhost: relayhost !== BY_MX, pool };
}

/** How the settings directory at `path` is loaded, and changed. */
export function directoryOptions(main: MainFile, path: string): DirectorySourceOptions {
  const { relayhost } = main.postfix;
  return { path, relayhost, context: domainContext(main), hostedBefore: () => hostedByTables(main) };
}

/** What a process that begins without any settings knows of those before it: of how many domains the tables were written. */
async function hostedByTables({ maps }: MainFile): Promise<number> {
  const stamp = maps === undefined ? undefined : await new MapsDirectory(maps.directory).stamp();
  return stamp === undefined ? 0 : sizeInDigest(stamp.settings);
}

function replicaOptions(main: MainFile, place: string): ReplicaOptions {
  return { relayhost: main.postfix.relayhost, context: domainContext(main), place };
}
