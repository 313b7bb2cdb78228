/**
 * Writers that are killed at any system call, and writers at the same time: a file is the old one or the new one, and no
 * change is lost. In real processes, since the lock and the rename are the kernel's.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { it, type TestContext } from 'node:test';
import { NO_DEFAULTS } from '../../src/settings/hosted-domain.ts';
import { BY_MX } from '../../src/settings/next-hop.ts';
import { SettingPool } from '../../src/settings/parse-setting.ts';
import { DirectoryStore } from '../../src/source/directory-store.ts';
import { attempt } from '../harness/command.ts';
import { crashEverywhere, type Ended } from '../harness/crash-points.ts';
import { MAIN } from '../harness/main.ts';
import { Workspace } from '../harness/workspace.ts';
import { Program } from './program.ts';

/** What stands in the settings directory, but for the lock. */
function filesIn(directory: string): Record<string, string> {
  const names = readdirSync(directory).filter((name) => name !== '.tlswarden.lock');
  return Object.fromEntries(names.sort().map((name) => [name, readFileSync(`${directory}/${name}`, 'utf8')]));
}

/** The settings as they stand in a directory for whoever reads them, whole. */
async function settingsIn(directory: string): Promise<string> {
  const context = { defaults: NO_DEFAULTS, hasRelayhost: false, pool: new SettingPool() };
  const { domains, complaints } = await new DirectoryStore({ path: directory, relayhost: BY_MX, context }).read();
  assert.deepEqual(complaints, []);
  return [...domains.values()]
    .map((domain) => JSON.stringify(domain))
    .sort()
    .join('\n');
}

/** Kills a command at any call. `news` are the files that it makes of `old`, undefined for one that it removes. */
async function killedCommand(
  t: TestContext,
  trial: {
    readonly some: number;
    readonly args: readonly string[];
    readonly input?: string;
    readonly old: Readonly<Record<string, string>>;
    readonly news: Readonly<Record<string, string | undefined>>;
  },
): Promise<void> {
  const workspace = await Workspace.of(t);
  const directory = workspace.path('domains.d');
  const config = await workspace.write('tlswarden.toml', '');
  const command = [MAIN, '--config', config, ...trial.args];
  const wanted = { ...trial.old, ...trial.news };
  const fill = (files: Readonly<Record<string, string | undefined>>, at: string): void => {
    rmSync(at, { recursive: true, force: true });
    mkdirSync(at);
    for (const [name, text] of Object.entries(files)) if (text !== undefined) writeFileSync(`${at}/${name}`, text);
  };
  fill(trial.old, workspace.path('old'));
  fill(wanted, workspace.path('new'));
  const whole = [await settingsIn(workspace.path('old')), await settingsIn(workspace.path('new'))];
  const after = Object.fromEntries(
    Object.entries(wanted)
      .filter(([, text]) => text !== undefined)
      .sort(),
  );
  await crashEverywhere(t, {
    workspace,
    some: trial.some,
    prepare: () => fill(trial.old, directory),
    writer: () => ({ command, input: trial.input ?? '' }),
    async holds({ killed, status, said }: Ended) {
      if (!killed) assert.equal(status, 0, said);
      const found = filesIn(directory);
      for (const [name, text] of Object.entries(found)) {
        // What a killed writer was about to put in place, no loader reads.
        if (name.startsWith('.tlswarden-') && killed) continue;
        assert.ok(text === trial.old[name] || text === trial.news[name], `${name}:\n${text}`);
      }
      for (const name of Object.keys(trial.old)) assert.ok(name in found || trial.news[name] === undefined, name);
      // Whoever reads them finds all that was asked for, or nothing of it.
      assert.ok(whole.includes(await settingsIn(directory)), 'half of the change holds');
      // The next one needs no help, and clears away what is left.
      const again = await attempt(process.execPath, command, { input: trial.input ?? '' });
      // What is gone already cannot be removed.
      if (again.status !== 0) assert.match(again.stderr, /is not hosted here/);
      assert.deepEqual(filesIn(directory), after);
    },
  });
}

const BY_HAND = '# by hand\n[domains."a.example"]\naliases = ["x0.example"]\n[domains."b.example"]\n# the end\n';

it('domains set, killed at any call, leaves the old settings or the new ones, and no lock', async (t) => {
  await killedCommand(t, {
    some: 4,
    args: ['domains', 'set', 'a.example', 'aliases=x1.example'],
    old: { 'hand.toml': BY_HAND },
    news: { 'hand.toml': BY_HAND.replace('x0', 'x1') },
  });
});

it('domains unset, killed at any call, leaves the old settings or the new ones', async (t) => {
  await killedCommand(t, {
    some: 2,
    args: ['domains', 'unset', 'a.example'],
    old: { 'hand.toml': BY_HAND },
    news: { 'hand.toml': '# by hand\n[domains."b.example"]\n# the end\n' },
  });
});

it('domains import, killed at any call, has changed nothing or all, and can be done again', async (t) => {
  const record = (i: number, host: string) => `{"domain":"d${i}.example","nexthop":"[${host}.example]:25"}\n`;
  const file = (i: number, host: string) => `[domains."d${i}.example"]\nnexthop = "[${host}.example]:25"\n`;
  const numbers = Array.from({ length: 20 }, (_, i) => i);
  const files = (host: string, of: readonly number[]) =>
    Object.fromEntries(of.map((i) => [`d${i}.example.toml`, file(i, host)]));
  await killedCommand(t, {
    some: 4,
    args: ['domains', 'import', '-'],
    input: numbers.map((i) => record(i, 'new')).join(''),
    old: { 'hand.toml': BY_HAND, ...files('old', numbers.slice(0, 15)) },
    news: files('new', numbers),
  });
});

it('writers at the same time lose nothing', { timeout: 120_000 }, async (t) => {
  const program = new Program(t, { 'hand.toml': '[domains."a.example"]\n[domains."b.example"]\n' });
  const numbers = Array.from({ length: 10 }, (_, i) => i);
  for (const pair of [numbers.slice(0, 5), numbers.slice(5)]) {
    const results = await Promise.all(
      pair.map((i) =>
        program.run(['domains', 'set', i % 2 === 0 ? 'a.example' : 'b.example', `aliases+=x${i}.example`]),
      ),
    );
    for (const { status, stderr } of results) assert.equal(status, 0, stderr);
  }
  const aliases = [...program.read('hand.toml').matchAll(/"(x\d)\.example"/gu)].map(([, alias]) => alias).sort();
  assert.deepEqual(
    aliases,
    numbers.map((i) => `x${i}`),
  );
});
