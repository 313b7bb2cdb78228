/**
 * The part `requests`: CPU for each request and the 99th percentile of the time to its answer, beside a bare Node server that
 * answers a constant.
 */

import { freePort } from '../harness/loopback.ts';
import type { Bench } from './bench-run.ts';
import { startBareServer, startService } from './contenders.ts';
import type { Fleet } from './fleet.ts';
import { drive, type LoadResult } from './load.ts';
import { residentMegabytes } from './processes.ts';
import { assertAnswers, type Message, Traffic } from './traffic.ts';
import { inTurns, ratios } from './turns.ts';
import { writeAgedTables } from './write-tables.ts';

const CONNECTIONS = [1, 16, 64, 512];
/** With so many, also a service that counts what it decides for the report. */
const COUNTED_CONNECTIONS = 16;
/** 60,000 requests a round: most of a second of CPU time. */
const DECKS = 300;
const CPU_GOAL = 1.25;
const P99_GOAL = 1.5;
const MEMORY_GOAL_MB = 700;

type Side = 'service' | 'counting' | 'bare';

export async function benchRequests(bench: Bench): Promise<void> {
  for (const size of bench.sizes) await benchFleet(bench, await bench.fleet(size));
}

async function benchFleet({ workspace, results, rounds }: Bench, fleet: Fleet): Promise<void> {
  const part = 'requests';
  const port = await freePort();
  const maps = await writeAgedTables(workspace, fleet);
  const service = await startService(workspace, await fleet.mainFile({ port, maps }), port);
  const countingPort = await freePort();
  const countingFile = await fleet.mainFile({ port: countingPort, maps, counts: true });
  const counting = await startService(workspace, countingFile, countingPort);
  const bare = await startBareServer(workspace);
  const contenders = { service, counting, bare };
  const resident = (): number => residentMegabytes(service.pids()[0] ?? 0);
  const goal = { atMost: MEMORY_GOAL_MB };
  results.add({ part, what: `${fleet.name}: resident after loading`, value: resident(), unit: 'MB', goal });

  const traffic = new Traffic(fleet.count);
  // Until the hot paths are compiled: a service runs for months.
  for (let i = 0; i < 2; i++) {
    const messages = traffic.decks(DECKS);
    for (const { port: at, pids } of [service, counting, bare]) await drive(at, pids, 16, messages);
  }
  for (const connections of CONNECTIONS) {
    let messages: readonly Message[] = [];
    let drawnFor = -1;
    const isCounted = connections === COUNTED_CONNECTIONS;
    const sides: readonly Side[] = isCounted ? ['service', 'counting', 'bare'] : ['service', 'bare'];
    const measured = await inTurns(rounds, sides, async (side, round) => {
      if (round !== drawnFor) messages = traffic.decks(DECKS);
      drawnFor = round;
      const result = await drive(contenders[side].port, contenders[side].pids, connections, messages);
      if (side !== 'bare') assertAnswers(side, result.answers, DECKS);
      return result;
    });
    const of = (side: Side, figure: 'cpu' | 'p99'): readonly number[] =>
      measured[side].map((result: LoadResult) => result[figure]);
    const where = `${fleet.name}, ${connections} ${connections === 1 ? 'connection' : 'connections'}`;
    const compare = (figure: 'cpu' | 'p99', name: string, whole: string, unit: string, atMost: number): void => {
      results.addMedian({ part, what: `${where}: ${whole}`, rounds: of('service', figure), unit });
      results.addMedian({ part, what: `${where}: ${whole}, bare server`, rounds: of('bare', figure), unit });
      results.addMedian({
        part,
        what: `${where}: ${name}, service / bare server`,
        rounds: ratios(of('service', figure), of('bare', figure)),
        unit: '',
        goal: { atMost },
      });
    };
    compare('cpu', 'CPU', 'CPU a request', 'µs', CPU_GOAL);
    if (isCounted) {
      results.addMedian({
        part,
        what: `${where}: CPU, service that counts for the report / bare server`,
        rounds: ratios(of('counting', 'cpu'), of('bare', 'cpu')),
        unit: '',
      });
    }
    compare('p99', 'p99', 'p99', 'ms', P99_GOAL);
  }
  results.add({ part, what: `${fleet.name}: resident after the load`, value: resident(), unit: 'MB', goal });
  for (const contender of [service, counting, bare]) await contender.stop();
}
