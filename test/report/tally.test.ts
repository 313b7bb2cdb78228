// What is counted stays within its bound, whatever strangers invent; and who has a row keeps it.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Address, DEFAULT_ADDRESS_RULES } from '../../src/address/address.ts';
import type { DomainName } from '../../src/address/domain-name.ts';
import { mailOf, PLAINTEXT } from '../../src/report/counters.ts';
import { remoteKey, remoteToKeep } from '../../src/report/remote.ts';
import { DEFAULT_MAX_ROWS, Tally } from '../../src/report/tally.ts';
import { linesOf, rowOf } from './rows.ts';

/** What README.md states. */
const STATED_BYTES_EACH = 700;

const hosted = 'example.com' as DomainName;
const at = (i: number): DomainName => `c${i}.example` as DomainName;

function count(tally: Tally, domain: DomainName, sender: string, now = 1_000): void {
  // As it comes from the wire: a string of its own, of which the domain is a part.
  const far = Address.read(Buffer.from(sender).toString('latin1'), DEFAULT_ADDRESS_RULES);
  tally.count(tally.at('incoming', domain, far, now), PLAINTEXT);
}

const total = (tally: Tally): number => [...tally.rows()].reduce((sum, { numbers }) => sum + mailOf(numbers), 0);

const collectGarbage = ((): (() => void) => {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
})();

function memory(): number {
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

describe('a tally', () => {
  test('takes the memory that is stated for its rows, however many senders are invented, and counts every one', () => {
    const tally = new Tally();
    for (let i = 0; i < 100; i++) count(new Tally(), at(i), `someone@far${i}.example`);
    const before = memory();
    const long = 'x'.repeat(60);
    for (let i = 0; i < 3 * DEFAULT_MAX_ROWS; i++) {
      count(tally, at(i % 2_000), `${'a-long-local-part'.repeat(10)}-${i}@${long}.${long}.${long}.far${i}.example`);
    }
    const bytes = memory() - before;
    assert.ok(tally.size <= DEFAULT_MAX_ROWS, `${tally.size} rows`);
    assert.ok(tally.size > 0.85 * DEFAULT_MAX_ROWS, `${tally.size} rows`);
    assert.ok(bytes <= STATED_BYTES_EACH * DEFAULT_MAX_ROWS, `${bytes} bytes for ${tally.size} rows`);
    assert.equal(total(tally), 3 * DEFAULT_MAX_ROWS);
  });

  test('stays within its bound with a million hosted domains', () => {
    const tally = new Tally({ maxRows: 1_000 });
    for (let i = 0; i < 1_000_000; i++) count(tally, at(i), 'someone@partner.example');
    assert.ok(tally.size <= 1_000, `${tally.size} rows`);
    assert.equal(total(tally), 1_000_000);
    assert.ok(linesOf(tally.rows()).some((line) => line.startsWith('(others) incoming (others) plaintext=999')));
  });

  test('keeps who has a row, and goes on counting there, through a flood of invented senders', () => {
    const tally = new Tally({ maxRows: 1_000 });
    count(tally, hosted, 'a@partner.example');
    count(tally, at(1), 'a@partner.example');
    for (let i = 0; i < 50_000; i++) count(tally, i % 2 === 0 ? hosted : at(i % 50), `a@invented${i}.example`);
    count(tally, hosted, 'b@partner.example');
    const lines = linesOf(tally.rows());
    assert.ok(lines.includes('example.com incoming partner.example plaintext=2'));
    assert.ok(lines.includes('c1.example incoming partner.example plaintext=1'));
  });

  test('leaves room for hosted domains that no flood can take', () => {
    const tally = new Tally({ maxRows: 1_000 });
    for (let i = 0; i < 50_000; i++) count(tally, at(i % 50), `a@invented${i}.example`);
    count(tally, hosted, 'a@partner.example');
    assert.ok(linesOf(tally.rows()).includes('example.com incoming (others) plaintext=1'));
  });

  test('makes room by folding those into (others) that were counted least, and not for a while', () => {
    const tally = new Tally({ maxRows: 150 });
    for (let i = 0; i < 40; i++) for (let n = 0; n < 3; n++) count(tally, at(i), 'a@partner.example', 1_000);
    for (let i = 0; i < 40; i++) count(tally, at(i), `a@once${i}.example`, 1_000);
    count(tally, at(0), 'a@lately.example', 5_000);
    const before = total(tally);
    tally.sweep(2_000);
    const lines = linesOf(tally.rows());
    assert.ok(tally.size <= 75, `${tally.size} rows`);
    assert.equal(total(tally), before);
    assert.ok(lines.includes('c0.example incoming lately.example plaintext=1'), 'seen lately');
    assert.ok(lines.includes('c39.example incoming partner.example plaintext=3'), 'counted more often');
    assert.ok(lines.every((line) => !line.includes('once')));
    const room = tally.size;
    count(tally, at(1), 'a@newcomer.example', 6_000);
    assert.equal(tally.size, room + 1);
  });

  test('gives up hosted domains that nobody mails to any more, when there is no room otherwise', () => {
    const tally = new Tally({ maxRows: 100 });
    for (let i = 0; i < 1_000; i++) count(tally, at(i), 'a@partner.example', 1_000);
    tally.sweep(2_000);
    count(tally, hosted, 'a@partner.example', 3_000);
    assert.ok(linesOf(tally.rows()).includes('example.com incoming partner.example plaintext=1'));
    assert.equal(total(tally), 1_001);
  });

  test('gives each count away once', () => {
    const tally = new Tally();
    count(tally, hosted, 'a@partner.example');
    count(tally, hosted, 'a@partner.example');
    assert.deepEqual(linesOf(tally.take()), ['example.com incoming partner.example plaintext=2']);
    assert.deepEqual(linesOf(tally.take()), []);
    count(tally, hosted, 'a@partner.example');
    assert.deepEqual(linesOf(tally.take()), ['example.com incoming partner.example plaintext=1']);
  });

  test('may be counted in while it is given away', () => {
    const tally = new Tally();
    for (let i = 0; i < 100; i++) count(tally, at(i), 'a@partner.example');
    let taken = 0;
    for (const { numbers } of tally.take()) {
      taken += mailOf(numbers);
      if (taken < 200) count(tally, at(taken * 7), 'a@other.example');
    }
    const left = total(tally);
    assert.equal(taken + left, 100 + Math.min(199, taken));
  });

  test('adds what was counted elsewhere: sums, the first moment, the last ones', () => {
    const tally = new Tally();
    tally.absorb(rowOf('example.com incoming a.example plaintext=3 TLSv1.3=1 first=500 last=900 last-lacking=800'));
    tally.absorb(rowOf('example.com incoming a.example plaintext=2 refused-tls=2 first=300 last=700 last-lacking=700'));
    const [row] = tally.rows();
    assert.deepEqual(
      row,
      rowOf('example.com incoming a.example plaintext=5 TLSv1.3=1 refused-tls=2 first=300 last=900 last-lacking=800'),
    );
  });
});

describe('a remote', () => {
  const keep = (address: string, withLocalPart = false): string =>
    remoteToKeep(remoteKey(Address.read(address, DEFAULT_ADDRESS_RULES), withLocalPart));

  test('is known by its domain alone', () => {
    assert.equal(keep('CEO+x@Partner.Example.'), 'partner.example');
    assert.equal(keep('ceo@bücher.example'), 'xn--bcher-kva.example');
    assert.equal(keep('ceo@[192.0.2.1]'), '[192.0.2.1]');
    assert.equal(keep('ceo@[IPv6:2001:db8::1]'), '[ipv6:2001:db8::1]');
    assert.equal(keep(''), '<>');
  });

  test('has no row of its own if it is no name', () => {
    const strange = [
      'ceo',
      'a@b c.example',
      'a@b\tc',
      'a@=1+1',
      'a@\u001b[2J',
      'a@"x".example',
      `a@${'x'.repeat(254)}`,
    ];
    for (const address of strange) assert.equal(keep(address), '(others)', address);
  });

  test('has its local part where that is asked for, without extension; an odd one is left out', () => {
    assert.equal(keep('CEO+x@partner.example', true), 'ceo@partner.example');
    assert.equal(keep('', true), '<>');
    for (const odd of ['=1+1', '"a b"', '-x', 'a\tb', 'x'.repeat(65)]) {
      assert.equal(keep(`${odd}@partner.example`, true), 'partner.example', odd);
    }
  });
});
