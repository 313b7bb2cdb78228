// Clients that are slow, greedy or many: whoever asks properly meanwhile gets every answer, and what they take is bounded.
// `GREEDY=1` also waits until they are closed for the reason that is documented, and measures how long a reply takes beside
// them, and, in turns with the same requests, from a service that nobody bothers.

import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { roomForConnections } from '../../src/service/open-files.ts';
import { waitFor } from '../harness/wait-for.ts';
import { recordedRequest } from './recorded-request.ts';
import { RunningService } from './running-service.ts';

const isLong = process.env['GREEDY'] !== undefined;

const HALF = 300;
const DRIPPING = 200;
const DEAF = 200;
/** Fewer where this process, or the service, may not open as many files. */
const IDLE = Math.min(5_000, (roomForConnections() ?? 10_000) - HALF - DRIPPING - DEAF - 100);
const HOSTILE = IDLE + HALF + DRIPPING + DEAF;
/** Connections by which requests are asked properly, and requests on each. */
const PROPER = 8;
const REQUESTS = 100;

/** What all of these clients may take of memory, replies that they do not read among it: 20 KiB each. */
const MOST_BYTES = 20 * 1024 * HOSTILE;

const domains = { 'a.example': { incoming: { receipt: { require_tls: 'always' } } } };
const request = recordedRequest({ recipient: 'user@a.example', encryption_protocol: '' });

async function open(address: string): Promise<Socket> {
  const [host, port] = address.split(':');
  const socket = connect({ host: host ?? '', port: Number(port) });
  // Whoever is refused, or cut off, is not told more.
  socket.on('error', () => {});
  await new Promise((resolve) => socket.once('connect', resolve).once('close', resolve));
  return socket;
}

async function openMany(address: string, count: number): Promise<readonly Socket[]> {
  const sockets: Socket[] = [];
  while (sockets.length < count) {
    const some = Array.from({ length: Math.min(200, count - sockets.length) }, () => open(address));
    sockets.push(...(await Promise.all(some)));
  }
  return sockets;
}

/** Asks properly, on several connections at once, each service in turn; every answer is looked at. Gives the p99 of each. */
async function askProperly(services: readonly RunningService[], requests: number): Promise<readonly number[]> {
  const times = services.map((): number[] => []);
  await Promise.all(
    Array.from({ length: PROPER }, async () => {
      const clients = await Promise.all(services.map((service) => service.client()));
      for (let asked = 0; asked < requests; asked += 1) {
        for (const [at, client] of clients.entries()) {
          const began = performance.now();
          assert.match(await client.ask(request), /^550 5\.7\.10 /);
          times[at]?.push(performance.now() - began);
        }
      }
      for (const client of clients) client.close();
    }),
  );
  return times.map((of) => of.sort((a, b) => a - b)[Math.floor(of.length * 0.99)] ?? 0);
}

/** How many connections were closed for this reason, by what the log says. */
function closedFor(service: RunningService, reason: string): number {
  const lines = service.logged.filter((line) => line['reason'] === reason);
  return lines.reduce((sum, line) => sum + 1 + Number(line['more'] ?? 0), 0);
}

test(`${HOSTILE} idle, slow and deaf clients keep nobody from an answer`, { timeout: 300_000 }, async (t) => {
  const service = await RunningService.start(t, { domains, main: { server: { max_connections: 10_000 } } });
  // Another one, whom nobody bothers, to compare with.
  const services = isLong ? [service, await RunningService.start(t, { domains })] : [service];
  await askProperly(services, REQUESTS);
  const before = service.residentBytes;

  const sockets = await openMany(service.address, HOSTILE);
  service.workspace.push({
    dispose: () => {
      for (const socket of sockets) socket.destroy();
    },
  });
  const half = sockets.slice(IDLE, IDLE + HALF);
  const dripping = sockets.slice(IDLE + HALF, IDLE + HALF + DRIPPING);
  const deaf = sockets.slice(IDLE + HALF + DRIPPING);
  for (const socket of half) socket.write(request.subarray(0, 400));
  // The smallest requests have the longest replies.
  const smallest = Buffer.alloc(64 * 1024, '\n');
  for (const [at, socket] of deaf.entries()) {
    socket.pause();
    socket.write(at % 2 === 0 ? smallest : Buffer.concat(Array.from({ length: 200 }, () => request)));
  }
  let dripped = 0;
  const drip = setInterval(
    () => {
      dripped += 1;
      for (const socket of dripping) socket.write(request.subarray(dripped - 1, dripped));
    },
    isLong ? 1_000 : 20,
  );
  service.workspace.push({ dispose: () => clearInterval(drip), abandon: () => clearInterval(drip) });

  const [beside = 0, alone = 0] = await askProperly(services, isLong ? 20 * REQUESTS : REQUESTS);
  assert.ok(
    sockets.slice(0, IDLE).every((socket) => !socket.destroyed),
    'idle connections live on',
  );
  const taken = service.residentBytes - before;
  assert.ok(taken < MOST_BYTES, `${taken} bytes`);

  if (isLong) {
    t.diagnostic(`p99 of a reply: ${alone.toFixed(2)} ms alone, ${beside.toFixed(2)} ms beside ${HOSTILE} others`);
    t.diagnostic(`resident: ${(taken / 1024 / HOSTILE).toFixed(1)} KiB for each of them`);
    const slow = 'a request not finished within 30 s';
    await waitFor(() => closedFor(service, slow) === HALF + DRIPPING, 'the slow ones are closed', 90_000);
    assert.ok(
      sockets.slice(0, IDLE).every((socket) => !socket.destroyed),
      'idle connections live on',
    );
    await askProperly(services, REQUESTS);
  }
  clearInterval(drip);
  assert.equal(await service.stop(), 0, 'it stops with all of them open');
});

test('a storm of connections beyond max_connections is turned away, and disturbs none of those that are there', async (t) => {
  const most = 100;
  const service = await RunningService.start(t, { domains, main: { server: { max_connections: most } } });
  const clients = await Promise.all(Array.from({ length: PROPER }, () => service.client()));
  const idle = await openMany(service.address, most - PROPER);
  for (const client of clients) assert.match(await client.ask(request), /^550 /);
  let isOver = false;
  const asking = clients.map(async (client) => {
    while (!isOver) assert.match(await client.ask(request), /^550 /);
  });
  const storm = await openMany(service.address, 2_000);
  // Closed without a word; Postfix then answers by its default_action.
  await waitFor(() => storm.every((socket) => socket.destroyed || socket.readableEnded), 'all of them are closed');
  isOver = true;
  await Promise.all(asking);
  assert.ok(idle.every((socket) => !socket.destroyed));
  for (const socket of [...idle, ...storm]) socket.destroy();
  await waitFor(async () => /^550 /.test(await (await service.client()).ask(request)), 'there is room again');
  assert.equal(await service.stop(), 0);
  const refused = service.logged.filter(({ msg }) => msg === 'connection refused: max_connections is reached');
  const count = refused.reduce((sum, line) => sum + 1 + Number(line['more'] ?? 0), 0);
  assert.ok(count >= 2_000, `${count} are told`);
  assert.ok(refused.length < 20, 'and not each on a line of its own');
});

test('a process that may open fewer files than max_connections says so, turns clients away, and reads its settings', async (t) => {
  const service = await RunningService.start(t, { domains, maxFiles: 256 });
  const client = await service.client();
  assert.match(await client.ask(request), /^550 /);
  const many = await openMany(service.address, 600);
  for (let asked = 0; asked < 50; asked += 1) assert.match(await client.ask(request), /^550 /);
  // While there is no room for connections, there is for a change of settings.
  await service.workspace.write('domains.d/b.toml', '[domains."b.example".incoming.receipt]\nrequire_tls = "always"\n');
  const other = recordedRequest({ recipient: 'user@b.example', encryption_protocol: '' });
  await waitFor(async () => /^550 /.test(await client.ask(other)), 'the change is in force');
  for (const socket of many) socket.destroy();
  await waitFor(async () => /^550 /.test(await (await service.client()).ask(request)), 'there is room again');
  assert.equal(await service.stop(), 0);
  const said = service.logged.map(({ msg }) => String(msg));
  assert.ok(
    said.some((msg) => /^max_connections is more than this process may have open/.test(msg)),
    said.join('\n'),
  );
  assert.ok(said.includes('connection refused: max_connections is reached'), said.join('\n'));
});
