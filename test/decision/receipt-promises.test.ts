// What is promised of receipt (contract section 5), a sentence a test.

import { doesNotMatch, equal, match } from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { RawDomain, RawReceipt, RawSettings } from '../oracle/oracle.ts';
import { type Asked, Core } from './core.ts';

/** The reply of a service with these domains. */
function reply(domains: Readonly<Record<string, RawDomain>>, asked: Asked, more: Partial<RawSettings> = {}): string {
  return new Core({ ...more, domains }).reply(asked);
}

const incoming = (receipt: RawReceipt, more: RawDomain = {}): Record<string, RawDomain> => ({
  'alpha.example': { ...more, incoming: { receipt } },
});
const outgoing = (receipt: RawReceipt, more: RawDomain = {}): Record<string, RawDomain> => ({
  'alpha.example': { ...more, outgoing: { receipt } },
});
const toAnn: Asked = { recipient: 'ann@alpha.example' };
const fromAnn: Asked = { sender: 'ann@alpha.example', recipient: 'bob@bank.example' };
const tls: Asked = { protocol: 'TLSv1.3', bits: 256 };

describe('who is asked for TLS on receipt', () => {
  test('nobody, where there is no setting', () => {
    equal(reply({ 'alpha.example': {} }, toAnn), 'DUNNO');
  });

  test('everyone who mails to a domain that always requires it', () => {
    match(reply(incoming({ require_tls: 'always' }), toAnn), /^550 5\.7\.10 /);
    equal(reply(incoming({ require_tls: 'always' }), { ...toAnn, ...tls }), 'DUNNO');
  });

  test('everyone who mails from a domain that always requires it', () => {
    match(reply(outgoing({ require_tls: 'always' }), fromAnn), /^550 5\.7\.10 /);
    equal(reply(outgoing({ require_tls: 'always' }), toAnn), 'DUNNO');
  });

  test('either domain requires it: the mail needs it', () => {
    const domains: Record<string, RawDomain> = {
      'alpha.example': { outgoing: { receipt: { require_tls: 'always' } } },
      'beta.example': { incoming: { receipt: { require_tls: 'never' } } },
    };
    match(reply(domains, { sender: 'a@alpha.example', recipient: 'b@beta.example' }), /^550 5\.7\.10 /);
  });

  test('a recipient however it is routed to its mailbox, if Postfix may take it there', () => {
    const domains = incoming({ require_tls: 'specific', recipients: 'ann' }, { aliases: ['alpha.test'] });
    const deep = '%gateway.example'.repeat(100);
    for (const recipient of [
      `ann%alpha.example${deep}@gateway.example`,
      '!ann%alpha.example',
      '!alpha.example!ann',
      '!alpha.example!ann@gateway.example',
      // Where the domain's mailboxes are Postfix's own it unpacks these, too.
      'ann%alpha.example@alpha.example',
      'ann%alpha.test@alpha.example',
      'alpha.example!ann@alpha.test',
      'ann@alpha.example@alpha.example',
    ]) {
      match(reply(domains, { recipient }), /^550 5\.7\.10 .*mail for alpha\./, recipient);
      equal(reply(domains, { recipient, ...tls }), 'DUNNO', recipient);
    }
    equal(reply(domains, { recipient: 'bob%alpha.example@alpha.example' }), 'DUNNO');
    const beta = { ...domains, 'beta.example': {} };
    match(reply(beta, { recipient: 'ann%alpha.example@beta.example' }), /^550 5\.7\.10 .*mail for alpha\.example/);
    equal(reply(beta, { recipient: 'ann%beta.example@beta.example' }), 'DUNNO');
  });

  test('with "either" a listed sender is enough, and so is a listed recipient', () => {
    const domains = incoming({ require_tls: 'specific', senders: 'ceo@partner.example', recipients: 'payroll' });
    match(reply(domains, { sender: 'ceo@partner.example', recipient: 'ann@alpha.example' }), /^550 /);
    match(reply(domains, { sender: 'any@one.example', recipient: 'payroll@alpha.example' }), /^550 /);
    equal(reply(domains, { sender: 'any@one.example', recipient: 'ann@alpha.example' }), 'DUNNO');
  });

  test('with "both" the sender has to be listed and the recipient too', () => {
    const domains = incoming({
      require_tls: 'specific',
      senders: 'ceo@partner.example',
      recipients: 'payroll',
      when: 'both',
    });
    match(reply(domains, { sender: 'ceo@partner.example', recipient: 'payroll@alpha.example' }), /^550 /);
    equal(reply(domains, { sender: 'ceo@partner.example', recipient: 'ann@alpha.example' }), 'DUNNO');
    equal(reply(domains, { sender: 'any@one.example', recipient: 'payroll@alpha.example' }), 'DUNNO');
  });

  test('with "both" an empty list means everyone', () => {
    const domains = incoming({ require_tls: 'specific', senders: 'ceo@partner.example', when: 'both' });
    match(reply(domains, { sender: 'ceo@partner.example', recipient: 'ann@alpha.example' }), /^550 /);
    equal(reply(domains, { sender: 'any@one.example', recipient: 'ann@alpha.example' }), 'DUNNO');
  });

  test('a subdomain of a hosted domain is another domain', () => {
    equal(reply(incoming({ require_tls: 'always' }), { recipient: 'ann@sub.alpha.example' }), 'DUNNO');
  });

  test('an alias has the same settings', () => {
    const domains = incoming({ require_tls: 'always' }, { aliases: ['alias.example'] });
    match(reply(domains, { recipient: 'ann@alias.example' }), /^550 5\.7\.10 .*alias\.example/);
  });

  test('an own local part or address holds for the domain and all its aliases', () => {
    for (const entry of ['payroll', 'payroll@alpha.example', 'payroll@alias.example']) {
      const domains = incoming({ require_tls: 'specific', recipients: entry }, { aliases: ['alias.example'] });
      match(reply(domains, { recipient: 'payroll@alpha.example' }), /^550 /, entry);
      match(reply(domains, { recipient: 'payroll@alias.example' }), /^550 /, entry);
      equal(reply(domains, { recipient: 'ann@alias.example' }), 'DUNNO', entry);
    }
  });

  test('the far side lists addresses, domains, their subdomains, everyone and the null sender', () => {
    const asks = (senders: string, sender: string): boolean =>
      reply(incoming({ require_tls: 'specific', senders }), { ...toAnn, sender }) !== 'DUNNO';
    for (const entry of ['*@bank.example', '@bank.example', 'bank.example']) {
      equal(asks(entry, 'x@bank.example'), true, entry);
      equal(asks(entry, 'x@sub.bank.example'), false, entry);
      equal(asks(entry, ''), false, entry);
    }
    equal(asks('*@*.bank.example', 'x@sub.bank.example'), true);
    equal(asks('*@*.bank.example', 'x@a.sub.bank.example'), true);
    equal(asks('*@*.bank.example', 'x@bank.example'), false);
    equal(asks('*@*.bank.example', 'x@otherbank.example'), false);
    equal(asks('*', ''), true);
    equal(asks('<>', ''), true);
    equal(asks('<>', 'x@bank.example'), false);
  });

  test('a list is a string, split at spaces, commas and newlines, or an array', () => {
    for (const senders of ['a@x.example, b@x.example', 'a@x.example\nb@x.example', ['a@x.example', 'b@x.example']]) {
      match(reply(incoming({ require_tls: 'specific', senders }), { ...toAnn, sender: 'b@x.example' }), /^550 /);
    }
  });

  test('a default holds for every hosted domain that lacks that setting, and is replaced whole', () => {
    const defaults = { incoming: { receipt: { require_tls: 'always', on_failure: 'defer' } } } as const;
    match(reply({ 'alpha.example': {} }, toAnn, { defaults }), /^450 4\.7\.10 /);
    match(reply({ 'alpha.example': { outgoing: {} } }, toAnn, { defaults }), /^450 4\.7\.10 /);
    equal(reply(incoming({}), toAnn, { defaults }), 'DUNNO');
    match(reply(incoming({ require_tls: 'always' }), toAnn, { defaults }), /^550 5\.7\.10 /);
    equal(reply({ 'alpha.example': {} }, { recipient: 'x@unhosted.example' }, { defaults }), 'DUNNO');
  });
});

describe('addresses on receipt', () => {
  const domains: Record<string, RawDomain> = {
    'Bücher.Example': { incoming: { receipt: { require_tls: 'specific', recipients: 'PayRoll' } } },
  };
  for (const recipient of [
    'payroll@xn--bcher-kva.example',
    'PAYROLL@BÜCHER.example',
    'payroll@bücher.example.',
    'payroll+march@bücher.example',
    'payroll%bücher.example',
    'bücher.example!payroll',
    'payroll%bücher.example@elsewhere.example',
  ]) {
    test(`${recipient} is the payroll of bücher.example`, () => {
      match(reply(domains, { recipient }), /^550 5\.7\.10 .*xn--bcher-kva\.example/);
    });
  }

  test('an entry with an extension lists that extension alone', () => {
    const one = incoming({ require_tls: 'specific', recipients: 'payroll+tax' });
    match(reply(one, { recipient: 'payroll+tax@alpha.example' }), /^550 /);
    equal(reply(one, { recipient: 'payroll@alpha.example' }), 'DUNNO');
    equal(reply(one, { recipient: 'payroll+other@alpha.example' }), 'DUNNO');
  });

  test('the delimiter of extensions is a setting', () => {
    const one = incoming({ require_tls: 'specific', recipients: 'payroll' });
    const addresses = { recipient_delimiter: '-' };
    match(reply(one, { recipient: 'payroll-tax@alpha.example' }, { addresses }), /^550 /);
    equal(reply(one, { recipient: 'payroll+tax@alpha.example' }, { addresses }), 'DUNNO');
  });
});

describe('what satisfies a requirement of receipt', () => {
  const strict = incoming({ require_tls: 'always', min_protocol: 'TLSv1.3', min_cipher_bits: 256 });

  test('at least the protocol and the cipher bits that are asked for', () => {
    equal(reply(strict, { ...toAnn, protocol: 'TLSv1.3', bits: 256 }), 'DUNNO');
    match(reply(strict, { ...toAnn, protocol: 'TLSv1.2', bits: 256 }), /^550 .*TLSv1\.3.*TLSv1\.2/);
    match(reply(strict, { ...toAnn, protocol: 'TLSv1.3', bits: 128 }), /^550 .*256.*128/);
  });

  test('without a word on it, TLSv1.2 and 128 bits', () => {
    const plain = incoming({ require_tls: 'always' });
    equal(reply(plain, { ...toAnn, protocol: 'TLSv1.2', bits: 128 }), 'DUNNO');
    match(reply(plain, { ...toAnn, protocol: 'TLSv1.1', bits: 128 }), /^550 /);
    match(reply(plain, { ...toAnn, protocol: 'TLSv1.2', bits: 112 }), /^550 /);
  });

  test('an exempt client is not asked, but its mail leaves as required', () => {
    const domains: Record<string, RawDomain> = {
      'alpha.example': { incoming: { receipt: { require_tls: 'always' }, delivery: { require_tls: 'always' } } },
    };
    equal(reply(domains, { ...toAnn, exempt: true }), 'FILTER tlswarden-encrypt:');
  });
});

describe('the reply to mail without its TLS', () => {
  test('begins with 550 5.7.10, or with 450 4.7.10 where on_failure is defer', () => {
    match(reply(incoming({ require_tls: 'always' }), toAnn), /^550 5\.7\.10 \S/);
    match(reply(incoming({ require_tls: 'always', on_failure: 'defer' }), toAnn), /^450 4\.7\.10 \S/);
  });

  test('is WARN under monitor', () => {
    match(reply(incoming({ require_tls: 'always', enforcement: 'monitor' }), toAnn), /^WARN \S/);
  });

  const both = (one: RawReceipt, other: RawReceipt, session: Asked = {}): string =>
    reply(
      { 'alpha.example': { outgoing: { receipt: one } }, 'beta.example': { incoming: { receipt: other } } },
      { sender: 'a@alpha.example', recipient: 'b@beta.example', ...session },
    );

  test('rejects before it defers, and defers before it warns, whichever domain says so', () => {
    const reject: RawReceipt = { require_tls: 'always' };
    const defer: RawReceipt = { require_tls: 'always', on_failure: 'defer' };
    const monitor: RawReceipt = { require_tls: 'always', enforcement: 'monitor' };
    for (const [one, other, code] of [
      [reject, defer, '550'],
      [reject, monitor, '550'],
      [defer, monitor, '450'],
    ] as const) {
      match(both(one, other), new RegExp(`^${code} `));
      match(both(other, one), new RegExp(`^${code} `));
    }
  });

  test('a requirement under monitor makes no enforced one stricter', () => {
    const session: Asked = { protocol: 'TLSv1.2', bits: 256 };
    const strict: RawReceipt = { require_tls: 'always', min_protocol: 'TLSv1.3', enforcement: 'monitor' };
    match(both(strict, { require_tls: 'always' }, session), /^WARN /);
  });

  test('says what is missing and for which hosted domain, and echoes nothing else of the client', () => {
    const text = reply(
      { 'alpha.example': { aliases: ['alias.example'], incoming: { receipt: { require_tls: 'always' } } } },
      { sender: 'evil%0d@client.example', recipient: 'Secret+Tag@ALIAS.example.' },
    );
    match(text, / alias\.example /);
    match(text, /not encrypted/);
    doesNotMatch(text, /[Ss]ecret|evil|client\.example|ALIAS|@|%/);
  });

  test('WARN gives way to what delivery has to say', () => {
    const domains: Record<string, RawDomain> = {
      'alpha.example': {
        incoming: {
          receipt: { require_tls: 'always', enforcement: 'monitor' },
          delivery: { require_tls: 'always' },
        },
      },
    };
    equal(reply(domains, toAnn), 'FILTER tlswarden-encrypt:');
  });
});

describe('which requests are answered', () => {
  const domains: Record<string, RawDomain> = {
    'alpha.example': { incoming: { receipt: { require_tls: 'always' }, delivery: { require_tls: 'always' } } },
  };

  test('policy_context receipt limits a request to receipt, delivery to delivery', () => {
    match(reply(domains, { ...toAnn, context: 'receipt' }), /^550 /);
    equal(reply(domains, { ...toAnn, ...tls, context: 'receipt' }), 'DUNNO');
    equal(reply(domains, { ...toAnn, context: 'delivery' }), 'FILTER tlswarden-encrypt:');
  });

  test('at every other protocol state the reply is DUNNO', () => {
    equal(reply(domains, { ...toAnn, state: 'other' }), 'DUNNO');
  });
});
