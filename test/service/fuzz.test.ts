// Anything at all, sent to the service: it answers with well-formed actions or closes the connection, keeps its memory,
// and goes on answering everybody else. `FUZZ=1000000` sends that many mutants, `SEED=` repeats a run.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from '../harness/wait-for.ts';
import { Random } from '../oracle/prng.ts';
import { actionsIn, type PolicyClient } from './policy-client.ts';
import { attributeNames, recordedRequest } from './recorded-request.ts';
import { type Served, serve } from './served.ts';

const mutants = Number(process.env['FUZZ'] ?? 20_000);
const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31));

/** Mutants sent to one connection, as long as it lives. */
const A_CONNECTION = 40;
const AT_ONCE = 8;

/** What a service may keep of all that, at most: far less than what is sent. */
const GROWTH_BYTES = 64 << 20;

const LF = 0x0a;
const EQUALS = 0x3d;

const actions = ['DUNNO', 'FILTER tlswarden-encrypt:[mx.example.com]:25', 'WARN no TLS', '550 5.7.10 no TLS'];

test(`${mutants} mutated requests neither end nor fool the service (SEED=${seed})`, async (t) => {
  const random = new Random(seed);
  let asked = 0;
  const served = await serve(t, {
    maxConnections: AT_ONCE + 1,
    handler(request) {
      for (const text of [request.sender, request.recipient, request.instance, request.clientAddress]) {
        assert.doesNotMatch(text, /[\n\0]/);
      }
      assert.ok(request.recipientCount >= 0 && request.recipientCount <= 999_999_999);
      assert.ok(request.encryptionKeysize >= 0 && request.encryptionKeysize <= 999_999_999);
      asked += 1;
      return actions[asked % actions.length];
    },
  });
  const witness = await served.client();
  const before = process.memoryUsage();
  for (let sent = 0; sent < mutants; ) {
    const counts = await Promise.all(Array.from({ length: AT_ONCE }, () => mutantsOn(served, random)));
    for (const count of counts) sent += count;
    const reply = await witness.ask(recordedRequest());
    assert.ok(actions.includes(reply), reply);
    await waitFor(() => served.server.counters.connections === 1, 'the others are gone');
  }
  const { trouble, refused } = served.server.counters;
  assert.equal(trouble['handler-failed'], 0);
  assert.equal(trouble['bad-action'], 0);
  assert.equal(refused, 0);
  assert.ok(trouble['no-equals'] > 0 && trouble.nul > 0, 'the mutants are mutants');
  assert.ok(asked > mutants / 10, 'and many of them are requests');
  const { heapUsed, external } = process.memoryUsage();
  assert.ok(heapUsed + external - before.heapUsed - before.external < GROWTH_BYTES, 'memory is bounded');
  for (const { fields } of served.log.lines) assert.match(JSON.stringify(fields), /^[\x20-\x7e]*$/);
});

/** One connection's life: mutants, in pieces of any size, and then its client's end of it. Returns how many. */
async function mutantsOn(served: Served, random: Random): Promise<number> {
  const client = await served.client();
  let sent = 0;
  for (; sent < A_CONNECTION && !client.isClosed; sent += 1) {
    const bytes = mutant(random);
    for (let at = 0; at < bytes.length; ) {
      const piece = random.percent(60) ? bytes.length : random.integer(1, 400);
      client.send(bytes.subarray(at, at + piece));
      at += piece;
      if (random.percent(20)) await new Promise((resolve) => setImmediate(resolve));
    }
  }
  if (random.percent(20)) client.socket.resetAndDestroy();
  else {
    client.socket.end();
    await client.untilClosed();
  }
  assertActions(client);
  return sent;
}

function assertActions(client: PolicyClient): void {
  // The last reply may be cut, by a reset of ours only.
  const whole = client.received.slice(0, client.received.lastIndexOf('\n\n') + 2);
  for (const action of actionsIn(whole)) assert.ok(actions.includes(action), action);
}

function mutant(random: Random): Buffer {
  const pick = <T>(of: readonly T[]): T => of[random.integer(0, of.length - 1)] as T;
  let bytes = recordedRequest({
    [pick(attributeNames)]: pick([
      '',
      'x',
      '=',
      'é',
      '\u{1f642}',
      'RCPT',
      '-1',
      '9'.repeat(30),
      'y'.repeat(3000),
      '\t\r',
    ]),
    recipient: `r${random.integer(0, 1e9)}@example.com`,
  });
  // Most keep their lines, so that connections live long enough to matter.
  if (random.percent(90)) {
    for (let changes = random.integer(0, 8); changes > 0; changes -= 1) {
      const at = random.integer(28, bytes.length - 1);
      if (bytes[at] !== LF && bytes[at] !== EQUALS) bytes[at] = random.integer(LF + 1, 255);
    }
    return bytes;
  }
  for (let changes = random.integer(1, 4); changes > 0; changes -= 1) {
    const at = random.integer(0, bytes.length - 1);
    const to = Math.min(bytes.length, at + random.integer(1, 60));
    switch (random.integer(0, 8)) {
      case 0:
        bytes[at] = random.integer(0, 255);
        break;
      case 1:
        bytes[at] = pick([0x00, 0x0a, 0x0d, 0x3d, 0x20, 0x7f, 0x80, 0xff]);
        break;
      case 2:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(to)]);
        break;
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, to), bytes.subarray(at)]);
        break;
      case 4:
        bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from('\n'), bytes.subarray(at)]);
        break;
      case 5:
        bytes = Buffer.concat([bytes, bytes.subarray(0, at)]);
        break;
      case 6:
        for (let byte = at; byte < to; byte += 1) bytes[byte] = random.integer(0, 255);
        break;
      case 7: {
        const many = `${pick(attributeNames)}=z\n`.repeat(pick([1, 10, 300]));
        bytes = Buffer.concat([Buffer.from(many), bytes]);
        break;
      }
      default:
        if (random.percent(3)) bytes = Buffer.concat([bytes.subarray(0, at), Buffer.alloc(70_000, 'w')]);
    }
    if (bytes.length === 0) break;
  }
  return bytes;
}
