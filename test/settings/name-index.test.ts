// The index of names says what a Map of all names would say, whatever domains come and go.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DomainName } from '../../src/address/domain-name.ts';
import { type HostedDomain, NO_DEFAULTS } from '../../src/settings/hosted-domain.ts';
import { NameIndex } from '../../src/settings/name-index.ts';
import { parseNextHop } from '../../src/settings/next-hop.ts';
import { Random, seedOfThisRun } from '../oracle/prng.ts';

function domainOf(name: string, ...aliases: readonly string[]): HostedDomain {
  const nexthop = parseNextHop('');
  assert.ok(nexthop !== undefined);
  return {
    name: name as DomainName,
    aliases: aliases as readonly DomainName[],
    nexthop,
    settings: NO_DEFAULTS,
    file: 'a.toml',
    tableDigest: 0,
  };
}

test('the index of names holds what a Map would hold', () => {
  const seed = seedOfThisRun();
  const random = new Random(seed);
  for (let round = 0; round < 20; round++) {
    const slots: (HostedDomain | undefined)[] = [];
    const index = new NameIndex();
    const plain = new Map<string, number>();
    const most = random.pick([3, 30, 3_000]);
    for (let step = 0; step < 3_000; step++) {
      const slot = random.integer(0, most);
      const before = slots[slot];
      if (before === undefined) {
        const aliases = Array.from({ length: random.integer(0, 3) }, (_, i) => `alias-${i}-${slot}.example`);
        const domain = domainOf(`d${slot}.example`, ...aliases);
        slots[slot] = domain;
        index.add(domain, slot);
        for (const name of [domain.name, ...domain.aliases]) plain.set(name, slot);
      } else {
        index.remove(before);
        slots[slot] = undefined;
        for (const name of [before.name, ...before.aliases]) plain.delete(name);
      }
      const some = random.integer(0, most);
      for (const name of [
        `d${some}.example`,
        `alias-0-${some}.example`,
        `alias-2-${some}.example`,
        'none.example',
        '',
      ]) {
        const at = plain.get(name);
        assert.equal(index.slotOf(name as DomainName), at, `SEED=${seed} ${name}`);
        assert.equal(index.get(name as DomainName), at === undefined ? undefined : slots[at], `SEED=${seed} ${name}`);
      }
    }
    for (const [name, slot] of plain) assert.equal(index.slotOf(name as DomainName), slot, `SEED=${seed} ${name}`);
  }
});

test('a name of the same hash is another name', () => {
  // Of a hundred thousand names some share 32 bits; none is taken for another.
  const domains = Array.from({ length: 100_000 }, (_, i) => domainOf(`c${i}.customer.example`));
  const index = new NameIndex();
  for (const [i, domain] of domains.entries()) if (i % 2 === 0) index.add(domain, i);
  for (const [i, domain] of domains.entries()) {
    assert.equal(index.get(domain.name), i % 2 === 0 ? domain : undefined);
  }
});
