/**
 * `npm run bench`: what the service costs beside a bare Node server, and what the tables cost beside postmap. Prints one
 * table and writes bench.json. Every ratio is of two things measured in turns in this one run; no number here is a test.
 *
 * BENCH_DOMAINS=1000,1000000 and BENCH_ROUNDS=5 change its size.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '../harness/loopback.ts';
import { waitFor } from '../harness/wait-for.ts';
import { fleetRequests, writeFleet } from './fleet.ts';
import { drive, median, residentMebibytes } from './load.ts';

const program = fileURLToPath(new URL('../../src/main.js', import.meta.url));
const bareServer = fileURLToPath(new URL('./bare-server.js', import.meta.url));
const fleets = (process.env['BENCH_DOMAINS'] ?? '1000,1000000').split(',').map(Number);
const rounds = Number(process.env['BENCH_ROUNDS'] ?? 5);
const messagesARound = 30_000;
/** Longer than any fleet takes to load. */
const PATIENCE_MS = 900_000;

interface Row {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
}

const rows: Row[] = [];

function row(what: string, value: number, unit: string): void {
  rows.push({ what, value, unit });
  process.stderr.write(`${what}: ${value.toFixed(2)} ${unit}\n`);
}

async function main(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'tlswarden-bench-'));
  try {
    for (const domains of fleets) await benchFleet(join(directory, String(domains)), domains);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
  const machine = { node: process.version, cpu: cpus()[0]?.model, cores: cpus().length };
  await writeFile('bench.json', `${JSON.stringify({ machine, rows }, null, 2)}\n`);
  const width = Math.max(...rows.map(({ what }) => what.length));
  for (const { what, value, unit } of rows) {
    process.stdout.write(`${what.padEnd(width)}  ${value.toFixed(2).padStart(10)} ${unit}\n`);
  }
}

async function benchFleet(directory: string, domains: number): Promise<void> {
  const name = domains.toLocaleString('en');
  const port = await freePort();
  const barePort = await freePort();
  const maps = `[maps]\ndirectory = "maps"\ntype = "lmdb"\n`;
  const config = await writeFleet(directory, domains, port, maps);

  const began = performance.now();
  execFileSync(process.execPath, [program, '--config', config, 'maps'], { stdio: ['ignore', 'ignore', 'inherit'] });
  const written = performance.now() - began;
  await benchPostmap(join(directory, 'maps'), name, written);

  // As on a host whose tables have been there for a while: what they hold is left to them.
  const hourAgo = new Date(Date.now() - 3_600_000);
  await utimes(join(directory, 'maps', 'stamp.json'), hourAgo, hourAgo);

  const started = performance.now();
  const logFile = await open(join(directory, 'log'), 'w+');
  const service = spawn(process.execPath, [program, '--config', config, 'serve'], {
    stdio: ['ignore', 'ignore', logFile.fd],
  });
  await untilReady(service, join(directory, 'log'));
  await logFile.close();
  row(`${name} domains: from start to ready`, (performance.now() - started) / 1000, 's');
  row(`${name} domains: resident after loading`, residentMebibytes(service.pid ?? 0), 'MiB');
  const bare = spawn(process.execPath, [bareServer, String(barePort)], { stdio: 'ignore' });
  try {
    let round = 0;
    const run = async (child: ChildProcess, at: number): Promise<{ cpu: number; p99: number }> => {
      const requests = [...fleetRequests(domains, messagesARound, round++)].map((text) => Buffer.from(text));
      const { cpuPerRequest, p99 } = await drive(at, child.pid ?? 0, 16, requests);
      return { cpu: cpuPerRequest, p99 };
    };
    await waitFor(() => run(bare, barePort).catch(() => undefined), 'the bare server', PATIENCE_MS);
    // Until the hot path is compiled: a service runs for months.
    for (let i = 0; i < 2; i++) await run(service, port);
    const ours: { cpu: number; p99: number }[] = [];
    const theirs: { cpu: number; p99: number }[] = [];
    for (let i = 0; i < rounds; i++) {
      ours.push(await run(service, port));
      theirs.push(await run(bare, barePort));
    }
    const ourCpu = median(ours.map(({ cpu }) => cpu));
    const theirCpu = median(theirs.map(({ cpu }) => cpu));
    row(`${name} domains: CPU a request`, ourCpu, 'µs');
    row(`${name} domains: CPU a request, bare server`, theirCpu, 'µs');
    row(`${name} domains: CPU, service / bare server`, ourCpu / theirCpu, '');
    row(
      `${name} domains: p99, service / bare server`,
      median(ours.map(({ p99 }) => p99)) / median(theirs.map(({ p99 }) => p99)),
      '',
    );
    row(`${name} domains: resident after the load`, residentMebibytes(service.pid ?? 0), 'MiB');
  } finally {
    for (const child of [service, bare]) {
      const gone = once(child, 'exit');
      child.kill('SIGTERM');
      await gone;
    }
  }
}

/** What postmap alone takes on the very texts that `maps` wrote, one after the other, in a folder of its own. */
async function benchPostmap(maps: string, name: string, whole: number): Promise<void> {
  const alone = await mkdtemp(join(tmpdir(), 'tlswarden-bench-postmap-'));
  try {
    const current = join(maps, 'current');
    const files = await readdir(current);
    const tables = files.filter((file) => files.includes(`${file}.lmdb`));
    for (const table of tables) await writeFile(join(alone, table), await readFile(join(current, table)));
    const began = performance.now();
    for (const table of tables) execFileSync('postmap', [`lmdb:${join(alone, table)}`]);
    const compiled = performance.now() - began;
    row(`${name} domains: maps, settings to tables in force`, whole / 1000, 's');
    row(`${name} domains: postmap alone on the same tables`, compiled / 1000, 's');
  } finally {
    await rm(alone, { recursive: true, force: true });
  }
}

async function untilReady(service: ChildProcess, logFile: string): Promise<void> {
  await waitFor(
    async () => {
      const log = await readFile(logFile, 'utf8');
      if (service.exitCode !== null) throw new Error(`the service ended: ${log}`);
      return log.includes('"ready"');
    },
    'the service to be ready',
    PATIENCE_MS,
  );
}

await main();
