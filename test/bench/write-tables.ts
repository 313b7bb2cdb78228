/** The tables of a fleet, as on a host where they have been for a while: what they hold the service leaves to them. */

import { existsSync } from 'node:fs';
import { utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../harness/command.ts';
import { MAIN } from '../harness/main.ts';
import type { Workspace } from '../harness/workspace.ts';
import type { Fleet } from './fleet.ts';

/** Longer ago than the service waits until it counts on them, in milliseconds. */
const AGE_MS = 3_600_000;

/** Writes them, unless they are there; gives the maps directory. */
export async function writeAgedTables(workspace: Workspace, fleet: Fleet): Promise<string> {
  const maps = workspace.path(`fleet-${fleet.count}`, 'maps');
  if (existsSync(maps)) return maps;
  await run(process.execPath, [MAIN, '--config', await fleet.mainFile({ maps }), 'maps']);
  const then = new Date(Date.now() - AGE_MS);
  await utimes(join(maps, 'stamp.json'), then, then);
  return maps;
}
