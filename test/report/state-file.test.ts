// The file that keeps counts: one that is read again is the one that was written, whatever else happens to it.

import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import type { ReportBounds } from '../../src/report/report-store.ts';
import { StateFile } from '../../src/report/state-file.ts';
import { Workspace } from '../harness/workspace.ts';
import { linesOf, rowOf } from './rows.ts';

const bounds: ReportBounds = { maxRows: 1_000, localParts: false };
const one = rowOf('example.com incoming a.example plaintext=1 first=10 last=20');
const two = rowOf('example.com incoming b.example TLSv1.3=2 first=15 last=20');

interface Place {
  readonly path: string;
  readonly log: readonly string[];
  open(bounds?: ReportBounds): StateFile;
  lines(): Promise<readonly string[]>;
  names(): Promise<readonly string[]>;
}

async function placeOf(t: Parameters<typeof Workspace.of>[0]): Promise<Place> {
  const workspace = await Workspace.of(t);
  const log: string[] = [];
  const path = workspace.path('report');
  const open = (own = bounds): StateFile =>
    new StateFile(path, own, { error: (fields, message) => log.push(`${message} ${JSON.stringify(fields)}`) });
  return {
    path,
    log,
    open,
    lines: async () => linesOf((await open().read())?.rows ?? []),
    names: async () => (await readdir(workspace.directory)).sort(),
  };
}

describe('a state file', () => {
  test('holds what was added, by this process and by those before it, since the first of it', async (t) => {
    const place = await placeOf(t);
    assert.equal(await place.open().read(), undefined);
    const first = place.open();
    await first.add([one], 100);
    await first.add([one, two], 200);
    await place.open().add([two], 300);
    assert.deepEqual(await place.lines(), [
      'example.com incoming a.example plaintext=2',
      'example.com incoming b.example TLSv1.3=4',
    ]);
    assert.equal((await place.open().read())?.since, 10);
    assert.equal((await stat(place.path)).mode & 0o777, 0o640, 'who mails whom is not for everyone to read');
    assert.deepEqual(await place.names(), ['report']);
  });

  test('that another hand changed, emptied or took away is what holds', async (t) => {
    const place = await placeOf(t);
    const store = place.open();
    await store.add([one], 100);
    await place.open().add([two], 200);
    await store.add([one], 300);
    assert.equal((await place.lines()).length, 2, 'nothing of another writer is lost');
    await place.open().reset(400);
    await store.add([one], 500);
    assert.deepEqual(await place.lines(), ['example.com incoming a.example plaintext=1']);
    assert.equal((await place.open().read())?.since, 400);
    await rm(place.path);
    await store.add([two], 600);
    assert.deepEqual(await place.lines(), ['example.com incoming b.example TLSv1.3=2']);
  });

  test('that cannot be written loses nothing: it is added once, later', async (t) => {
    const place = await placeOf(t);
    const store = place.open();
    await store.add([one], 100);
    await rename(place.path, `${place.path}.aside`);
    await mkdir(place.path);
    await assert.rejects(store.add([two], 200), /is no regular file/u);
    await assert.rejects(store.add([], 250));
    assert.equal(store.isSettled, false);
    await rm(place.path, { recursive: true });
    await rename(`${place.path}.aside`, place.path);
    await store.add([], 300);
    assert.equal(store.isSettled, true);
    assert.deepEqual(await place.lines(), [
      'example.com incoming a.example plaintext=1',
      'example.com incoming b.example TLSv1.3=2',
    ]);
  });

  test('that is damaged is moved aside, which is said once, and counting goes on', async (t) => {
    const damages: readonly ((text: string) => string | Buffer)[] = [
      () => '',
      () => '{}\n',
      (text) => text.slice(0, -5),
      (text) => text.slice(text.indexOf('\n') + 1),
      (text) => text.replace('plaintext=1', 'plaintext=-1'),
      (text) => text.replace('plaintext=1', 'plaintext=1e99'),
      (text) => text.replace('plaintext=1', 'first=9007199254740991 plaintext=1'),
      (text) => text.replace(/"since":\d+/u, '"since":1e300'),
      (text) => text.replace('\tincoming', '\tsideways'),
      (text) => text.replace('a.example', '\u001b[2J'),
      (text) => text.replace('"rows":2', '"rows":3'),
      () => Buffer.from([0xff, 0xfe, 0, 1]),
    ];
    const place = await placeOf(t);
    for (const [i, damage] of damages.entries()) {
      await place.open().add([one, two], 100);
      const damaged = damage(await readFile(place.path, 'utf8'));
      await writeFile(place.path, damaged);
      await assert.rejects(place.open().read());
      const store = place.open();
      await store.add([two], 200);
      await store.add([two], 300);
      assert.deepEqual(await place.lines(), ['example.com incoming b.example TLSv1.3=4'], String(damage));
      assert.equal(place.log.length, i + 1);
      assert.deepEqual(await readFile(`${place.path}.damaged`), Buffer.from(damaged));
      await rm(place.path);
    }
    assert.match(place.log[0] ?? '', /damaged; they are moved aside/u);
  });

  test('of a later version is read, counters that are not known are passed by', async (t) => {
    const place = await placeOf(t);
    await place.open().add([one], 100);
    await writeFile(place.path, (await readFile(place.path, 'utf8')).replace('plaintext=1', 'plaintext=1 quantum=7'));
    assert.deepEqual(await place.lines(), ['example.com incoming a.example plaintext=1']);
  });

  test('loses its local parts when they are not asked for any more', async (t) => {
    const place = await placeOf(t);
    const people = ['ceo', 'cfo'].map((name) => rowOf(`example.com incoming ${name}@a.example plaintext=1 first=1`));
    await place.open({ ...bounds, localParts: true }).add(people, 100);
    assert.equal((await place.lines()).length, 2);
    await place.open().add([two], 200);
    assert.deepEqual(await place.lines(), [
      'example.com incoming a.example plaintext=2',
      'example.com incoming b.example TLSv1.3=2',
    ]);
  });

  test('clears away what a killed writer left, and nothing else', async (t) => {
    const place = await placeOf(t);
    const left = `${place.path.slice(0, -'report'.length)}.tlswarden-4194400-0.tmp`;
    const live = `${place.path.slice(0, -'report'.length)}.tlswarden-${process.ppid}-0.tmp`;
    for (const path of [left, live]) await writeFile(path, 'x');
    await place.open().add([one], 100);
    assert.deepEqual(await place.names(), [`.tlswarden-${process.ppid}-0.tmp`, 'report']);
  });
});
