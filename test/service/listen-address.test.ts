// The words of server.listen.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeListenAddress, parseListenAddress } from '../../src/service/listen-address.ts';

const local = { allowRemote: false };
const remote = { allowRemote: true };

test('a loopback address and a port, and a path, are listeners', () => {
  const wanted: readonly (readonly [string, object])[] = [
    ['127.0.0.1:10040', { kind: 'tcp', host: '127.0.0.1', port: 10040 }],
    ['127.1.2.3:1', { kind: 'tcp', host: '127.1.2.3', port: 1 }],
    ['[::1]:65535', { kind: 'tcp', host: '::1', port: 65535 }],
    ['[0:0:0:0:0:0:0:1]:25', { kind: 'tcp', host: '0:0:0:0:0:0:0:1', port: 25 }],
    ['localhost:10040', { kind: 'tcp', host: '127.0.0.1', port: 10040 }],
    ['unix:/run/tlswarden/policy.sock', { kind: 'unix', path: '/run/tlswarden/policy.sock' }],
  ];
  for (const [text, address] of wanted) assert.deepEqual(parseListenAddress(text, local), { address }, text);
});

test('a listener beyond loopback is refused, and the refusal names the setting that allows it', () => {
  for (const text of [
    '0.0.0.0:10040',
    '192.0.2.1:10040',
    '[::]:10040',
    '[2001:db8::1]:10040',
    'mx.example.com:10040',
    '[::1%lo]:25',
    '128.0.0.1:25',
  ]) {
    const parsed = parseListenAddress(text, local);
    assert.match('problem' in parsed ? parsed.problem : '', /server\.allow_remote/, text);
    assert.ok('address' in parseListenAddress(text, remote), text);
  }
});

test('what is no address says what it should be', () => {
  for (const text of [
    '',
    '10040',
    ':10040',
    '127.0.0.1',
    '127.0.0.1:',
    '127.0.0.1:x',
    '127.0.0.1:65536',
    '127.0.0.1:-1',
    '::1:10040',
    '[::1]',
    '[::1:25',
    '[127.0.0.1]:25',
    '127.0.0:25',
    '1.2.3.4.5:25',
    'a b:25',
    '127.0.0.1:10040 ',
    'http://127.0.0.1:25',
    '*:25',
  ]) {
    const parsed = parseListenAddress(text, remote);
    assert.match(
      'problem' in parsed ? parsed.problem : 'none',
      /expected host:port, \[IPv6 address\]:port or unix:\/path/,
      text,
    );
  }
});

test('a path that cannot be a UNIX socket is refused', () => {
  for (const text of [
    'unix:',
    'unix:private/policy',
    'unix:/',
    'unix:/run/',
    'unix:/a\0b',
    'unix:/run/a b',
    'unix:/run/a,b',
    'unix:/run/$b',
    'unix:/run/{b}',
    `unix:/${'x'.repeat(107)}`,
  ]) {
    assert.ok('problem' in parseListenAddress(text, local), text);
  }
  assert.ok('address' in parseListenAddress(`unix:/${'x'.repeat(106)}`, local));
});

test('an address is described as it is written', () => {
  for (const text of ['127.0.0.1:10040', '[::1]:10040', 'unix:/run/policy']) {
    const parsed = parseListenAddress(text, local);
    assert.equal('address' in parsed ? describeListenAddress(parsed.address) : '', text);
  }
});
