// What a real service logs: a line a refusal or lane, by which a postmaster finds the message; nothing that is nobody's
// business; a bounded number of lines whatever happens; and lines to be read where somebody reads them.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { RedisServer } from '../harness/redis.ts';
import { waitFor } from '../harness/wait-for.ts';
import { Workspace } from '../harness/workspace.ts';
import { MeasuredService } from '../metrics/measured-service.ts';
import { mixedMail, mixedSettings } from '../metrics/mixed-mail.ts';
import { ALWAYS, Panel, Service } from '../redis/host.ts';
import { PolicyClient } from '../service/policy-client.ts';
import { recordedRequest } from '../service/recorded-request.ts';

type Fields = Readonly<Record<string, unknown>>;

/** The lines about decisions, without what differs from one run to the next. */
async function decisionsOf(service: MeasuredService): Promise<readonly Fields[]> {
  await service.stop();
  return service.lines('decision').map(({ time, instance, ...fields }) => {
    assert.equal(typeof time, 'number');
    assert.match(String(instance), /^1a2b\.[0-9a-f]+\.0\.\d$/u);
    return fields;
  });
}

test('a refusal or a lane is one line that says who required what and why it was not so', async (t) => {
  const workspace = await Workspace.of(t);
  const service = await MeasuredService.start(workspace, { settings: { mixed: mixedSettings } });
  await mixedMail(service);
  const client = '198.51.100.17';
  const receipt = { level: 30, hop: 'receipt', msg: 'TLS required', client };
  const delivery = { level: 30, hop: 'delivery', msg: 'lane', client };
  const asks = 'min_protocol=TLSv1.2 min_cipher_bits=128';
  const always = `require_tls=always ${asks}`;
  const filter = {
    ...delivery,
    decision: 'filter',
    domain: 'delivery.example',
    flow: 'incoming',
    requirement: 'require_tls=specific level=encrypt protocols=>=TLSv1.2 ciphers=medium',
    reason: 'dynamic',
    action: 'FILTER tlswarden-encrypt:[mx.delivery.example]:25',
  };
  const refused = { ...receipt, domain: 'receipt.example', flow: 'incoming', requirement: always, decision: 'reject' };
  assert.deepEqual(await decisionsOf(service), [
    { ...refused, reason: 'tls', session: 'plaintext' },
    { ...refused, reason: 'protocol', session: 'TLSv1.1:256' },
    {
      ...receipt,
      decision: 'defer',
      domain: 'strong.example',
      flow: 'outgoing',
      requirement: 'require_tls=always min_protocol=TLSv1.2 min_cipher_bits=256',
      reason: 'cipher',
      session: 'TLSv1.3:128',
    },
    {
      ...receipt,
      decision: 'warn',
      domain: 'trial.example',
      flow: 'incoming',
      requirement: `${always} enforcement=monitor`,
      reason: 'tls',
      session: 'plaintext',
    },
    filter,
    filter,
    { ...delivery, decision: 'separate', requirement: 'none', reason: 'other-lane' },
    {
      level: 40,
      decision: 'unsure',
      hop: 'delivery',
      reason: 'recipients-unknown',
      client,
      msg: 'not all recipients of this message are known; it has to come again',
    },
  ]);
});

test('a lane says whether tables could have done it, who else requires TLS, and what monitor would have refused', async (t) => {
  const workspace = await Workspace.of(t);
  const service = await MeasuredService.start(workspace, {
    settings: {
      all: `
[domains."static.example"]
incoming.delivery.require_tls = "always"
[domains."both.example"]
incoming.delivery = { require_tls = "always", level = "secure" }
incoming.receipt = { require_tls = "always", enforcement = "monitor" }
[domains."from.example"]
outgoing.delivery = { require_tls = "specific", recipients = "*@both.example", when = "both" }
`,
    },
    main: '[maps]\ndirectory = "maps"\ntype = "texthash"',
  });
  await service.ask({ recipient: 'u@static.example', instance: '1a2b.1.0.1' });
  const plain = { encryption_protocol: '', instance: '1a2b.1.0.2' };
  await service.ask({ ...plain, sender: 'u@from.example', recipient: 'u@both.example' });
  await service.ask({ recipient: 'u%static.example@both.example', instance: '1a2b.1.0.3' });
  const [first, monitored, second, routed] = await decisionsOf(service);
  assert.equal(first?.['reason'], 'tables-behind');
  assert.deepEqual(
    [routed?.['domain'], (routed?.['also'] as Fields | undefined)?.['domain']],
    ['both.example', 'static.example'],
    'of a recipient that Postfix may route on, both',
  );
  assert.deepEqual(
    [monitored?.['decision'], monitored?.['hop'], monitored?.['domain']],
    ['warn', 'receipt', 'both.example'],
  );
  assert.deepEqual(
    [second?.['domain'], second?.['reason'], second?.['also']],
    [
      'both.example',
      'tables-behind',
      {
        domain: 'from.example',
        flow: 'outgoing',
        requirement: 'require_tls=specific when=both level=encrypt protocols=>=TLSv1.2 ciphers=medium',
      },
    ],
  );
});

test('what had nothing to say is for debug, and so are addresses', async (t) => {
  for (const level of ['info', 'debug']) {
    const workspace = await Workspace.of(t);
    const settings = { mixed: mixedSettings };
    const service = await MeasuredService.start(workspace, { settings, main: `[log]\nlevel = "${level}"` });
    await mixedMail(service);
    await service.stop();
    assert.equal(service.log.includes('ceo'), level === 'debug', 'a local part');
    assert.equal(
      service.lines('decision').filter(({ decision }) => decision === 'pass').length,
      level === 'debug' ? 4 : 0,
    );
    assert.equal(service.lines('recipient').length, level === 'debug' ? 13 : 0);
    assert.ok(service.lines('recipient').every((line) => line['level'] === 20));
  }
});

test('a level above info says nothing of decisions', async (t) => {
  const workspace = await Workspace.of(t);
  const settings = { mixed: mixedSettings };
  const service = await MeasuredService.begin(workspace, { settings, main: '[log]\nlevel = "error"' });
  await service.untilShown();
  await service.untilMetric('tlswarden_ready', 1);
  await mixedMail(service);
  await service.stop();
  assert.equal(service.log, '');
});

test('a client that is refused without end is a hundred lines and a sum, and no other is kept out of the log by it', async (t) => {
  const workspace = await Workspace.of(t);
  const service = await MeasuredService.start(workspace, { settings: { mixed: mixedSettings } });
  const flood = await service.connect();
  const refused = { encryption_protocol: '', recipient: 'u@receipt.example', client_address: '192.0.2.66' };
  const times = 1_000;
  flood.send(Buffer.concat(Array.from({ length: times }, () => recordedRequest(refused))));
  await flood.replies(times);
  await service.ask({ ...refused, client_address: '192.0.2.1' });
  await service.stop();
  const [loud, other] = ['192.0.2.66', '192.0.2.1'].map((address) =>
    service.lines('client').filter(({ client }) => client === address),
  );
  assert.equal(loud?.length, 101);
  assert.equal(loud?.at(-1)?.['more'], times - 101);
  assert.equal(other?.length, 1);
});

test('the same complaint again and again is ten lines a minute and a sum', async (t) => {
  const workspace = await Workspace.of(t);
  const service = await MeasuredService.start(workspace);
  await service.write('empty', 'broken = [');
  for (let failed = 1; failed <= 15; failed += 1) {
    service.signal('SIGHUP');
    await waitFor(
      async () => (await service.scrape()).value('tlswarden_settings_reloads_total{result="failed"}') >= failed,
      'a reload that fails',
    );
  }
  await service.stop();
  const complaints = service.lines('complaints');
  const sums = complaints.filter(({ more }) => more !== undefined);
  assert.equal(complaints.slice(0, 10).filter(({ more }) => more !== undefined).length, 0);
  assert.ok(complaints.length <= 12 && sums.length === 1, service.log);
  assert.ok(Number(sums[0]?.['more']) >= 3);
});

test('on a terminal lines are to be read, and nothing in them moves the cursor', async (t) => {
  const workspace = await Workspace.of(t);
  const service = await MeasuredService.start(workspace, { settings: { mixed: mixedSettings } });
  await service.stop();
  const typescript = workspace.path('typescript');
  const command = `exec ${process.execPath} ${service.program.join(' ')}`;
  const child = spawn('script', ['--quiet', '--flush', '--return', '--command', command, typescript], {
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  workspace.push({ dispose: () => void child.kill('SIGKILL'), abandon: () => void child.kill('SIGKILL') });
  const shown = (): Promise<string> => readFile(typescript, 'utf8').catch(() => '');
  await waitFor(async () => (await shown()).includes(' ready '), 'the service');
  const client = await PolicyClient.to(`127.0.0.1:${service.port}`);
  t.after(() => client.close());
  const evil = { instance: '1a\x1b[2J\u009b3m', encryption_protocol: '', recipient: 'u@receipt.example' };
  assert.match(await client.ask(recordedRequest(evil)), /^550 /u);
  await waitFor(async () => (await shown()).includes('TLS required'), 'the refusal');
  const gone = once(child, 'exit');
  // As somebody who presses Ctrl-C.
  child.stdin.write('\x03');
  assert.deepEqual(await gone, [0, null]);
  const text = await shown();
  const line = text.split('\r\n').find((text) => text.includes('TLS required'));
  assert.match(
    line ?? '',
    /^\d\d:\d\d:\d\d info {4}TLS required decision=reject hop=receipt domain=receipt\.example flow=incoming requirement="require_tls=always [^"]*" reason=tls session=plaintext instance="?1a\\+x1b\[2J\\+x9b3m"? client=198\.51\.100\.17$/u,
  );
  assert.match(text, /\d\d:\d\d:\d\d info {4}stopping\r\n/u);
});

test('no password is logged, shown or printed, at whatever level and whatever goes wrong', async (t) => {
  const workspace = await Workspace.of(t);
  const redis = await RedisServer.start(workspace);
  await new Panel(redis.url).set({ 'a.example': ALWAYS });
  const secret = 's3cr3t p@ss/w\u00f6rd%';
  await redis.cli('ACL', 'SETUSER', 'reader', 'on', `>${secret}`, '~*', '+@all');
  const { host, port } = redis;

  const url = `redis://reader:${encodeURIComponent(secret)}@${host}:${port}/0`;
  const service = await MeasuredService.begin(workspace, {
    main: `[log]\nlevel = "trace"\n[settings]\nsource = "redis://"\nsnapshot = "${workspace.path('snapshot')}"`,
    environment: { TLSWARDEN_REDIS_URL: url },
  });
  await service.untilLogged('"ready"');
  await service.untilMetric('tlswarden_redis_following', 1);
  await service.ask({ recipient: 'u@a.example', encryption_protocol: '' });
  // Refused, then away, then back.
  await redis.cli('ACL', 'SETUSER', 'reader', 'resetpass', '>another');
  await redis.cli('CLIENT', 'KILL', 'USER', 'reader');
  await service.untilLogged('WRONGPASS');
  await redis.kill();
  await service.untilLogged('ECONNREFUSED');
  service.signal('SIGHUP');
  const shown = (await service.http('/metrics')).body + (await service.http('/readyz')).body;
  const failing = await service.run('domains', 'list');
  assert.notEqual(failing.status, 0);
  await service.stop();
  const all = [service.log, service.stdout, shown, failing.stdout, failing.stderr].join('\n');
  assert.match(all, new RegExp(`redis://${host}`, 'u'));
  const forms = [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1), 's3cr3t', 'reader:'];
  for (const form of forms) assert.ok(!all.includes(form), `${form} in\n${all}`);
});

test('what a library has to say is an event too: every line of the log is JSON', async (t) => {
  const workspace = await Workspace.of(t);
  const redis = await RedisServer.start(workspace);
  await new Panel(redis.url).set({ 'a.example': ALWAYS });
  // ioredis warns of a password that this server does not ask for.
  const service = await Service.start(workspace, 'mx1', [`source = "redis://:s3cr3t@${redis.host}:${redis.port}/0"`]);
  await service.untilLogged('following');
  await service.stop();
  const events = service.log
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Fields);
  const warning = events.find(({ msg }) => msg === 'a library warns');
  assert.match(String(warning?.['warning']), /does not require a password/u);
});
