// `npm run soak`: an hour of mixed requests and mail at an even rate while the settings change, the services reload, Redis is
// killed and started again, and so is the service that a real Postfix asks. A second service on the same Redis is never
// killed: its memory and descriptors are what "flat" is judged by. One table at the end; exit status 0 if nothing was
// wrong. SOAK_MINUTES=60 and SOAK_RATE=5000 (requests a second) change its size. Needs root and Postfix, which
// test/prerequisites.ts sees to before.

import { setTimeout as pause } from 'node:timers/promises';
import { Authority } from '../harness/certificates.ts';
import { run } from '../harness/command.ts';
import { Destination } from '../harness/destination.ts';
import { freePort } from '../harness/loopback.ts';
import { MAIN } from '../harness/main.ts';
import { Postfix } from '../harness/postfix.ts';
import { RedisServer } from '../harness/redis.ts';
import { Workspace } from '../harness/workspace.ts';
import { conversations } from './conversations.ts';
import { MailTraffic } from './mail-traffic.ts';
import { lastingDomains, SettingsUnderChange } from './settings-under-change.ts';
import { SoakTable, startMiddleEnd, wordMegabytes } from './soak-table.ts';
import { type Life, type Sample, SoakedService } from './soaked-service.ts';
import { Findings, Traffic } from './traffic.ts';

const minutes = Number(process.env['SOAK_MINUTES'] ?? 60);
const rate = Number(process.env['SOAK_RATE'] ?? 5_000);
if (!(minutes > 0 && rate > 0)) {
  process.stderr.write('SOAK_MINUTES and SOAK_RATE are numbers above 0\n');
  process.exit(2);
}
const seconds = minutes * 60;
/** A short soak has everything more often, so that it has at least two of each. */
const scale = Math.min(1, seconds / 90);
const CONNECTIONS = 8;
const MAIL_PER_SECOND = 3;
const CHANGE_S = 2;
const RELOAD_S = 5;
const REDIS_KILL_S = 20 * scale;
const REDIS_AWAY_S = 2;
const SERVICE_KILL_S = 30 * scale;
/** After so long with Redis every service decides by what is written; in truth it takes milliseconds. */
const FOLLOWS_MS = 5_000;
/** Until then memory may grow: at this rate what is remembered of messages takes minutes to fill up to its bound. */
const WARM_UP_S = Math.min(300, seconds / 4);
/** In a shorter soak memory is shown, not judged. */
const JUDGED_MINUTES = 10;
/** What memory may grow by from the middle to the end, and be called flat: a fifth, and what a garbage collector leaves at times. */
const FLAT_FACTOR = 1.2;
const FLAT_MEGABYTES = 16;

const table = new SoakTable();
const findings = new Findings();
/** Whether the soak is over. */
let isOver = false;
/** Whether it ends before its time, by a signal: then nothing that happens any more means anything. */
let isGivenUp = false;
const running: Promise<void>[] = [];

/** Does something again and again, at even times, until the soak is over. */
function every(period: number, what: () => Promise<void> | void): void {
  const loop = async (): Promise<void> => {
    for (let next = performance.now() + period * 1_000; !isOver; next += period * 1_000) {
      while (!isOver && performance.now() < next) await pause(Math.min(100, Math.max(1, next - performance.now())));
      if (!isOver) await what();
    }
  };
  const failed = (error: unknown): void => {
    findings.add(`the soak could not go on: ${error instanceof Error ? error.message : error}`);
    isOver = true;
  };
  running.push(loop().catch(failed));
}

/** One after the other: a change to the settings, and a time in which there is no Redis. */
let turn: Promise<unknown> = Promise.resolve();
async function inTurn(body: () => Promise<void>): Promise<void> {
  const mine = turn.then(body);
  turn = mine.catch(() => {});
  await mine;
}

async function soak(workspace: Workspace): Promise<boolean> {
  const redis = await RedisServer.start(workspace);
  const authority = await Authority.create(workspace);
  const destination = await Destination.start(workspace, {
    name: 'mx.test',
    certificate: await authority.issue(['mx.test']),
  });
  const settings = new SettingsUnderChange(redis.url);
  await settings.begin(destination.nexthop);

  const domains = Object.keys(lastingDomains(''));
  const postfix = await Postfix.create(workspace, {
    name: 'gateway',
    certificate: await authority.issue(['gateway.test']),
    parameters: {
      mynetworks: '192.0.2.0/24',
      relay_domains: domains.join(', '),
      transport_maps: `inline:{ ${domains.map((domain) => `{ ${domain} = smtp:${destination.nexthop} }`).join(', ')} }`,
    },
  });
  const make = async (name: string): Promise<SoakedService> => {
    const port = await freePort();
    const config = await workspace.write(
      `${name}.toml`,
      [
        `[server]\nlisten = ["127.0.0.1:${port}"]`,
        `[settings]\nsource = "${redis.url}"\nsnapshot = "${name}.snapshot"`,
        '[receipt]\nexempt_clients = []',
        `[postfix]\nconfig_directory = "${postfix.configDirectory}"`,
        '',
      ].join('\n'),
    );
    const service = new SoakedService(workspace, name, port, config);
    service.onDeath = (what) => {
      findings.add(what);
      isOver = true;
    };
    await service.start();
    return service;
  };
  const killed = await make('killed');
  const spared = await make('spared');

  const shown = await run(process.execPath, [MAIN, '--config', killed.config, '--json', 'postfix', 'show']);
  const fragments = JSON.parse(shown) as {
    readonly 'main.cf': readonly { readonly parameter: string; readonly value: string }[];
    readonly 'master.cf': readonly { readonly lines: string }[];
  };
  await postfix.set(Object.fromEntries(fragments['main.cf'].map(({ parameter, value }) => [parameter, value])));
  await postfix.setServices(...fragments['master.cf'].map(({ lines }) => lines));
  await postfix.start();

  const messages = conversations(destination.nexthop);
  const traffics = [killed, spared].map((service) => new Traffic(service, settings, messages, rate / 2, findings));
  const [toKilled] = traffics as [Traffic];
  const mail = new MailTraffic(postfix, destination, killed.gaps, findings);
  // Put away first: what happens from then on is not the service's doing.
  workspace.push({
    dispose: async () => {
      isOver = true;
      isGivenUp = true;
      await Promise.allSettled([...running, ...traffics.map((traffic) => traffic.stop()), mail.stop(0)]);
    },
  });

  const began = performance.now();
  for (const traffic of traffics) {
    traffic.oldest = settings.written;
    traffic.start(CONNECTIONS);
  }
  mail.start(MAIL_PER_SECOND);

  const count = { changes: 0, reloads: 0, redisKills: 0, serviceKills: 0, startsWithoutRedis: 0 };
  let redisSince = performance.now();
  every(CHANGE_S, () =>
    inTurn(async () => {
      await settings.change();
      count.changes += 1;
    }),
  );
  every(RELOAD_S, () => {
    killed.reload();
    spared.reload();
    count.reloads += 1;
  });
  every(REDIS_KILL_S, () =>
    inTurn(async () => {
      redisSince = Number.POSITIVE_INFINITY;
      await redis.kill();
      await pause(REDIS_AWAY_S * 1_000);
      await redis.start();
      redisSince = performance.now();
      count.redisKills += 1;
    }),
  );
  every(SERVICE_KILL_S, async () => {
    // One that starts as the soak ends would tell nothing.
    if (performance.now() > began + seconds * 1_000 - FOLLOWS_MS) return;
    toKilled.aboutToKill();
    await killed.kill();
    const { written } = settings;
    const spawned = performance.now();
    const hadRedis = redisSince;
    // Without Redis it starts from its snapshot, which may be older.
    toKilled.oldest = 0;
    await killed.start();
    if (hadRedis < spawned && redisSince === hadRedis) toKilled.oldest = Math.max(toKilled.oldest, written);
    else count.startsWithoutRedis += 1;
    count.serviceKills += 1;
  });
  // What was written long enough ago is in force everywhere.
  let earlier = { written: settings.written, at: began };
  every(0.25, () => {
    const now = performance.now();
    if (now - Math.max(earlier.at, redisSince) < FOLLOWS_MS) return;
    for (const traffic of traffics) {
      const readySince = traffic.service.lives.at(-1)?.from ?? now;
      if (traffic.service.isUp && now - readySince >= FOLLOWS_MS) {
        traffic.oldest = Math.max(traffic.oldest, earlier.written);
      }
    }
    earlier = { written: settings.written, at: now };
  });
  every(1, () => {
    killed.sample();
    spared.sample();
  });
  every(Math.max(10, seconds / 20), () => {
    const age = (performance.now() - began) / 1_000;
    const right = traffics.reduce((sum, traffic) => sum + traffic.right, 0);
    process.stderr.write(
      `${age.toFixed(0)} s: ${right.toLocaleString('en')} right, ${findings.count} wrong, ` +
        `${(spared.lives[0]?.samples.at(-1)?.megabytes ?? 0).toFixed(0)} MB, ` +
        `${spared.lives[0]?.samples.at(-1)?.descriptors ?? 0} descriptors\n`,
    );
  });

  while (!isOver && performance.now() < began + seconds * 1_000) {
    await pause(100);
  }
  isOver = true;
  await Promise.all(running);
  const took = (performance.now() - began) / 1_000;
  const behind = traffics.reduce((sum, traffic) => sum + Math.floor(traffic.due), 0);
  await Promise.all(traffics.map((traffic) => traffic.stop()));
  await mail.stop(30_000);
  if (isGivenUp) return false;
  // It holds one connection to Redis or two, the second for what it counts, and now and then a file that it writes: so what is
  // compared is near the most, and not a moment's.
  const usualMost = (samples: readonly Sample[]): number => {
    const sorted = samples.map(({ descriptors }) => descriptors).sort((a, b) => a - b);
    return sorted[Math.floor(sorted.length * 0.95)] ?? 0;
  };
  const samples = spared.lives[0]?.samples ?? [];
  const half = Math.floor(samples.length / 2);
  const [busyFirst, busyLast] = [usualMost(samples.slice(0, half)), usualMost(samples.slice(half))];
  let left = spared.isUp ? spared.descriptors : Number.NaN;
  for (const end = performance.now() + 10_000; left > busyFirst - CONNECTIONS && performance.now() < end; ) {
    await pause(100);
    left = spared.isUp ? spared.descriptors : Number.NaN;
  }

  const sum = (what: 'sent' | 'right' | 'wrong' | 'cutOff'): number =>
    traffics.reduce((total, traffic) => total + traffic[what], 0);
  table.row('seconds', took);
  table.row('settings changed, times', count.changes);
  table.row('reloads (SIGHUP)', count.reloads);
  table.row('Redis killed', count.redisKills);
  table.row('service killed', count.serviceKills);
  table.row('  and started without Redis, from its snapshot', count.startsWithoutRedis);
  table.row('requests sent', sum('sent'));
  table.row('  a second', sum('sent') / took);
  table.row('  due at the end and not sent: too much for this machine', behind);
  table.row('  answered rightly', sum('right'));
  table.row('  wrong', sum('wrong'));
  table.row('  cut off by a kill of the service', sum('cutOff'));
  const ms = (value: number): string => `${value.toFixed(0)} ms`;
  table.row('longest wait for an answer', ms(Math.max(...traffics.map(({ longestWait }) => longestWait))));
  table.row('longest silence of a service', ms(Math.max(...traffics.map(({ longestSilence }) => longestSilence))));
  table.row('  with a kill in it', ms(toKilled.longestSilenceWithKill));
  table.row('messages to Postfix refused with 550 5.7.10, rightly', mail.outcomes.refused);
  table.row('  accepted, rightly', mail.outcomes.accepted);
  table.row('    and arrived as they must', mail.outcomes.arrived);
  table.row('  deferred around a kill with 451 4.3.5: no service', mail.outcomes.unavailable);
  table.row('  deferred around a kill with 451 4.3.0: begun before the service was', mail.outcomes.unsure);
  table.row('  wrong', mail.outcomes.wrong);

  const flat = judgeMemory(spared.lives[0]);
  table.lives(killed.lives);
  table.row(
    'descriptors of the spared service, 95 times of 100 at most: first half, second half',
    `${busyFirst}, ${busyLast}`,
  );
  table.row(`  and without the ${CONNECTIONS} connections of the soak, at the end`, left);
  if (!(busyLast <= busyFirst && left <= busyFirst - CONNECTIONS)) {
    findings.add('the spared service holds more descriptors than before');
  }
  if (!flat) findings.add('the memory of the spared service is not flat');
  if (sum('right') === 0 || mail.outcomes.arrived === 0) findings.add('nothing was answered');

  process.stdout.write(table.text);
  process.stdout.write(findings.count === 0 ? 'nothing was wrong\n' : `wrong: ${findings.count}, the first of them:\n`);
  for (const example of findings.examples) process.stdout.write(`  ${example}\n`);
  return findings.count === 0;
}

/** Compares what the spared service takes at the end with the middle; says all three. */
function judgeMemory(life: Life | undefined): boolean {
  const samples = (life?.samples ?? []).filter(({ age }) => age >= WARM_UP_S);
  const [start, middle, end] = startMiddleEnd(samples);
  table.row('resident, the spared service: warm, middle, end', wordMegabytes([start, middle, end]));
  if (minutes < JUDGED_MINUTES) {
    table.row('  flat from the middle to the end', `judged from ${JUDGED_MINUTES} minutes on`);
    return true;
  }
  const isFlat = end <= Math.max(middle * FLAT_FACTOR, middle + FLAT_MEGABYTES);
  table.row('  flat from the middle to the end', isFlat ? 'yes' : 'NO');
  return isFlat;
}

const workspace = await Workspace.create();
try {
  process.stderr.write(`${minutes} minutes at ${rate} requests a second, in ${workspace.directory} …\n`);
  process.exitCode = (await soak(workspace)) ? 0 : 1;
} finally {
  await workspace.dispose();
}
