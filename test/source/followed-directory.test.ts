// A settings directory that is followed while others write in it: what they have written comes into force, and a mistake is told.

import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { DomainName } from '../../src/address/domain-name.ts';
import type { Settings } from '../../src/settings/settings.ts';
import { SettingsInForce, type SettingsSource } from '../../src/source/settings-in-force.ts';
import { waitFor } from '../harness/wait-for.ts';
import { complaintOf, SettingsDirectory } from './settings-directory.ts';

const domain = (name: string, nexthop = '') => `[domains."${name}"]\nnexthop = "${nexthop}"\n`;
const A = 'a.example' as DomainName;

function follow(t: TestContext, source: SettingsSource): SettingsInForce {
  const inForce = new SettingsInForce(source, { changed() {}, failed() {} });
  t.after(() => inForce.stop());
  return inForce;
}

async function untilNextHop(inForce: SettingsInForce, nexthop: string): Promise<void> {
  await waitFor(() => inForce.settings?.find(A)?.nexthop === nexthop, `${nexthop} in force`);
}

describe('a settings directory that is followed', () => {
  it('complains of a mistake however often the directory changes while it is read', async (t) => {
    const files = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`f${i}.toml`, domain(`d${i}.example`)]));
    const directory = new SettingsDirectory(t, { 'a.toml': domain('a.example', ']['), ...files });
    let notes = 0;
    const writing = setInterval(() => directory.write(`note-${notes++}`, ''), 1);
    t.after(() => clearInterval(writing));
    assert.match(await complaintOf(() => directory.source.load()), /^a\.toml: a\.example: nexthop: /u);
    assert.ok(notes > 0);
  });

  it('keeps its domains when all files are gone, until one says that there are none', async (t) => {
    const directory = new SettingsDirectory(t, { 'a.toml': domain('a.example', '[one.example]:25') });
    const told: string[] = [];
    const inForce = new SettingsInForce(directory.source, {
      changed() {},
      failed: ({ complaints }) => told.push(...complaints.map(({ message }) => message)),
    });
    t.after(() => inForce.stop());
    await inForce.start();
    rmSync(join(directory.path, 'a.toml'));
    await waitFor(() => told.length > 0, 'a complaint');
    assert.match(
      told.join(),
      /^has no settings file any more, with the domain that was hosted; to host nothing from now on, leave an empty one /u,
    );
    assert.equal(inForce.settings?.size, 1);
    directory.write('b.toml', '');
    await waitFor(() => inForce.settings?.size === 0, 'no domains');
  });

  it('loads once more what changes while it is loaded for the first time', async (t) => {
    const [first, second] = [{ size: 1 }, { size: 2 }] as [Settings, Settings];
    let changed: (() => void) | undefined;
    let loads = 0;
    const inForce = follow(t, {
      async load() {
        loads += 1;
        if (loads > 1) return second;
        changed?.();
        return first;
      },
      watch(callback) {
        changed = callback;
        return () => {};
      },
    });
    await inForce.start();
    await waitFor(() => inForce.settings === second, 'the second load');
  });

  it('does not take a file that is just being written for one without domains; one that stays empty has none', async (t) => {
    const directory = new SettingsDirectory(t, { 'a.toml': domain('a.example', '[one.example]:25') });
    const inForce = follow(t, directory.source);
    await inForce.start();
    directory.write('a.toml', '');
    for (let n = 0; n < 50; n++) {
      await pause(5);
      assert.ok(inForce.settings?.find(A) !== undefined);
    }
    directory.write('a.toml', domain('a.example', '[two.example]:25'));
    await untilNextHop(inForce, '[two.example]:25');
    directory.write('a.toml', '');
    await waitFor(() => inForce.settings?.find(A) === undefined, 'no domain');
  });

  it('follows files to which links in it lead', async (t) => {
    const elsewhere = new SettingsDirectory(t, { real: domain('a.example', '[one.example]:25') });
    const directory = new SettingsDirectory(t);
    symlinkSync(join(elsewhere.path, 'real'), join(directory.path, 'a.toml'));
    const inForce = follow(t, directory.source);
    await inForce.start();
    await untilNextHop(inForce, '[one.example]:25');
    elsewhere.write('real', domain('a.example', '[two.example]:25'));
    await untilNextHop(inForce, '[two.example]:25');
    await directory.store.change(() => new Map([[A, { nexthop: '[three.example]:25' }]]));
    await untilNextHop(inForce, '[three.example]:25');
  });

  it('misses no change of a file to which a link leads, also just after one in the directory', async (t) => {
    const elsewhere = new SettingsDirectory(t, { real: domain('a.example', '[zero.example]:25') });
    const directory = new SettingsDirectory(t);
    symlinkSync(join(elsewhere.path, 'real'), join(directory.path, 'a.toml'));
    const inForce = follow(t, directory.source);
    await inForce.start();
    for (const host of ['one', 'two', 'three']) {
      directory.write('note', host);
      // Until the note is taken in.
      await pause(150);
      elsewhere.write('real', domain('a.example', `[${host}.example]:25`));
      await untilNextHop(inForce, `[${host}.example]:25`);
    }
  });

  it('follows the directory that has taken its place, also right after the start', async (t) => {
    const directory = new SettingsDirectory(t, { 'a.toml': domain('a.example', '[one.example]:25') });
    const other = new SettingsDirectory(t, { 'a.toml': domain('a.example', '[two.example]:25') });
    const inForce = follow(t, directory.source);
    await inForce.start();
    rmSync(directory.path, { recursive: true });
    renameSync(other.path, directory.path);
    await untilNextHop(inForce, '[two.example]:25');
    writeFileSync(join(directory.path, 'a.toml'), domain('a.example', '[three.example]:25'));
    await untilNextHop(inForce, '[three.example]:25');
  });

  it('follows a directory that was taken away and made anew at once, which may have the same inode', async (t) => {
    const directory = new SettingsDirectory(t, { 'a.toml': domain('a.example', '[one.example]:25') });
    const inForce = follow(t, directory.source);
    await inForce.start();
    rmSync(directory.path, { recursive: true });
    mkdirSync(directory.path);
    for (const host of ['two', 'three', 'four']) {
      directory.write('a.toml', domain('a.example', `[${host}.example]:25`));
      await untilNextHop(inForce, `[${host}.example]:25`);
    }
  });
});
