/**
 * Whether the tables in the maps directory hold the settings as they stand, or those of one domain, and whether all of
 * Postfix uses them yet. Reads what the service reads, and changes nothing.
 */
import { readFile, stat } from 'node:fs/promises';
import { NO_TABLES, type TablesInForce } from '../decision/delivery.ts';
import type { MainFile } from '../main-file/main-file.ts';
import type { Settings } from '../settings/settings.ts';
import { DeployedTables } from '../tables/deployed-tables.ts';
import { SETTLE_MS } from '../tables/held-domains.ts';
import { parseStamp, stampFile } from '../tables/stamp.ts';

/** none: there is no [maps]. absent: never written. outdated: they hold other settings. current: they hold these. */
export type TablesState = 'none' | 'absent' | 'outdated' | 'current';

/** Times in milliseconds since the epoch. */
export interface Settling {
  readonly writtenAt: number;
  /** When the service counts on all of Postfix to use the tables, whatever they held before. */
  readonly until: number;
}

/** The maps directory at one moment. */
export interface TablesReading {
  readonly state: TablesState;
  /** What they hold, as if all of Postfix used them. */
  readonly inForce: TablesInForce;
  /** Of tables so young that some part of Postfix may still use those before them. */
  readonly settling: Settling | undefined;
}

/** By the stamp alone. */
export async function readTables(main: MainFile, settings: Settings): Promise<TablesState> {
  return (await readStamp(main, settings)).state;
}

/** What the service would hold of them at `now` (milliseconds since the epoch); what cannot be read is `absent`. */
export async function lookAtTables(main: MainFile, settings: Settings, now: number): Promise<TablesReading> {
  const { state, writtenAt } = await readStamp(main, settings);
  if (main.maps === undefined || writtenAt === undefined) return { state, inForce: NO_TABLES, settling: undefined };
  const inForce = new DeployedTables(main.maps.directory, settings, { now: () => Number.POSITIVE_INFINITY });
  await inForce.look();
  inForce.stop();
  // As the service has it: a stamp that is dated ahead was written now.
  const since = Math.min(writtenAt, now);
  const until = since + SETTLE_MS;
  return { state, inForce, settling: now < until ? { writtenAt: since, until } : undefined };
}

interface StampReading {
  readonly state: TablesState;
  /** undefined: there is no stamp. */
  readonly writtenAt: number | undefined;
}

async function readStamp(main: MainFile, settings: Settings): Promise<StampReading> {
  if (main.maps === undefined) return { state: 'none', writtenAt: undefined };
  const path = stampFile(main.maps.directory);
  const [text, written] = await Promise.all([readFile(path, 'utf8'), stat(path)]).catch(() => []);
  const stamp = text === undefined ? undefined : parseStamp(text);
  if (stamp === undefined) return { state: 'absent', writtenAt: undefined };
  const isCurrent = stamp.settings === settings.tableDigest && stamp.relayhost === settings.relayhost;
  return { state: isCurrent ? 'current' : 'outdated', writtenAt: written?.mtimeMs };
}
