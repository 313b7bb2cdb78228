/**
 * From `settings.source` of the main file to the thing that loads and watches the settings.
 */

import type { EventLog } from '../log/event-log.ts';
import { loadOnce } from '../redis/load-replica.ts';
import { RedisSource } from '../redis/redis-source.ts';
import type { ReplicaOptions } from '../redis/settings-replica.ts';
import { BY_MX } from '../settings/next-hop.ts';
import type { Settings } from '../settings/settings.ts';
import { DirectorySource, type DirectorySourceOptions } from '../source/directory-source.ts';
import type { SettingsSource } from '../source/settings-in-force.ts';
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

function directoryOptions(main: MainFile, path: string): DirectorySourceOptions {
  const { relayhost } = main.postfix;
  return { path, relayhost, context: { defaults: main.defaults, hasRelayhost: relayhost !== BY_MX, pool: main.pool } };
}

function replicaOptions(main: MainFile, place: string): ReplicaOptions {
  const { relayhost, context } = directoryOptions(main, place);
  return { relayhost, context, place };
}
