/**
 * The part `start`: from the start of the process to its first answer, beside a bare Node server that has nothing to load; and
 * what memory the settings take once they are there.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { freePort } from '../harness/loopback.ts';
import type { Bench } from './bench-run.ts';
import { answers, type Contender, PATIENCE_MS, startBareServer, startService } from './contenders.ts';
import { residentMegabytes } from './processes.ts';
import { inTurns } from './turns.ts';
import { writeAgedTables } from './write-tables.ts';

const MEMORY_GOAL_MB = 700;
/** Between two attempts to get an answer: how exact the time is. */
const ATTEMPT_MS = 2;

export async function benchStart({ workspace, results, rounds, sizes, fleet: fleetOf }: Bench): Promise<void> {
  const part = 'start';
  for (const size of sizes) {
    const fleet = await fleetOf(size);
    const maps = await writeAgedTables(workspace, fleet);
    const resident: number[] = [];
    const measured = await inTurns(rounds, ['service', 'bare'] as const, async (side) => {
      const port = await freePort();
      const mainFile = await fleet.mainFile({ port, maps });
      const start = (): Promise<Contender> =>
        side === 'service' ? startService(workspace, mainFile, port) : startBareServer(workspace, port);
      const [seconds, contender] = await Promise.all([firstAnswer(port), start()]);
      if (side === 'service') resident.push(residentMegabytes(contender.pids()[0] ?? 0));
      await contender.stop();
      return seconds;
    });
    const what = `${fleet.name}: start to first answer`;
    results.addMedian({ part, what, rounds: measured.service, unit: 's' });
    results.addMedian({ part, what: `${what}, bare server`, rounds: measured.bare, unit: 's' });
    results.addMedian({
      part,
      what: `${fleet.name}: resident after loading`,
      rounds: resident,
      unit: 'MB',
      goal: { atMost: MEMORY_GOAL_MB },
    });
  }
}

/** Seconds from now until something answers a request at this port. */
async function firstAnswer(port: number): Promise<number> {
  const began = performance.now();
  while (!(await answers(port))) {
    if (performance.now() - began > PATIENCE_MS) throw new Error(`nothing answered within ${PATIENCE_MS} ms`);
    await pause(ATTEMPT_MS);
  }
  return (performance.now() - began) / 1000;
}
