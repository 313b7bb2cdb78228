import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { DomainName } from '../../src/address/domain-name.ts';
import type { Settings } from '../../src/settings/settings.ts';
import { Random, seedOfThisRun } from '../oracle/prng.ts';
import { complaintOf, SettingsDirectory } from './settings-directory.ts';

const ALWAYS = (domain: string) => `[domains."${domain}".incoming.receipt]\nrequire_tls = "always"\n`;

describe('a settings directory', () => {
  it('holds any number of domains in any number of files', async (t) => {
    const directory = new SettingsDirectory(t, {
      'a.toml': ALWAYS('a.example') + ALWAYS('b.example'),
      'b.toml': ALWAYS('c.example'),
    });
    const settings = await directory.source.load();
    assert.deepEqual(
      [...settings.domains()].map(({ name, file }) => `${name} ${file}`),
      ['a.example a.toml', 'b.example a.toml', 'c.example b.toml'],
    );
  });

  it('may be empty, and hold files that are no settings', async (t) => {
    const directory = new SettingsDirectory(t, {
      README: 'hello',
      '.hidden.toml': '][',
      'a.toml~': '][',
      'b.toml.bak': '][',
      'empty.toml': '',
    });
    assert.equal((await directory.source.load()).size, 0);
  });

  it('that is not there is an error that names it', async (t) => {
    const directory = new SettingsDirectory(t);
    rmSync(directory.path, { recursive: true });
    assert.match(
      await directory.complaint(),
      new RegExp(
        `^${directory.path}: the settings directory cannot be read: ENOENT.*; make it, or name another as settings\\.source$`,
        'u',
      ),
    );
  });

  it('with broken TOML is refused with file and line, and with all that is wrong in other files', async (t) => {
    const directory = new SettingsDirectory(t, {
      'a.toml': '[domains\n',
      'b.toml': 'x = 1\n',
      'c.toml': ALWAYS('c.example'),
    });
    const [first, second, ...others] = (await directory.complaint()).split('\n');
    assert.match(first ?? '', /^a\.toml:1: /u);
    assert.match(second ?? '', /^b\.toml: x: unknown key$/u);
    assert.deepEqual(others, []);
  });

  it('with a FIFO called x.toml is refused, not waited for', { timeout: 5000 }, async (t) => {
    const directory = new SettingsDirectory(t);
    execFileSync('mkfifo', [join(directory.path, 'x.toml')]);
    assert.equal(await directory.complaint(), 'x.toml: is no regular file');
  });

  it('with a directory or a device called x.toml is refused', async (t) => {
    const directory = new SettingsDirectory(t);
    mkdirSync(join(directory.path, 'x.toml'));
    symlinkSync('/dev/zero', join(directory.path, 'y.toml'));
    assert.deepEqual((await directory.complaint()).split('\n'), [
      'x.toml: is no regular file',
      'y.toml: is no regular file',
    ]);
  });

  it('follows symbolic links, and refuses those that lead nowhere', async (t) => {
    const elsewhere = new SettingsDirectory(t, { 'real.toml': ALWAYS('a.example') });
    const directory = new SettingsDirectory(t);
    symlinkSync(join(elsewhere.path, 'real.toml'), join(directory.path, 'a.toml'));
    assert.equal((await directory.source.load()).size, 1);
    symlinkSync('nowhere', join(directory.path, 'b.toml'));
    symlinkSync('c.toml', join(directory.path, 'c.toml'));
    const [first, second] = (await directory.complaint()).split('\n');
    assert.match(first ?? '', /^b\.toml: cannot be read: ENOENT/u);
    assert.match(second ?? '', /^c\.toml: cannot be read: ELOOP/u);
  });

  it('with an unreadable file is refused with its name', async (t) => {
    const directory = new SettingsDirectory(t, { 'a.toml': ALWAYS('a.example') });
    chmodSync(directory.path, 0o755);
    chmodSync(join(directory.path, 'a.toml'), 0);
    // Root reads everything.
    process.seteuid?.('nobody');
    try {
      assert.match(await directory.complaint(), /^a\.toml: cannot be read: EACCES/u);
    } finally {
      process.seteuid?.(0);
    }
  });

  it('with bytes that are no UTF-8 is refused with the name of the file', async (t) => {
    const directory = new SettingsDirectory(t);
    execFileSync('sh', ['-c', String.raw`printf '# \377\n' > "$1"`, 'sh', join(directory.path, 'a.toml')]);
    assert.equal(await directory.complaint(), 'a.toml: is not valid UTF-8');
  });

  it('takes domains called __proto__ and constructor for what they are', async (t) => {
    const directory = new SettingsDirectory(t, { 'a.toml': ALWAYS('__proto__') + ALWAYS('constructor') });
    const settings = await directory.source.load();
    assert.equal(settings.size, 2);
    assert.equal(settings.find('constructor' as DomainName)?.name, 'constructor');
    assert.equal(settings.find('tostring' as DomainName), undefined);
  });
});

describe('a second load', () => {
  it('gives the same objects for what has not changed', async (t) => {
    const directory = new SettingsDirectory(t, { 'a.toml': ALWAYS('a.example') + ALWAYS('b.example') });
    const find = async (name: string) => (await directory.source.load()).find(name as DomainName);
    const before = await find('a.example');
    directory.write('a.toml', `${ALWAYS('a.example')}[domains."b.example"]\n`);
    assert.equal(await find('a.example'), before);
    assert.equal((await find('b.example'))?.settings.incoming.receipt, undefined);
  });

  it('gives new settings where a file was written again, even if it says the same', async (t) => {
    const directory = new SettingsDirectory(t, { 'a.toml': ALWAYS('a.example') });
    const before = await directory.source.load();
    assert.equal(await directory.source.load(), before);
    directory.write('a.toml', ALWAYS('a.example'));
    assert.notEqual(await directory.source.load(), before);
  });

  it('sees a file that was renamed into place', async (t) => {
    const directory = new SettingsDirectory(t, { 'a.toml': ALWAYS('a.example') });
    await directory.source.load();
    directory.write('new', ALWAYS('b.example'));
    renameSync(join(directory.path, 'new'), join(directory.path, 'a.toml'));
    assert.deepEqual(
      [...(await directory.source.load()).domains()].map(({ name }) => name),
      ['b.example'],
    );
  });

  it('that fails leaves what was loaded before to be loaded again', async (t) => {
    const directory = new SettingsDirectory(t, { 'a.toml': ALWAYS('a.example') });
    const before = (await directory.source.load()).find('a.example' as DomainName);
    directory.write('b.toml', '][');
    assert.notEqual(await directory.complaint(), '');
    rmSync(join(directory.path, 'b.toml'));
    assert.equal((await directory.source.load()).find('a.example' as DomainName), before);
  });

  it('gives what a first load would give, whatever has changed, and touches nothing that was loaded before', async (t) => {
    const seed = seedOfThisRun();
    const random = new Random(seed);
    const names = Array.from({ length: 8 }, (_, i) => `d${i}.example`);
    const files = ['a.toml', 'b.toml', 'c.toml'];
    // That all files are gone is taken for no change.
    const directory = new SettingsDirectory(t, { 'z.toml': '' });
    const first = new SettingsDirectory(t, { 'z.toml': '' });
    let before: { readonly settings: Settings; readonly said: string } | undefined;
    let usable = 0;
    for (let step = 0; step < 150; step++) {
      const file = random.pick(files);
      const text = random.percent(5)
        ? ']['
        : names
            .filter(() => random.percent(25))
            .map((name) => {
              const alias = random.percent(15) ? `aliases = ["${random.pick(['x.example', ...names])}"]\n` : '';
              const nexthop = random.percent(30) ? `nexthop = "${random.pick(names)}"\n` : '';
              const level = random.pick(['encrypt', 'verify']);
              const certificate =
                level === 'verify' && random.percent(50) ? 'certificate_names = ["mx.example"]\n' : '';
              const setting = `require_tls = "always"\nlevel = "${level}"\n${certificate}`;
              return `[domains."${name}"]\n${alias}${nexthop}[domains."${name}".incoming.delivery]\n${setting}`;
            })
            .join('');
      for (const each of [directory, first]) {
        if (text === '') each.remove(file);
        else each.write(file, text);
      }
      const wanted = await complaintOf(() => first.another().load());
      assert.equal(await directory.complaint(), wanted, `SEED=${seed} step ${step}`);
      if (before !== undefined) assert.equal(say(before.settings, names), before.said, `SEED=${seed} step ${step}`);
      if (wanted !== '') continue;
      usable += 1;
      const settings = await directory.source.load();
      const said = say(settings, names);
      assert.equal(said, say(await first.another().load(), names), `SEED=${seed} step ${step}`);
      before = { settings, said };
    }
    assert.ok(usable > 10, `SEED=${seed} ${usable} usable`);
  });
});

/** All that settings say of these names and of each domain, in one form. */
function say(settings: Settings, names: readonly string[]): string {
  const found = names.map((name) => `${name} ${settings.find(name as DomainName)?.name}`);
  const domains = [...settings.domains()].map(
    ({ name, aliases, nexthop, file, tableDigest }) => `${name} ${aliases} ${nexthop} ${file} ${tableDigest}`,
  );
  const terms = settings.nextHopsWithTerms().map((entry) => JSON.stringify(entry));
  return [settings.size, settings.tableDigest, ...found, ...domains.sort(), ...terms].join('\n');
}
