/**
 * One domain of many is changed and the others are not touched: versions of the settings, held beside settings that
 * are compiled anew from the same domains.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { DomainName } from '../../src/address/domain-name.ts';
import { type HostedDomain, NO_DEFAULTS, parseHostedDomain } from '../../src/settings/hosted-domain.ts';
import { type NextHop, parseNextHop } from '../../src/settings/next-hop.ts';
import { SettingPool } from '../../src/settings/parse-setting.ts';
import type { Settings } from '../../src/settings/settings.ts';
import { type DomainChange, SettingsOwner } from '../../src/settings/settings-owner.ts';
import { type Complaint, wordComplaint } from '../../src/toml/complaint.ts';

const relayhost = parseNextHop('relay.example') as NextHop;
const pool = new SettingPool();
const names = ['a.example', 'b.example', 'c.example', 'd.example', 'e.example'] as DomainName[];
const hops = ['', '[mx.example]:25', 'a.example', 'relay.example'];
const deliveries = [
  undefined,
  { require_tls: 'always' },
  { require_tls: 'always', protocols: '>=TLSv1' },
  { require_tls: 'always', protocols: '>=TLSv1.3', ciphers: 'high' },
  { require_tls: 'always', level: 'secure', certificate_names: ['one.example'] },
  { require_tls: 'always', level: 'secure', certificate_names: ['two.example'], enforcement: 'monitor' },
];

const domains = fc
  .record({
    name: fc.constantFrom(...names),
    aliases: fc.uniqueArray(fc.constantFrom('x.example', 'y.example', 'a.example'), { maxLength: 2 }),
    nexthop: fc.constantFrom(...hops),
    incoming: fc.constantFrom(...deliveries),
    outgoing: fc.constantFrom(undefined, {
      require_tls: 'always',
      level: 'secure',
      certificate_names: ['one.example'],
    }),
  })
  .map(({ name, aliases, nexthop, incoming, outgoing }) => {
    const table = {
      aliases: aliases.filter((alias) => alias !== name),
      nexthop,
      incoming: incoming === undefined ? {} : { delivery: incoming },
      outgoing: outgoing === undefined ? {} : { delivery: outgoing },
    };
    const complaints: Complaint[] = [];
    const context = { defaults: NO_DEFAULTS, hasRelayhost: true, pool };
    const domain = parseHostedDomain(name, table, 'test', context, complaints);
    assert.deepEqual(complaints.map(wordComplaint), []);
    return { name, domain } as { name: DomainName; domain: HostedDomain };
  });
const changes = fc.oneof(
  { weight: 4, arbitrary: domains },
  { weight: 1, arbitrary: fc.constantFrom(...names).map((name) => ({ name, domain: undefined })) },
);

/** All that settings say, in one form. */
function whole(settings: Settings): unknown {
  const all = [...settings.domains()].sort((a, b) => (a.name < b.name ? -1 : 1));
  return {
    domains: all,
    found: [...names, 'x.example', 'y.example'].map((name) => settings.find(name as DomainName)?.name),
    terms: all.map((domain) => settings.nextHopTerms(domain.nexthop, domain)),
    hops: settings.nextHopsWithTerms(),
    size: settings.size,
    digest: settings.tableDigest,
  };
}

function compiled(all: Iterable<HostedDomain>): Settings {
  const complaints: Complaint[] = [];
  const owner = new SettingsOwner(relayhost);
  for (const domain of all) complaints.push(...owner.add(domain));
  assert.deepEqual(complaints.map(wordComplaint), []);
  return owner.settings;
}

describe('versions of the settings', () => {
  test('each says what settings compiled anew would say, and goes on saying it whatever changes later', () => {
    fc.assert(
      fc.property(fc.array(fc.array(changes, { minLength: 1, maxLength: 3 }), { maxLength: 12 }), (steps) => {
        const owner = new SettingsOwner(relayhost);
        const versions: { readonly settings: Settings; readonly said: unknown }[] = [];
        let present = new Map<DomainName, HostedDomain>();
        for (const step of steps) {
          const refused = owner.apply(step as DomainChange[]);
          const refusedNames = new Set(refused.map(({ change }) => change.name));
          for (const { name, domain } of new Map(step.map((change) => [change.name, change])).values()) {
            const wanted = refusedNames.has(name) ? present.get(name) : domain;
            const found = owner.settings.find(name);
            assert.equal(found?.name === name ? found : undefined, wanted, 'what is refused stays as it was');
          }
          if (step.length === 1) {
            // One change alone is refused exactly if settings with it could not be compiled.
            const [{ name, domain }] = step as [DomainChange];
            const after = new Map(present);
            if (domain === undefined) after.delete(name);
            else after.set(name, domain);
            const complaints: Complaint[] = [];
            const alone = new SettingsOwner(relayhost);
            for (const one of after.values()) complaints.push(...alone.add(one));
            assert.equal(refused.length > 0, complaints.length > 0);
            if (refused.length === 0) assert.deepEqual(whole(owner.settings), whole(compiled(after.values())));
          }
          const { settings } = owner;
          present = new Map([...settings.domains()].map((domain) => [domain.name, domain]));
          assert.deepEqual(whole(settings), whole(compiled(present.values())));
          versions.push({ settings, said: whole(settings) });
        }
        for (const { settings, said } of versions) assert.deepEqual(whole(settings), said);
      }),
      { numRuns: 2000 },
    );
  });

  test('domains are counted off as they were at the beginning, though settings change meanwhile', () => {
    const made = (name: string, nexthop: string): HostedDomain =>
      parseHostedDomain(
        name,
        { nexthop },
        'test',
        { defaults: NO_DEFAULTS, hasRelayhost: true, pool },
        [],
      ) as HostedDomain;
    const owner = new SettingsOwner(relayhost);
    owner.apply(names.map((name) => ({ name, domain: made(name, 'old.example') })));
    const { settings } = owner;
    const seen: string[] = [];
    for (const { name, nexthop } of settings.domains()) {
      seen.push(`${name} ${nexthop}`);
      const [first, second, , , last] = names as [DomainName, DomainName, DomainName, DomainName, DomainName];
      owner.apply([
        { name: first, domain: made(first, `new${seen.length}.example`) },
        { name: last, domain: undefined },
        { name: second, domain: undefined },
        { name: 'more.example' as DomainName, domain: made('more.example', '') },
      ]);
    }
    assert.deepEqual(seen.sort(), names.map((name) => `${name} old.example`).sort());
    assert.equal(owner.settings.size, 4);
  });
});
