// A change of several settings files is one change: who reads while it is made, or after its writer was killed half-way,
// finds all of it or nothing.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { DomainName } from '../../src/address/domain-name.ts';
import { type FileReplacement, writeFilesAtomically } from '../../src/files/replace-files.ts';
import { ChangeJournal, LOCK_FILE } from '../../src/source/change-journal.ts';
import type { Table } from '../../src/toml/table-reader.ts';
import { SettingsDirectory } from './settings-directory.ts';

const JOURNAL = '.tlswarden-change.json';
const domain = (name: string, more = '') => `[domains."${name}"]\n${more}`;
const alias = 'aliases = ["x.example"]\n';

/** An alias goes from one domain to another, a third domain comes and a fourth goes; its writer dies after the first file. */
function cutShort(t: { after(body: () => void): void }): SettingsDirectory {
  const directory = new SettingsDirectory(t, {
    'a.toml': domain('a.example', alias),
    'b.toml': domain('b.example'),
    'd.toml': domain('d.example'),
    '.tlswarden-4194301-0.tmp': domain('a.example'),
    '.tlswarden-4194301-1.tmp': domain('b.example', alias),
    '.tlswarden-4194301-2.tmp': domain('c.example'),
    [JOURNAL]: JSON.stringify({
      format: 1,
      changes: {
        'a.toml': '.tlswarden-4194301-0.tmp',
        'b.toml': '.tlswarden-4194301-1.tmp',
        'c.toml': '.tlswarden-4194301-2.tmp',
        'd.toml': null,
      },
    }),
  });
  renameSync(join(directory.path, '.tlswarden-4194301-0.tmp'), join(directory.path, 'a.toml'));
  return directory;
}

async function found(directory: SettingsDirectory): Promise<readonly string[]> {
  const settings = await directory.source.load();
  return [...settings.domains()].map(({ name, file, aliases }) => [name, ...aliases, file].join(' '));
}

const CHANGED = ['a.example a.toml', 'b.example x.example b.toml', 'c.example c.toml'];

describe('a change of several files whose writer was killed half-way', () => {
  it('holds for whoever reads', async (t) => {
    const directory = cutShort(t);
    assert.deepEqual(await found(directory), CHANGED);
    const { domains, complaints } = await directory.store.read();
    assert.deepEqual(complaints, []);
    assert.deepEqual([...domains.keys()], ['a.example', 'b.example', 'c.example']);
  });

  it('is brought to its end by the next writer', async (t) => {
    const directory = cutShort(t);
    const always: Table = { incoming: { receipt: { require_tls: 'always' } } };
    await directory.store.change(() => new Map([['c.example' as DomainName, always]]));
    assert.deepEqual(directory.names(), ['a.toml', 'b.toml', 'c.toml']);
    assert.equal(directory.read('b.toml'), domain('b.example', alias));
    assert.match(directory.read('c.toml'), /always/u);
    assert.deepEqual(await found(directory), CHANGED);
  });

  it('is not believed where it names what no writer would', async (t) => {
    const outside = new SettingsDirectory(t, { 'o.toml': domain('o.example'), p: domain('p.example') });
    const directory = new SettingsDirectory(t, { 'a.toml': domain('a.example') });
    const up = `../${outside.path.split('/').at(-1)}`;
    for (const journal of [
      '',
      '{',
      'null',
      '{"format":1,"changes":[]}',
      '{"format":2,"changes":{"a.toml":null}}',
      JSON.stringify({ format: 1, changes: { 'a.toml': `${up}/p`, [`${up}/o.toml`]: null, '.x.toml': null, x: null } }),
      JSON.stringify({ format: 1, changes: { 'a.toml': join(outside.path, 'p'), 'b.toml': 7 } }),
    ]) {
      writeFileSync(join(directory.path, JOURNAL), journal);
      assert.deepEqual(await found(directory), ['a.example a.toml']);
      await directory.store.change(() => new Map([['b.example' as DomainName, {}]]));
      await directory.store.change(() => new Map([['b.example' as DomainName, undefined]]));
      assert.deepEqual(directory.names(), ['a.toml']);
      assert.ok(existsSync(join(outside.path, 'o.toml')));
      assert.equal(outside.read('p'), domain('p.example'));
    }
  });
});

it('a change of several files that cannot be begun leaves all of them as they were, and nothing behind', async (t) => {
  const files = { 'a.toml': domain('a.example'), 'b.toml': domain('b.example') };
  const directory = new SettingsDirectory(t, files);
  // Nothing can be written there, as on a full disk.
  mkdirSync(join(directory.path, LOCK_FILE));
  const journal = new ChangeJournal(directory.path);
  const changes = [
    { path: join(directory.path, 'a.toml'), text: undefined },
    { path: join(directory.path, 'b.toml'), text: domain('b.example', alias) },
  ];
  await assert.rejects(writeFilesAtomically(changes, undefined, journal), { code: 'EISDIR' });
  assert.deepEqual(await found(directory), ['a.example a.toml', 'b.example b.toml']);
  await journal.finish();
  assert.deepEqual(readdirSync(directory.path).sort(), [LOCK_FILE, 'a.toml', 'b.toml']);
  assert.equal(directory.read('b.toml'), files['b.toml']);
});

it('a change never uses a file name of one before, which a slow reader may still be about to read', async (t) => {
  const directory = new SettingsDirectory(t);
  const used: (string | undefined)[] = [];
  const journal = {
    begin: async (files: readonly FileReplacement[]) => void used.push(...files.map(({ temporary }) => temporary)),
    end: async () => {},
  };
  const changes = ['a.toml', 'b.toml'].map((name) => ({ path: join(directory.path, name), text: '' }));
  await writeFilesAtomically(changes, undefined, journal);
  await writeFilesAtomically(changes, undefined, journal);
  assert.equal(new Set(used).size, 4);
});

it('whoever reads while a change of several files is made finds all of it or nothing', async (t) => {
  const numbers = Array.from({ length: 30 }, (_, i) => i);
  const directory = new SettingsDirectory(t);
  const set = async (round: number): Promise<void> => {
    const table = { nexthop: `[mx${round}.example]:25` };
    await directory.store.replace(new Map(numbers.map((i) => [`d${i}.example` as DomainName, table])));
  };
  await set(0);
  let isOver = false;
  const reading = (async () => {
    for (;;) {
      const isLast = isOver;
      const nexthops = new Set([...(await directory.source.load()).domains()].map(({ nexthop }) => nexthop));
      assert.equal(nexthops.size, 1, [...nexthops].join(' '));
      if (isLast) return [...nexthops];
    }
  })();
  for (let round = 1; round <= 6; round += 1) await set(round);
  isOver = true;
  assert.deepEqual(await reading, ['[mx6.example]:25']);
});
