import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Program } from './program.ts';

const HAND = `[domains."a.example"]
aliases = ["x.example"]
nexthop = "[mx.a.example]:25"

[domains."a.example".incoming.receipt]
require_tls = "specific"
senders = [
  "*@bank.example",
  "ceo@partner.example",
]
recipients = "payroll, legal@x.example"

[domains."a.example".incoming.delivery]
require_tls = "always"
on_failure = "bounce"

[domains."b.example".outgoing.delivery]
require_tls = "specific"
when = "both"
recipients = "*@*.gov.example"
level = "secure"
`;

describe('check', () => {
  it('counts what is there', async (t) => {
    const { status, stdout, stderr } = await new Program(t, { 'a.toml': HAND }).run(['--json', 'check']);
    assert.deepEqual([status, stderr], [0, '']);
    const counts = JSON.parse(stdout);
    assert.equal(counts.domains, 2);
    assert.equal(counts.aliases, 1);
    assert.deepEqual(counts.settings['incoming.receipt'], { always: 0, specific: 1, never: 1, monitor: 0 });
    assert.deepEqual(counts.delivery, { static: 1, mixed: 0, dynamic: 1 });
    assert.deepEqual(counts.warnings, []);
    assert.match((await new Program(t, { 'a.toml': HAND }).run(['check'])).stdout, /^2 domains and 1 alias in \/.*\n/u);
  });

  it('says what the service could not listen on, before the service is started', async (t) => {
    const main = '[server]\nlisten = ["127.0.0.1:10040", "localhost"]\nmetrics = "0.0.0.0:10041"\n';
    const { status, stderr } = await new Program(t, { 'a.toml': HAND }, main).run(['check']);
    assert.equal(status, 2);
    assert.match(stderr, /tlswarden\.toml:2: server\.listen: "localhost": no port/u);
    assert.match(stderr, /tlswarden\.toml:3: server\.metrics: "0\.0\.0\.0:10041": .*server\.allow_remote = true/u);
  });

  it('says all that is wrong with the main file at once, its addresses included', async (t) => {
    const main = '[server]\nlisten = ["localhost"]\nmax_connections = "4"\nmetrics = ":10"\n';
    const { status, stderr } = await new Program(t, { 'a.toml': HAND }, main).run(['check']);
    assert.equal(status, 2);
    const keys = stderr
      .trim()
      .split('\n')
      .map((line) => line.split(': ')[1])
      .sort();
    assert.deepEqual(keys, ['server.listen', 'server.max_connections', 'server.metrics']);
  });

  it('says everything that is wrong, with the line of the key: exit status 2', async (t) => {
    const program = new Program(t, {
      'a.toml': HAND.replace('level = "secure"', 'level = "secret"').replace('nexthop', 'nexthost'),
      'b.toml': '\n[domains."c.example"]\naliases = "a.example"\n',
      'c.toml': '[',
    });
    const { status, stdout, stderr } = await program.run(['check']);
    assert.deepEqual([status, stdout], [2, '']);
    const lines = stderr.trim().split('\n');
    assert.match(lines[0] ?? '', /^a\.toml:3: a\.example: nexthost: unknown key; did you mean "nexthop"\?$/u);
    assert.match(
      lines[1] ?? '',
      /^a\.toml:21: b\.example: outgoing\.delivery\.level: "secret" is none of .*"secure"\?$/u,
    );
    assert.match(lines[2] ?? '', /^c\.toml:1: not TOML/u);
    const json = JSON.parse((await program.run(['check', '--json'])).stderr);
    assert.equal(json.error.kind, 'settings');
    assert.deepEqual(Object.keys(json.error.complaints[0]).sort(), ['domain', 'file', 'key', 'line', 'message']);
  });

  it('warns of what can never match, which is no mistake', async (t) => {
    const program = new Program(
      t,
      {
        'a.toml': `[domains."a.example".incoming.receipt]\nrequire_tls = "specific"\nsenders = "<>"\nrecipients = "<>"
[domains."a.example".outgoing.receipt]\nrequire_tls = "specific"\nsenders = "<>"\nrecipients = "<>"\nmin_cipher_bits = 512\n`,
      },
      '[receipt]\nexempt_clients = ["0.0.0.0/0"]\n',
    );
    const { status, stderr } = await program.run(['check']);
    assert.equal(status, 0);
    const lines = stderr.trim().split('\n');
    assert.match(lines[0] ?? '', /^warning: .*:2: receipt\.exempt_clients: "0\.0\.0\.0\/0" is everyone/u);
    assert.deepEqual(
      lines.slice(1).map((line) => line.split(': ').slice(1, 4).join(' ')),
      [
        'a.toml:4 a.example incoming.receipt.recipients',
        'a.toml:7 a.example outgoing.receipt.senders',
        'a.toml:8 a.example outgoing.receipt.recipients',
        'a.toml:9 a.example outgoing.receipt.min_cipher_bits',
      ],
    );
  });
});

describe('check of a directory with other files', () => {
  it('warns of those that hold settings and are not read, which is no mistake', async (t) => {
    const program = new Program(t, {
      'a.toml': HAND,
      'c.example': '# a customer\n[domains."c.example"]\n',
      'b.toml.txt': '  [domains."b.example".incoming.receipt]\nrequire_tls = "always"\n',
      README: 'Write [domains."example.com"] into a file of its own.\n',
      '.hidden': '[domains."d.example"]\n',
      late: `${'#\n'.repeat(100_000)}[domains."e.example"]\n`,
    });
    mkdirSync(join(program.settings, 'directory'));
    const { status, stdout, stderr } = await program.run(['check']);
    assert.equal(status, 0);
    assert.match(stdout, /^2 domains/u);
    assert.equal(
      stderr,
      ['b.toml.txt', 'c.example']
        .map((name) => `warning: ${name}: looks like settings, but is not read: only *.toml is\n`)
        .join(''),
    );
    assert.equal(JSON.parse((await program.run(['--json', 'check'])).stdout).warnings[0].file, 'b.toml.txt');
  });
});

describe('explain', () => {
  it('names every requirement, the line and the entry that ask for it, and the replies', async (t) => {
    const { status, stdout } = await new Program(t, { 'a.toml': HAND }).run([
      'explain',
      'CEO@partner.example',
      'legal+x@x.example',
    ]);
    assert.equal(status, 0);
    for (const expected of [
      /^From CEO@partner\.example, not hosted here\.$/mu,
      /^To {3}legal\+x@x\.example, hosted here as an alias of a\.example\.$/mu,
      /incoming\.receipt of a\.example asks for TLS: TLSv1\.2 or later, ciphers of 128 bits or more/u,
      /a\.toml:6 +require_tls = "specific"/u,
      /a\.toml:11 +recipients lists "legal@x\.example"/u,
      /a\.toml:9 +senders lists "ceo@partner\.example"/u,
      /incoming\.delivery of a\.example asks for TLS, level encrypt/u,
      /a\.toml:14 +require_tls = "always"/u,
      /transport tlswarden-encrypt-bounce to \[mx\.a\.example\]:25/u,
      /without TLS +550 5\.7\.10 TLS required: mail for x\.example/u,
      /TLSv1\.3, 256 bits +FILTER tlswarden-encrypt-bounce:\[mx\.a\.example\]:25/u,
    ]) {
      assert.match(stdout, expected);
    }
  });

  it('gives the same as JSON', async (t) => {
    const program = new Program(t, { 'a.toml': HAND });
    const { stdout } = await program.run([
      '--json',
      'explain',
      'someone@b.example',
      'a@x.gov.example',
      '--tls',
      'TLSv1.2:128',
    ]);
    const explanation = JSON.parse(stdout);
    assert.deepEqual(explanation.receipt, []);
    assert.equal(explanation.delivery.length, 1);
    const [delivery] = explanation.delivery;
    assert.deepEqual(
      [delivery.file, delivery.line, delivery.require_tls, delivery.when, delivery.inTables],
      ['a.toml', 18, 'specific', 'both', false],
    );
    assert.deepEqual(
      delivery.entries.map(({ list, entry, line }: Record<string, unknown>) => [list, entry, line]),
      [
        ['senders', null, 17],
        ['recipients', '*@*.gov.example', 20],
      ],
    );
    assert.deepEqual(explanation.route, { transport: 'tlswarden-secure', nexthop: '', by: 'filter' });
    assert.deepEqual(explanation.replies[1], {
      session: { protocol: 'TLSv1.2', bits: 128 },
      kind: 'filter',
      reply: 'FILTER tlswarden-secure:',
    });
  });

  it('names the main file for a default', async (t) => {
    const program = new Program(
      t,
      { 'a.toml': '[domains."a.example"]\n' },
      '\n[defaults.incoming.receipt]\nrequire_tls = "always"\n',
    );
    const { stdout } = await program.run(['explain', '<>', 'a@a.example']);
    assert.match(stdout, /^From <> \(the null sender\), not hosted here\.$/mu);
    assert.match(stdout, /tlswarden\.toml:3 +require_tls = "always" \(a default\)/u);
  });

  it('knows exempt clients, protocols too old, and monitor', async (t) => {
    const files = {
      'a.toml':
        '[domains."a.example".incoming.receipt]\nrequire_tls = "always"\n[domains."b.example".incoming.receipt]\nrequire_tls = "always"\nenforcement = "monitor"\n',
    };
    const program = new Program(t, files, '[receipt]\nexempt_clients = ["192.0.2.0/24"]\n');
    const exempt = await program.run(['explain', 'x@y.example', 'a@a.example', '--client', '192.0.2.7']);
    assert.match(exempt.stdout, /is one of receipt\.exempt_clients/u);
    assert.match(exempt.stdout, /without TLS +DUNNO/u);
    const old = await program.run(['explain', 'x@y.example', 'a@a.example', '--tls', 'TLSv1:256']);
    assert.match(old.stdout, /TLSv1, 256 bits +550 5\.7\.10 .*TLSv1\.2 or later, and this session uses TLSv1/u);
    const monitor = await program.run(['explain', 'x@y.example', 'a@b.example']);
    assert.match(monitor.stdout, /under monitor/u);
    assert.match(monitor.stdout, /without TLS +WARN /u);
  });

  it('says when neither side is hosted', async (t) => {
    const { status, stdout } = await new Program(t).run(['explain', 'a@b.example', 'c@d.example']);
    assert.equal(status, 0);
    assert.match(stdout, /Neither side is hosted here/u);
  });

  it('called wrongly is exit status 2', async (t) => {
    const program = new Program(t);
    for (const tls of ['tlsv1.2', 'TLSv1.3:many', 'TLSv1.3:256:1', 'none']) {
      const { status, stderr } = await program.run(['explain', 'a', 'b', '--tls', tls]);
      assert.equal(status, 2, tls);
      if (tls === 'tlsv1.2') assert.match(stderr, /did you mean TLSv1\.2:256\?/u);
    }
  });
});
