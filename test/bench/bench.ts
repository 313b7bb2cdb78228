/**
 * `npm run bench`, or `npm run bench -- PART…`: what tlswarden costs, each part beside what it is to be compared with. Prints
 * one table on standard output, progress on standard error, and writes bench.json. No number here is a test.
 *
 * BENCH_DOMAINS=1000,1000000 and BENCH_ROUNDS=5 change its size.
 */
import { Workspace } from '../harness/workspace.ts';
import type { Bench } from './bench-run.ts';
import { Fleet } from './fleet.ts';
import { benchMaps } from './maps.ts';
import { benchPostfix } from './postfix.ts';
import { benchPostfwd } from './postfwd.ts';
import { benchRedis } from './redis.ts';
import { benchRequests } from './requests.ts';
import { progress, Results } from './results.ts';
import { benchStart } from './start.ts';

const PARTS: Readonly<Record<string, (bench: Bench) => Promise<void>>> = {
  requests: benchRequests,
  postfwd: benchPostfwd,
  postfix: benchPostfix,
  maps: benchMaps,
  start: benchStart,
  redis: benchRedis,
};

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(PARTS);
const unknown = names.filter((name) => !(name in PARTS));
if (unknown.length > 0) {
  progress(`no such part: ${unknown.join(', ')}; there are ${Object.keys(PARTS).join(', ')}`);
  process.exit(2);
}
const workspace = await Workspace.create();
try {
  const results = new Results();
  const fleets = new Map<number, Promise<Fleet>>();
  const bench: Bench = {
    workspace,
    results,
    rounds: Number(process.env['BENCH_ROUNDS'] ?? 5),
    sizes: (process.env['BENCH_DOMAINS'] ?? '1000,1000000').split(',').map(Number),
    fleet(count) {
      const fleet = fleets.get(count) ?? Fleet.write(workspace, count);
      fleets.set(count, fleet);
      return fleet;
    },
  };
  try {
    for (const name of names) await PARTS[name]?.(bench);
  } finally {
    // Also if a part failed: the others took long.
    await results.write('bench.json');
    process.stdout.write(results.table());
  }
} finally {
  await workspace.dispose();
}
