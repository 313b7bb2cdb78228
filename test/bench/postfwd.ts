/**
 * The part `postfwd`: CPU for each request beside Debian's postfwd with rules that say the same, for few domains and for
 * more.
 */
import { freePort } from '../harness/loopback.ts';
import type { Bench } from './bench-run.ts';
import { startPostfwd, startService } from './contenders.ts';
import { drive, type LoadResult } from './load.ts';
import { installPostfwd } from './postfwd-package.ts';
import { postfwdRules } from './postfwd-rules.ts';
import { assertAnswers, Traffic } from './traffic.ts';
import { inTurns, ratios } from './turns.ts';
import { writeAgedTables } from './write-tables.ts';

const SIZES = [10, 1000];
const CONNECTIONS = 8;
/** Of 200 requests each. postfwd takes so long for one that fewer do. */
const DECKS = { service: 100, postfwd: 1 } as const;

export async function benchPostfwd({ workspace, results, rounds, fleet: fleetOf }: Bench): Promise<void> {
  installPostfwd();
  const part = 'postfwd';
  for (const size of SIZES) {
    const fleet = await fleetOf(size);
    const port = await freePort();
    const mainFile = await fleet.mainFile({ port, maps: await writeAgedTables(workspace, fleet) });
    const contenders = {
      service: await startService(workspace, mainFile, port),
      postfwd: await startPostfwd(workspace, `postfwd-${size}`, postfwdRules(size)),
    };
    const traffic = new Traffic(size);
    const measure = async (side: 'service' | 'postfwd'): Promise<LoadResult> =>
      await drive(contenders[side].port, contenders[side].pids, CONNECTIONS, traffic.decks(DECKS[side]));
    // Until the hot paths are compiled, and postfwd has its processes.
    for (const side of ['service', 'service', 'postfwd'] as const) await measure(side);
    const measured = await inTurns(rounds, ['service', 'postfwd'] as const, async (side) => {
      const { answers, cpu } = await measure(side);
      assertAnswers(side, answers, DECKS[side]);
      return cpu;
    });
    const what = `${fleet.name}: CPU`;
    results.addMedian({ part, what: `${what} a request`, rounds: measured.service, unit: 'µs' });
    results.addMedian({ part, what: `${what} a request, postfwd`, rounds: measured.postfwd, unit: 'µs' });
    results.addMedian({
      part,
      what: `${what}, postfwd / service`,
      rounds: ratios(measured.postfwd, measured.service),
      unit: 'times',
    });
    for (const contender of Object.values(contenders)) await contender.stop();
  }
}
