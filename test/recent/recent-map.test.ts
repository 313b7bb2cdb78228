// A map of what is recent does what a Map does whose entries are deleted and set again, and lets go of what is deleted.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { RecentMap } from '../../src/recent/recent-map.ts';
import { Random, seedOfThisRun } from '../oracle/prng.ts';

for (const [kind, keyOf] of [
  ['texts', (i: number) => `key-${i}`],
  // All in one chain.
  ['numbers of one hash', (i: number) => i * 2 ** 32],
] as const) {
  test(`holds what a Map would hold, in the order in which it was set: ${kind}`, () => {
    const seed = seedOfThisRun();
    const random = new Random(seed);
    for (let round = 0; round < 20; round++) {
      const map = new RecentMap<string | number, number>();
      const plain = new Map<string | number, number>();
      const keys = random.integer(1, 100);
      for (let step = 0; step < 1_000; step++) {
        const key = keyOf(random.integer(0, keys));
        if (random.percent(60)) {
          plain.delete(key);
          plain.set(key, step);
          map.set(key, step);
        } else {
          plain.delete(key);
          map.delete(key);
        }
        const some = keyOf(random.integer(0, keys));
        assert.equal(map.get(some), plain.get(some), `SEED=${seed}`);
        assert.equal(map.size, plain.size, `SEED=${seed}`);
        assert.deepEqual(map.oldest, plain.entries().next().value, `SEED=${seed}`);
      }
      while (plain.size > 0) {
        const [oldest] = plain;
        assert.deepEqual(map.oldest, oldest, `SEED=${seed}`);
        plain.delete(oldest?.[0] ?? '');
        map.delete(oldest?.[0] ?? '');
      }
      assert.equal(map.oldest, undefined);
    }
  });
}

test('what is deleted does not grow old, however long entries have come and gone', () => {
  setFlagsFromString('--expose-gc');
  const collectYoung = runInNewContext('gc') as (options: { readonly type: 'minor' }) => void;
  const map = new RecentMap<string, readonly number[]>();
  const heapUsed = (): number => {
    for (let i = 0; i < 3; i++) collectYoung({ type: 'minor' });
    return process.memoryUsage().heapUsed;
  };
  const before = heapUsed();
  for (let i = 0; i < 20_000; i++) {
    // 16 MB of them; with a Map they were all still there.
    map.set(`key-${i}`, new Array(100).fill(i));
    map.delete(`key-${i - 10}`);
    if (i % 1_000 === 0) collectYoung({ type: 'minor' });
  }
  assert.equal(map.size, 10);
  assert.ok(heapUsed() - before < 4_000_000);
});
