// Monitor, then enforce. While all settings are on trial mail goes its way as if there were none, by the same transports to
// the same servers; the report tells whom enforcing would refuse, and whose delivery it would require; then it does so to
// these, and to nobody else.

import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { assertNamedAsSettings } from '../commands/json-keys.ts';
import { type Outgoing, Site, trusted } from '../harness/site.ts';
import { Workspace } from '../harness/workspace.ts';

const domains = ['all.example', 'some.example', 'weak.example', 'sender.example', 'open.example', 'good.example'];

/** Who sends to whom, and how: each of these once in every stage. */
const mail = [
  { from: 'a@partner.example', to: 'u@all.example' },
  { from: 'a@partner.example', to: 'v@all.example', tls: {} },
  { from: '', to: 'w@all.example' },
  { from: 'ceo@bank.example', to: 'u@some.example' },
  { from: 'ceo@bank.example', to: 'v@some.example', tls: {} },
  { from: 'a@partner.example', to: 'w@some.example' },
  { from: 'a@partner.example', to: 'payroll@some.example' },
  { from: 'a@partner.example', to: 'u@weak.example', tls: { max: 'TLSv1.2' } },
  { from: 'a@partner.example', to: 'v@weak.example', tls: {} },
  { from: 'a@partner.example', to: 'u@open.example' },
  { from: 'u@sender.example', to: 'b@outside.example', ...trusted },
  { from: 'u@sender.example', to: 'u@open.example', ...trusted, tls: {} },
  { from: 'a@partner.example', to: 'u@good.example', tls: {} },
] as const;

interface Row {
  readonly flow: string;
  readonly domain: string;
  readonly remote: string;
  readonly refused: Readonly<Record<string, number>>;
  readonly would_refuse: Readonly<Record<string, number>>;
  readonly delivery: Readonly<Record<'enforce' | 'monitor', Readonly<Record<string, number>>>>;
}

describe('settings under monitor, and then enforced', () => {
  let workspace: Workspace;
  let site: Site;
  let nexthop: string;
  let goodNexthop: string;

  /** The settings: none, on trial, or for good. */
  function settings(stage: 'none' | 'monitor' | 'enforce'): string {
    const where = (name: string): string => (name === 'good.example' ? goodNexthop : nexthop);
    const names = domains.map((name) => `[domains."${name}"]\nnexthop = "${where(name)}"\n`).join('');
    if (stage === 'none') return names;
    const table = (path: string, keys: string): string => `[domains.${path}]\nenforcement = "${stage}"\n${keys}\n`;
    return [
      names,
      table('"all.example".incoming.receipt', 'require_tls = "always"'),
      table('"all.example".incoming.delivery', 'require_tls = "always"\nlevel = "secure"'),
      table(
        '"some.example".incoming.receipt',
        'require_tls = "specific"\nsenders = "bank.example"\nrecipients = "payroll"',
      ),
      table('"some.example".incoming.delivery', 'require_tls = "specific"\nsenders = "bank.example"'),
      table('"weak.example".incoming.receipt', 'require_tls = "always"\nmin_protocol = "TLSv1.3"'),
      table('"sender.example".outgoing.receipt', 'require_tls = "always"'),
      table('"sender.example".outgoing.delivery', 'require_tls = "always"'),
      table('"good.example".incoming.delivery', 'require_tls = "always"'),
    ].join('');
  }

  before(async () => {
    workspace = await Workspace.create();
    site = await Site.open(workspace);
    const plain = await site.server('mx.plain.example', { certificateNames: [], mxOf: ['outside.example'] });
    const good = await site.server('mx.good.example');
    nexthop = plain.nexthop;
    goodNexthop = good.nexthop;
    await site.start({
      domains: Object.fromEntries(domains.map((name) => [name, name === 'good.example' ? good : plain])),
      settings: { all: settings('none') },
      settled: true,
      main: '[report]\nstate = "report"',
    });
  });
  after(() => workspace.dispose());

  const sendAll = async (): Promise<readonly Outgoing[]> => {
    const sent: Outgoing[] = [];
    for (const message of mail) sent.push(await site.send(message));
    return sent;
  };

  const outcomes = (sent: readonly Outgoing[]): Promise<readonly string[]> =>
    Promise.all(sent.map((one) => (one.queueId === undefined ? one.reply : site.outcome(one))));

  /** The tables that Postfix uses, as text. */
  async function tables(): Promise<Readonly<Record<string, string>>> {
    const current = join(site.gateway.mapsDirectory, 'current');
    const names = (await readdir(current)).filter((name) => !/\.(?:lmdb|json)$/u.test(name));
    return Object.fromEntries(
      await Promise.all(names.map(async (name) => [name, await readFile(join(current, name), 'utf8')] as const)),
    );
  }

  async function report(): Promise<readonly Row[]> {
    return JSON.parse(await site.gateway.run('--json', 'report', '--by', 'pair')).rows;
  }

  const sum = (counts: Readonly<Record<string, number>>): number =>
    Object.values(counts).reduce((all, n) => all + n, 0);

  /** Pairs and how many recipients of each: of those of which there is any. */
  const pairs = (rows: readonly Row[], count: (row: Row) => number): readonly string[] =>
    rows
      .filter((row) => count(row) > 0)
      .map((row) => `${row.flow} ${row.domain} ${row.remote}: ${count(row)}`)
      .sort();

  test('monitor changes nothing for mail; report tells what enforcing would do; enforcing does that', async () => {
    const { gateway } = site;
    const without = await outcomes(await sendAll());
    assert.deepEqual(
      new Set(without),
      new Set(['plaintext at mx.plain.example by smtp', 'TLSv1.3 at mx.good.example by smtp']),
    );
    const noTables = await tables();

    await gateway.changeSettings('all', settings('monitor'));
    assert.deepEqual(await outcomes(await sendAll()), without, 'the same fate by the same way');
    assert.deepEqual(await site.filtered(), []);
    await gateway.run('maps');
    assert.deepEqual(await tables(), noTables);

    // A service that is stopped keeps its counts, and the next one goes on from there.
    await gateway.kill('SIGTERM');
    await gateway.serve();
    const foretold = await report();
    const wouldRefuse = pairs(foretold, (row) => sum(row.would_refuse));
    assert.deepEqual(wouldRefuse, [
      'incoming all.example <>: 1',
      'incoming all.example partner.example: 1',
      'incoming some.example bank.example: 1',
      'incoming some.example partner.example: 1',
      'incoming weak.example partner.example: 1',
      'outgoing sender.example outside.example: 1',
    ]);
    const monitored = pairs(foretold, ({ delivery }) => sum(delivery.monitor));
    assert.deepEqual(monitored, [
      'incoming all.example <>: 1',
      'incoming all.example partner.example: 2',
      'incoming good.example partner.example: 1',
      'incoming some.example bank.example: 2',
      'outgoing sender.example open.example: 1',
      'outgoing sender.example outside.example: 1',
    ]);
    assert.match(
      await gateway.run('report'),
      /would refuse\n {2}incoming: 5 \(21 %\), 4 without TLS, 1 with too old a protocol\n {2}outgoing: 1 \(25 %\), 1 without TLS\n/u,
    );

    // What became of the deliveries the service does not see, but Postfix logs it.
    const deliveries = JSON.parse(await gateway.run('--json', 'report', '--maillog', gateway.postfix.logFile));
    assertNamedAsSettings(deliveries);
    const { rows: delivered } = deliveries;
    assert.deepEqual(
      delivered.map(
        ({ domain, recipients, required, would_fail: wouldFail }: Record<string, unknown>) =>
          `${domain} ${recipients} ${required} ${JSON.stringify(wouldFail)}`,
      ),
      [
        'all.example 6 6 {"tls":6,"protocol":0,"certificate":0}',
        'some.example 8 4 {"tls":4,"protocol":0,"certificate":0}',
        'open.example 4 0 {"tls":0,"protocol":0,"certificate":0}',
        'weak.example 4 0 {"tls":0,"protocol":0,"certificate":0}',
        'good.example 2 2 {"tls":0,"protocol":0,"certificate":0}',
        'sender.example 4 4 {"tls":4,"protocol":0,"certificate":0}',
      ],
    );

    await gateway.changeSettings('all', settings('enforce'));
    // Levels are in use for the first time.
    await gateway.configure();
    await gateway.postfix.reload();
    const enforced = await sendAll();
    const refused = enforced.filter(({ queueId }) => queueId === undefined);
    assert.deepEqual(
      refused.map(({ reply }) => reply.slice(0, 10)),
      refused.map(() => '550 5.7.10'),
    );
    assert.deepEqual(
      mail.filter((_, i) => enforced[i]?.queueId === undefined).map(({ from, to }) => `${from} ${to}`),
      [
        'a@partner.example u@all.example',
        ' w@all.example',
        'ceo@bank.example u@some.example',
        'a@partner.example payroll@some.example',
        'a@partner.example u@weak.example',
        'u@sender.example b@outside.example',
      ],
    );
    // The server has no TLS: what requires it of delivery waits, all else arrives as before.
    const ways = await outcomes(enforced.filter(({ queueId }) => queueId !== undefined));
    assert.deepEqual(
      ways.map((way) => way.replace(/:.*/u, '')),
      [
        'deferred by tlswarden-secure',
        'deferred by tlswarden-encrypt',
        'plaintext at mx.plain.example by smtp',
        'plaintext at mx.plain.example by smtp',
        'plaintext at mx.plain.example by smtp',
        'deferred by tlswarden-encrypt',
        'TLSv1.3 at mx.good.example by tlswarden-encrypt',
      ],
    );
    await gateway.kill('SIGTERM');
    assert.deepEqual(
      pairs(await report(), (row) => sum(row.refused)),
      wouldRefuse,
    );
  });
});
