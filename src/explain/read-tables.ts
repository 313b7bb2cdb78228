/**
 * Whether the tables in the maps directory hold the settings as they stand, and whether all of Postfix uses them yet. Reads
 * the stamp, and changes nothing.
 */
import { open } from 'node:fs/promises';
import type { MainFile } from '../main-file/main-file.ts';
import type { Settings } from '../settings/settings.ts';
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

export interface TablesReading {
  readonly state: TablesState;
  /** Of tables that are current, but so young that some part of Postfix may still use those before them. */
  readonly settling: Settling | undefined;
}

export async function readTables(main: MainFile, settings: Settings): Promise<TablesState> {
  return (await lookAtTables(main, settings, Date.now())).state;
}

export async function lookAtTables(main: MainFile, settings: Settings, now: number): Promise<TablesReading> {
  if (main.maps === undefined) return { state: 'none', settling: undefined };
  const { text, writtenAt } = await readStamp(main.maps.directory);
  const stamp = text === undefined ? undefined : parseStamp(text);
  if (stamp === undefined) return { state: 'absent', settling: undefined };
  const isCurrent = stamp.settings === settings.tableDigest && stamp.relayhost === settings.relayhost;
  if (!isCurrent) return { state: 'outdated', settling: undefined };
  // As the service has it: a stamp that is dated ahead was written now.
  const since = Math.min(writtenAt, now);
  const until = since + SETTLE_MS;
  return { state: 'current', settling: now < until ? { writtenAt: since, until } : undefined };
}

/** One open file: text and time of the same stamp. */
async function readStamp(
  directory: string,
): Promise<{ readonly text: string | undefined; readonly writtenAt: number }> {
  const file = await open(stampFile(directory)).catch(() => undefined);
  if (file === undefined) return { text: undefined, writtenAt: 0 };
  try {
    const { mtimeMs } = await file.stat();
    return { text: await file.readFile('utf8'), writtenAt: mtimeMs };
  } catch {
    return { text: undefined, writtenAt: 0 };
  } finally {
    await file.close();
  }
}
