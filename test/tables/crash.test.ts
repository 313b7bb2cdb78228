import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { test } from 'node:test';
import { contentOf, MapsDirectory } from '../../src/tables/maps-directory.ts';
import { parseStamp } from '../../src/tables/stamp.ts';
import { compile } from '../decision/core.ts';
import { run } from '../harness/command.ts';
import { crashEverywhere } from '../harness/crash-points.ts';
import type { RawSettings } from '../oracle/oracle.ts';
import { Random, seedOfThisRun } from '../oracle/prng.ts';
import { MapsSite } from './maps-site.ts';

const always = { require_tls: 'always' } as const;
// The domain moves from one table to another: in a mixture of both sets it could stand in neither.
const one: RawSettings = { domains: { 'a.example': { incoming: { delivery: always } } } };
const other: RawSettings = {
  domains: { 'a.example': { nexthop: '[mx.a.example]:25', incoming: { delivery: always } } },
};

/** What lies in the maps directory besides the generation in force. */
function left(site: MapsSite): readonly string[] {
  const names = readdirSync(site.options.directory).sort();
  const generations = names.filter((name) => name.startsWith('.generation'));
  assert.equal(generations.length, 1, names.join(' '));
  return names.filter((name) => !name.startsWith('.generation'));
}

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

test('a writer killed at any call leaves one whole set in force, and the next one mends', async (t) => {
  const site = await MapsSite.of(t);
  let wanted = other;
  await crashEverywhere(t, {
    workspace: site.workspace,
    some: 6,
    async prepare() {
      wanted = wanted === one ? other : one;
      await site.write(wanted === one ? other : one);
    },
    writer: () => site.writer({ settings: [wanted] }),
    async holds({ killed, said }) {
      assert.ok(killed || JSON.parse(said).changed, said);
      const found = site.inForce(killed ? [one, other] : [wanted]);
      assert.notEqual(found, undefined);
      await stampHolds(site, [one, other]);
      await site.write(wanted);
      await stampHolds(site, [one, other]);
      assert.equal(site.inForce([wanted]), 0);
      assert.deepEqual(left(site), ['.lock', 'current', 'stamp.json']);
    },
  });
});

test('the first writer killed at any call leaves no tables or all of them', async (t) => {
  const site = await MapsSite.of(t, 'lmdb');
  await crashEverywhere(t, {
    workspace: site.workspace,
    some: 3,
    prepare: () => rm(site.options.directory, { recursive: true, force: true }),
    writer: () => site.writer({ settings: [one] }),
    async holds() {
      site.inForce([one]);
      await stampHolds(site, [one]);
      await site.write(one);
      assert.equal(await site.query('tls_policy', 'a.example'), 'encrypt protocols=>=TLSv1.2 ciphers=medium');
      assert.deepEqual(left(site), ['.lock', 'current', 'stamp.json']);
    },
  });
});

test('a writer killed while postmap is at work leaves the old set, also when that goes on', async (t) => {
  const site = await MapsSite.of(t, 'lmdb');
  await site.write(one);
  // Its own writing comes after the end of whoever started it.
  const postmap = (await run('sh', ['-c', 'command -v postmap'])).trimEnd();
  await site.program('postmap', `kill -9 $PPID\nsleep 0.2\nexec ${postmap} "$@"`);
  const { killed } = await site.process({ settings: [other] });
  assert.ok(killed);
  assert.equal(site.inForce([one]), 0);
  await rm(site.workspace.path('bin', 'postmap'));
  assert.equal(await site.write(other), true);
  assert.equal(site.inForce([other]), 0);
  assert.deepEqual(left(site), ['.lock', 'current', 'stamp.json']);
});

test('postmap killed at any call leaves the old set, and the writer says that it was', async (t) => {
  const site = await MapsSite.of(t, 'lmdb');
  await site.write(one);
  const postmap = (await run('sh', ['-c', 'command -v postmap'])).trimEnd();
  const calls =
    'write,pwrite64,writev,pwritev,ftruncate,openat,fsync,fdatasync,rename,unlink,fchmod,fchown,flock,fcntl';
  const all = process.env['CRASH'] === 'all';
  const random = new Random(seedOfThisRun());
  let crashes = 0;
  for (let n = all ? 1 : random.integer(1, 20); ; n += all ? 1 : random.integer(10, 30)) {
    const strace = `strace -qq -o /dev/null -e trace=${calls} -e inject=${calls}:signal=SIGKILL:when=${n} -p $$ 2>/dev/null`;
    const untilTraced = 'while grep -q "TracerPid:.0$" /proc/$$/status; do sleep 0.01; done';
    await site.program('postmap', `${strace} &\n${untilTraced}\nexec ${postmap} "$@"`);
    const { outcomes } = await site.process({ settings: [other] });
    const [outcome] = outcomes;
    if (outcome !== undefined && 'changed' in outcome) break;
    crashes += 1;
    assert.match(JSON.stringify(outcome), /postmap failed/);
    assert.equal(site.inForce([one]), 0);
    assert.deepEqual(left(site), ['.lock', 'current', 'stamp.json']);
  }
  t.diagnostic(`postmap was killed at ${crashes} calls`);
  assert.equal(site.inForce([other]), 0);
  await stampHolds(site, [other]);
});

test('writers at once take turns: one writes, the others find nothing to do', async (t) => {
  const site = await MapsSite.of(t, 'lmdb');
  const many = Object.fromEntries(
    Array.from({ length: 2000 }, (_, i) => [`d${i}.example`, { incoming: { receipt: always } }]),
  );
  const settings = [{ domains: many }];
  // The first one is not done before the others wait.
  const postmap = (await run('sh', ['-c', 'command -v postmap'])).trimEnd();
  const waiting = `grep -c -- "-> FLOCK .*:$(stat -c %i ${site.file('.lock')}) " /proc/locks`;
  await site.program('postmap', `while [ "$(${waiting})" -lt 3 ]; do sleep 0.01; done\nexec ${postmap} "$@"`);
  const writers = await Promise.all(Array.from({ length: 4 }, () => site.process({ settings, sayWaiting: true })));
  const said = writers.flatMap(({ outcomes }) => outcomes);
  assert.equal(said.filter((outcome) => 'changed' in outcome && outcome.changed).length, 1);
  assert.equal(said.filter((outcome) => 'changed' in outcome && !outcome.changed).length, 3);
  assert.equal(said.filter((outcome) => 'waiting' in outcome).length, 3);
  assert.equal(site.inForce(settings), 0);
});

test('writers of different settings at once never mix', async (t) => {
  const site = await MapsSite.of(t);
  await Promise.all([one, other, one, other].map((settings) => site.process({ settings: [settings] })));
  assert.notEqual(site.inForce([one, other]), undefined);
  await stampHolds(site, [one, other]);
});
