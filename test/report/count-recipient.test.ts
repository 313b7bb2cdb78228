// Every recipient that is decided about counts once, for each hosted domain that it concerns; and counting changes no answer.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Tally } from '../../src/report/tally.ts';
import { type Asked, Core } from '../decision/core.ts';
import type { RawSettings } from '../oracle/oracle.ts';
import { linesOf } from './rows.ts';

const monitor = { require_tls: 'always', enforcement: 'monitor' } as const;

const settings: RawSettings = {
  domains: {
    'trial.example': {
      nexthop: '[mx.trial.example]:25',
      incoming: { receipt: { ...monitor, min_protocol: 'TLSv1.3' }, delivery: { ...monitor, level: 'secure' } },
    },
    'strict.example': {
      aliases: ['alias.example'],
      nexthop: '[mx.strict.example]:25',
      incoming: { receipt: { require_tls: 'always' }, delivery: { require_tls: 'always' } },
    },
    'open.example': { nexthop: '[mx.open.example]:25' },
    'receipt.doctor-mb2k3xq0-4711-0a1b2c3d.tlswarden.invalid': {
      incoming: { receipt: { require_tls: 'specific', senders: ['<>'] } },
    },
    'tls.doctor-mb2k3xq0-4711-0a1b2c3d.lab.example': { outgoing: { receipt: monitor } },
    'tls.doctor-who.example': { incoming: { receipt: monitor } },
    'sender.example': { outgoing: { receipt: monitor, delivery: { require_tls: 'always', level: 'verify' } } },
  },
};

/** What is counted of these requests. */
function counted(...requests: readonly Asked[]): readonly string[] {
  const tally = new Tally();
  const counting = new Core(settings, { tally });
  const other = new Core(settings);
  for (const asked of requests) assert.equal(counting.reply(asked), other.reply(asked));
  return linesOf(tally.rows());
}

const from = { sender: 'ceo@partner.example' };

test('mail to a domain without settings counts by its session', () => {
  assert.deepEqual(
    counted(
      ...[undefined, 'TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3', 'TLSv1.3', 'SSLv3'].map((protocol) => ({
        ...from,
        recipient: 'u@open.example',
        ...(protocol === undefined ? {} : { protocol }),
      })),
    ),
    ['open.example incoming partner.example plaintext=1 TLSv1=1 TLSv1.1=1 TLSv1.2=1 TLSv1.3=2 other=1'],
  );
});

test('what monitor lets pass counts as would be refused, by what it lacks; it goes on to delivery', () => {
  const to = { ...from, recipient: 'u@trial.example' };
  assert.deepEqual(
    counted(
      to,
      { ...to, protocol: 'TLSv1.2' },
      { ...to, protocol: 'TLSv1.3', bits: 112 },
      { ...to, protocol: 'TLSv1.3' },
    ),
    [
      'trial.example incoming partner.example plaintext=1 TLSv1.2=1 TLSv1.3=2 would-refuse-tls=1 would-refuse-protocol=1 would-refuse-cipher=1 monitored-secure=4',
    ],
  );
});

test('what is refused counts as refused, under the name of the domain and not of its alias, and never comes to delivery', () => {
  const to = { ...from, recipient: 'u@alias.example' };
  assert.deepEqual(counted(to, { ...to, protocol: 'TLSv1.3' }), [
    'strict.example incoming partner.example plaintext=1 TLSv1.3=1 refused-tls=1 enforced-encrypt=1',
  ]);
});

test('mail between two hosted domains counts for both, each by its own requirement', () => {
  assert.deepEqual(counted({ sender: 'a@sender.example', recipient: 'u@strict.example' }), [
    'sender.example outgoing strict.example plaintext=1 would-refuse-tls=1',
    'strict.example incoming sender.example plaintext=1 refused-tls=1',
  ]);
});

test('a recipient that Postfix may route on counts for both domains, each by its own requirement, and once where both are one', () => {
  assert.deepEqual(counted({ ...from, recipient: 'u%strict.example@trial.example' }), [
    'strict.example incoming partner.example plaintext=1 refused-tls=1',
    'trial.example incoming partner.example plaintext=1 would-refuse-tls=1',
  ]);
  assert.deepEqual(counted({ ...from, recipient: 'u%strict.example@open.example', protocol: 'TLSv1.3' }), [
    'open.example incoming partner.example TLSv1.3=1',
    'strict.example incoming partner.example TLSv1.3=1 enforced-encrypt=1',
  ]);
  assert.deepEqual(counted({ ...from, recipient: 'u%alias.example@strict.example' }), [
    'strict.example incoming partner.example plaintext=1 refused-tls=1',
  ]);
  assert.deepEqual(
    counted({ sender: 'a@sender.example', recipient: 'u%open.example@open.example', protocol: 'TLSv1.3' }),
    [
      'open.example incoming sender.example TLSv1.3=1',
      'sender.example outgoing open.example TLSv1.3=1 enforced-verify=1',
    ],
  );
});

test('mail that concerns no hosted domain is not counted, nor is DATA', () => {
  assert.deepEqual(counted({ ...from, recipient: 'u@elsewhere.example' }), []);
  assert.deepEqual(counted({ ...from, recipient: 'u@open.example', state: 'DATA', count: 1 }), []);
});

test('a site that asks for receipt and for delivery separately counts once', () => {
  const to = { ...from, recipient: 'u@trial.example' };
  assert.deepEqual(counted({ ...to, context: 'receipt' }, { ...to, context: 'delivery' }), [
    'trial.example incoming partner.example plaintext=1 would-refuse-tls=1 monitored-secure=1',
  ]);
  assert.deepEqual(counted({ ...from, recipient: 'u@open.example', context: 'delivery' }), []);
});

test('an exempt client counts as such where it is in plaintext or lacks what is required, and not as refused', () => {
  const exempt = { ...from, exempt: true };
  assert.deepEqual(
    counted(
      { ...exempt, recipient: 'u@strict.example' },
      { ...exempt, recipient: 'u@open.example' },
      { ...exempt, recipient: 'u@trial.example', protocol: 'TLSv1.2' },
      { ...exempt, recipient: 'u@open.example', protocol: 'TLSv1.3' },
    ),
    [
      'open.example incoming partner.example TLSv1.3=1 exempt=1',
      'strict.example incoming partner.example exempt=1 enforced-encrypt=1',
      'trial.example incoming partner.example exempt=1 monitored-secure=1',
    ],
  );
});

test("mail to and from the domains of a doctor --live is nobody's and is not counted, wherever they are; strangers have no such domains", () => {
  const trial = 'receipt.doctor-mb2k3xq0-4711-0a1b2c3d.tlswarden.invalid';
  assert.deepEqual(
    counted(
      { sender: '', recipient: `u@${trial}` },
      { sender: '', recipient: `u@${trial}`, protocol: 'TLSv1.3' },
      { sender: 'a@sender.example', recipient: `u@${trial}` },
      { sender: 'u@tls.doctor-mb2k3xq0-4711-0a1b2c3d.lab.example', recipient: 'u@open.example' },
    ),
    [],
  );
  const other = 'receipt.doctor-mb2k3xq0-4712-0a1b2c3d.tlswarden.invalid';
  assert.deepEqual(
    counted(
      { sender: `u@${other}`, recipient: 'u@open.example' },
      { ...from, recipient: 'u@tls.doctor-who.example', protocol: 'TLSv1.3' },
    ),
    [`open.example incoming ${other} plaintext=1`, 'tls.doctor-who.example incoming partner.example TLSv1.3=1'],
  );
});

test('a recipient that has to come separately counts when it comes', () => {
  const one = { ...from, protocol: 'TLSv1.3', instance: '1f4.6553f100.0.1' };
  assert.deepEqual(
    counted(
      { ...one, recipient: 'u@strict.example' },
      { ...one, recipient: 'u@open.example' },
      { ...one, recipient: 'u@open.example', instance: '1f4.6553f100.0.2' },
    ),
    [
      'open.example incoming partner.example TLSv1.3=1',
      'strict.example incoming partner.example TLSv1.3=1 enforced-encrypt=1',
    ],
  );
});

test('the null sender is a remote of its own', () => {
  assert.deepEqual(counted({ sender: '', recipient: 'u@open.example' }), ['open.example incoming <> plaintext=1']);
});
