// Sockets that systemd has opened for the service, for real: passed to a process of its own.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { takePassedSockets } from '../../src/service/passed-sockets.ts';
import { freePort } from '../harness/loopback.ts';
import { waitFor } from '../harness/wait-for.ts';
import { PolicyClient } from './policy-client.ts';
import { recordedRequest } from './recorded-request.ts';

const activatedService = fileURLToPath(new URL('./activated-service.js', import.meta.url));
const activate = '/usr/bin/systemd-socket-activate';

test('sockets that are passed to this process are taken, in order, and out of the environment', () => {
  const environment: NodeJS.ProcessEnv = { LISTEN_PID: '77', LISTEN_FDS: '3', LISTEN_FDNAMES: 'a:b:c', PATH: '/bin' };
  assert.deepEqual(takePassedSockets(environment, 77), [
    { kind: 'passed', fd: 3 },
    { kind: 'passed', fd: 4 },
    { kind: 'passed', fd: 5 },
  ]);
  assert.deepEqual(environment, { PATH: '/bin' });
});

test('sockets that are passed to another process are not ours', () => {
  const strangers: readonly NodeJS.ProcessEnv[] = [
    {},
    { LISTEN_FDS: '1' },
    { LISTEN_PID: '77' },
    { LISTEN_PID: '78', LISTEN_FDS: '1' },
    { LISTEN_PID: '77', LISTEN_FDS: '0' },
    { LISTEN_PID: '77', LISTEN_FDS: 'x' },
    { LISTEN_PID: '77', LISTEN_FDS: '-1' },
    { LISTEN_PID: '77', LISTEN_FDS: '99999999' },
  ];
  for (const environment of strangers) {
    assert.deepEqual(takePassedSockets(environment, 77), []);
    assert.deepEqual(environment, {});
  }
});

/** Reads the child's first line, where it says what it listens on. Ends it with the test. */
async function addressesOf(t: TestContext, child: ChildProcess): Promise<readonly string[]> {
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL')) await once(child, 'exit');
  });
  assert.ok(child.stdout !== null);
  for await (const line of createInterface(child.stdout)) return JSON.parse(line) as readonly string[];
  throw new Error('the service has not come up');
}

test('a service that systemd starts with two sockets answers on both', { skip: !existsSync(activate) }, async (t) => {
  const ports = [await freePort(), await freePort()];
  const listen = ports.map((port) => `--listen=127.0.0.1:${port}`);
  const child = spawn(activate, [...listen, process.execPath, activatedService], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const started = addressesOf(t, child);
  // The service is started by the first client, and finds it waiting.
  const first = await waitFor(() => PolicyClient.to(`127.0.0.1:${ports[0]}`).catch(() => undefined), 'systemd listens');
  t.after(() => first.close());
  assert.equal(await first.ask(recordedRequest()), 'DUNNO');
  assert.deepEqual(
    await started,
    ports.map((port) => `127.0.0.1:${port}`),
  );
  const second = await PolicyClient.to(`127.0.0.1:${ports[1]}`);
  t.after(() => second.close());
  assert.equal(await second.ask(recordedRequest()), 'DUNNO');
  child.kill('SIGTERM');
  assert.deepEqual(await once(child, 'exit'), [0, null]);
});

/** Starts the service with a listening socket as file descriptor 3, through a shell that knows its own process id. */
function startWith(server: Server): ChildProcess {
  const { _handle } = server as unknown as { readonly _handle: { readonly fd: number } };
  const script = 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$1"';
  return spawn('/bin/sh', ['-c', script, process.execPath, activatedService], {
    stdio: ['ignore', 'pipe', 'pipe', _handle.fd],
  });
}

async function listening(t: TestContext, host: string): Promise<Server> {
  const server = createServer();
  t.after(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  return server;
}

test('a passed socket beyond loopback is refused without server.allow_remote', async (t) => {
  const child = startWith(await listening(t, '0.0.0.0'));
  assert.ok(child.stderr !== null);
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  assert.deepEqual(await once(child, 'exit'), [1, null]);
  assert.match(said, /0\.0\.0\.0:\d+, passed in by systemd: .*server\.allow_remote/);
});

test('a passed socket outlives the service that it was passed to', async (t) => {
  const server = await listening(t, '127.0.0.1');
  server.removeAllListeners('connection');
  const child = startWith(server);
  const [address = ''] = await addressesOf(t, child);
  child.kill('SIGTERM');
  assert.deepEqual(await once(child, 'exit'), [0, null]);
  // Whoever passed it in can still accept on it.
  const accepted = once(server, 'connection');
  const client = await PolicyClient.to(address);
  t.after(() => client.close());
  const [socket] = (await accepted) as [{ destroy(): void }];
  socket.destroy();
});
