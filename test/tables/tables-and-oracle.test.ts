// Random settings, rendered and looked up as Postfix looks them up, against the rules as the oracle says them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { domainToUnicode } from 'node:url';
import { type Transport, transportName } from '../../src/route/transport.ts';
import type { Settings } from '../../src/settings/settings.ts';
import { ownTerms } from '../../src/tables/policy-entry.ts';
import { requiredTableName, TLS_POLICY } from '../../src/tables/table.ts';
import { transportsInUse } from '../../src/tables/transports-in-use.ts';
import { Core, compile, readReply } from '../decision/core.ts';
import {
  deliveryByTables,
  hostedDomain,
  normalAddress,
  type RawDelivery,
  type RawDomain,
  type RawReceipt,
  type RawSettings,
  sharedAtNexthop,
} from '../oracle/oracle.ts';
import { casesOfThisRun, Random, seedOfThisRun } from '../oracle/prng.ts';
import { paperWorld, randomAddress, randomSettings } from '../oracle/scenario.ts';
import {
  lookUpPolicy,
  lookUpReceipt,
  lookUpSender,
  lookUpTransport,
  type Policy,
  type Texts,
  texts,
} from './postfix-lookups.ts';

const world = { ...paperWorld, strangeAddresses: 0 };
const versions = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'];
const grades = ['medium', 'high'];

function stronger<T>(order: readonly T[], a: T, b: T): T {
  return order.indexOf(a) > order.indexOf(b) ? a : b;
}

/** What becomes of mail: TLS as asked, to this next hop, back to the sender if it cannot be had. */
interface Fate extends Policy {
  readonly bounce: boolean;
  readonly nexthop: string;
}

/** What Postfix does with the tables alone; undefined: nothing compels TLS. */
function fate(
  settings: Settings,
  tables: Texts,
  raw: RawSettings,
  sender: string,
  recipient: string,
): Fate | undefined {
  const delimiters = raw.addresses?.recipient_delimiter ?? '+';
  const relayhost = raw.postfix?.relayhost ?? '';
  const written = recipient
    .slice(recipient.lastIndexOf('@') + 1)
    .toLowerCase()
    .replace(/\.$/u, '');
  const hosted = hostedDomain(raw, normalAddress(raw, recipient)?.domain ?? '') !== undefined;
  const byRecipient = lookUpTransport(tables, recipient, delimiters);
  if (byRecipient !== undefined) return byTransport(settings, tables, byRecipient, written, '');
  if (!hosted) {
    // Below a relay domain: a relay domain too, for which the table of senders is not asked.
    if (isBelowHosted(raw, recipient)) return undefined;
    const bySender = lookUpSender(tables, sender, delimiters);
    return bySender === undefined ? undefined : byTransport(settings, tables, bySender, written, relayhost);
  }
  const nothing: Policy = { level: 'may', minimum: '', ciphers: '', match: undefined };
  const policy = lookUpPolicy(tables, TLS_POLICY, written, nothing);
  return policy === nothing ? undefined : { ...policy, bounce: false, nexthop: '' };
}

/** A transport's policy for mail by it. `whereEmpty` is the next hop where the entry names none, '' being the domain. */
function byTransport(settings: Settings, tables: Texts, entry: string, domain: string, whereEmpty: string): Fate {
  const colon = entry.indexOf(':');
  const transport = transportsInUse(settings).find((one) => transportName(one) === entry.slice(0, colon));
  assert(transport !== undefined, `${entry} is a transport that master.cf has`);
  const nexthop = entry.slice(colon + 1) || whereEmpty;
  const options = optionsOf(transport);
  const policy = lookUpPolicy(tables, requiredTableName(transport), nexthop || domain, options);
  return { ...policy, bounce: transport.bounce, nexthop };
}

function optionsOf(transport: Transport): Policy {
  const { minProtocol, ciphers } = ownTerms(transport);
  return { level: transport.level, minimum: minProtocol, ciphers, match: undefined };
}

/** The settings with each receipt setting as one of delivery, where a table can hold it: the oracle then says whom it means. */
function receiptAsDelivery(raw: RawSettings): RawSettings {
  const turn = (setting: RawReceipt | undefined): RawDelivery => {
    if (setting === undefined || setting.on_failure === 'defer') return { require_tls: 'never' };
    const { min_protocol, min_cipher_bits, on_failure, ...who } = setting;
    return who;
  };
  const domains: Record<string, RawDomain> = {};
  for (const [key, domain] of Object.entries(raw.domains)) {
    const setting = domain.incoming?.receipt ?? raw.defaults?.incoming?.receipt;
    domains[key] = { aliases: domain.aliases ?? [], incoming: { delivery: turn(setting) } };
  }
  return { addresses: raw.addresses ?? {}, domains };
}

/** Whether a name that is not hosted lies below one that is: such recipients Postfix may take for those of the parent. */
function isBelowHosted(raw: RawSettings, address: string): boolean {
  const labels = (normalAddress(raw, address)?.domain ?? '').split('.');
  return labels.some((_, i) => i > 0 && hostedDomain(raw, labels.slice(i).join('.')) !== undefined);
}

test('for every sender and recipient the tables compel what the rules say, and nothing else', (t) => {
  const seed = seedOfThisRun();
  t.diagnostic(`SEED=${seed}`);
  const random = new Random(seed);
  for (let settingsLeft = casesOfThisRun('TABLE_CASES', 150); settingsLeft > 0; settingsLeft--) {
    const raw = randomSettings(random, world);
    const { settings } = compile(raw);
    const tables = texts(settings);
    const receipts = receiptAsDelivery(raw);
    for (let mails = 12; mails > 0; mails--) {
      const sender = random.percent(8) ? '' : randomAddress(random, world, raw, random.percent(60));
      const recipient = randomAddress(random, world, raw, random.percent(70));
      const about = `${JSON.stringify(raw)}\n${sender} -> ${recipient}`;
      const [from, to] = [normalAddress(raw, sender), normalAddress(raw, recipient)];
      const expected = deliveryByTables(raw, () => true, from, to);
      const found = fate(settings, tables, raw, sender, recipient);
      assert.equal(found === undefined, expected === undefined, about);
      if (found !== undefined && expected !== undefined) {
        const shared = hostedDomain(raw, to?.domain ?? '') === undefined ? expected : sharedAtNexthop(raw, to);
        assert.equal(found.level, expected.level, about);
        assert.equal(found.bounce, expected.bounce, about);
        assert.equal(found.nexthop, expected.nexthop, about);
        const least = stronger(versions, expected.minimum as string, shared.minimum as string);
        // Relayhost may be asked for more by domains whose mail goes there as well.
        const exact = hostedDomain(raw, to?.domain ?? '') !== undefined || found.nexthop === '';
        if (exact) assert.equal(found.minimum, least, about);
        if (exact)
          assert.equal(found.ciphers, stronger(grades, expected.ciphers as string, shared.ciphers as string), about);
        if (found.level === 'fingerprint') assert.match(found.match ?? '', /^[0-9a-f:|]+$/u, about);
      }
      if (!isBelowHosted(raw, recipient) || hostedDomain(raw, to?.domain ?? '') !== undefined) {
        const delimiters = raw.addresses?.recipient_delimiter ?? '+';
        const refuses = lookUpReceipt(tables, recipient, delimiters) === 'tlswarden_tls';
        assert.equal(refuses, deliveryByTables(receipts, () => true, null, to) !== undefined, about);
      }
    }
  }
});

test('every transport that the service names is among those that master.cf gets', (t) => {
  const seed = seedOfThisRun();
  t.diagnostic(`SEED=${seed}`);
  const random = new Random(seed);
  for (let settingsLeft = casesOfThisRun('TABLE_CASES', 150); settingsLeft > 0; settingsLeft--) {
    const raw = randomSettings(random, world);
    const names = new Set(transportsInUse(compile(raw).settings).map(transportName));
    const core = new Core(raw, { tablesHold: () => random.percent(50) });
    for (let mails = 12; mails > 0; mails--) {
      const sender = randomAddress(random, world, raw, random.percent(70));
      const recipient = randomAddress(random, world, raw, random.percent(70));
      const reply = core.reply({ sender, recipient, instance: core.instance(mails), context: 'delivery' });
      if (readReply(reply)?.kind !== 'filter') continue;
      const name = reply.slice('FILTER '.length, reply.indexOf(':'));
      assert(names.has(name), `${name}: ${JSON.stringify(raw)}`);
    }
  }
});

test('the same settings give the same bytes, in whatever order they were read', () => {
  const random = new Random(7);
  for (let settingsLeft = 60; settingsLeft > 0; settingsLeft--) {
    const raw = randomSettings(random, world);
    const shuffled = Object.fromEntries(random.shuffled(Object.entries(raw.domains)));
    const [one, other] = [raw, { ...raw, domains: shuffled }].map((settings) => texts(compile(settings).settings));
    assert.deepEqual([...(one ?? [])], [...(other ?? [])]);
  }
});

test('an internationalised domain stands in every table in both forms in which Postfix may look for it', () => {
  const always = { require_tls: 'always' } as const;
  const flows = { incoming: { receipt: always, delivery: always }, outgoing: { delivery: always } };
  const tables = texts(compile({ domains: { 'xn--bcher-kva.example': flows } }).settings);
  for (const [name, prefix] of [
    ['tls_policy', ''],
    ['receipt_access', ''],
    ['sender_transport', '@'],
  ] as const) {
    const keys = (tables.get(name) ?? []).map((line) => line.slice(0, line.indexOf(' ')));
    assert.deepEqual(keys, [`${prefix}${domainToUnicode('xn--bcher-kva.example')}`, `${prefix}xn--bcher-kva.example`]);
  }
});
