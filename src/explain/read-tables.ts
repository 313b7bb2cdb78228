/**
 * Whether the tables that Postfix reads now hold the settings as they stand. Reads the stamp, and changes nothing.
 */
import { readFile } from 'node:fs/promises';
import type { MainFile } from '../main-file/main-file.ts';
import type { Settings } from '../settings/settings.ts';
import { parseStamp, stampFile } from '../tables/stamp.ts';

/** none: there is no [maps]. absent: never written. outdated: they hold other settings. current: they hold these. */
export type TablesState = 'none' | 'absent' | 'outdated' | 'current';

export async function readTables(main: MainFile, settings: Settings): Promise<TablesState> {
  if (main.maps === undefined) return 'none';
  const text = await readFile(stampFile(main.maps.directory), 'utf8').catch(() => undefined);
  const stamp = text === undefined ? undefined : parseStamp(text);
  if (stamp === undefined) return 'absent';
  return stamp.settings === settings.tableDigest && stamp.relayhost === settings.relayhost ? 'current' : 'outdated';
}
