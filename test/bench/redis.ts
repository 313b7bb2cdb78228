/**
 * The part `redis`: what settings in Redis cost: importing, loading and following the largest fleet, beside what redis-cli needs
 * to read the same hash; and how soon a change is decided by everywhere.
 *
 * BENCH_SERVICES=20 and BENCH_CHANGES=100 change its size.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { DomainName } from '../../src/address/domain-name.ts';
import { parseRedisUrl, RedisAddress } from '../../src/redis/redis-address.ts';
import { RedisStore } from '../../src/redis/redis-store.ts';
import { NO_DEFAULTS } from '../../src/settings/hosted-domain.ts';
import { BY_MX } from '../../src/settings/next-hop.ts';
import { SettingPool } from '../../src/settings/parse-setting.ts';
import { freePort } from '../harness/loopback.ts';
import { MAIN } from '../harness/main.ts';
import { RedisServer } from '../harness/redis.ts';
import { waitFor } from '../harness/wait-for.ts';
import type { Workspace } from '../harness/workspace.ts';
import type { Bench } from './bench-run.ts';
import { PATIENCE_MS } from './contenders.ts';
import { residentMegabytes } from './processes.ts';
import { median } from './results.ts';

const services = Number(process.env['BENCH_SERVICES'] ?? 20);
const changes = Number(process.env['BENCH_CHANGES'] ?? 100);
/** Between two questions to one service: how exact a time to a decision is. */
const ASK_MS = 3;
const CHANGED = 'changed.example' as DomainName;

function rowsOf({ results }: Bench): (what: string, value: number, unit: string) => void {
  return (what, value, unit) => results.add({ part: 'redis', what, value, unit });
}

/** Milliseconds that it takes. */
async function timed(body: () => Promise<unknown> | unknown): Promise<number> {
  const began = performance.now();
  await body();
  return performance.now() - began;
}

export async function benchRedis(bench: Bench): Promise<void> {
  const { workspace } = bench;
  const row = rowsOf(bench);
  const domains = Math.max(...bench.sizes);
  const redis = await RedisServer.start(workspace, { lines: ['appendonly no', 'save ""'] });
  const name = domains.toLocaleString('en');
  const fleet = await bench.fleet(domains);
  const file = workspace.path('fleet.jsonl');
  execFileSync(process.execPath, [MAIN, '--config', await fleet.mainFile(), 'domains', 'export', '--format', 'jsonl'], {
    stdio: ['ignore', openSync(file, 'w'), 'inherit'],
  });

  const config = await writeConfig(
    workspace,
    redis.url,
    0,
    'snapshot = "snapshot"\n[maps]\ndirectory = "maps"\ntype = "lmdb"',
  );
  const imported = await timed(() =>
    execFileSync(process.execPath, [MAIN, '--config', config.path, 'domains', 'import', file]),
  );
  row(`${name} domains: import`, imported / 1000, 's');
  row(`${name} domains: import`, domains / (imported / 1000), 'domains/s');
  const again = await timed(() =>
    execFileSync(process.execPath, [MAIN, '--config', config.path, 'domains', 'import', file]),
  );
  row(`${name} domains: the same import again`, again / 1000, 's');
  const read = await timed(() =>
    execFileSync('redis-cli', ['-h', redis.host, '-p', String(redis.port), 'HGETALL', '{tlswarden}:domains'], {
      stdio: ['ignore', openSync('/dev/null', 'w'), 'inherit'],
    }),
  );
  row(`${name} domains: redis-cli reads the hash`, read / 1000, 's');

  let service: ChildProcess | undefined;
  const loaded = await timed(async () => {
    service = await start(config.path);
  });
  row(`${name} domains: load from Redis, start to ready`, loaded / 1000, 's');
  row(`${name} domains: load from Redis / redis-cli`, loaded / read, '');
  row(`${name} domains: resident after loading`, residentMegabytes(service?.pid ?? 0), 'MB');
  const store = storeOf(redis.url);
  await change(store, 'never');
  const one = await Asker.open(config.port);
  row(`${name} domains: change to decision, median`, median(await measure(store, [one], changes)), 'ms');
  one.end();

  execFileSync(process.execPath, [MAIN, '--config', config.path, 'maps'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const watcher = spawn(process.execPath, [MAIN, '--config', config.path, 'maps', '--watch'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  await logged(watcher, '"watching"');
  const stamp = workspace.path('maps', 'stamp.json');
  const before = (await stat(stamp)).mtimeMs;
  const entered = await timed(async () => {
    await change(store, 'always');
    await waitFor(
      async () => (await stat(stamp).catch(() => ({ mtimeMs: before }))).mtimeMs !== before,
      'the tables',
      PATIENCE_MS,
    );
  });
  row(`${name} domains: change to tables in force`, entered / 1000, 's');
  await stop(watcher);

  await stop(service);
  await redis.kill();
  const fromDisk = await timed(async () => {
    service = await start(config.path);
  });
  row(`${name} domains: load from the snapshot, start to ready`, fromDisk / 1000, 's');
  await stop(service);

  await redis.start();
  await manyServices(bench, redis);
}

/** 99 of 100 changes are to be decided by everywhere within 50 ms. */
async function manyServices(bench: Bench, redis: RedisServer): Promise<void> {
  const { workspace } = bench;
  const row = rowsOf(bench);
  await redis.cli('FLUSHALL');
  const store = storeOf(redis.url);
  await change(store, 'never');
  const running: ChildProcess[] = [];
  const askers: Asker[] = [];
  for (let n = 1; n <= services; n++) {
    const { path, port } = await writeConfig(workspace, redis.url, n, '');
    running.push(await start(path));
    askers.push(await Asker.open(port));
  }
  const times = (await measure(store, askers, changes)).toSorted((a, b) => a - b);
  row(`${services} services: change to the last decision, median`, median(times), 'ms');
  row(
    `${services} services: change to the last decision, 99 of 100`,
    times[Math.ceil(times.length * 0.99) - 1] ?? 0,
    'ms',
  );
  for (const asker of askers) asker.end();
  for (const one of running) await stop(one);
}

/** Milliseconds from each of so many changes to the moment when all decide by it. */
async function measure(store: RedisStore, askers: readonly Asker[], count: number): Promise<number[]> {
  const times: number[] = [];
  for (let n = 0; n < count; n++) {
    const wanted = n % 2 === 0 ? 'always' : 'never';
    times.push(await timed(() => Promise.all([change(store, wanted), ...askers.map((asker) => asker.until(wanted))])));
  }
  return times;
}

async function change(store: RedisStore, wanted: 'always' | 'never'): Promise<void> {
  const table = { incoming: { receipt: { require_tls: wanted }, delivery: { require_tls: wanted } } };
  await store.change(() => new Map([[CHANGED, table]]), { concerns: [CHANGED] });
}

function storeOf(url: string): RedisStore {
  const address = parseRedisUrl(url, '/');
  if (!(address instanceof RedisAddress)) throw new Error(address.problem);
  const context = { defaults: NO_DEFAULTS, hasRelayhost: false, pool: new SettingPool() };
  return new RedisStore({ address, relayhost: BY_MX, context });
}

async function writeConfig(
  workspace: Workspace,
  url: string,
  n: number,
  more: string,
): Promise<{ readonly path: string; readonly port: number }> {
  const port = await freePort();
  const text = `[server]\nlisten = ["127.0.0.1:${port}"]\n[log]\nlevel = "info"\n[settings]\nsource = "${url}"\n${more}\n`;
  return { path: await workspace.write(`host-${n}.toml`, text), port };
}

async function start(config: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [MAIN, '--config', config, 'serve'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  await logged(child, '"ready"');
  return child;
}

async function logged(child: ChildProcess, text: string): Promise<void> {
  let log = '';
  child.stderr?.setEncoding('utf8').on('data', (part: string) => {
    if (log.length < 10_000) log += part;
  });
  await waitFor(
    () => {
      if (child.exitCode !== null) throw new Error(`it ended: ${log}`);
      return log.includes(text);
    },
    () => `${text}: ${log}`,
    PATIENCE_MS,
  );
}

async function stop(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  await gone;
}

/** Asks one service again and again, over one connection. */
class Asker {
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  static async open(port: number): Promise<Asker> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    return new Asker(socket);
  }

  async until(wanted: 'always' | 'never'): Promise<void> {
    const lines = [
      'request=smtpd_access_policy',
      'protocol_state=RCPT',
      'sender=a@sender.example',
      `recipient=b@${CHANGED}`,
    ];
    for (;;) {
      this.#socket.write([...lines, 'encryption_protocol=', '', ''].join('\n'));
      const [reply] = (await once(this.#socket, 'data')) as [Buffer];
      if (reply.toString().startsWith('action=550') === (wanted === 'always')) return;
      // Asking without a pause would take the very processors that the services need to follow.
      await pause(ASK_MS);
    }
  }

  end(): void {
    this.#socket.end();
  }
}
