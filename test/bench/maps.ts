/**
 * The part `maps`: what it takes to write the tables of a fleet, from the settings' text to tables in force, beside postmap
 * alone on the very same tables; and one changed domain, from the change to tables in force, beside that. Of lmdb and of
 * what this Postfix takes by default.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { copyFile, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../harness/command.ts';
import { MAIN } from '../harness/main.ts';
import { waitFor } from '../harness/wait-for.ts';
import type { Bench } from './bench-run.ts';
import { PATIENCE_MS, stopped } from './contenders.ts';
import { type Fleet, KINDS, settingsOf } from './fleet.ts';
import { inTurns, ratios } from './turns.ts';

/** Of a fleet of this size: of a small one the start of the program is most. */
const GOAL_DOMAINS = 1_000_000;
const MAPS_GOAL = 1.5;

export async function benchMaps(bench: Bench): Promise<void> {
  const byDefault = (await run('postconf', ['-dh', 'default_database_type'])).trim();
  for (const size of bench.sizes) {
    const fleet = await bench.fleet(size);
    for (const type of new Set(['lmdb', byDefault])) await benchType(bench, fleet, type);
  }
}

async function benchType({ workspace, results, rounds }: Bench, fleet: Fleet, type: string): Promise<void> {
  const part = 'maps';
  const where = `${fleet.name}, ${type}`;
  const maps = workspace.path(`maps-${type}-${fleet.count}`);
  const alone = workspace.path(`postmap-${type}-${fleet.count}`);
  const mainFile = await fleet.mainFile({ maps, type });
  const measured = await inTurns(rounds, ['maps', 'postmap'] as const, async (side, round) => {
    if (side === 'maps' || round === 0) await rm(maps, { recursive: true, force: true });
    const write = (): Promise<unknown> => run(process.execPath, [MAIN, '--config', mainFile, 'maps']);
    if (side === 'maps') return await secondsOf(write);
    // The turns of a round change places: the texts are those of the last round, if there was one.
    if (!(await exists(join(maps, 'stamp.json')))) await write();
    return await postmapAlone(maps, alone, type);
  });
  results.addMedian({ part, what: `${where}: settings to tables in force`, rounds: measured.maps, unit: 's' });
  results.addMedian({ part, what: `${where}: postmap alone`, rounds: measured.postmap, unit: 's' });
  results.addMedian({
    part,
    what: `${where}: maps / postmap alone`,
    rounds: ratios(measured.maps, measured.postmap),
    unit: '',
    ...(fleet.count < GOAL_DOMAINS ? {} : { goal: { atMost: MAPS_GOAL } }),
  });

  const changes = await oneChangedDomain(fleet, mainFile, maps, rounds);
  results.addMedian({ part, what: `${where}: one changed domain to tables in force`, rounds: changes, unit: 's' });
  results.addMedian({
    part,
    what: `${where}: one changed domain / postmap alone`,
    rounds: ratios(changes, measured.postmap),
    unit: '',
  });
  for (const directory of [maps, alone]) await rm(directory, { recursive: true, force: true });
}

/** What postmap takes for the texts that `maps` wrote, one after the other, in a folder of its own. */
async function postmapAlone(maps: string, alone: string, type: string): Promise<number> {
  const current = join(maps, 'current');
  const files = await readdir(current);
  // A compiled table has its text beside it: `name` and `name.lmdb`.
  const tables = files.filter((file) => files.some((other) => other.startsWith(`${file}.`)));
  await rm(alone, { recursive: true, force: true });
  await mkdir(alone);
  for (const table of tables) await copyFile(join(current, table), join(alone, table));
  return await secondsOf(async () => {
    for (const table of tables) await run('postmap', [`${type}:${join(alone, table)}`]);
  });
}

/** `maps --watch` is running, and one domain of the fleet asks for another level: seconds until the tables say so. */
async function oneChangedDomain(fleet: Fleet, mainFile: string, maps: string, rounds: number): Promise<number[]> {
  const one = KINDS.length * Math.floor(fleet.count / KINDS.length / 2) + KINDS.indexOf('delivery');
  const file = fleet.fileOf(one);
  const before = await readFile(file, 'utf8');
  const changed = before.replace(settingsOf(one), settingsOf(one).replace('level = "secure"', 'level = "verify"'));
  if (changed === before) throw new Error(`${file} has not the domain that was to be changed`);
  const watcher = await startWatcher(mainFile);
  const times: number[] = [];
  try {
    // The first one finds out that the watcher is ready; it counts for nothing.
    for (let change = 0; change < rounds + 1; change++) {
      const then = await waitFor(() => changeTime(join(maps, 'stamp.json')), 'tables to change');
      const seconds = await secondsOf(async () => {
        await writeFile(`${file}.new`, change % 2 === 0 ? changed : before);
        await rename(`${file}.new`, file);
        // While tables are written there is no stamp.
        await waitFor(
          async () => ![then, undefined].includes(await changeTime(join(maps, 'stamp.json'))),
          'the tables of one changed domain',
          PATIENCE_MS,
        );
      });
      if (change > 0) times.push(seconds);
    }
  } finally {
    await stopped(watcher);
    await writeFile(file, before);
  }
  return times;
}

async function startWatcher(mainFile: string): Promise<ChildProcess> {
  const path = `${mainFile}.watch.log`;
  const log = await open(path, 'w');
  const watcher = spawn(process.execPath, [MAIN, '--config', mainFile, 'maps', '--watch'], {
    stdio: ['ignore', 'ignore', log.fd],
  });
  await log.close();
  await waitFor(
    async () => {
      const text = await readFile(path, 'utf8');
      if (watcher.exitCode !== null) throw new Error(`maps --watch ended: ${text}`);
      return text.includes('"watching"');
    },
    'maps --watch to watch',
    PATIENCE_MS,
  );
  return watcher;
}

async function secondsOf(body: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await body();
  return (performance.now() - began) / 1000;
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}

/** Differs for every writing of a file; undefined while there is none. */
async function changeTime(path: string): Promise<bigint | undefined> {
  return await stat(path, { bigint: true }).then(
    ({ ctimeNs }) => ctimeNs,
    () => undefined,
  );
}
