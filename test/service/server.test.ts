// The policy service on the wire: what a client gets back, and what becomes of its connection.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { READ_BYTES } from '../../src/service/read-buffer.ts';
import type { PolicyHandler } from '../../src/service/server.ts';
import { waitFor } from '../harness/wait-for.ts';
import type { PolicyClient } from './policy-client.ts';
import { recordedRequest, requestOf } from './recorded-request.ts';
import { type Served, serve } from './served.ts';

const request = (recipient: string) => recordedRequest({ recipient });

/** Lets the server's event loop, which is also ours, go round until it has read and answered what there is. */
async function turns(count = 20): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

test('a request gets one action, and the connection stays open for the next', async (t) => {
  const { client, server } = await serve(t);
  const one = await client();
  for (let round = 0; round < 50; round += 1) assert.equal(await one.ask(request(`r${round}`)), `WARN r${round}`);
  assert.equal(one.isClosed, false);
  assert.equal(server.counters.requests, 50);
  assert.equal(server.counters.connections, 1);
});

test('requests in pieces get their replies', async (t) => {
  const one = await (await serve(t)).client();
  const bytes = request('a@b');
  for (let cut = 1; cut < bytes.length; cut += 37) {
    one.send(bytes.subarray(0, cut));
    await turns(3);
    assert.equal(await one.ask(bytes.subarray(cut)), 'WARN a@b');
  }
});

test('requests that come at once are answered in their order', async (t) => {
  const one = await (await serve(t)).client();
  const names = Array.from({ length: 500 }, (_, index) => `r${index}@example.com`);
  one.send(Buffer.concat(names.map(request)));
  assert.deepEqual(
    await one.replies(500),
    names.map((name) => `WARN ${name}`),
  );
});

test('a request of another type gets DUNNO, and so does an empty one', async (t) => {
  const one = await (await serve(t)).client();
  assert.equal(await one.ask(requestOf('request=junk', 'recipient=x')), 'DUNNO');
  assert.equal(await one.ask(requestOf('recipient=x')), 'DUNNO');
  assert.equal(await one.ask('\n'), 'DUNNO');
});

test('every action that a decision gives is passed on, and nothing else', async (t) => {
  const { client, log, server } = await serve(t, { handler: ({ recipient }) => texts[Number(recipient)] ?? '' });
  const actions = [
    'DUNNO',
    'FILTER tlswarden-encrypt:[mx1.example.com]:25',
    'FILTER tlswarden-secure:',
    'WARN no TLS',
    '550 5.7.10 example.com asks for TLS',
    '450 4.7.10 example.com asks for TLS',
    '452 4.5.3 again, please',
    '451 4.3.0 again, please',
  ];
  const bugs = [
    '',
    'OK',
    'PERMIT',
    'ok',
    'dunno',
    'DUNNO\n\naction=OK',
    'WARN a\nb',
    'WARN a\rb',
    'WARN a\0b',
    'WARN ü',
    'WARN ',
    'FILTER',
    'FILTER smtp',
    'FILTER smtp:x y',
    'FILTER smtp:x\n',
    'REJECT',
    '250 2.0.0 ok',
    '550 4.7.1 no',
    '550 no',
    `WARN ${'x'.repeat(1000)}`,
  ];
  const texts = [...actions, ...bugs];
  for (let round = 0; round < 2; round += 1) {
    const one = await client();
    for (const [index, action] of actions.entries()) assert.equal(await one.ask(request(String(index))), action);
    for (const index of bugs.keys()) {
      const other = await client();
      other.send(request(String(actions.length + index)));
      assert.equal(await other.untilClosed(), '', JSON.stringify(bugs[index]));
    }
  }
  assert.equal(server.counters.trouble['bad-action'], 2 * bugs.length);
  assert.equal(log.lines.length, 1, 'a flood of one kind is one line');
  assert.equal(log.lines[0]?.level, 'error');
});

test('while there is no answer to give, connections are closed without a reply', async (t) => {
  const { client, log } = await serve(t, { handler: () => undefined });
  const one = await client();
  one.send(request('x'));
  assert.equal(await one.untilClosed(), '');
  assert.deepEqual(log.reasons, [
    'no settings to answer by: none are loaded, those of a domain that is concerned cannot be used, or nobody knows that domain',
  ]);
});

test('a decision that throws costs its connection, and says where it threw, not what it was asked', async (t) => {
  const { client, log, server } = await serve(t, {
    handler({ recipient }) {
      if (recipient === 'good') return 'DUNNO';
      throw new RangeError(`cannot decide ${recipient}\n    at evil (file.js:1:1)`);
    },
  });
  const one = await client();
  const other = await client();
  one.send(request('secret@example.com'));
  assert.equal(await one.untilClosed(), '');
  assert.equal(await other.ask(request('good')), 'DUNNO');
  assert.equal(server.counters.trouble['handler-failed'], 1);
  const [line] = log.lines;
  assert.equal(line?.level, 'error');
  const error = String(line?.fields['error']);
  assert.match(error, /^RangeError at .*handler/);
  assert.doesNotMatch(error, /secret|evil|\n/);
});

const troubles: readonly (readonly [what: string, bytes: Buffer | string, reason: RegExp])[] = [
  ['a line without =', requestOf('request=smtpd_access_policy', 'sender'), /"="/],
  ['a line without =, before the request ends', 'GET / HTTP/1.1\r\n', /"="/],
  ['CR LF', 'request=smtpd_access_policy\r\n\r\n', /"="/],
  ['a NUL', 'request=smtpd_access_policy\nsender=a\0b\n\n', /NUL/],
  ['a NUL, before the line ends', '\0', /NUL/],
  ['more than 64 KiB', `request=smtpd_access_policy\nsender=${'x'.repeat(70_000)}`, /65536 bytes/],
  ['more than 200 attributes', requestOf(...Array.from({ length: 201 }, (_, n) => `x${n}=`)), /200 attributes/],
  ['binary garbage', Buffer.from(Array.from({ length: 4096 }, (_, n) => (n * 197 + 13) % 256)), /NUL|"="/],
  ['a TLS handshake', Buffer.from('16030100c8010000c40303', 'hex'), /NUL/],
];

for (const [what, bytes, reason] of troubles) {
  test(`${what} closes that connection without a reply, and no other`, async (t) => {
    const { client, log, address } = await serve(t);
    const other = await client();
    assert.equal(await other.ask(request('before')), 'WARN before');
    const one = await client();
    one.send(bytes);
    assert.equal(await one.untilClosed(), '');
    assert.equal(await other.ask(request('after')), 'WARN after');
    assert.equal(log.lines.length, 1);
    const [line] = log.lines;
    assert.equal(line?.level, 'warn');
    assert.match(String(line?.fields['reason']), reason);
    assert.match(String(line?.fields['peer']), /^127\.0\.0\.1:\d+$/);
    assert.notEqual(line?.fields['peer'], address);
  });
}

test('requests before the trouble are answered', async (t) => {
  const one = await (await serve(t)).client();
  one.send(Buffer.concat([request('a'), request('b'), Buffer.from('nonsense\n'), request('c')]));
  assert.equal(await one.untilClosed(), 'action=WARN a\n\naction=WARN b\n\n');
});

test('what follows the trouble is discarded, and endless garbage cut off', async (t) => {
  const { client, server } = await serve(t);
  const one = await client();
  one.send('nonsense\n');
  await one.replies(1);
  const garbage = Buffer.alloc(1 << 20, 'x');
  one.send(garbage);
  one.send(garbage);
  await waitFor(() => server.counters.connections === 0, 'the connection is cut');
});

test('a connection in trouble whose client stays is closed for good soon after', async (t) => {
  const { client, server, clock } = await serve(t);
  const one = await client();
  one.send('nonsense\n');
  await one.replies(1);
  assert.equal(server.counters.connections, 1, 'the client has not closed its side');
  clock.advance(3_000);
  await waitFor(() => server.counters.connections === 0, 'the connection is closed');
});

test('a flood of one trouble is one line, then one in ten seconds with a count', async (t) => {
  const { client, log, clock } = await serve(t);
  const trouble = async () => {
    const one = await client();
    one.send('nonsense\n');
    await one.untilClosed();
  };
  for (let round = 0; round < 5; round += 1) await trouble();
  assert.equal(log.lines.length, 1);
  clock.advance(9_000);
  await turns();
  assert.equal(log.lines.length, 1);
  clock.advance(1_000);
  await waitFor(() => log.lines.length === 2, 'the count is written');
  assert.equal(log.lines[1]?.fields['more'], 3);
});

test('a request not finished within 30 seconds of its first byte closes the connection', async (t) => {
  const { client, log, clock, server } = await serve(t);
  const slow = await client();
  const idle = await client();
  assert.equal(await idle.ask(request('x')), 'WARN x');
  const bytes = request('slow');
  slow.send(bytes.subarray(0, 10));
  await turns();
  for (let second = 0; second < 29; second += 1) {
    clock.advance(1_000);
    slow.send(bytes.subarray(10 + second, 11 + second));
    await turns(5);
  }
  assert.equal(slow.isClosed, false);
  clock.advance(2_000);
  assert.equal(await slow.untilClosed(), '');
  assert.deepEqual(log.reasons, ['a request not finished within 30 s']);
  assert.equal(server.counters.trouble['too-slow'], 1);
  assert.equal(await idle.ask(request('y')), 'WARN y');
});

test('the 30 seconds begin anew with each request', async (t) => {
  const { client, clock } = await serve(t);
  const one = await client();
  const bytes = request('x');
  one.send(bytes.subarray(0, 100));
  for (let round = 1; round < 10; round += 1) {
    await turns();
    clock.advance(20_000);
    await turns();
    one.send(Buffer.concat([bytes.subarray(100), bytes.subarray(0, 100)]));
    await one.replies(round);
  }
  assert.equal(one.isClosed, false);
});

test('an idle connection lives on for ever', async (t) => {
  const { client, clock, log } = await serve(t);
  const one = await client();
  const silent = await client();
  assert.equal(await one.ask(request('x')), 'WARN x');
  for (let hour = 0; hour < 48; hour += 1) clock.advance(3_600_000);
  await turns();
  assert.equal(await one.ask(request('y')), 'WARN y');
  assert.equal(await silent.ask(request('z')), 'WARN z');
  assert.deepEqual(log.lines, []);
});

test('a client that does not read its replies is not read from any more, and closed after 30 seconds', async (t) => {
  const { client, server, clock, log } = await serve(t, { handler: longReplies });
  const other = await client();
  const deaf = await client();
  const answered = await floodUnread(deaf, server);
  assert.equal(await other.ask(request('x')), long('x'));
  assert.ok(server.counters.requests <= answered + 1, 'nothing more was read');
  for (let second = 0; second < 32; second += 1) {
    clock.advance(1_000);
    await turns(2);
  }
  await waitFor(() => server.counters.connections === 1, 'the connection is closed');
  assert.deepEqual(log.reasons, ['replies not read for 30 s']);
  assert.equal(await other.ask(request('y')), long('y'));
});

test('a client that reads late gets every reply, in order', async (t) => {
  const { client, server } = await serve(t, { handler: longReplies });
  const late = await client();
  await floodUnread(late, server);
  late.socket.resume();
  const sent = await flooded.get(late);
  const actions = await late.replies(sent ?? 0);
  assert.equal(actions.length, sent);
  assert.ok(actions.every((action, index) => action === long(String(index))));
});

/** An action that soon fills what the kernel keeps of unread replies. */
const long = (recipient: string) => `WARN ${recipient.padEnd(480, '.')}`;
const longReplies: PolicyHandler = ({ recipient }) => long(recipient);

/** How many requests were sent. */
const flooded = new WeakMap<PolicyClient, number>();

/** Sends requests and reads nothing until the server has stopped to read, too. Returns how many it has answered. */
async function floodUnread(client: PolicyClient, server: Served['server']): Promise<number> {
  client.socket.pause();
  let sent = 0;
  for (let before = -1; before !== server.counters.requests; ) {
    before = server.counters.requests;
    const lines: string[] = [];
    for (let more = 0; more < 10_000; more += 1, sent += 1) {
      lines.push(`request=smtpd_access_policy\nrecipient=${sent}\n\n`);
    }
    client.send(lines.join(''));
    // Until neither side moves: both are in this process, and the kernel between them is not asked to hurry.
    for (let still = 0, last = -1; still < 200; still = server.counters.requests === last ? still + 1 : 0) {
      last = server.counters.requests;
      await turns(1);
    }
  }
  assert.ok(server.counters.requests < sent);
  flooded.set(client, sent);
  return server.counters.requests;
}

test('beyond max_connections a client is closed at once, and those that are in are served', async (t) => {
  const { client, server, log } = await serve(t, { maxConnections: 3 });
  const inside = [await client(), await client(), await client()];
  for (const one of inside) await one.ask(request('x'));
  for (let more = 0; more < 4; more += 1) {
    const refused = await client();
    assert.equal(await refused.untilClosed(), '');
  }
  for (const one of inside) assert.equal(await one.ask(request('y')), 'WARN y');
  assert.equal(log.lines.length, 1);
  assert.equal(log.lines[0]?.fields['max_connections'], 3);
  assert.equal(server.counters.refused, 4);
  assert.equal(server.counters.accepted, 3);
  inside[0]?.close();
  await waitFor(() => server.counters.connections === 2, 'one has gone');
  assert.equal(await (await client()).ask(request('z')), 'WARN z');
});

test('a client that closes its side after its requests still gets all replies', async (t) => {
  const { client, server } = await serve(t);
  const one = await client();
  one.socket.end(Buffer.concat([request('a'), request('b')]));
  assert.equal(await one.untilClosed(), 'action=WARN a\n\naction=WARN b\n\n');
  await waitFor(() => server.counters.connections === 0, 'the connection is closed');
  assert.deepEqual(server.counters.trouble['cut-off'], 0);
});

test('a client that closes its side in the middle of a request gets none for it', async (t) => {
  const { client, log } = await serve(t);
  const one = await client();
  one.socket.end(Buffer.concat([request('a'), request('b').subarray(0, 300)]));
  assert.equal(await one.untilClosed(), 'action=WARN a\n\n');
  assert.deepEqual(log.reasons, ['closed by the client in the middle of a request']);
});

test('a client that resets its connection disturbs nobody', async (t) => {
  const { client, server } = await serve(t);
  const other = await client();
  for (let round = 0; round < 20; round += 1) {
    const one = await client();
    one.send(Buffer.concat(Array.from({ length: 50 }, () => request('x'))));
    one.socket.resetAndDestroy();
  }
  await waitFor(() => server.counters.connections === 1, 'they are gone');
  assert.equal(await other.ask(request('y')), 'WARN y');
});

test('a client that floods the service does not keep another waiting for its own flood to end', async (t) => {
  const { client, server } = await serve(t);
  const flood = await client();
  const other = await client();
  const small = requestOf('request=junk');
  const chunk = Buffer.concat(Array.from({ length: 20_000 }, () => small));
  let open = true;
  const pour = (): void => {
    while (open && flood.socket.write(chunk));
    if (open) flood.socket.once('drain', pour);
  };
  pour();
  let most = 0;
  for (let turn = 0, before = server.counters.requests; turn < 100; turn += 1) {
    await turns(1);
    const { requests } = server.counters;
    most = Math.max(most, requests - before);
    before = requests;
  }
  for (let round = 0; round < 20; round += 1) assert.equal(await other.ask(request('x')), 'WARN x');
  open = false;
  assert.ok(most > 0);
  assert.ok(most <= Math.ceil(READ_BYTES / small.length), `${most} requests in one turn of the event loop`);
});

test('stop answers the requests that have arrived whole, and closes all connections', async (t) => {
  const { client, server, address, log } = await serve(t);
  const idle = await client();
  const unfinished = await client();
  const asking = await client();
  await idle.ask(request('x'));
  await asking.ask(request('x'));
  unfinished.send(Buffer.concat([request('a'), request('b').subarray(0, 100)]));
  await unfinished.replies(1);
  asking.send(Buffer.concat([request('c'), request('d')]));
  // Written to the kernel, not read by the server: both run in this thread.
  const stopped = server.stop();
  assert.equal(await asking.untilClosed(), ['x', 'c', 'd'].map((name) => `action=WARN ${name}\n\n`).join(''));
  assert.equal(await unfinished.untilClosed(), 'action=WARN a\n\n');
  assert.equal(await idle.untilClosed(), 'action=WARN x\n\n');
  await stopped;
  assert.equal(server.counters.connections, 0);
  assert.deepEqual(log.lines, []);
  await assert.rejects(once(connect(Number(address.split(':')[1]), '127.0.0.1'), 'connect'), { code: 'ECONNREFUSED' });
});

test('stop answers a client that the kernel has accepted and the service has not', async (t) => {
  const { client, server } = await serve(t);
  const early = await client();
  early.send(request('x'));
  const stopped = server.stop();
  assert.equal(await early.untilClosed(), 'action=WARN x\n\n');
  await stopped;
});

test('stop waits three seconds for a client that does not read, and no longer', async (t) => {
  const { client, server, clock } = await serve(t, { handler: longReplies });
  const deaf = await client();
  await floodUnread(deaf, server);
  let stopped = false;
  const stopping = server.stop().then(() => {
    stopped = true;
  });
  await turns();
  clock.advance(2_000);
  await turns();
  assert.equal(stopped, false);
  clock.advance(1_000);
  await stopping;
  assert.equal(clock.timers, 0);
});

test('stop may be called twice, and before anything listens', async (t) => {
  const { server } = await serve(t);
  await Promise.all([server.stop(), server.stop()]);
});

test('the service behaves the same where sockets cannot share a buffer', async (t) => {
  const { client, server } = await withoutSharedBuffer(t);
  const one = await client();
  assert.equal(await one.ask(request('a')), 'WARN a');
  one.send(Buffer.concat([request('b'), request('c').subarray(0, 50)]));
  await one.replies(2);
  one.send(request('c').subarray(50));
  assert.deepEqual(await one.replies(3), ['WARN a', 'WARN b', 'WARN c']);
  const deaf = await client();
  await floodUnread(deaf, server);
  deaf.socket.resume();
  assert.equal((await deaf.replies(flooded.get(deaf) ?? 0)).length, flooded.get(deaf));
  one.socket.end(request('d'));
  assert.match(await one.untilClosed(), /WARN d\n\n$/);
});

/** A server whose accepted sockets have handles that look unlike those that we know. */
async function withoutSharedBuffer(t: TestContext): Promise<Served> {
  const served = await serve(t, {
    handler: ({ recipient }) => (recipient > '9' ? `WARN ${recipient}` : long(recipient)),
  });
  const probe = connect(Number(served.address.split(':')[1]), '127.0.0.1');
  await once(probe, 'connect');
  const { _handle } = probe as unknown as { readonly _handle: object };
  let prototype = Object.getPrototypeOf(_handle) as object | null;
  while (prototype !== null && !Object.hasOwn(prototype, 'useUserBuffer')) prototype = Object.getPrototypeOf(prototype);
  probe.destroy();
  assert.ok(prototype !== null);
  const found = Object.getOwnPropertyDescriptor(prototype, 'useUserBuffer');
  assert.ok(found !== undefined);
  Object.defineProperty(prototype, 'useUserBuffer', { ...found, value: undefined });
  const holder = prototype;
  t.after(() => Object.defineProperty(holder, 'useUserBuffer', found));
  return served;
}
