// What is remembered of messages under way is bounded, in number, in time and in bytes; and to forget is safe: a message that
// was forgotten is known to have been there, so it has to come again rather than go by a lane that half of it never had.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type DecisionContext, decide } from '../../src/decision/decide.ts';
import { NO_TABLES } from '../../src/decision/delivery.ts';
import { LANES_CAPACITY, LANES_LIFETIME_MS, Lanes } from '../../src/decision/lanes.ts';
import type { PolicyRequest } from '../../src/decision/request.ts';
import { parseMainFile } from '../../src/main-file/main-file.ts';
import { type HostedDomain, parseHostedDomain } from '../../src/settings/hosted-domain.ts';
import { BY_MX } from '../../src/settings/next-hop.ts';
import { SettingsOwner } from '../../src/settings/settings-owner.ts';
import type { Table } from '../../src/toml/table-reader.ts';
import { Random, seedOfThisRun } from '../oracle/prng.ts';
import { compile } from './core.ts';
import { rcpt } from './request.ts';

/** What src/decision/lanes.ts states. */
const STATED_BYTES_EACH = 650;

const startedAt = 1_700_000_000_000;

const required = { incoming: { delivery: { require_tls: 'always' } } };
const domains = Object.fromEntries(
  ['a', 'b', 'c'].map((name) => [`${name}.example`, { nexthop: `[mx.${name}.example]:25`, ...required }]),
);
const { settings, addresses } = compile({ domains: { ...domains, 'clear.example': {} } });

function contextOf(lanes: Lanes): DecisionContext {
  return { settings, generation: 1, addresses, tables: NO_TABLES, lanes, isExempt: () => false };
}

/** As Postfix makes them: pid, seconds, microseconds and a sequence, in hexadecimal. */
function instanceAt(time: number, sequence: number): string {
  return `${(1_000 + (sequence % 100)).toString(16)}.${Math.floor(time / 1000).toString(16)}.${((time % 1000) * 1000).toString(16)}.${sequence.toString(16)}`;
}

function data(instance: string, recipients: readonly string[]): PolicyRequest {
  const [only = ''] = recipients.length === 1 ? recipients : [];
  return { ...rcpt(instance, only), protocolState: 'DATA', recipientCount: recipients.length };
}

const collectGarbage = ((): (() => void) => {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
})();

function heapUsed(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

test('a message comes again when settings of either domain have changed that a recipient may be routed to', () => {
  const main = parseMainFile({}, '/tlswarden.toml');
  const parse = (name: string, table: Table): HostedDomain => {
    const context = { defaults: main.defaults, hasRelayhost: false, pool: main.pool };
    return parseHostedDomain(name, table, 'domains.toml', context, []) as HostedDomain;
  };
  for (const recipients of [
    ['x@a.example', 'x%b.example@a.example'],
    ['x%b.example@a.example', 'x@a.example'],
  ]) {
    const owner = new SettingsOwner(BY_MX);
    owner.add(parse('a.example', {}));
    owner.add(parse('b.example', {}));
    const context = { ...contextOf(new Lanes(startedAt)), settings: owner.settings };
    const instance = instanceAt(startedAt, 1);
    for (const recipient of recipients) {
      assert.equal(decide(context, rcpt(instance, recipient), startedAt).reply, 'DUNNO');
    }
    const domain = parse('b.example', required);
    owner.apply([{ name: domain.name, domain }]);
    const changed = { ...context, settings: owner.settings, generation: 2 };
    assert.match(decide(changed, data(instance, recipients), startedAt).reply, /^451 4\.3\.0 /u);
  }
});

test('a hundred thousand messages and more take the memory that is stated, and no more', () => {
  const lanes = new Lanes(startedAt);
  const context = contextOf(lanes);
  const ask = (i: number): void => {
    // Strings as they come from the wire: each its own, none shared.
    const instance = Buffer.from(instanceAt(startedAt + i, i)).toString('latin1');
    const sender = Buffer.from(`sender-${i}@far-${i}.example`).toString('latin1');
    for (const domain of ['a.example', 'a.example', 'b.example']) {
      decide(context, rcpt(instance, `user-${i}@${domain}`, sender), startedAt + i);
    }
  };
  // What the first ones bring about besides: compiled code, hidden classes.
  for (let i = 0; i < 1_000; i++) ask(i);
  const before = heapUsed();
  for (let i = 1_000; i < LANES_CAPACITY + 1_000; i++) ask(i);
  const full = heapUsed() - before;
  assert.ok(lanes.size <= LANES_CAPACITY, `${lanes.size} messages`);
  assert.ok(lanes.size > LANES_CAPACITY - 2_000, `${lanes.size} messages`);
  assert.ok(full <= LANES_CAPACITY * STATED_BYTES_EACH, `${full} bytes for ${lanes.size} messages`);
  for (let i = LANES_CAPACITY + 1_000; i < 2 * LANES_CAPACITY; i++) ask(i);
  assert.ok(lanes.size <= LANES_CAPACITY);
  const later = heapUsed() - before;
  assert.ok(later <= LANES_CAPACITY * STATED_BYTES_EACH, `${later} bytes after as many again`);
});

test('messages with many recipients at long domains, and long instances, take no more', () => {
  const lanes = new Lanes(startedAt);
  const context = contextOf(lanes);
  const ask = (i: number): void => {
    const instance = Buffer.from(instanceAt(startedAt + i, i)).toString('latin1');
    for (let other = 0; other < 20; other++) {
      const domain = `${'x'.repeat(230)}.d${i}-${other}.example`;
      decide(context, rcpt(instance, Buffer.from(`user@${domain}`).toString('latin1')), startedAt + i);
    }
  };
  for (let i = 0; i < 100; i++) ask(i);
  const before = heapUsed();
  // 120 MB of names, if all were kept.
  for (let i = 100; i < 30_000; i++) ask(i);
  const full = heapUsed() - before;
  assert.ok(full <= 50_000_000, `${full} bytes for ${lanes.size} messages`);
  assert.ok(lanes.size > 1_000);
  for (let i = 0; i < 5_000; i++) {
    const instance = Buffer.from(instanceAt(startedAt + 30_000, i).padEnd(20_000, '0')).toString('latin1');
    const recipient = 'user@a.example';
    assert.equal(decide(context, rcpt(instance, recipient), startedAt + 30_000).kind, 'filter');
    assert.equal(decide(context, data(instance, [recipient]), startedAt + 30_000).kind, 'filter');
    assert.equal(decide(context, data(instance, [recipient, recipient]), startedAt + 30_000).kind, 'unsure');
  }
  assert.ok(heapUsed() - before <= 50_000_000);
});

test('the one that was heard of least recently is forgotten first', () => {
  const lanes = new Lanes(startedAt, 3);
  const context = contextOf(lanes);
  const [first, second, third, fourth] = [1, 2, 3, 4].map((i) => instanceAt(startedAt + i, i)) as [
    string,
    string,
    string,
    string,
  ];
  for (const instance of [first, second, third, first]) {
    decide(context, rcpt(instance, 'user@a.example'), startedAt + 10);
  }
  decide(context, rcpt(fourth, 'user@a.example'), startedAt + 11);
  assert.deepEqual(
    [first, second, third, fourth].map((instance) => lanes.find(instance) !== undefined),
    [true, false, true, true],
  );
});

test('what nobody has spoken of for an hour is forgotten', () => {
  const lanes = new Lanes(startedAt);
  const context = contextOf(lanes);
  for (let i = 0; i < 1_000; i++) decide(context, rcpt(instanceAt(startedAt + i, i), 'user@a.example'), startedAt + i);
  const now = startedAt + 1_000 + LANES_LIFETIME_MS;
  decide(context, rcpt(instanceAt(now, 1), 'user@a.example'), now);
  assert.equal(lanes.size, 1);
});

test('a message that is forgotten has to come again, though many begin in one millisecond', () => {
  const lanes = new Lanes(startedAt, 1);
  const context = contextOf(lanes);
  // Each takes the place of the one before; the first three begin one millisecond after the other, the others together.
  const times = [1, 2, 3, 3, 3, 4];
  const instances = times.map((time, i) => instanceAt(startedAt + time, i));
  for (const [i, instance] of instances.entries()) {
    decide(context, rcpt(instance, 'refused@a.example'), startedAt + 10);
    for (const forgotten of instances.slice(0, i)) {
      const { kind } = decide(context, data(forgotten, ['user@clear.example']), startedAt + 10);
      assert.equal(kind, 'unsure', `${forgotten} had a FILTER that it may have kept`);
    }
  }
});

test('a message never goes by a lane that is not that of every recipient, however little is remembered', () => {
  const seed = seedOfThisRun();
  const random = new Random(seed);
  for (let round = 0; round < 200; round++) {
    let now = startedAt;
    const lanes = new Lanes(startedAt, random.integer(1, 6), random.pick([50, 1_000, LANES_LIFETIME_MS]));
    const context = contextOf(lanes);
    /** What Postfix holds of each message: the last FILTER, of whomever, and the recipients that it took. */
    const messages = Array.from({ length: 12 }, (_, i) => {
      const began = startedAt + random.integer(0, 20);
      return { instance: instanceAt(began, i), began, filter: '', accepted: [] as string[] };
    });
    for (let step = 0; step < 150; step++) {
      now += random.integer(0, 3);
      const message = messages.length > 0 ? random.pick(messages) : undefined;
      if (message === undefined) break;
      now = Math.max(now, message.began);
      if (random.percent(80)) {
        const recipient = `user-${step}@${random.pick(['a', 'b', 'c', 'clear'])}.example`;
        const { kind, reply } = decide(context, rcpt(message.instance, recipient), now);
        if (kind === 'filter') message.filter = reply;
        // Postfix may refuse it on grounds of its own, when the FILTER has been taken note of already.
        if (kind !== 'separate' && random.percent(70)) message.accepted.push(recipient);
      } else if (message.accepted.length > 0) {
        const { kind, reply } = decide(context, data(message.instance, message.accepted), now);
        const filter = kind === 'filter' ? reply : message.filter;
        if (kind === 'unsure') continue;
        messages.splice(messages.indexOf(message), 1);
        for (const recipient of message.accepted) {
          const name = recipient.replace(/.*@/, '');
          const wanted = name === 'clear.example' ? '' : `FILTER tlswarden-encrypt:[mx.${name}]:25`;
          assert.equal(filter, wanted, `SEED=${seed} round ${round}: ${recipient} in ${message.instance}`);
        }
      }
    }
  }
});
