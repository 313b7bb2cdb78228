import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { compile } from '../decision/core.ts';
import { run } from '../harness/command.ts';
import { Workspace } from '../harness/workspace.ts';
import type { RawDelivery, RawDomain, RawSettings } from '../oracle/oracle.ts';
import { texts } from './postfix-lookups.ts';

const always = { require_tls: 'always' } as const;

function table(
  domains: Readonly<Record<string, RawDomain>>,
  name: string,
  more: Partial<RawSettings> = {},
): readonly string[] {
  return texts(compile({ ...more, domains }).settings).get(name) ?? [];
}

const delivery = (setting: RawDelivery): RawDomain => ({ incoming: { delivery: setting } });

test('senders count on no more at relayhost than is asked there, be it an alias of a domain by MX', () => {
  const domains = {
    'a.example': { aliases: ['relay.example'], ...delivery({ ...always, protocols: '>=TLSv1' }) },
    'c.example': { outgoing: { delivery: always } },
  };
  const relayhost = { postfix: { relayhost: 'relay.example' } };
  assert.deepEqual(table(domains, 'tls_policy_required_encrypt-tls12', relayhost), []);
  assert.deepEqual(table(domains, 'sender_transport', relayhost), ['@c.example tlswarden-encrypt-tls12:']);
});

test('a domain by MX that always defers keeps its route and stands in tls_policy, with all that main.cf could weaken', () => {
  const domain = {
    'a.example': {
      aliases: ['b.example'],
      ...delivery({ ...always, level: 'secure', certificate_names: ['mx.a.example', '.a.example'] }),
    },
  };
  assert.deepEqual(table(domain, 'tls_policy'), [
    'a.example secure match=mx.a.example:.a.example protocols=>=TLSv1.2 ciphers=medium',
    'b.example secure match=mx.a.example:.a.example protocols=>=TLSv1.2 ciphers=medium',
  ]);
  assert.deepEqual(table(domain, 'transport'), []);
});

test('with a relayhost, or when mail is to bounce, it stands in transport instead, with an empty next hop', () => {
  const domain = { 'a.example': delivery(always) };
  const relayed = { postfix: { relayhost: '[relay.example]' } };
  assert.deepEqual(table(domain, 'transport', relayed), ['a.example tlswarden-encrypt:']);
  assert.deepEqual(table(domain, 'tls_policy', relayed), []);
  const bouncing = { 'a.example': delivery({ ...always, on_failure: 'bounce' }) };
  assert.deepEqual(table(bouncing, 'transport'), ['a.example tlswarden-encrypt-bounce:']);
});

test('a list gives the addresses of its own side at all names, and nothing of the far side', () => {
  const who = {
    require_tls: 'specific',
    recipients: ['payroll', 'legal@b.example'],
    senders: ['*@bank.example'],
  } as const;
  const domain = {
    'a.example': { aliases: ['b.example'], nexthop: '[mx.a.example]:25', incoming: { delivery: who, receipt: who } },
  };
  const keys = ['legal@a.example', 'payroll@a.example', 'legal@b.example', 'payroll@b.example'];
  assert.deepEqual(
    table(domain, 'transport'),
    keys.map((key) => `${key} tlswarden-encrypt:[mx.a.example]:25`),
  );
  assert.deepEqual(
    table(domain, 'receipt_access'),
    keys.map((key) => `${key} tlswarden_tls`),
  );
  const monitored = {
    'a.example': { aliases: ['b.example'], incoming: { delivery: { ...who, enforcement: 'monitor' as const } } },
  };
  assert.deepEqual(table(monitored, 'transport'), []);
});

test('senders keep relayhost: their transport has an empty next hop', () => {
  const outgoing = { delivery: { require_tls: 'specific', senders: ['ceo', '@b.example'], level: 'secure' } } as const;
  const domain = { 'a.example': { aliases: ['b.example'], outgoing } };
  for (const more of [{}, { postfix: { relayhost: '[relay.example]' } }]) {
    assert.deepEqual(table(domain, 'sender_transport', more), [
      'ceo@a.example tlswarden-secure:',
      '@b.example tlswarden-secure:',
    ]);
  }
});

test('next hops that ask for more than a level stand in the table of each policy, never weaker than that', () => {
  const domains = {
    'a.example': {
      nexthop: '[mx.a.example]',
      ...delivery({ ...always, level: 'verify', certificate_names: ['mx.a.example'], protocols: '>=TLSv1' }),
    },
    'b.example': { nexthop: '[mx.b.example]', ...delivery({ ...always, protocols: '>=TLSv1.3', ciphers: 'high' }) },
    'c.example': { outgoing: { delivery: { ...always, protocols: '>=TLSv1.3' } } },
  } as const;
  assert.deepEqual(table(domains, 'tls_policy_required_verify'), [
    '[mx.a.example] verify match=mx.a.example protocols=>=TLSv1 ciphers=medium',
    '[mx.b.example] verify protocols=>=TLSv1.3 ciphers=high',
  ]);
  assert.deepEqual(table(domains, 'tls_policy_required_encrypt'), [
    '[mx.a.example] encrypt protocols=>=TLSv1 ciphers=medium',
    '[mx.b.example] encrypt protocols=>=TLSv1.3 ciphers=high',
  ]);
  assert.deepEqual(table(domains, 'tls_policy_required_encrypt-tls13'), [
    '[mx.b.example] encrypt protocols=>=TLSv1.3 ciphers=high',
  ]);
});

test('a next hop that is also the alias of a domain by MX gets the stricter of what both ask', () => {
  const domains = {
    'a.example': { aliases: ['alias.example'], ...delivery({ ...always, protocols: '>=TLSv1.3' }) },
    'b.example': { nexthop: 'alias.example', ...delivery({ ...always, ciphers: 'high' }) },
  } as const;
  const entry = 'encrypt protocols=>=TLSv1.3 ciphers=high';
  assert(table(domains, 'tls_policy_required_encrypt').includes(`alias.example ${entry}`));
  assert(table(domains, 'tls_policy').includes(`alias.example ${entry}`));
});

test('a hosted name below one that always asks for TLS on receipt is let off if it does not ask', () => {
  const receipt: RawDomain = { incoming: { receipt: always } };
  const domains = {
    'example.org': receipt,
    'sub.example.org': {
      aliases: ['deep.down.example.org'],
      incoming: { receipt: { require_tls: 'specific', recipients: 'ceo' } },
    },
    'other.example.org': { incoming: { receipt: { ...always, on_failure: 'defer' } } },
    'same.example.org': receipt,
  } as const;
  assert.deepEqual(table(domains, 'receipt_access'), [
    'ceo@deep.down.example.org tlswarden_tls',
    'deep.down.example.org DUNNO',
    'example.org tlswarden_tls',
    'other.example.org DUNNO',
    'same.example.org tlswarden_tls',
    'ceo@sub.example.org tlswarden_tls',
    'sub.example.org DUNNO',
  ]);
});

test('exempt clients stand first, as networks that cidr_table does not skip', () => {
  const { settings } = compile({ domains: {} });
  const clients = texts(settings, [
    '10.1.2.3/8',
    '::1',
    '2001:db8::5/32',
    '10.0.0.0/8',
    '192.0.2.255/25',
    '2001:db8:ffff::/33',
    '::ffff:203.0.113.7/120',
    '::ffff:198.51.100.1',
    '::ffff:0:0/95',
  ]);
  assert.deepEqual(clients.get('receipt_clients'), [
    '10.0.0.0/8 DUNNO',
    '192.0.2.128/25 DUNNO',
    '198.51.100.1 DUNNO',
    '2001:db8:8000::/33 DUNNO',
    '2001:db8::/32 DUNNO',
    '203.0.113.0/24 DUNNO',
    '::1 DUNNO',
    '::fffe:0:0/95 DUNNO',
    '0.0.0.0/0 reject_plaintext_session',
    '::/0 reject_plaintext_session',
  ]);
});

test('Postfix reads both: who is exempt, and which failures are for good', async (t) => {
  const workspace = await Workspace.of(t);
  const all = texts(compile({ domains: {} }).settings, ['10.1.2.3/8', '2001:db8::5/32', '::ffff:203.0.113.7/120']);
  await workspace.write('main.cf', 'compatibility_level = 3.6\n');
  const ask = async (type: string, name: string, key: string): Promise<string> => {
    await writeFile(workspace.path(name), (all.get(name) ?? []).map((line) => `${line}\n`).join(''));
    return (await run('postmap', ['-c', workspace.directory, '-q', key, `${type}:${workspace.path(name)}`])).trim();
  };
  assert.equal(await ask('cidr', 'receipt_clients', '10.200.0.1'), 'DUNNO');
  assert.equal(await ask('cidr', 'receipt_clients', '2001:db8:1::1'), 'DUNNO');
  assert.equal(await ask('cidr', 'receipt_clients', '203.0.113.9'), 'DUNNO', 'as smtpd(8) writes ::ffff:203.0.113.9');
  assert.equal(await ask('cidr', 'receipt_clients', '11.0.0.1'), 'reject_plaintext_session');
  assert.equal(await ask('cidr', 'receipt_clients', '2001:db9::1'), 'reject_plaintext_session');
  const filter = (status: string): Promise<string> => ask('regexp', 'bounce_filter', status);
  assert.equal(
    await filter('4.7.4 TLS is required, but was not offered by host mx'),
    '5.7.4 TLS is required, but was not offered by host mx',
  );
  assert.equal(await filter('4.7.5 Server certificate not trusted'), '5.7.5 Server certificate not trusted');
  assert.equal(await filter('4.7.5 TLSA lookup error for mx:25'), '4.7.5 TLSA lookup error for mx:25');
  assert.equal(await filter('4.7.5 client TLS configuration problem'), '4.7.5 client TLS configuration problem');
  await assert.rejects(filter('4.4.1 connection timed out'));
});
