import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { SETTLE_MS } from '../../src/tables/held-domains.ts';
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

/** Everyone who mails a.example needs TLS on receipt, and gets it on delivery; so it is with ceo@bank.example at b.example. */
const ALWAYS = `[domains."a.example".incoming.receipt]
require_tls = "always"
[domains."a.example".incoming.delivery]
require_tls = "always"
[domains."b.example".incoming.receipt]
require_tls = "specific"
senders = "ceo@bank.example"
[domains."b.example".incoming.delivery]
require_tls = "specific"
senders = "ceo@bank.example"
`;

/** A program with a maps directory, and a Postfix that never runs. */
function withTables(t: TestContext, main = ''): Program {
  const tables = '[maps]\ndirectory = "maps"\ntype = "texthash"\n[postfix]\nconfig_directory = "postfix"\n';
  const program = new Program(t, { 'a.toml': ALWAYS }, tables + main);
  const postfix = join(program.directory, 'postfix');
  mkdirSync(postfix);
  writeFileSync(join(postfix, 'master.cf'), '');
  const file = join(postfix, 'main.cf');
  writeFileSync(file, `compatibility_level = 3.6\nmyhostname = a.test\nqueue_directory = ${program.directory}/queue\n`);
  // Postfix programs wait until main.cf has not changed for a while.
  utimesSync(file, 1_000_000_000, 1_000_000_000);
  return program;
}

/** Has the tables written, so long ago. */
async function writeTables(program: Program, agoMs: number): Promise<Date> {
  assert.equal((await program.run(['maps'])).status, 0);
  const writtenAt = new Date(Math.floor((Date.now() - agoMs) / 1000) * 1000);
  utimesSync(join(program.directory, 'maps', 'stamp.json'), writtenAt, writtenAt);
  return writtenAt;
}

/** As a clock on the wall has it. */
const clock = (ms: number): string => new Date(ms).toTimeString().slice(0, 8);

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

  it('says what is wrong with the main file and with the settings in one run', async (t) => {
    const settings = { 'a.toml': HAND.replace('nexthop', 'nexthost') };
    const { status, stderr } = await new Program(t, settings, '[log]\nlevel = "loud"\n').run(['check']);
    assert.equal(status, 2);
    const [main = '', domain = '', ...more] = stderr.trim().split('\n');
    assert.match(main, /tlswarden\.toml:2: log\.level: "loud" is none of/u);
    assert.match(domain, /^a\.toml:3: a\.example: nexthost: unknown key/u);
    assert.deepEqual(more, []);
  });

  it('does not look for settings where the main file may not mean them to be', async (t) => {
    for (const main of [
      '[settings]\nsorce = "domains.d"\n',
      '[setings]\nsource = "domains.d"\n',
      '[settings]\nsource = 4\n',
      '[settings]\nsource = "http://elsewhere.example"\n',
      'settings = "domains.d"\n',
    ]) {
      const { status, stderr } = await new Program(t, { 'a.toml': 'x = 1\n' }, main).run(['check']);
      assert.equal(status, 2, main);
      assert.doesNotMatch(stderr, /a\.toml/u, main);
    }
  });

  it('says of no domain that it needs a relayhost, while the one in the main file has a mistake', async (t) => {
    const outgoing = 'require_tls = "always"\nlevel = "verify"\ncertificate_names = ["relay.example"]\n';
    const settings = { 'a.toml': `[domains."a.example".outgoing.delivery]\n${outgoing}` };
    for (const main of ['[postfix]\nrelayhost = "a b"\n', '[posfix]\nrelayhost = "[relay.example]"\n']) {
      const { status, stderr } = await new Program(t, settings, main).run(['check']);
      assert.equal(status, 2, main);
      assert.equal(stderr.trim().split('\n').length, 1, stderr);
    }
    assert.match((await new Program(t, settings).run(['check'])).stderr, /^a\.toml:4: a\.example: .*relayhost/u);
  });

  it('says what is wrong in a file from top to bottom', async (t) => {
    const program = new Program(t, {
      'a.toml': `[domains."a.example".incoming.delivery]\nfingerprints = "x"\nciphers = "null"\ncolour = "red"\n`,
    });
    const { stderr } = await program.run(['check']);
    const lines = stderr.trim().split('\n');
    assert.deepEqual(
      lines.map((line) => line.split(':')[1]),
      ['2', '2', '3', '4'],
    );
  });

  it('warns of a snapshot of settings that are not in Redis, which nobody writes', async (t) => {
    const program = new Program(t, {}, '[settings]\nsource = "domains.d"\nsnapshot = "s"\n');
    const { status, stderr } = await program.run(['check']);
    assert.equal(status, 0);
    assert.match(stderr, /^warning: .*: settings\.snapshot: has a meaning only with settings in Redis\n$/u);
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

describe('check of files that only root can read', () => {
  it('warns, since the service under its unit is not root', async (t) => {
    const program = new Program(t, { 'a.toml': HAND, 'b.toml': '[domains."z.example"]\n' });
    const complaint = 'can be read by root only: the service, if it is not root, cannot';
    chmodSync(join(program.settings, 'b.toml'), 0o600);
    assert.equal((await program.run(['check'])).stderr, `warning: b.toml: ${complaint}\n`);
    chmodSync(join(program.settings, 'b.toml'), 0o640);
    chmodSync(program.settings, 0o700);
    chmodSync(program.config, 0o600);
    const { status, stderr } = await program.run(['check']);
    assert.equal(status, 0);
    assert.deepEqual(
      stderr,
      [program.config, program.settings].map((file) => `warning: ${file}: ${complaint}\n`).join(''),
    );
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
      [delivery.file, delivery.line, delivery.require_tls, delivery.when, delivery.in_tables],
      ['a.toml', 18, 'specific', 'both', false],
    );
    assert.deepEqual(
      delivery.entries.map(({ list, entry, line }: Record<string, unknown>) => [list, entry, line]),
      [
        ['senders', null, 17],
        ['recipients', '*@*.gov.example', 20],
      ],
    );
    assert.deepEqual(explanation.route, { transport: 'tlswarden-secure', nexthop: '', by: 'filter', in_tables: false });
    assert.deepEqual(explanation.replies[1], {
      session: { protocol: 'TLSv1.2', bits: 128 },
      before: null,
      kind: 'filter',
      reply: 'FILTER tlswarden-secure:',
      while_settling: null,
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

  it('prints what the sample in its help says', async (t) => {
    const program = new Program(t);
    const set = ['domains', 'set', 'example.com', 'incoming.receipt', 'require_tls=specific', 'senders=*@bank.example'];
    assert.equal((await program.run(set)).status, 0);
    const help = (await program.run(['explain', '--help'])).stdout;
    const [, args = '', sample = ''] = /^ {2}\$ tlswarden explain (.*)\n([\s\S]*?)\n\n {2}\$ /mu.exec(help) ?? [];
    const { status, stdout } = await program.run(['explain', ...args.split(' ')]);
    assert.equal(status, 0);
    assert.equal(`${sample.replaceAll(/^ {2}/gmu, '')}\n`, stdout);
  });

  it('says when neither side is hosted', async (t) => {
    const { status, stdout } = await new Program(t).run(['explain', 'a@b.example', 'c@d.example']);
    assert.equal(status, 0);
    assert.match(stdout, /Neither side is hosted here/u);
  });

  it('says what Postfix answers by its own table, while there are tables', async (t) => {
    const OWN = '550 5.7.1 Session encryption is required';
    const program = withTables(t, '[receipt]\nexempt_clients = ["192.0.2.0/24"]\n');
    const explained = async (...args: readonly string[]): Promise<string> =>
      (await program.run(['explain', ...args])).stdout;
    const without = await explained('x@y.example', 'a@a.example');
    assert.match(without, /enforced by reply: reject; table receipt_access will too, once "tlswarden maps" has run$/mu);
    assert.match(without, /^ {2}without TLS +550 5\.7\.10 TLS required/mu);
    assert.ok(!without.includes(OWN), without);

    await writeTables(program, SETTLE_MS);
    const held = await explained('x@y.example', 'a@a.example');
    assert.match(held, /enforced by reply: reject; and first, without TLS, by table receipt_access$/mu);
    assert.ok(held.includes(`  without TLS        ${OWN}, by table receipt_access; the service is not asked\n`), held);
    assert.match(held, /^ {2}TLSv1\.3, 256 bits +DUNNO$/mu);
    const { replies } = JSON.parse(await explained('x@y.example', 'a@a.example', '--json'));
    assert.deepEqual([replies[0].before, replies[1].before], [OWN, null]);
    assert.match(replies[0].reply, /^550 5\.7\.10 /u);

    // Who is exempt is so from the table too, and what depends on the sender no table of recipients has.
    for (const args of [
      ['x@y.example', 'a@a.example', '--client', '192.0.2.7'],
      ['ceo@bank.example', 'a@b.example'],
    ]) {
      const other = await explained(...args);
      assert.ok(!other.includes(OWN), other);
    }
    assert.match(await explained('ceo@bank.example', 'a@b.example'), /enforced by reply: reject$/mu);
  });

  it('with tables that hold other settings tells by what they hold of this domain', async (t) => {
    const program = withTables(t);
    await writeTables(program, SETTLE_MS);
    const explained = async (): Promise<string> =>
      (await program.run(['explain', 'x@y.example', 'a@a.example'])).stdout;
    program.write('c.toml', ALWAYS.replaceAll('."', '."c'));
    const same = await explained();
    assert.match(same, /^ {2}the tables in force give just that\.$/mu);
    assert.match(same, /^ {2}without TLS +550 5\.7\.1 .*table receipt_access/mu);
    assert.match(same, /^ {2}TLSv1\.3, 256 bits +DUNNO$/mu);
    program.write('a.toml', ALWAYS.replace('delivery]', 'delivery]\nlevel = "secure"'));
    const other = await explained();
    assert.match(other, /^ {2}the tables in force hold other settings, so the service answers FILTER until/mu);
    assert.match(other, /^ {2}without TLS +550 5\.7\.10 /mu);
    assert.match(other, /^ {2}TLSv1\.3, 256 bits +FILTER tlswarden-secure:$/mu);
  });

  it('foretells no end of a FILTER for what no table can say', async (t) => {
    const program = withTables(t);
    const dynamic = async (): Promise<string> =>
      (await program.run(['explain', 'ceo@bank.example', 'a@b.example'])).stdout;
    const said = /^ {2}no table can give all of it, so the service answers FILTER\.$/mu;
    assert.match(await dynamic(), said);
    await writeTables(program, SETTLE_MS);
    assert.match(await dynamic(), said);
  });

  it('without a maps directory says nothing of tables', async (t) => {
    const { stdout } = await new Program(t, { 'a.toml': ALWAYS }).run(['explain', 'x@y.example', 'a@a.example']);
    assert.match(stdout, /enforced by reply: reject$/mu);
    assert.ok(!stdout.includes('receipt_access'), stdout);
  });

  it('names the FILTER that tables written a moment ago may not have taken the place of yet', async (t) => {
    const program = withTables(t);
    const writtenAt = (await writeTables(program, 60_000)).getTime();
    const until = writtenAt + SETTLE_MS;
    const { stdout } = await program.run(['explain', 'x@y.example', 'a@a.example', '--tls', 'TLSv1.3']);
    assert.ok(
      stdout.includes(
        `  the tables in force give just that.
  They were written at ${clock(writtenAt)}. Until ${clock(until)} some of Postfix may go by those before: if what they hold
  of a.example is new, or the service was started since, it answers FILTER until then.
`,
      ),
      stdout,
    );
    assert.ok(
      stdout.includes(`  TLSv1.3, 256 bits  DUNNO, or until ${clock(until)} FILTER tlswarden-encrypt:\n`),
      stdout,
    );
    const json = JSON.parse((await program.run(['explain', 'x@y.example', 'a@a.example', '--json'])).stdout);
    assert.deepEqual(json.settling, {
      written_at: new Date(writtenAt).toISOString(),
      until: new Date(until).toISOString(),
    });
    assert.equal(json.replies[0].while_settling, null);
    assert.deepEqual(json.replies[1].while_settling, { kind: 'filter', reply: 'FILTER tlswarden-encrypt:' });

    // What no table can say is answered by the same FILTER all the time.
    const dynamic = await program.run(['explain', 'ceo@bank.example', 'a@b.example']);
    assert.match(dynamic.stdout, /^ {2}TLSv1\.3, 256 bits +FILTER tlswarden-encrypt:$/mu);
    assert.ok(!dynamic.stdout.includes('written at'), dynamic.stdout);
  });

  it('tells what is asked of either address of a recipient that Postfix may route on, since both count', async (t) => {
    const program = withTables(t);
    await writeTables(program, SETTLE_MS);
    const sample = async (sender: string, recipient = 'ann%a.example@b.example') => ({
      text: (await program.run(['explain', sender, recipient])).stdout,
      json: JSON.parse((await program.run(['--json', 'explain', sender, recipient])).stdout),
    });
    // b.example asks nothing of this sender.
    const one = await sample('x@y.example');
    assert.ok(
      one.text.includes(
        `To   ann%a.example@b.example, hosted here.
     or, if this Postfix has the mailboxes of b.example itself, ann@a.example, hosted here:
     only Postfix knows, so what is asked of either holds.
`,
      ),
      one.text,
    );
    assert.match(one.text, /incoming\.receipt of a\.example asks for TLS/u);
    assert.match(one.text, /by table receipt_access, where Postfix reads the recipient so$/mu);
    assert.match(one.text, /^ {2}As ann@a\.example: transport tlswarden-encrypt to the MX/mu);
    assert.match(one.text, /^ {2}without TLS +550 5\.7\.10 TLS required: mail for a\.example/mu);
    const route = { transport: 'tlswarden-encrypt', nexthop: '', by: 'tables', in_tables: true };
    assert.deepEqual(one.json.otherwise, { address: 'ann@a.example', domain: 'a.example', is_alias: false, route });
    assert.deepEqual(
      [one.json.recipient.domain, one.json.route, one.json.replies[0].before],
      ['b.example', null, null],
    );

    const both = await sample('ceo@bank.example');
    for (const hop of ['receipt', 'delivery']) {
      assert.deepEqual(
        both.json[hop].map(({ domain }: Record<string, unknown>) => domain),
        ['b.example', 'a.example'],
      );
    }
    assert.deepEqual([both.json.otherwise.route, both.json.route.by], [null, 'filter']);
    assert.match(both.text, /^ {2}Together: transport tlswarden-encrypt to the MX/mu);

    // Either way it is somebody at a.example, who is asked once, and whom the table has.
    const same = await sample('x@y.example', 'ann%a.example@a.example');
    assert.equal(same.json.receipt.length, 1);
    assert.match(same.text, /and first, without TLS, by table receipt_access$/mu);
    assert.match(same.text, /^ {2}without TLS +550 5\.7\.1 Session encryption is required, by table receipt_access/mu);
    assert.equal((await sample('x@y.example', 'ann%a.example@y.example')).json.otherwise, null);
  });

  it('says nothing of when tables were written that all of Postfix uses', async (t) => {
    const program = withTables(t);
    await writeTables(program, SETTLE_MS);
    const { stdout } = await program.run(['explain', 'x@y.example', 'a@a.example']);
    assert.match(
      stdout,
      /^ {2}the tables in force give just that\.\n\nREPLIES at RCPT, to the first recipient of a message$/mu,
    );
    assert.match(stdout, /^ {2}TLSv1\.3, 256 bits +DUNNO$/mu);
    const json = JSON.parse((await program.run(['explain', 'x@y.example', 'a@a.example', '--json'])).stdout);
    assert.deepEqual([json.settling, json.replies[1].while_settling], [null, null]);
  });

  it('takes addresses, also as the log of Postfix has them, and nothing else', async (t) => {
    const program = new Program(t, { 'a.toml': HAND });
    for (const [sender, recipient, wrong] of [
      ['bank.example', 'a@a.example', 'bank.example'],
      ['a@b.example', 'payroll', 'payroll'],
      ['a@b.example', '@a.example', '@a.example'],
      ['a@b.example', 'a@', 'a@'],
      ['a@-b.example', 'a@a.example', 'a@-b.example'],
      ['a@b.example', '<>', ''],
      ['a@b.example', '', ''],
    ] as const) {
      const { status, stdout, stderr } = await program.run(['explain', sender, recipient]);
      assert.deepEqual([status, stdout], [2, ''], wrong);
      assert.equal(stderr, `tlswarden: "${wrong}" is no address; write user@example.com\n`);
    }
    for (const [given, said] of [
      ['', '<> (the null sender)'],
      ['<>', '<> (the null sender)'],
      ['<ceo@bank.example>', 'ceo@bank.example'],
      ['ceo@[192.0.2.1]', 'ceo@[192.0.2.1]'],
    ] as const) {
      const { status, stdout } = await program.run(['explain', given, 'payroll%a.example']);
      assert.equal(status, 0, given);
      assert.ok(stdout.startsWith(`From ${said}, not hosted here.\nTo   payroll%a.example, hosted here.\n`), stdout);
    }
  });

  it('takes the address of a client, and no name', async (t) => {
    const program = new Program(t, { 'a.toml': HAND });
    for (const client of ['foo', '192.0.2.0/24', '']) {
      const { status, stderr } = await program.run(['explain', '<>', 'a@a.example', '--client', client]);
      assert.equal(status, 2, client);
      assert.equal(stderr, `tlswarden: "${client}" is no IP address; write --client 192.0.2.7\n`);
    }
    for (const client of ['192.0.2.7', '2001:db8::7']) {
      assert.equal((await program.run(['explain', '<>', 'a@a.example', '--client', client])).status, 0, client);
    }
  });

  it('takes the sessions that there are, and names them', async (t) => {
    const program = new Program(t, { 'a.toml': HAND });
    for (const tls of ['TLSv1.4', '1.2', 'none', 'SSLv3', 'tlsv1.2', 'TLSv1.3:many', 'TLSv1.3:256:1']) {
      const { status, stderr } = await program.run(['explain', '<>', 'a@a.example', '--tls', tls]);
      assert.equal(status, 2, tls);
      assert.match(stderr, /" is no PROTOCOL\[:BITS\], PROTOCOL being one of TLSv1, TLSv1\.1, TLSv1\.2, TLSv1\.3/u);
      if (tls === 'tlsv1.2') assert.match(stderr, /; did you mean TLSv1\.2:256\?\n$/u);
    }
    for (const tls of ['TLSv1.1', 'TLSv1.3:256']) {
      assert.equal((await program.run(['explain', '<>', 'a@a.example', '--tls', tls])).status, 0, tls);
    }
  });
});
