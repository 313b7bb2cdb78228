// The settings of Redis in a host's memory: a record that cannot be used never leaves its domain without settings that it had.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_ADDRESS_RULES } from '../../src/address/address.ts';
import type { DomainName } from '../../src/address/domain-name.ts';
import { type DecisionContext, isWithheld } from '../../src/decision/decide.ts';
import type { PolicyRequest } from '../../src/decision/request.ts';
import { SettingsReplica } from '../../src/redis/settings-replica.ts';
import { NO_DEFAULTS } from '../../src/settings/hosted-domain.ts';
import { BY_MX } from '../../src/settings/next-hop.ts';
import { SettingPool } from '../../src/settings/parse-setting.ts';
import type { Settings } from '../../src/settings/settings.ts';
import { wordComplaint } from '../../src/toml/complaint.ts';

const context = { defaults: NO_DEFAULTS, hasRelayhost: false, pool: new SettingPool() };

function replica(previous?: Settings): SettingsReplica {
  return new SettingsReplica(
    { relayhost: BY_MX, context, place: 'redis' },
    { epoch: 'e', id: '1-0', seq: 1 },
    previous,
  );
}

function record(domain: string, table: object = {}): [name: string, record: string] {
  return [domain, JSON.stringify({ domain, ...table })];
}

/** Whose settings hold for each name. */
function holders({ settings }: SettingsReplica, ...names: readonly string[]): readonly (string | undefined)[] {
  return names.map((name) => settings.find(name as DomainName)?.name);
}

const certificate = (name: string): object => ({
  nexthop: '[mx.example]:25',
  incoming: { delivery: { require_tls: 'always', level: 'secure', certificate_names: [name] } },
});

test('a change that is refused leaves its domain as it was, whoever was to take its alias', () => {
  const present = replica();
  present.put(...record('x.example', { aliases: ['a.example'] }));
  present.put(...record('z.example', { aliases: ['taken.example'] }));
  present.apply([record('x.example', { aliases: ['taken.example'] }), record('y.example', { aliases: ['a.example'] })]);
  assert.deepEqual(holders(present, 'x.example', 'a.example', 'y.example'), ['x.example', 'x.example', undefined]);
  // Once the name is free both are possible.
  present.apply([record('z.example')]);
  assert.deepEqual(holders(present, 'x.example', 'a.example', 'y.example'), ['x.example', 'y.example', 'y.example']);
  assert.deepEqual(present.complaints.map(wordComplaint), []);
});

for (const order of ['first', 'last'] as const) {
  test(`all loaded anew, with what was to take a name read ${order}: a broken record leaves the last good settings`, () => {
    const before = replica();
    before.put(...record('x.example', { aliases: ['a.example'], ...certificate('one.example') }));
    before.put(...record('w.example'));
    const again = replica(before.settings);
    const rivals = [
      record('y.example', { aliases: ['a.example'] }),
      record('w.example', { ...certificate('two.example') }),
    ];
    const broken = ['x.example', '{"domain":"x.example","unknown":1}'] as const;
    const all = order === 'first' ? [...rivals, broken] : [broken, ...rivals];
    for (const [name, text] of all) again.put(name, text);
    again.loaded();
    assert.deepEqual(holders(again, 'x.example', 'a.example', 'y.example', 'w.example'), [
      'x.example',
      'x.example',
      undefined,
      'w.example',
    ]);
    assert.equal(again.settings.find('w.example' as DomainName), before.settings.find('w.example' as DomainName));
    assert.deepEqual([...again.keptNames].sort(), ['w.example', 'x.example']);
    assert.deepEqual([...again.settings.withheld], ['y.example', 'a.example']);
    assert.equal(again.recordCount, 3);
    // Mended, and all of it is in force.
    again.apply([record('x.example')]);
    assert.deepEqual(holders(again, 'a.example', 'y.example'), ['y.example', 'y.example']);
    assert.equal(again.refusedCount, 0);
  });
}

test('a domain without usable settings gets no reply, also where its address stands in the local part of another', () => {
  const broken = replica();
  broken.put(...record('hosted.example'));
  broken.put('broken.example', '{"domain":"broken.example","aliases":"one.example, two.example","unknown":1}');
  const context = { settings: broken.settings, addresses: DEFAULT_ADDRESS_RULES } as DecisionContext;
  const concerned = (sender: string, recipient: string): boolean =>
    isWithheld(context, { protocolState: 'RCPT', sender, recipient } as PolicyRequest);
  for (const address of [
    'user@broken.example',
    'user@one.example',
    'user@two.example',
    'user%broken.example@here.example',
    'broken.example!user@here.example',
    'user%broken.example',
    // Mail for the broken domain, whoever stands in its local part.
    'user%hosted.example@broken.example',
  ]) {
    assert.deepEqual([concerned(address, 'a@far.example'), concerned('a@far.example', address)], [true, true], address);
  }
  for (const address of ['', 'user@hosted.example', 'user@here.example']) {
    assert.deepEqual([concerned(address, 'a@far.example'), concerned('', address)], [false, false], address);
  }
  // Postfix takes it to the broken domain if it has the hosted one's mailboxes itself; a sender it takes nowhere.
  const between = 'user%broken.example@hosted.example';
  assert.deepEqual([concerned(between, 'a@far.example'), concerned('', between)], [false, true]);
});
