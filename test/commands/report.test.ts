// `tlswarden report` as one types it, on what a service has counted.

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { freePort } from '../harness/loopback.ts';
import { waitFor } from '../harness/wait-for.ts';
import { Workspace } from '../harness/workspace.ts';
import { Service, tlswarden } from '../redis/host.ts';
import { ask, reported, untilReported } from '../report/counting-service.ts';
import { assertNamedAsSettings } from './json-keys.ts';
import { onTerminal } from './program.ts';

const SETTINGS = `
[domains."trial.example"]
aliases = ["alias.example"]
incoming.receipt = { require_tls = "always", enforcement = "monitor" }
incoming.delivery = { require_tls = "always", enforcement = "monitor", level = "secure" }
[domains."strict.example"]
incoming.receipt = { require_tls = "always" }
[domains."quiet.example"]
[domains."open.example"]
outgoing.delivery = { require_tls = "always" }
`;

async function start(workspace: Workspace, report = 'state = "report"'): Promise<Service> {
  await workspace.write('domains.d/all.toml', SETTINGS);
  const more = `[report]\n${report}\n[receipt]\nexempt_clients = ["192.0.2.99"]\n`;
  return await Service.start(workspace, 'main', ['source = "domains.d"'], more);
}

/** A service that has counted something, and has ended. */
async function counted(workspace: Workspace): Promise<string> {
  const service = await start(workspace);
  const plain = { protocol: '' };
  await ask(
    service,
    { recipient: 'u@alias.example', ...plain },
    { recipient: 'u@trial.example', sender: 'a@shop.example', ...plain },
    { recipient: 'u@trial.example', sender: 'a@shop.example', protocol: 'TLSv1.1' },
    { recipient: 'u@trial.example' },
    { recipient: 'u@strict.example', sender: 'a@shop.example', ...plain },
    { recipient: 'u@strict.example', sender: 'a@shop.example', ...plain, client: '192.0.2.99' },
    { recipient: 'u@open.example', sender: '', ...plain },
    { recipient: 'u@open.example' },
    { recipient: 'x@elsewhere.example', sender: 'u@open.example', protocol: 'TLSv1.2' },
  );
  await service.stop();
  return service.config;
}

/** What `tlswarden report` shows on a terminal. */
async function shownBy(config: string, ...args: readonly string[]): Promise<string> {
  const { status, shown } = await onTerminal(['--config', config, 'report', ...args]);
  assert.equal(status, 0, shown);
  return shown.replaceAll('\r', '');
}

describe('tlswarden report', () => {
  let workspace: Workspace;
  let config: string;

  before(async () => {
    workspace = await Workspace.create();
    config = await counted(workspace);
  });
  after(() => workspace.dispose());

  test('tells what enforcing would do, and who is in plaintext, by hosted domain', async () => {
    const { status, stdout, stderr } = await tlswarden(config, ['report'], { env: { LC_ALL: 'C.UTF-8' } });
    assert.deepEqual([status, stderr], [0, '']);
    const lines = stdout.replace(/since .* on \S+:/u, 'since then, on this host:').split('\n');
    assert.deepEqual(lines, [
      'Counted since then, on this host:',
      '  incoming: 8 recipients, 4 (50 %) in plaintext',
      '  outgoing: 1 recipient, none in plaintext',
      'Enforcing what is under monitor would refuse',
      '  incoming: 3 (38 %), 2 without TLS, 1 with too old a protocol',
      '  of mail with shop.example, partner.example',
      '  by the settings of trial.example',
      '',
      'INCOMING, RECEIPT  RECIPIENTS  TLS           PLAINTEXT        TLSv1.1  TLSv1.3  EXEMPT  REFUSED  WOULD REFUSE  LAST LACKING',
      'trial.example               4  ██████▒▒▒···          2  50 %        1        1       0        0             3      just now',
      'open.example                2  ██████······          1  50 %        0        1       0        0             0      just now',
      'strict.example              2  ████████████          1  50 %        0        0       1        1             0      just now',
      '',
      'INCOMING, DELIVERY  LEVEL   REQUIRED  MONITORED      LAST',
      'trial.example       secure         0          4  just now',
      '',
      'OUTGOING, RECEIPT  RECIPIENTS  TLS           PLAINTEXT    TLSv1.2  WOULD REFUSE  LAST LACKING',
      'open.example                1  ············          0          1             0             -',
      '',
      'OUTGOING, DELIVERY  LEVEL    REQUIRED  MONITORED      LAST',
      'open.example        encrypt         1          0  just now',
      '',
      'TLS: █ plaintext  ▒ older than TLSv1.2  · TLSv1.2 or newer',
      'Whether a delivery has its TLS shows only later, between Postfix and the next server: the service counts whom',
      'a requirement concerns. "tlswarden report --maillog FILE" tells what became of it, and "tlswarden probe DOMAIN"',
      'whether its servers could do it.',
      '',
    ]);
  });

  test('names the remotes of a domain, also by its alias; of all; and only those that are asked for', async () => {
    const text = async (...args: readonly string[]): Promise<string> =>
      (await tlswarden(config, ['report', ...args], { env: { LC_ALL: 'C' } })).stdout;
    const one = await text('alias.example', '--refused');
    assert.match(one, /^Counted of trial\.example since /u);
    assert.match(one, /^shop\.example {2,}.* 2 +just now$/mu);
    assert.match(one, /^partner\.example {2,}.* 1 +just now$/mu);
    assert.doesNotMatch(one, /strict|open|DELIVERY/u);
    const two = await text('alias.example', 'strict.example');
    assert.match(two, /^Counted of trial\.example, strict\.example since /u);
    assert.match(two, /^shop\.example > trial\.example .* 2 +just now$/mu);
    assert.match(two, /^shop\.example > strict\.example .* 0 +just now$/mu);
    const remotes = await text('--by', 'remote', '--plaintext', '--flow', 'incoming');
    assert.deepEqual(
      remotes.split('\n').flatMap((line) => /^(\S+) +\d+ {2}[#+.]{12}/u.exec(line)?.[1] ?? []),
      ['shop.example', 'partner.example', '<>'],
    );
    assert.match(await text('-n', '1'), /^and 2 more; -n 3 shows all$/mu);
    assert.match(await text('open.example', '--refused'), /^No row is like that\.$/mu);
    assert.match(await text('quiet.example'), /^Counted of quiet\.example since .* UTC, .*:\n {2}no mail\n$/u);
  });

  test('--plaintext and --refused choose rows as they are shown, and change no number', async () => {
    const read = async (...args: readonly string[]) => {
      const { totals, rows } = JSON.parse((await tlswarden(config, ['--json', 'report', ...args])).stdout);
      return { totals, rows: rows as { flow: string; domain: string; remote: string; recipients: number }[] };
    };
    const named = (rows: Awaited<ReturnType<typeof read>>['rows']): readonly string[] =>
      rows.map(({ flow, domain, remote, recipients }) => `${flow} ${domain ?? remote} ${recipients}`);
    for (const by of ['domain', 'remote', 'pair']) {
      const all = await read('--by', by);
      for (const choice of ['--plaintext', '--refused']) {
        const { totals, rows } = await read('--by', by, choice);
        assert.deepEqual(totals, all.totals, `${by} ${choice}`);
        const shown = rows.map(({ flow, domain, remote }) => `${flow} ${domain} ${remote}`);
        assert.deepEqual(
          rows,
          all.rows.filter(({ flow, domain, remote }) => shown.includes(`${flow} ${domain} ${remote}`)),
          `${by} ${choice}`,
        );
      }
    }
    assert.deepEqual(named((await read('--plaintext')).rows), [
      'incoming trial.example 4',
      'incoming open.example 2',
      'incoming strict.example 2',
    ]);
    assert.deepEqual(named((await read('--by', 'remote', '--refused')).rows), [
      'incoming shop.example 4',
      'incoming partner.example 3',
    ]);
  });

  test('says the same as JSON and as CSV', async () => {
    const json = JSON.parse((await tlswarden(config, ['--json', 'report', 'trial.example'])).stdout);
    assertNamedAsSettings(json);
    assert.deepEqual(Object.keys(json), ['place', 'since', 'now', 'hosts', 'by', 'totals', 'would_refuse', 'rows']);
    assert.deepEqual(json.would_refuse, { domains: ['trial.example'], remotes: ['shop.example', 'partner.example'] });
    assert.ok(Date.parse(json.since) <= Date.parse(json.rows[0].first));
    const { first, last, last_lacking: lastLacking, ...row } = json.rows[0];
    assert.ok(first <= lastLacking && lastLacking <= last);
    const none = { encrypt: 0, fingerprint: 0, 'dane-only': 0, verify: 0 };
    assert.deepEqual(row, {
      flow: 'incoming',
      domain: 'trial.example',
      remote: 'shop.example',
      recipients: 2,
      sessions: { plaintext: 1, TLSv1: 0, 'TLSv1.1': 1, 'TLSv1.2': 0, 'TLSv1.3': 0, other: 0 },
      exempt: 0,
      refused: { tls: 0, protocol: 0, cipher: 0 },
      would_refuse: { tls: 1, protocol: 1, cipher: 0 },
      delivery: { enforce: { ...none, secure: 0 }, monitor: { ...none, secure: 2 } },
    });
    const { stdout } = await tlswarden(config, ['report', '--by', 'domain', '--csv']);
    const [head = '', ...lines] = stdout.split('\r\n');
    assert.match(head, /^flow,domain,remote,recipients,plaintext,TLSv1,TLSv1\.1,/u);
    assert.equal(lines.at(-1), '');
    assert.match(lines[0] ?? '', /^incoming,trial\.example,,4,2,0,1,0,1,0,0,0,0,0,2,1,0,/u);
    for (const line of lines.slice(0, -1)) assert.equal(line.split(',').length, head.split(',').length);
  });

  test('counts go on where they were when the service was stopped, or killed some seconds after it counted', async (t) => {
    const workspace = await Workspace.of(t);
    const row = (n: number): string =>
      `open.example partner.example: ${n} recipients, ${n} plaintext, 0 refused, 0 would be refused`;
    const mail = { recipient: 'u@open.example', protocol: '' };
    const first = await start(workspace);
    await ask(first, mail);
    assert.equal(await first.stop(), 0);
    assert.deepEqual(await reported(first.config), [row(1)]);
    const second = await start(workspace);
    await ask(second, mail, mail);
    await untilReported(second.config, [row(3)]);
    await second.kill();
    const third = await start(workspace);
    await ask(third, mail);
    assert.equal(await third.stop(), 0);
    assert.deepEqual(await reported(third.config), [row(4)]);
  });

  test('--reset begins anew, also while the service runs', async (t) => {
    const workspace = await Workspace.of(t);
    const service = await start(workspace);
    await ask(service, { recipient: 'u@open.example', protocol: '' });
    await untilReported(service.config, [
      'open.example partner.example: 1 recipients, 1 plaintext, 0 refused, 0 would be refused',
    ]);
    const { stdout } = await tlswarden(service.config, ['report', '--reset']);
    assert.match(stdout, /report: counting begins anew\n$/u);
    assert.deepEqual(await reported(service.config), []);
    await ask(service, { recipient: 'u@strict.example', protocol: '' });
    await service.stop();
    assert.deepEqual(await reported(service.config), [
      'strict.example partner.example: 1 recipients, 1 plaintext, 1 refused, 0 would be refused',
    ]);
  });

  test('holds no local parts unless they are asked for', async (t) => {
    assert.doesNotMatch(await readFile(workspace.path('report'), 'utf8'), /@/u);
    const service = await start(await Workspace.of(t), 'state = "report"\nlocal_parts = true');
    await ask(service, { recipient: 'u@open.example', sender: 'Ceo+x@partner.example', protocol: '' });
    await service.stop();
    assert.deepEqual(await reported(service.config), [
      'open.example ceo@partner.example: 1 recipients, 1 plaintext, 0 refused, 0 would be refused',
    ]);
  });

  test('cuts no name where nobody looks at a terminal; on one it keeps the end of a name, and the remotes of one domain have its width', async (t) => {
    const [sender, recipient] = ['news.a-shop-with-a-long-name.example', 'a-customer-with-a-long-name.example'];
    const own = await Workspace.of(t);
    await own.write('domains.d/all.toml', `[domains."${recipient}"]\n`);
    const service = await Service.start(own, 'main', ['source = "domains.d"'], '[report]\nstate = "report"\n');
    await ask(service, { sender: `a@${sender}`, recipient: `u@${recipient}`, protocol: '' });
    await service.stop();
    const { stdout } = await tlswarden(service.config, ['report', '--by', 'pair']);
    assert.match(stdout, new RegExp(`^${sender} > ${recipient} {2}`, 'mu'));
    assert.match(await shownBy(service.config, '--by', 'pair'), /^news\.a\S*~\S*name\.example {2}/mu);
    assert.match(await shownBy(service.config, recipient), new RegExp(`^${sender} {2}`, 'mu'));
  });

  test('a state file that cannot be written, or is damaged, is said in the log and stops nothing', async (t) => {
    const workspace = await Workspace.of(t);
    const service = await start(workspace, 'state = "missing/report"');
    assert.deepEqual(await ask(service, { recipient: 'u@open.example', protocol: '' }), ['DUNNO']);
    await service.untilLogged('counts for the report cannot be kept; trying again');
    assert.deepEqual(await ask(service, { recipient: 'u@open.example', protocol: '' }), ['DUNNO']);
    assert.equal(await service.stop(), 0);
    assert.match(service.log, /what was counted last for the report is lost/u);
    await writeFile(workspace.path('report'), 'no counts\n');
    const other = await start(workspace);
    const { status, stderr } = await tlswarden(other.config, ['report']);
    assert.equal(status, 1);
    assert.match(stderr, /report is damaged: .*; the service begins anew when it writes/u);
    await ask(other, { recipient: 'u@open.example', protocol: '' });
    await other.untilLogged('the counts for the report are damaged; they are moved aside');
    assert.equal(await readFile(workspace.path('report.damaged'), 'utf8'), 'no counts\n');
    await waitFor(async () => (await tlswarden(other.config, ['report'])).status === 0, 'a report');
  });

  test('says of a domain that is neither hosted nor counted that it is not hosted, unless the settings cannot be read', async (t) => {
    const own = await Workspace.of(t);
    const state = `[report]\nstate = "${workspace.path('report')}"\n`;
    const attempt = async (file: string, ...args: readonly string[]) => {
      const { status, stdout, stderr } = await tlswarden(file, ['report', ...args]);
      return `${status} ${stderr}${stdout}`;
    };
    const fewer = await own.write('fewer.toml', state);
    await own.write('domains.d/all.toml', '[domains."trial.example"]\n');
    const nope = /^1 tlswarden: nope\.example is not hosted here: it has no settings, and nothing of it is counted\n$/u;
    assert.match(await attempt(fewer, 'nope.example'), nope);
    assert.match(await attempt(fewer, 'trial.example', 'nope.example'), nope);
    assert.match(await attempt(fewer, 'strict.example'), /^0 Counted of strict\.example since /u);
    const unread =
      /^0 the settings cannot be read: .+; nope\.example is taken as it is\nCounted of nope\.example since /u;
    await own.write('domains.d/broken.toml', '[domains');
    assert.match(await attempt(fewer, 'trial.example'), /^0 Counted of trial\.example since /u);
    assert.match(await attempt(fewer, 'nope.example'), unread);
    for (const source of ['missing.d', `redis://127.0.0.1:${await freePort()}`]) {
      const away = await own.write('away.toml', `[settings]\nsource = "${source}"\n${state}`);
      assert.match(await attempt(away, 'nope.example'), unread, source);
    }
  });

  test('says what keeps it from reporting', async () => {
    const attempt = async (main: string, ...args: readonly string[]): Promise<string> => {
      const file = await workspace.write(`main-${main.length}.toml`, main);
      const { status, stdout, stderr } = await tlswarden(file, ['report', ...args]);
      return `${status} ${stdout}${stderr}`;
    };
    const answers: readonly (readonly [main: string, args: string, answer: RegExp])[] = [
      [
        '[report]\nstate = "none-yet"',
        '',
        /^1 .*nothing is counted yet in .*none-yet: the service writes there some seconds/u,
      ],
      [
        '',
        '',
        /^1 .*nothing is counted yet in .*, where a service that systemd starts .* \[report\] state in \S+ names a file/u,
      ],
      ['[report]\nenabled = false', '', /^1 .*nothing is counted: \[report\] enabled is false/u],
      ['[report]\nstat = "x"', '', /^2 .*report\.stat: unknown key; did you mean "state"\?/u],
      ['', '--csv --json', /^2 .*say --csv or --json, not both/u],
      ['', '-n 0', /^2 .*"0" is no number of rows/u],
      ['', '--by sender', /^2 .*Allowed choices are domain, remote, pair/u],
      ['', '--reset a.example', /^2 .*--reset is for all domains/u],
      ['', '--reset --maillog mail.log', /^2 .*say --reset or --maillog, not both/u],
      ['', '--reset -n 5', /^2 .*say --reset or --number, not both/u],
      ['', '--reset --plaintext', /^2 .*say --reset or --plaintext, not both/u],
      ['', 'a..b', /^2 .*"a\.\.b" is no valid domain name/u],
    ];
    await Promise.all(
      answers.map(async ([main, args, answer]) => {
        assert.match(await attempt(main, ...args.split(' ').filter((arg) => arg !== '')), answer);
      }),
    );
  });
});
