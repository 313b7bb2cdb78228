// `tlswarden domains set --probe`: nothing is required that would not work, unless somebody insists.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { Authority } from '../harness/certificates.ts';
import { Destination } from '../harness/destination.ts';
import { NameServer } from '../harness/name-server.ts';
import { Workspace } from '../harness/workspace.ts';
import { tlswarden } from '../redis/host.ts';

describe('domains set --probe', () => {
  let workspace: Workspace;
  let names: NameServer;
  let options: readonly string[];
  let good: Destination;
  let plain: Destination;
  let gone: Destination;

  before(async () => {
    workspace = await Workspace.create();
    const authority = await Authority.create(workspace);
    names = await NameServer.start(workspace);
    options = ['--probe', '--resolver', names.address, '--ca', authority.caFile];
    const certificate = await authority.issue(['mx.provider.example']);
    [good, plain, gone] = await Promise.all([
      Destination.start(workspace, { certificate }),
      Destination.start(workspace),
      Destination.start(workspace),
    ]);
    await gone.down();
    names.set('good.example', { mx: ['10 mx.provider.example'] });
    names.set('alias.example', { mx: ['10 mx.plain.example'] });
    names.set('plain.example', { mx: ['10 mx.plain.example'] });
    names.set('half.example', { mx: ['10 mx.provider.example', '20 mx.gone.example'] });
    names.set('mx.provider.example', { a: [good.address] });
    names.set('mx.plain.example', { a: [plain.address] });
    names.set('mx.gone.example', { a: [gone.address] });
  });
  after(() => workspace.dispose());

  interface Answer {
    readonly status: number | null;
    readonly stdout: string;
    readonly stderr: string;
    /** The settings afterwards. */
    readonly settings: string;
  }

  /** Runs `domains set` on settings of its own. */
  async function set(name: string, words: string, settings = '', main = ''): Promise<Answer> {
    const directory = `set-${Math.random().toString(36).slice(2)}`;
    const config = await workspace.write(`${directory}/tlswarden.toml`, main);
    const file = await workspace.write(`${directory}/domains.d/all.toml`, settings || `[domains."${name}"]\n`);
    const result = await tlswarden(config, ['domains', 'set', name, ...options, ...words.split(' ')]);
    return { ...result, settings: await readFile(file, 'utf8') };
  }

  test('sets what works on all hosts, and says so', async () => {
    const { status, stdout, stderr, settings } = await set(
      'good.example',
      'incoming.delivery require_tls=always level=verify',
    );
    assert.deepEqual([status, stdout], [0, 'good.example: changed\n']);
    assert.equal(stderr, 'good.example: incoming.delivery, level verify, works at the MX hosts of good.example\n');
    assert.match(settings, /level = "verify"/u);
  });

  test('changes nothing where a level does not work, and says why, and what would', async () => {
    const { status, stdout, stderr, settings } = await set(
      'good.example',
      'incoming.delivery require_tls=always level=secure',
    );
    assert.deepEqual([status, stdout], [1, '']);
    assert.match(
      stderr,
      /^tlswarden: good\.example: incoming\.delivery, level secure, would not work at the MX hosts of good\.example: its certificate is for mx\.provider\.example, not for good\.example or .*; level verify would work: tlswarden domains set good\.example incoming\.delivery require_tls=always level=verify\n/u,
    );
    assert.match(stderr, /Nothing was changed; with --force it is set all the same\.\n$/u);
    assert.equal(settings, '[domains."good.example"]\n');
  });

  test('changes nothing where a server has no TLS, or was not reached', async () => {
    const [no, unknown] = await Promise.all([
      set('plain.example', 'incoming.delivery require_tls=always'),
      set('half.example', 'incoming.delivery require_tls=always'),
    ]);
    assert.deepEqual([no.status, unknown.status], [1, 1]);
    assert.match(no.stderr, /it offers no STARTTLS; TLS cannot be required there$/mu);
    assert.match(unknown.stderr, /mx\.gone\.example was not reached$/mu);
    assert.doesNotMatch(no.settings + unknown.settings, /require_tls/u);
  });

  test('sets it all the same with --force, with a warning', async () => {
    const { status, stderr, settings } = await set('plain.example', '--force incoming.delivery require_tls=always');
    assert.equal(status, 0);
    assert.match(stderr, /^warning: plain\.example: incoming\.delivery, level encrypt, would not work/u);
    assert.match(settings, /require_tls = "always"/u);
  });

  test('looks where the change sends the mail, and at the MX hosts of every alias', async () => {
    const settings = `[domains."plain.example".incoming.delivery]\nrequire_tls = "always"\n`;
    const moved = await set('plain.example', `nexthop=${good.nexthop}`, settings);
    assert.equal(moved.status, 0, moved.stderr);
    assert.ok(moved.stderr.includes(`level encrypt, works at ${good.nexthop}`), moved.stderr);
    const aliased = await set('good.example', 'aliases=alias.example incoming.delivery require_tls=always');
    assert.equal(aliased.status, 1);
    assert.match(aliased.stderr, /would not work at the MX hosts of alias\.example: it offers no STARTTLS/u);
  });

  test('only says what would not work under monitor, which requires nothing', async () => {
    const words = 'incoming.delivery require_tls=always enforcement=monitor';
    const { status, stderr } = await set('plain.example', words);
    assert.equal(status, 0);
    assert.match(stderr, /^plain\.example: incoming\.delivery, level encrypt, would not work/u);
  });

  test('looks at nobody where no requirement on delivery is new', async () => {
    const settings = `[domains."plain.example".incoming.delivery]\nrequire_tls = "always"\n`;
    const { status, stderr } = await set('plain.example', 'incoming.receipt require_tls=always', settings);
    assert.equal(status, 0);
    assert.match(stderr, /no requirement on delivery is new here: nothing was probed/u);
  });

  test('of outgoing mail looks at the relayhost, or at the domains that the setting lists', async () => {
    const relay = `[postfix]\nrelayhost = "${plain.nexthop}"\n`;
    const words = 'outgoing.delivery require_tls=specific recipients=*@good.example,ceo@plain.example when=both';
    const [by, listed, everybody] = await Promise.all([
      set('good.example', 'outgoing.delivery require_tls=always', '', relay),
      set('own.example', words),
      set('own.example', 'outgoing.delivery require_tls=always'),
    ]);
    assert.equal(by.status, 1);
    assert.ok(by.stderr.includes(`outgoing.delivery, level encrypt, would not work at ${plain.nexthop}: it offers no`));
    assert.equal(listed.status, 1);
    assert.match(listed.stderr, /works at the MX hosts of good\.example$/mu);
    assert.match(listed.stderr, /would not work at the MX hosts of plain\.example: it offers no STARTTLS/u);
    assert.equal(everybody.status, 0);
    assert.match(everybody.stderr, /it is for mail to everybody: nothing was probed/u);
  });

  test('says what it saw as JSON, and takes nothing that makes no sense', async () => {
    const [json, invalid, lone] = await Promise.all([
      set('good.example', '--json incoming.delivery require_tls=always'),
      set('good.example', 'incoming.delivery require_tls=always level=strong'),
      tlswarden(await workspace.write('lone.toml', ''), ['domains', 'set', 'a.example', 'aliases=', '--force']),
    ]);
    const document = JSON.parse(json.stdout);
    assert.deepEqual(
      [document.changed, document.probe.domains[0].setting],
      [true, { level: 'encrypt', works: true, reason: null }],
    );
    assert.equal(invalid.status, 2);
    assert.match(invalid.stderr, /"strong" is none of/u);
    assert.equal(lone.status, 2);
    assert.match(lone.stderr, /--force goes with --probe/u);
  });
});
