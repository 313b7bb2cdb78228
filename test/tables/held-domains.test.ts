// Which domains count as held, against the rule said slowly: every set of tables that Postfix may still be using holds the
// domain as the settings in force have it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DomainName } from '../../src/address/domain-name.ts';
import type { HostedDomain } from '../../src/settings/hosted-domain.ts';
import type { Settings } from '../../src/settings/settings.ts';
import { HeldDomains } from '../../src/tables/held-domains.ts';
import { STAMP_FORMAT, type Stamp } from '../../src/tables/stamp.ts';
import { compile } from '../decision/core.ts';
import type { RawDomain } from '../oracle/oracle.ts';
import { casesOfThisRun, Random, seedOfThisRun } from '../oracle/prng.ts';

const settle = 1000;
const names = ['a.example', 'b.example', 'c.example', 'd.example'];
const kinds: readonly (RawDomain | undefined)[] = [
  undefined,
  {},
  { incoming: { receipt: { require_tls: 'always' } } },
  { incoming: { delivery: { require_tls: 'always' } } },
  { incoming: { delivery: { require_tls: 'always', level: 'secure' } } },
];

function settingsOf(choice: readonly number[], relayhost = ''): Settings {
  const domains: Record<string, RawDomain> = {};
  for (const [i, kind] of choice.entries()) {
    const domain = kinds[kind];
    if (domain !== undefined) domains[names[i] as string] = domain;
  }
  return compile({ domains, ...(relayhost === '' ? {} : { postfix: { relayhost } }) }).settings;
}

function stampOf(settings: Settings): Stamp {
  const { tableDigest, relayhost } = settings;
  return {
    format: STAMP_FORMAT,
    settings: tableDigest,
    relayhost,
    type: 'lmdb',
    generation: `g-${tableDigest}`,
    tables: {},
  };
}

function digestsOf(settings: Settings): Map<DomainName, number> {
  return new Map([...settings.domains()].map(({ name, tableDigest }) => [name, tableDigest]));
}

/** A settled stamp of these settings. */
function held(settings: Settings): HeldDomains {
  const machine = new HeldDomains(settings, settle);
  const stamp = stampOf(settings);
  machine.observe({ generation: stamp.generation, stamp, stampedAt: 0 }, settle);
  return machine;
}

function find(settings: Settings, name: string): HostedDomain {
  const domain = settings.find(name as DomainName);
  assert(domain !== undefined);
  return domain;
}

test('random changes, writes and crashes: a domain is held exactly if every set that may be in use holds it', (t) => {
  const seed = seedOfThisRun();
  t.diagnostic(`SEED=${seed}`);
  const random = new Random(seed);
  const draw = (): Settings =>
    settingsOf(
      names.map(() => random.integer(0, kinds.length - 1)),
      random.percent(15) ? '[relay.example]:25' : '',
    );
  for (let runs = casesOfThisRun('HELD_CASES', 300); runs > 0; runs--) {
    let now = 10_000;
    let inForce = draw();
    const machine = new HeldDomains(inForce, settle);
    // What lay in the directory, and since when each set was proven by a stamp; undefined: it never was.
    const history: { settings: Settings | undefined; since: number | undefined }[] = [
      { settings: undefined, since: undefined },
    ];
    let stamped = false;
    for (let events = random.integer(1, 30); events > 0; events--) {
      now += random.pick([0, 1, 200, settle / 2, settle]);
      const last = history.at(-1);
      switch (random.integer(1, 5)) {
        case 1:
          inForce = random.percent(70) || last?.settings === undefined ? draw() : last.settings;
          machine.update(inForce);
          break;
        case 2: {
          // The tables are swapped, and seen before their stamp stands.
          const next = random.percent(50) ? inForce : draw();
          const generation = stampOf(next).generation;
          const isSame = last?.settings !== undefined && generation === stampOf(last.settings).generation;
          if (!isSame) history.push({ settings: next, since: undefined });
          stamped = false;
          machine.observe({ generation, stamp: undefined, stampedAt: Number.POSITIVE_INFINITY }, now);
          break;
        }
        case 3:
          // The stamp comes, and what it stands for is known or read.
          if (last?.settings !== undefined) {
            const stamp = stampOf(last.settings);
            last.since = Math.min(last.since ?? Number.POSITIVE_INFINITY, now);
            stamped = true;
            machine.observe({ generation: stamp.generation, stamp, stampedAt: now }, now);
            if (machine.unread !== undefined) machine.learn(machine.unread, digestsOf(last.settings));
          }
          break;
        case 4:
          if (last?.settings !== undefined && stamped) {
            // Looked at again: nothing new.
            const stamp = stampOf(last.settings);
            machine.observe({ generation: stamp.generation, stamp, stampedAt: last.since ?? now }, now);
          }
          break;
        default:
          while (machine.compare(() => random.percent(50)) && random.percent(80));
      }
      for (const domain of inForce.domains()) {
        // Of a domain that has no entries nothing is asked.
        if (domain.tableDigest === 0) continue;
        const expected: boolean = stamped && holdsSlowly(history, inForce, domain, now);
        assert.equal(machine.holds(domain, now), expected, `${domain.name} at ${now}`);
      }
    }
  }
});

function holdsSlowly(
  history: readonly { settings: Settings | undefined; since: number | undefined }[],
  inForce: Settings,
  domain: HostedDomain,
  now: number,
): boolean {
  return history.every(({ settings }, i) => {
    // Out of use: a later set was proven long enough ago.
    const isPast = history.slice(i + 1).some(({ since }) => since !== undefined && since + settle <= now);
    if (isPast) return true;
    const isProven = history[i]?.since !== undefined;
    if (settings === undefined || !isProven || settings.relayhost !== inForce.relayhost) return false;
    return (digestsOf(settings).get(domain.name) ?? 0) === domain.tableDigest;
  });
}

test('a change of one domain leaves the others where they are', () => {
  const before = settingsOf([2, 3, 4, 1]);
  const after = settingsOf([2, 4, 4, 1]);
  const machine = held(before);
  machine.update(after);
  const holding = (now: number): string[] =>
    [...after.domains()].filter((domain) => machine.holds(domain, now)).map(({ name }) => name);
  assert.deepEqual(holding(settle), ['a.example', 'c.example', 'd.example']);
  const stamp = stampOf(after);
  machine.observe({ generation: stamp.generation, stamp, stampedAt: settle + 100 }, settle + 100);
  assert.deepEqual(holding(settle + 100), ['a.example', 'c.example', 'd.example']);
  while (machine.compare(() => true));
  assert.deepEqual(holding(settle + 100), ['a.example', 'c.example', 'd.example']);
  assert.deepEqual(holding(2 * settle + 99), ['a.example', 'c.example', 'd.example']);
  assert.deepEqual(holding(2 * settle + 100), ['a.example', 'b.example', 'c.example', 'd.example']);
});

test('what other tables that may be in use say is known until no part of Postfix uses them, whole or by what differs', () => {
  const relaxed = (protocols: string, more = {}): Settings =>
    compile({
      domains: {
        'a.example': { nexthop: '[mx.example]:25', incoming: { delivery: { require_tls: 'always', protocols } } },
        ...more,
      },
    }).settings;
  const before = relaxed('>=TLSv1', { 'gone.example': { aliases: ['alias.example'] } });
  const after = relaxed('>=TLSv1.2');
  const said = (machine: HeldDomains): readonly unknown[] =>
    machine.stillUsed.map((other) => [
      other.termsAt('[mx.example]:25').minProtocol,
      ...['a.example', 'gone.example', 'alias.example'].map((name) => other.hosts(name as DomainName)),
    ]);
  const machine = held(before);
  assert.deepEqual(said(machine), []);
  machine.update(after);
  assert.deepEqual(said(machine), [['TLSv1', true, true, true]]);
  const stamp = stampOf(after);
  machine.observe({ generation: stamp.generation, stamp, stampedAt: settle + 100 }, settle + 100);
  assert.deepEqual(said(machine), [['TLSv1', true, true, true]]);
  while (machine.compare(() => true));
  // That both know a.example needs no saying.
  assert.deepEqual(said(machine), [['TLSv1', false, true, true]]);
  machine.observe({ generation: stamp.generation, stamp, stampedAt: settle + 100 }, 2 * settle + 100);
  assert.deepEqual(said(machine), []);
});

test('of other tables that may be in use it is known what they say of an alias, which may be the next hop of others', () => {
  const by = (protocols: string): Settings =>
    compile({
      domains: {
        'a.example': { aliases: ['alias.example'], incoming: { delivery: { require_tls: 'always', protocols } } },
      },
    }).settings;
  const after = by('>=TLSv1.3');
  const machine = held(by('>=TLSv1'));
  machine.update(after);
  const stamp = stampOf(after);
  machine.observe({ generation: stamp.generation, stamp, stampedAt: settle + 100 }, settle + 100);
  for (const isWhole of [true, false]) {
    for (const key of ['a.example', 'alias.example']) {
      const said = machine.stillUsed.map((other) => other.termsAt(key).minProtocol);
      assert.deepEqual(said, ['TLSv1'], `${key}, ${isWhole ? 'known whole' : 'by what differs'}`);
    }
    while (machine.compare(() => true));
  }
});

test('settings that come back while their tables were replaced are not taken for tables in force', () => {
  const [one, other] = [settingsOf([3, 0, 0, 0]), settingsOf([2, 0, 0, 0])];
  const machine = held(one);
  const a = find(one, 'a.example');
  assert.equal(machine.holds(a, settle), true);
  machine.update(other);
  machine.observe({ generation: stampOf(other).generation, stamp: undefined, stampedAt: 0 }, settle);
  machine.update(one);
  assert.equal(machine.holds(a, settle), false);
  const stamp = stampOf(one);
  machine.observe({ generation: stamp.generation, stamp, stampedAt: settle + 1 }, settle + 1);
  assert.equal(machine.holds(a, settle + 1), false, 'Postfix may still use the other tables');
  assert.equal(machine.holds(a, 2 * settle + 1), true);
});

test('with another relayhost nothing is held: domains by MX stand in another table then', () => {
  const machine = held(settingsOf([3, 0, 0, 0]));
  const relayed = settingsOf([3, 0, 0, 0], '[relay.example]:25');
  machine.update(relayed);
  assert.equal(machine.holds(find(relayed, 'a.example'), settle), false);
});
