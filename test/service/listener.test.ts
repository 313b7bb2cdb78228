// The listeners of the service on a real machine: ports that are taken, sockets that are stale or alive.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { lstat, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type ListenAddress, parseListenAddress } from '../../src/service/listen-address.ts';
import { ListenError, openListener } from '../../src/service/listener.ts';
import { PolicyServer } from '../../src/service/server.ts';
import { KeptLog } from './kept-log.ts';
import { recordedRequest } from './recorded-request.ts';
import { serve } from './served.ts';

const local = { allowRemote: false };

async function directory(t: TestContext): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'tlswarden-listener-'));
  t.after(() => rm(made, { recursive: true, force: true }));
  return made;
}

const unix = (path: string): ListenAddress => ({ kind: 'unix', path });

/** A socket file that nobody answers, as a killed service leaves it behind. */
async function leaveStaleSocket(path: string): Promise<void> {
  const server = createServer();
  const elsewhere = `${path}.was`;
  await new Promise<void>((resolve) => server.listen(elsewhere, resolve));
  await rename(elsewhere, path);
  await new Promise((resolve) => server.close(resolve));
  assert.ok((await lstat(path)).isSocket());
}

test('a service on a UNIX socket answers, and everybody who reaches the directory may ask', async (t) => {
  const path = join(await directory(t), 'policy');
  const { client, address, log } = await serve(t, { listen: unix(path) });
  assert.equal(address, `unix:${path}`);
  assert.equal((await lstat(path)).mode & 0o777, 0o666);
  assert.equal(await (await client()).ask(recordedRequest()), 'WARN payroll@example.com');
  const bad = await client();
  bad.send('nonsense\n');
  await bad.untilClosed();
  assert.equal(log.lines[0]?.fields['peer'], `unix:${path}`);
});

test('a stale UNIX socket is replaced, and nothing is left when the service stops', async (t) => {
  const made = await directory(t);
  const path = join(made, 'policy');
  await leaveStaleSocket(path);
  const { client, server } = await serve(t, { listen: unix(path) });
  assert.deepEqual(await readdir(made), ['policy']);
  assert.equal(await (await client()).ask(recordedRequest()), 'WARN payroll@example.com');
  await server.stop();
  assert.deepEqual(await readdir(made), []);
});

test('a UNIX socket that another process answers is left alone', async (t) => {
  const path = join(await directory(t), 'policy');
  const { client } = await serve(t, { listen: unix(path) });
  await assert.rejects(openListener(createServer(), unix(path), local), (error) => {
    assert.ok(error instanceof ListenError);
    assert.match(error.message, /another process answers there/);
    return true;
  });
  assert.equal(await (await client()).ask(recordedRequest()), 'WARN payroll@example.com');
});

test('a file that is no socket is never removed', async (t) => {
  const path = join(await directory(t), 'precious');
  await writeFile(path, 'data');
  await assert.rejects(openListener(createServer(), unix(path), local), /not a socket/);
  assert.equal(await readFile(path, 'utf8'), 'data');
});

test('a socket that has taken the place of ours is not removed when we stop', async (t) => {
  const path = join(await directory(t), 'policy');
  const { server } = await serve(t, { listen: unix(path) });
  await rm(path);
  const other = await serve(t, { listen: unix(path) });
  await server.stop();
  assert.equal(await (await other.client()).ask(recordedRequest()), 'WARN payroll@example.com');
});

test('of services that start at once on a stale socket, one gets it and the others say so', async (t) => {
  const made = await directory(t);
  const path = join(made, 'policy');
  await leaveStaleSocket(path);
  const servers = Array.from({ length: 4 }, () => createServer((socket) => socket.destroy()));
  t.after(() => Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve)))));
  const results = await Promise.allSettled(servers.map((server) => openListener(server, unix(path), local)));
  const opened = results.filter(({ status }) => status === 'fulfilled');
  assert.equal(opened.length, 1);
  assert.deepEqual(await readdir(made), ['policy']);
});

test('the longest path that a UNIX socket can have works', async (t) => {
  const made = await directory(t);
  const path = join(made, 'x'.repeat(107 - made.length - 1));
  const { client } = await serve(t, { listen: unix(path) });
  assert.equal(await (await client()).ask(recordedRequest()), 'WARN payroll@example.com');
});

test('a directory that is not there is named', async (t) => {
  const path = join(await directory(t), 'missing', 'policy');
  await assert.rejects(openListener(createServer(), unix(path), local), /there is no directory .*missing$/);
});

test('a port in use is an error that says how to find who has it', async (t) => {
  const { address } = await serve(t);
  const parsed = parseListenAddress(address, local);
  assert.ok('address' in parsed);
  await assert.rejects(
    openListener(createServer(), parsed.address, local),
    new RegExp(`^ListenError: cannot listen on ${address}: the port is in use; see who has it: ss -ltnp`),
  );
});

test('an address that the machine does not have is an error that says so', async () => {
  const address: ListenAddress = { kind: 'tcp', host: '192.0.2.1', port: 0 };
  await assert.rejects(openListener(createServer(), address, local), /does not have that address/);
});

test('listeners are opened all or none', async (t) => {
  const { address } = await serve(t);
  const path = join(await directory(t), 'policy');
  const server = new PolicyServer({ handler: () => 'DUNNO', log: new KeptLog(), maxConnections: 1 });
  t.after(() => server.stop());
  const taken = parseListenAddress(address, local);
  assert.ok('address' in taken);
  await assert.rejects(server.listen([unix(path), taken.address], local), ListenError);
  assert.deepEqual(server.addresses, []);
  assert.equal(existsSync(path), false);
});

test('one service may have many listeners', async (t) => {
  const path = join(await directory(t), 'policy');
  const server = new PolicyServer({ handler: () => 'DUNNO', log: new KeptLog(), maxConnections: 10 });
  t.after(() => server.stop());
  await server.listen(
    [unix(path), { kind: 'tcp', host: '127.0.0.1', port: 0 }, { kind: 'tcp', host: '127.0.0.2', port: 0 }],
    local,
  );
  assert.equal(server.addresses.length, 3);
  assert.match(server.addresses.join(' '), /^unix:\S+ 127\.0\.0\.1:\d+ 127\.0\.0\.2:\d+$/);
});
