// Clients whose sessions are not asked for TLS, by whatever address they come: the same as node:net finds them.

import assert from 'node:assert/strict';
import { BlockList, isIP } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { compileExemptClients } from '../../src/settings/exempt-clients.ts';

const octet = fc.oneof(fc.constantFrom(0, 1, 10, 127, 128, 192, 255), fc.integer({ min: 0, max: 255 }));
const ipv4 = fc.tuple(octet, octet, octet, octet).map((octets) => octets.join('.'));
const ipv6 = fc.oneof(fc.ipV6(), fc.constantFrom('::1', '::', '2001:db8::25', 'fe80::1', '::ffff:10.0.0.0'));
const block = fc.oneof(
  ipv4,
  ipv6,
  fc.tuple(ipv4, fc.integer({ min: 0, max: 32 })).map(([address, bits]) => `${address}/${bits}`),
  fc.tuple(ipv6, fc.integer({ min: 0, max: 128 })).map(([address, bits]) => `${address}/${bits}`),
);
/** What no Postfix sends, and a client of the protocol may. */
const odd = fc.constantFrom(
  '',
  'unknown',
  '1.2.3',
  '1.2.3.4.5',
  '1.2.3.256',
  '01.2.3.4',
  '1..3.4',
  '1.2.3.',
  '.1.2.3',
  '1.2.3.4 ',
  '٣.1.1.1',
);

const mapped = new BlockList();
mapped.addSubnet('::ffff:0:0', 96, 'ipv6');

test('a client is exempt if one of the blocks has its address', () => {
  fc.assert(
    fc.property(fc.array(block, { maxLength: 5 }), fc.oneof(ipv4, ipv6, odd), (blocks, client) => {
      const address = client.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/iu, '');
      const family = isIP(address) === 4 ? 'ipv4' : 'ipv6';
      const list = new BlockList();
      for (const [network = '', bits] of blocks.map((text) => text.split('/'))) {
        const kind = isIP(network) === 4 ? 'ipv4' : 'ipv6';
        const prefix = Number(bits ?? (kind === 'ipv4' ? 32 : 128));
        // No block of IPv6 has addresses of IPv4, but one that has nothing else.
        const isMeant = family === kind || kind === 'ipv4' || (prefix >= 96 && mapped.check(network, 'ipv6'));
        if (isMeant) list.addSubnet(network, prefix, kind);
      }
      const expected = isIP(address) !== 0 && list.check(address, family);
      assert.equal(compileExemptClients(blocks)(client), expected, `${client} in ${blocks.join(' ')}`);
    }),
    { numRuns: 2_000 },
  );
});

test('an IPv4 client that came in by IPv6 is the IPv4 client', () => {
  const isExempt = compileExemptClients(['192.0.2.0/24']);
  assert.equal(isExempt('::ffff:192.0.2.7'), true);
  assert.equal(isExempt('::FFFF:192.0.2.7'), true);
  assert.equal(isExempt('::ffff:198.51.100.7'), false);
});

test('a block of IPv6, however wide, exempts no client of IPv4', () => {
  for (const block of ['::/0', '::1/64', '::/3', '::1/80']) {
    assert.equal(compileExemptClients([block, '::ffff:10.0.0.0/104'])('203.0.113.9'), false, block);
    assert.equal(compileExemptClients([block])('::1'), true, block);
  }
  assert.equal(compileExemptClients(['::ffff:203.0.113.0/120'])('203.0.113.9'), true);
});

test('zeros before the length of a prefix mean nothing', () => {
  assert.equal(compileExemptClients(['0.0.0.0/00'])('203.0.113.9'), true);
  assert.equal(compileExemptClients(['10.0.0.0/08'])('10.9.9.9'), true);
  assert.equal(compileExemptClients(['::/00'])('2001:db8::1'), true);
});
