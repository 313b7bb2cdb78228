import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Address, DEFAULT_ADDRESS_RULES } from '../../src/address/address.ts';
import { firstParentDot, NO_DOMAIN, parseDomain } from '../../src/address/domain-name.ts';

const read = (text: string, delimiters = '+') =>
  Address.read(text, { ...DEFAULT_ADDRESS_RULES, recipientDelimiter: delimiters });
const parts = (text: string, delimiters = '+') => {
  const { local, domain } = read(text, delimiters);
  return `${local} at ${domain}`;
};

describe('an address is compared', () => {
  it('without case, in local part and domain', () => {
    assert.equal(parts('PayRoll@Example.COM'), 'payroll at example.com');
  });

  it('with its domain in A-label form, whichever form was received', () => {
    assert.equal(parts('a@bücher.example'), 'a at xn--bcher-kva.example');
    assert.equal(parts('a@XN--BCHER-KVA.example'), 'a at xn--bcher-kva.example');
    assert.equal(parts('a@BÜCHER.Example.'), 'a at xn--bcher-kva.example');
    assert.equal(parts('a@bu\u0308cher.example'), 'a at xn--bcher-kva.example', 'decomposed');
  });

  it('without one trailing dot of the domain', () => {
    assert.equal(parts('a@example.com.'), 'a at example.com');
    assert.equal(parts('a@example.com..'), 'a at example.com.');
  });

  it('with a local part beyond ASCII folded as Postfix folds table keys', () => {
    assert.equal(parts('JÖRG@example.com'), 'jörg at example.com');
    assert.equal(read('ΣΊΣΥΦΟΣ@example.com').local, read('σίσυφος@example.com').local);
  });

  it('as Postfix resolves it when it has no @', () => {
    assert.equal(parts('user%example.com'), 'user at example.com');
    assert.equal(parts('user%a%example.com'), 'user%a at example.com');
    assert.equal(parts('example.com!user'), 'user at example.com');
    assert.equal(parts('user@'), 'user at ');
    assert.equal(parts('user%example.com@'), 'user%example.com at ', 'no table has it before it is resolved');
    assert.equal(parts('!example.com!user'), 'example.com!user at ', 'nor this');
  });

  it('without a source route', () => {
    assert.equal(parts('@relay.example,@other.example:user@example.com'), 'user at example.com');
  });

  it('at its last @ when the local part was quoted', () => {
    assert.equal(parts('a@b@example.com'), 'a@b at example.com');
    assert.equal(parts('john doe@example.com'), 'john doe at example.com');
  });

  it('as nobody when it is the null sender', () => {
    assert.equal(read('').isNull, true);
    assert.equal(read('').domain, '');
    assert.equal(read('postmaster').isNull, false);
  });

  it('unconverted where its domain is longer than any way to write one', () => {
    // The time that the conversion takes grows with the square of the length: 20,000 ideographs are half a second.
    const letters = Array.from({ length: 20_000 }, (_, i) => String.fromCodePoint(0x4e00 + i)).join('');
    assert.equal(read(`a@${letters}.example`).domain, `${letters}.example`);
    assert.equal(read(`a%${letters}@b.example`).routedTo(() => true)?.domain, letters);
    const long = `${'\u{1f600}'.repeat(50)}.`.repeat(4);
    assert.match(read(`a@${long}example`).domain, /^(xn--[a-z0-9-]+\.){4}example$/u);
  });

  it('at myorigin, if it is written without a domain', () => {
    const rules = { ...DEFAULT_ADDRESS_RULES, myorigin: parseDomain('Example.com') ?? NO_DOMAIN };
    for (const text of ['CEO+x', 'CEO+x@', 'CEO+x%']) {
      const address = Address.read(text, rules);
      assert.deepEqual([address.local, address.base, address.domain], ['ceo+x', 'ceo', 'example.com'], text);
      assert.deepEqual([address.whole, address.isTableForm], ['ceo+x@example.com', true], text);
    }
    assert.equal(Address.read('a!b', rules).domain, 'a');
    assert.equal(Address.read('a%b', rules).domain, 'b');
    const nobody = Address.read('', rules);
    assert.deepEqual([nobody.domain, nobody.isNull], ['', true]);
    assert.equal(parts('ceo'), 'ceo at ');
  });

  it('as what it is when it is nothing sensible', () => {
    for (const text of ['@', '@@', '%', '!', ':', '@:', 'a@[192.0.2.1]', 'a@\ud800', '\0@\0', 'a@'.repeat(1000)]) {
      assert.doesNotThrow(
        () => [read(text).local, read(text).base, read(text).domain, read(text).routedTo(() => false)],
        text,
      );
    }
  });

  it('as what Postfix unpacks of it, however deep', () => {
    const here = '%here.example'.repeat(150);
    for (const [text, local] of [
      [`user%example.com${here}@here.example`, 'user'],
      ['!user%example.com', 'user'],
      ['!!user%example.com@here.example', 'user'],
      ['!example.com!user', 'user'],
      ['user%example.com@', 'user'],
      ['user%example.com%', 'user'],
      ['user@example.com@@', 'user'],
      ['@relay.example:user@example.com.@here.example', 'user'],
      ['a!b c%example.com@here.example', 'a!b c'],
      ['.a!b%example.com@here.example', '.a!b'],
      ['example.com!a%b@here.example', 'a%b'],
    ] as const) {
      const address = read(text);
      const found = address.domain === 'example.com' ? address : address.routedTo((name) => name === 'example.com');
      assert.deepEqual([found?.local, found?.domain], [local, 'example.com'], text);
    }
    assert.equal(
      read('example.com!b c%here.example@here.example').routedTo((name) => name === 'example.com')?.local,
      'b c',
    );
  });

  it('in no time that grows with the square of how often it is nested', () => {
    for (const text of ['%a', '!a', 'a!', '@a', '%', '!', '@:', '!%', ' %a', '@a%!', '!@', ':@']) {
      const long = text.repeat(65_536 / text.length);
      for (const written of [long, `${long}@here.example`, `a!${long}`, `. ${long}!`]) {
        const before = process.cpuUsage();
        read(written).routedTo(() => false);
        const { user } = process.cpuUsage(before);
        assert.ok(user < 200_000, `${text}: ${user} µs`);
      }
    }
  });

  for (const name of ['__proto__', 'constructor', 'hasOwnProperty', 'toString', 'prototype']) {
    it(`as an ordinary one when it is called ${name}`, () => {
      assert.equal(parts(`${name}@${name}`), `${name.toLowerCase()} at ${name.toLowerCase()}`);
    });
  }
});

describe('the address extension', () => {
  const base = (local: string, delimiters = '+') => read(`${local}@example.com`, delimiters).base;

  it('is what follows the first delimiter', () => {
    assert.equal(base('User+Ext'), 'user');
    assert.equal(base('user+a+b'), 'user');
    assert.equal(base('user'), undefined);
  });

  it('begins at the first of several delimiters', () => {
    assert.equal(base('user-a+b', '+-'), 'user');
    assert.equal(base('user+a-b', '-+'), 'user');
    assert.equal(base('user_a', '+-'), undefined);
  });

  it('does not exist without recipient_delimiter', () => {
    assert.equal(base('user+ext', ''), undefined);
  });

  it('never leaves an empty local part, and may be empty itself', () => {
    assert.equal(base('+ext'), undefined);
    assert.equal(base('user+'), 'user');
  });

  it('is not split off the names that Postfix never splits', () => {
    assert.equal(base('mailer-daemon', '-'), undefined);
    assert.equal(base('double-bounce', '-'), undefined);
    assert.equal(base('owner-list', '-'), undefined);
    assert.equal(base('list-request', '-'), undefined);
    assert.equal(base('list-requests', '-'), 'list');
    assert.equal(base('owner-list', '+'), undefined);
  });
});

describe('the name of a hosted domain', () => {
  it('is refused when it is none', () => {
    for (const text of [
      '',
      '.',
      'a..b',
      '-a.example',
      'a-.example',
      'a b',
      '*.example',
      'a@b',
      '[192.0.2.1]',
      'a/b',
      '../a',
    ]) {
      assert.equal(parseDomain(text), undefined, text);
    }
    assert.equal(parseDomain(`${'a'.repeat(64)}.example`), undefined);
    assert.equal(parseDomain(`${'a.'.repeat(126)}ab`), undefined);
  });

  it('is taken in any form of a name that there is', () => {
    for (const text of ['Example.COM', 'example.com.', 'a', '_tcp.example', '1.example', `${'a.'.repeat(126)}a`]) {
      assert.notEqual(parseDomain(text), undefined, text);
    }
    assert.equal(parseDomain('Müller.Example'), 'xn--mller-kva.example');
  });
});

describe('the domains above a name', () => {
  it('are looked up from the first that is no longer than a domain name may be', () => {
    assert.equal(firstParentDot('a.b.example'), 1);
    assert.equal(firstParentDot('example'), -1);
    assert.equal(firstParentDot(`${'x'.repeat(300)}.example`), 300);
    const many = 'a.'.repeat(20_000);
    assert.equal(many.length - firstParentDot(many) - 1, 252);
    const longest = `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(61)}`;
    assert.equal(parseDomain(longest), longest);
    assert.equal(firstParentDot(`a.${longest}`), 1);
  });
});
