import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { contentOf, MapsDirectory } from '../../src/tables/maps-directory.ts';
import { parseStamp } from '../../src/tables/stamp.ts';
import { compile } from '../decision/core.ts';
import type { RawSettings } from '../oracle/oracle.ts';
import { Random, seedOfThisRun } from '../oracle/prng.ts';
import { MapsSite } from './maps-site.ts';

const always = { require_tls: 'always' } as const;
// The domain moves from one table to another: in a mixture of both sets it could stand in neither.
const one: RawSettings = { domains: { 'a.example': { incoming: { delivery: always } } } };
const other: RawSettings = {
  domains: { 'a.example': { nexthop: '[mx.a.example]:25', incoming: { delivery: always } } },
};

/** A stamp stands only beside the tables that it describes. */
async function stampHolds(site: MapsSite, all: readonly RawSettings[]): Promise<void> {
  const stamp = parseStamp(await readFile(site.file('stamp.json'), 'utf8').catch(() => ''));
  if (stamp === undefined) return;
  const current = await new MapsDirectory(site.options.directory).current();
  assert.equal(stamp.generation, current === undefined ? undefined : contentOf(current));
  const found = site.inForce(all);
  assert.equal(
    stamp.settings,
    found === undefined ? undefined : compile(all[found] as RawSettings).settings.tableDigest,
  );
}

test('a writer killed at any step leaves one whole set in force, and the next one mends', async (t) => {
  const site = await MapsSite.of(t);
  await site.write(one);
  const clean = readdirSync(site.options.directory).filter((name) => !name.startsWith('.generation'));
  let wanted = other;
  for (let step = 0; ; step += 1) {
    const { killed } = await site.process({ settings: [wanted], dieAt: step });
    if (!killed) {
      assert(step > 20, `${step} steps`);
      break;
    }
    assert.notEqual(site.inForce([one, other]), undefined);
    await stampHolds(site, [one, other]);
    await site.write(wanted);
    await stampHolds(site, [one, other]);
    assert.equal(site.inForce([wanted]), 0);
    const left = readdirSync(site.options.directory);
    assert.deepEqual(
      left.filter((name) => !name.startsWith('.generation')),
      clean,
    );
    assert.equal(left.length, clean.length + 1);
    wanted = wanted === one ? other : one;
  }
});

test('the first writer killed at any step leaves no tables or all of them', async (t) => {
  const seed = seedOfThisRun();
  t.diagnostic(`SEED=${seed}`);
  const random = new Random(seed);
  for (let tries = 6; tries > 0; tries -= 1) {
    const site = await MapsSite.of(t, 'lmdb');
    await site.process({ settings: [one], dieAt: random.integer(0, 60) });
    site.inForce([one]);
    await stampHolds(site, [one]);
    await site.write(one);
    assert.equal(await site.query('tls_policy', 'a.example'), 'encrypt protocols=>=TLSv1.2 ciphers=medium');
  }
});

test('writers at once take turns: one writes, the others find nothing to do', async (t) => {
  const site = await MapsSite.of(t, 'lmdb');
  const many = Object.fromEntries(
    Array.from({ length: 2000 }, (_, i) => [`d${i}.example`, { incoming: { receipt: always } }]),
  );
  const settings = [{ domains: many }];
  const writers = await Promise.all(Array.from({ length: 4 }, () => site.process({ settings, sayWaiting: true })));
  const said = writers.flatMap(({ outcomes }) => outcomes);
  assert.equal(said.filter((outcome) => 'changed' in outcome && outcome.changed).length, 1);
  assert.equal(said.filter((outcome) => 'changed' in outcome && !outcome.changed).length, 3);
  assert(said.some((outcome) => 'waiting' in outcome));
  assert.equal(site.inForce(settings), 0);
});

test('writers of different settings at once never mix', async (t) => {
  const site = await MapsSite.of(t);
  await Promise.all([one, other, one, other].map((settings) => site.process({ settings: [settings] })));
  assert.notEqual(site.inForce([one, other]), undefined);
  await stampHolds(site, [one, other]);
});
