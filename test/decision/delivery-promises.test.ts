// What is promised of delivery and of lanes (contract section 7), as far as the service answers it, a sentence a test.

import { equal, match, notEqual } from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { DomainName } from '../../src/address/domain-name.ts';
import { staticRoute } from '../../src/route/route.ts';
import { transportName } from '../../src/route/transport.ts';
import { transportsInUse } from '../../src/tables/transports-in-use.ts';
import type { RawDelivery, RawDomain, RawSettings } from '../oracle/oracle.ts';
import { type Asked, Core, compile } from './core.ts';

const mx1 = '[mx1.example]:25';
const mx2 = '[mx2.test]:25';

function service(domains: Readonly<Record<string, RawDomain>>, more: Partial<RawSettings> = {}): Core {
  return new Core({ ...more, domains });
}

/** A service whose tables hold all settings. */
function withTables(domains: Readonly<Record<string, RawDomain>>, more: Partial<RawSettings> = {}): Core {
  return new Core({ ...more, domains }, { tablesHold: () => true });
}

const incoming = (delivery: RawDelivery, nexthop?: string): RawDomain => ({
  ...(nexthop === undefined ? {} : { nexthop }),
  incoming: { delivery },
});
const outgoing = (delivery: RawDelivery): RawDomain => ({ outgoing: { delivery } });
const always = { require_tls: 'always' } as const;
const fromPartner: RawDelivery = { require_tls: 'specific', senders: 'ceo@partner.example' };
const ceo = 'ceo@partner.example';
const separately = /^452 4\.5\.3 \S/;
const again = /^451 4\.3\.0 \S/;

describe('FILTER', () => {
  test('names the transport of the level and the next hop of the recipient’s domain', () => {
    const core = service({ 'alpha.example': incoming({ ...always, level: 'dane-only' }, mx1) });
    equal(core.reply({ recipient: 'ann@alpha.example' }), `FILTER tlswarden-dane-only:${mx1}`);
  });

  test('names no next hop for a domain that is found by MX', () => {
    const core = service({ 'alpha.example': incoming(always) });
    equal(core.reply({ recipient: 'ann@alpha.example' }), 'FILTER tlswarden-encrypt:');
  });

  test('names relayhost for a recipient that is not hosted here', () => {
    const core = service({ 'alpha.example': outgoing(always) }, { postfix: { relayhost: '[relay.example]:587' } });
    const asked = { sender: 'ann@alpha.example', recipient: 'x@remote.example' };
    equal(core.reply(asked), 'FILTER tlswarden-encrypt:[relay.example]:587');
  });

  test('names the bouncing transport where on_failure is bounce', () => {
    const core = service({ 'alpha.example': incoming({ ...always, level: 'verify', on_failure: 'bounce' }, mx1) });
    equal(core.reply({ recipient: 'ann@alpha.example' }), `FILTER tlswarden-verify-bounce:${mx1}`);
  });

  test('asks for the whole of an incoming and an outgoing requirement', () => {
    const core = service({
      'alpha.example': outgoing({ ...always, level: 'secure', on_failure: 'bounce' }),
      'beta.example': incoming({ ...always, level: 'dane-only' }, mx1),
    });
    const asked = { sender: 'a@alpha.example', recipient: 'b@beta.example' };
    equal(core.reply(asked), `FILTER tlswarden-secure-bounce:${mx1}`);
  });

  test('goes by a transport of its own where outgoing mail asks for more than the next hop’s entry gives', () => {
    const domains = (protocols: string): Record<string, RawDomain> => ({
      'alpha.example': outgoing({ ...always, protocols: '>=TLSv1.3', ciphers: 'high' }),
      'beta.example': incoming({ ...always, protocols }, mx1),
    });
    const asked = { sender: 'a@alpha.example', recipient: 'b@beta.example' };
    equal(withTables(domains('>=TLSv1.2')).reply(asked), `FILTER tlswarden-encrypt-tls13-high:${mx1}`);
    equal(withTables(domains('>=TLSv1.3')).reply(asked), `FILTER tlswarden-encrypt-high:${mx1}`);
  });

  test('is never asked for by a requirement under monitor', () => {
    const core = service({
      'alpha.example': incoming({ ...always, level: 'secure', enforcement: 'monitor' }, mx1),
      'beta.example': outgoing(always),
    });
    equal(core.reply({ recipient: 'a@alpha.example' }), 'DUNNO');
    equal(core.reply({ sender: 'b@beta.example', recipient: 'a@alpha.example' }), `FILTER tlswarden-encrypt:${mx1}`);
  });
});

describe('what the tables hold is left to them', () => {
  const held = (delivery: RawDelivery, asked: Asked): string =>
    withTables({ 'alpha.example': { aliases: ['sub.alpha.example'], ...incoming(delivery, mx1) } }).reply(asked);
  const toAnn: Asked = { recipient: 'ann@alpha.example', sender: ceo };

  test('a domain that is always required', () => {
    equal(held(always, toAnn), 'DUNNO');
  });

  test('a list of either side that says *', () => {
    equal(held({ require_tls: 'specific', recipients: '*' }, toAnn), 'DUNNO');
    equal(held({ require_tls: 'specific', senders: '*' }, toAnn), 'DUNNO');
  });

  test('"either": the entries of the own side, but not those of the far side', () => {
    equal(held({ require_tls: 'specific', recipients: 'ann' }, toAnn), 'DUNNO');
    equal(held({ require_tls: 'specific', recipients: 'ann', senders: ceo }, toAnn), 'DUNNO');
    equal(held({ require_tls: 'specific', recipients: 'bob', senders: ceo }, toAnn), `FILTER tlswarden-encrypt:${mx1}`);
    equal(
      held({ require_tls: 'specific', recipients: '*@*.alpha.example' }, { recipient: 'x@sub.alpha.example' }),
      'DUNNO',
    );
  });

  test('"both": the entries of the own side only where the far side means everyone', () => {
    const both: RawDelivery = { require_tls: 'specific', when: 'both' };
    equal(held({ ...both, recipients: 'ann' }, toAnn), 'DUNNO');
    equal(held({ ...both, recipients: 'ann', senders: '*' }, toAnn), 'DUNNO');
    equal(held({ ...both, recipients: 'ann', senders: ceo }, toAnn), `FILTER tlswarden-encrypt:${mx1}`);
    equal(held({ ...both, recipients: '*', senders: ceo }, toAnn), `FILTER tlswarden-encrypt:${mx1}`);
  });

  test('the sender’s requirement where the recipient is not hosted here; where it is, that is dynamic', () => {
    const core = withTables({ 'alpha.example': outgoing(always), 'beta.example': { nexthop: mx1 } });
    const sender = 'ann@alpha.example';
    equal(core.reply({ sender, recipient: 'x@remote.example' }), 'DUNNO');
    equal(core.reply({ sender, recipient: 'x@beta.example' }), `FILTER tlswarden-encrypt:${mx1}`);
  });

  test('a name below a hosted domain is nobody’s: Postfix relays it without asking the table of senders', () => {
    const core = withTables({ 'alpha.example': outgoing(always), 'beta.example': { nexthop: mx1 } });
    const ask = (recipient: string): string => core.reply({ sender: 'ann@alpha.example', recipient });
    equal(ask('x@remote.example'), 'DUNNO');
    equal(ask('x@sub.beta.example'), 'FILTER tlswarden-encrypt:');
    equal(ask('x@a.sub.beta.example'), 'FILTER tlswarden-encrypt:');
  });

  test('an alias that is the next hop of a domain that asks for less is asked for less', () => {
    const core = withTables({
      'alpha.example': { aliases: ['alias.example'] },
      'beta.example': incoming({ ...always, protocols: '>=TLSv1.1' }, 'alias.example'),
      'gamma.example': outgoing(always),
    });
    const ask = (recipient: string): string => core.reply({ sender: 'ann@gamma.example', recipient });
    equal(ask('x@alpha.example'), 'FILTER tlswarden-encrypt:');
    equal(ask('x@alias.example'), 'FILTER tlswarden-encrypt-tls12:');
  });

  test('a sender that is routed through another domain stands in no table', () => {
    const core = withTables({ 'alpha.example': outgoing(always) });
    const ask = (sender: string): string => core.reply({ sender, recipient: 'x@remote.example' });
    equal(ask('ann%alpha.example'), 'DUNNO');
    equal(ask('ann%alpha.example@elsewhere.example'), 'FILTER tlswarden-encrypt:');
    equal(ask('ann%alpha.example@'), 'FILTER tlswarden-encrypt:');
    equal(ask('!alpha.example!ann'), 'FILTER tlswarden-encrypt:');
  });

  test('a recipient that Postfix may route on from a hosted domain has what either address is asked for', () => {
    const core = withTables({
      'alpha.example': incoming({ require_tls: 'specific', senders: 'far@bank.example', level: 'secure' }, mx1),
      'beta.example': incoming(always, mx2),
      'gamma.example': { nexthop: mx2 },
    });
    const ask = (sender: string, recipient: string): string => core.reply({ sender, recipient });
    equal(ask('far@bank.example', 'ann%alpha.example@gamma.example'), `FILTER tlswarden-secure:${mx2}`);
    equal(ask('far@bank.example', 'ann%alpha.example@beta.example'), `FILTER tlswarden-secure:${mx2}`);
    equal(ask('near@bank.example', 'ann%alpha.example@gamma.example'), 'DUNNO');
    equal(ask('near@bank.example', 'ann%alpha.example@beta.example'), 'DUNNO', 'the tables see to it, whichever it is');
    equal(ask('near@bank.example', 'ann%beta.example@alpha.example'), 'DUNNO', 'likewise');
  });

  test('unless another requirement asks for more', () => {
    const core = withTables({
      'alpha.example': outgoing({ ...always, level: 'secure' }),
      'beta.example': incoming(always, mx1),
      'gamma.example': incoming({ ...always, level: 'secure' }, mx1),
    });
    const sender = 'ann@alpha.example';
    equal(core.reply({ recipient: 'x@beta.example' }), 'DUNNO');
    equal(core.reply({ sender, recipient: 'x@beta.example' }), `FILTER tlswarden-secure:${mx1}`);
    equal(core.reply({ sender, recipient: 'x@gamma.example' }), 'DUNNO');
  });

  test('only while they hold the settings in force for that domain', () => {
    const core = new Core(
      { domains: { 'alpha.example': incoming(always, mx1), 'beta.example': incoming(always, mx1) } },
      { tablesHold: (domain) => domain !== 'alpha.example' },
    );
    equal(core.reply({ recipient: 'x@alpha.example' }), `FILTER tlswarden-encrypt:${mx1}`);
    equal(core.reply({ recipient: 'x@beta.example' }), 'DUNNO');
    core.deploy(() => true);
    equal(core.reply({ recipient: 'x@alpha.example' }), 'DUNNO');
  });

  test('until then the transport’s name says the protocol and the ciphers that no table says yet', () => {
    const strict = { ...fromPartner, protocols: '>=TLSv1.3', ciphers: 'high' } as const;
    const core = service({ 'alpha.example': incoming(strict, mx1) });
    const asked = { sender: ceo, recipient: 'x@alpha.example' };
    equal(core.reply(asked), `FILTER tlswarden-encrypt-tls13-high:${mx1}`);
    core.deploy(() => true);
    equal(core.reply(asked), `FILTER tlswarden-encrypt:${mx1}`);
  });

  test('a protocol that only dynamic mail is asked for reaches the tables too, so they have to be written for it', () => {
    const digest = (delivery: RawDelivery): string =>
      compile({ domains: { 'alpha.example': incoming(delivery, mx1) } }).settings.tableDigest;
    const dynamic = { require_tls: 'specific', senders: ceo, when: 'both', recipients: 'ann' } as const;
    notEqual(digest({ ...dynamic, protocols: '>=TLSv1.3' }), digest(dynamic));
    notEqual(digest({ ...dynamic, ciphers: 'high' }), digest(dynamic));
    equal(digest({ ...dynamic, protocols: '>=TLSv1.3', enforcement: 'monitor' }), digest(dynamic));
  });

  test('an outgoing requirement is the same by table and by FILTER, whatever others ask of relayhost', () => {
    const core = withTables(
      {
        'alpha.example': outgoing({ ...always, protocols: '>=TLSv1.3' }),
        'beta.example': incoming({ ...always, protocols: '>=TLSv1.3' }, mx1),
      },
      { postfix: { relayhost: mx1 } },
    );
    equal(core.reply({ sender: 'a@alpha.example', recipient: 'x@remote.example' }), 'DUNNO');
  });

  test('an outgoing requirement that names no certificate changes nothing at a next hop that is relayhost too', () => {
    const core = withTables(
      {
        'alpha.example': outgoing({ ...always, protocols: '>=TLSv1.2', enforcement: 'monitor' }),
        'beta.example': incoming({ ...fromPartner, protocols: '>=TLSv1' }, mx1),
        'gamma.example': outgoing(always),
      },
      { postfix: { relayhost: mx1 } },
    );
    equal(core.reply({ sender: ceo, recipient: 'x@beta.example' }), `FILTER tlswarden-encrypt:${mx1}`);
    const asked = { sender: 'g@gamma.example', recipient: 'x@beta.example' };
    equal(core.reply(asked), `FILTER tlswarden-encrypt-tls12:${mx1}`);
  });
});

describe('a next hop at which less is asked for than by default', () => {
  const old = incoming({ ...always, protocols: '>=TLSv1' }, mx1);

  test('is none for outgoing mail, where it is relayhost too', () => {
    const core = withTables(
      { 'alpha.example': old, 'beta.example': outgoing(always) },
      { postfix: { relayhost: mx1 } },
    );
    const asked = { sender: 'b@beta.example', recipient: 'x@remote.example' };
    equal(core.reply(asked), 'DUNNO');
    const { settings } = compile(core.raw);
    const beta = settings.find('beta.example' as DomainName);
    equal(beta && staticRoute(settings, beta, 'outgoing')?.text, `tlswarden-encrypt-tls12:${mx1}`);
    core.deploy(() => false);
    equal(core.reply(asked), `FILTER tlswarden-encrypt-tls12:${mx1}`);
  });

  test('is none for outgoing mail that finds it by MX', () => {
    const core = withTables({
      'alpha.example': incoming({ ...always, protocols: '>=TLSv1' }, 'remote.example'),
      'beta.example': outgoing(always),
    });
    equal(core.reply({ sender: 'b@beta.example', recipient: 'x@remote.example' }), 'FILTER tlswarden-encrypt-tls12:');
    equal(core.reply({ sender: 'b@beta.example', recipient: 'x@other.example' }), 'DUNNO');
  });

  test('and more too, has all of it in transports that master.cf has', () => {
    const mixed = { ...always, protocols: '>=TLSv1', ciphers: 'high' } as const;
    const domains = { 'alpha.example': incoming(mixed, mx1), 'beta.example': outgoing(always) };
    const reply = service(domains).reply({ sender: 'b@beta.example', recipient: 'x@alpha.example' });
    equal(reply, `FILTER tlswarden-encrypt-tls12-high:${mx1}`);
    const known = transportsInUse(compile({ domains }).settings).map(transportName);
    equal(known.includes('tlswarden-encrypt-tls12-high'), true);
  });

  test('has its name in the transport as long as some of Postfix may still go by the old tables', () => {
    const before = { domains: { 'alpha.example': old } };
    const core = new Core({ domains: { 'alpha.example': incoming(always, mx1) } });
    core.deploy(() => false, before);
    equal(core.reply({ recipient: 'x@alpha.example' }), `FILTER tlswarden-encrypt-tls12:${mx1}`);
    const known = transportsInUse(compile(before).settings).map(transportName);
    equal(known.includes('tlswarden-encrypt-tls12'), true, 'master.cf has it from before the change on');
    core.deploy(() => false);
    equal(core.reply({ recipient: 'x@alpha.example' }), `FILTER tlswarden-encrypt:${mx1}`);
  });
});

describe('while some of Postfix may still go by the tables before', () => {
  test('more is not counted on at a next hop than they say there', () => {
    const strict = outgoing({ ...always, protocols: '>=TLSv1.3' });
    const domains = (protocols: string): Record<string, RawDomain> => ({
      'alpha.example': incoming(always, mx1),
      'beta.example': incoming({ ...always, protocols }, mx1),
      'gamma.example': strict,
    });
    const core = withTables(domains('>=TLSv1.3'));
    const asked = { sender: 'g@gamma.example', recipient: 'x@alpha.example' };
    equal(core.reply(asked), 'DUNNO');
    core.deploy((domain) => domain !== 'beta.example', { domains: domains('>=TLSv1.2') });
    equal(core.reply(asked), `FILTER tlswarden-encrypt-tls13:${mx1}`);
  });

  test('their route of a domain that is no longer hosted does not stand in for what its senders ask', () => {
    const sender = { 'alpha.example': outgoing({ ...always, level: 'secure' }) } as const;
    const core = withTables(sender);
    const asked = { sender: 'a@alpha.example', recipient: 'x@beta.example' };
    equal(core.reply(asked), 'DUNNO');
    core.deploy(() => true, { domains: { ...sender, 'beta.example': incoming(always, mx1) } });
    equal(core.reply(asked), 'FILTER tlswarden-secure:');
    equal(core.reply({ ...asked, recipient: 'x@other.example' }), 'DUNNO');
  });
});

describe('never one message, two fates', () => {
  const domains: Record<string, RawDomain> = {
    'alpha.example': incoming(fromPartner, mx1),
    'beta.example': { nexthop: mx1 },
    'gamma.example': incoming({ ...fromPartner, level: 'secure' }, mx1),
    'delta.example': { nexthop: '[mx2.example]:25' },
  };
  const filter = `FILTER tlswarden-encrypt:${mx1}`;
  const to = (domain: string, more: Asked = {}): Asked => ({
    sender: ceo,
    recipient: `ann@${domain}`,
    instance: '1f4.6553f100.0.1',
    ...more,
  });
  const data = (count: number, more: Asked = {}): Asked => ({
    state: 'DATA',
    sender: ceo,
    count,
    instance: '1f4.6553f100.0.1',
    ...more,
  });

  test('the first accepted recipient fixes the lane; one with another lane has to come separately', () => {
    const core = service(domains);
    equal(core.reply(to('alpha.example')), filter);
    equal(core.reply(to('alpha.example')), filter);
    match(core.reply(to('beta.example')), separately);
    match(core.reply(to('gamma.example')), separately);
    match(core.reply(to('remote.example')), separately);
  });

  test('no FILTER is a lane too', () => {
    const core = service(domains);
    equal(core.reply(to('beta.example')), 'DUNNO');
    equal(core.reply(to('delta.example')), 'DUNNO');
    match(core.reply(to('alpha.example')), separately);
  });

  test('a recipient that receipt refuses fixes nothing', () => {
    const core = service({
      ...domains,
      'epsilon.example': { nexthop: '[mx3.example]:25', incoming: { receipt: always, delivery: always } },
    });
    match(core.reply(to('epsilon.example')), /^550 /);
    equal(core.reply(to('alpha.example')), filter);
  });

  test('another message has its own lane', () => {
    const core = service(domains);
    equal(core.reply(to('alpha.example')), filter);
    equal(core.reply(to('beta.example', { instance: '1f4.6553f100.0.2' })), 'DUNNO');
  });

  test('of a mail program a recipient joins if the lane satisfies its requirement and leads to its next hop', () => {
    const login = 'ann';
    const core = service(domains);
    equal(core.reply(to('gamma.example', { login })), `FILTER tlswarden-secure:${mx1}`);
    match(core.reply(to('alpha.example', { login })), /^(DUNNO|FILTER tlswarden-secure:\[mx1\.example\]:25)$/);
    match(core.reply(to('beta.example', { login })), /^(DUNNO|FILTER tlswarden-secure:\[mx1\.example\]:25)$/);
    match(core.reply(to('delta.example', { login })), separately);
    equal(core.reply(data(3, { login })), 'DUNNO');
  });

  test('of a mail program, too, a recipient comes separately if the lane does not do for it', () => {
    const login = 'ann';
    const core = service(domains);
    equal(core.reply(to('alpha.example', { login })), filter);
    match(core.reply(to('gamma.example', { login })), separately);
    const plain = service(domains);
    equal(plain.reply(to('beta.example', { login })), 'DUNNO');
    match(plain.reply(to('alpha.example', { login })), separately);
  });

  test('at DATA a single recipient has its FILTER again', () => {
    const core = service(domains);
    core.reply(to('alpha.example'));
    equal(core.reply(data(1, { recipient: 'ann@alpha.example' })), filter);
    equal(core.reply(data(1, { recipient: 'ann@beta.example', instance: '1f4.6553f100.0.9' })), 'DUNNO');
  });

  test('at DATA several recipients that are known with one lane go on', () => {
    const core = service(domains);
    core.reply(to('alpha.example'));
    core.reply(to('alpha.example'));
    equal(core.reply(data(2)), 'DUNNO');
  });

  test('at DATA several recipients that are not all known have to come again', () => {
    const core = service(domains);
    match(core.reply(data(2)), again);
    core.reply(to('beta.example'));
    match(core.reply(data(2)), again);
  });

  test('a restart between two recipients is found out at DATA, even if the number of recipients fits', () => {
    const core = service(domains);
    const instance = core.instance(1);
    core.now += 50;
    equal(core.reply(to('alpha.example', { instance })), filter);
    core.restart();
    core.now += 50;
    equal(core.reply(to('beta.example', { instance })), 'DUNNO');
    equal(core.reply(to('beta.example', { instance })), 'DUNNO');
    match(core.reply(data(2, { instance })), again);
  });

  test('settings that change between recipient and DATA hold at DATA', () => {
    const core = service({ 'alpha.example': { nexthop: mx1 } });
    equal(core.reply(to('alpha.example')), 'DUNNO');
    core.change({ domains: { 'alpha.example': incoming(always, mx1) } });
    equal(core.reply(data(1, { recipient: 'ann@alpha.example' })), filter);
    equal(core.reply(to('alpha.example', { instance: '1f4.6553f100.0.2' })), filter);
  });

  test('settings by which a FILTER that was given is wrong send the message back at DATA: nothing takes a FILTER back', () => {
    const asked = (core: Core): Asked => ({ sender: ceo, recipient: 'ann@alpha.example', instance: core.instance(1) });
    for (const [after, reply] of [
      [{ nexthop: '[elsewhere.example]:25' }, again],
      [incoming({ ...always, level: 'secure' }, mx1), again],
      [{ nexthop: mx1 }, /^DUNNO$/],
      [incoming(always, mx1), /^DUNNO$/],
    ] as const) {
      const core = withTables({ 'alpha.example': incoming(fromPartner, mx1) });
      equal(core.reply(asked(core)), `FILTER tlswarden-encrypt:${mx1}`);
      core.change({ domains: { 'alpha.example': after } });
      match(core.reply({ ...asked(core), state: 'DATA', count: 1 }), reply);
    }
  });

  test('settings that change between two recipients and DATA send the message back', () => {
    const core = service({ 'alpha.example': { nexthop: mx1 } });
    equal(core.reply(to('alpha.example')), 'DUNNO');
    equal(core.reply(to('alpha.example')), 'DUNNO');
    core.change({ domains: { 'alpha.example': incoming(always, mx1) } });
    match(core.reply(data(2)), again);
  });
});
