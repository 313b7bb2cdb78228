// /metrics, /healthz and /readyz of a real service: what they say of what it does, and that nothing that happens there
// concerns Postfix.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { test } from 'node:test';
import { attempt } from '../harness/command.ts';
import { RedisServer } from '../harness/redis.ts';
import { Workspace } from '../harness/workspace.ts';
import { ALWAYS, Panel } from '../redis/host.ts';
import { MeasuredService, Scrape } from './measured-service.ts';
import { mixedMail, mixedSettings } from './mixed-mail.ts';

test('all metrics are there from the start, at zero, in a form that promtool finds nothing wrong with', async (t) => {
  const workspace = await Workspace.of(t);
  const service = await MeasuredService.start(workspace);
  const { status, headers, body } = await service.http('/metrics');
  assert.equal(status, 200);
  assert.equal(headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
  assert.deepEqual(await attempt('promtool', ['check', 'metrics'], { input: body }), {
    status: 0,
    stdout: '',
    stderr: '',
  });
  const { samples } = new Scrape(body);
  const counted = samples.filter(({ name }) => name.startsWith('tlswarden_') && name.endsWith('_total'));
  assert.ok(counted.length > 30);
  assert.deepEqual(
    counted.filter(({ value }) => value !== 0),
    [],
  );
});

test('what traffic there was changes values, and never which series there are', async (t) => {
  const workspace = await Workspace.of(t);
  const service = await MeasuredService.start(workspace, { settings: { mixed: mixedSettings } });
  const series = (scrape: Scrape) => scrape.samples.map(({ name, labels }) => `${name}${JSON.stringify(labels)}`);
  const before = series(await service.scrape());
  await mixedMail(service);
  assert.deepEqual(series(await service.scrape()), before);
});

test('requests are counted by decision, refusals by what the session lacked, replies by how long they took', async (t) => {
  const workspace = await Workspace.of(t);
  const service = await MeasuredService.start(workspace, { settings: { mixed: mixedSettings } });
  await mixedMail(service);
  const scrape = await service.scrape();
  const decided = Object.fromEntries(
    scrape.samples
      .filter(({ name }) => name === 'tlswarden_requests_total')
      .map(({ labels, value }) => [`${labels['protocol_state']} ${labels['decision']}`, value]),
  );
  assert.deepEqual(decided, {
    'RCPT pass': 2,
    'RCPT reject': 2,
    'RCPT defer': 1,
    'RCPT warn': 1,
    'RCPT filter': 2,
    'RCPT separate': 1,
    'DATA pass': 1,
    'DATA filter': 1,
    'DATA unsure': 1,
    'other pass': 1,
  });
  const refused = scrape.samples
    .filter(({ name, value }) => name === 'tlswarden_refusals_total' && value > 0)
    .map(({ labels, value }) => `${labels['flow']} ${labels['reason']} ${labels['action']} ${value}`);
  assert.deepEqual(refused, [
    'incoming tls reject 1',
    'incoming tls warn 1',
    'incoming protocol reject 1',
    'outgoing cipher defer 1',
  ]);
  assert.equal(scrape.value('tlswarden_replies_total'), 13);
  assert.equal(scrape.value('tlswarden_reply_seconds_count'), 13);
  assert.equal(scrape.value('tlswarden_reply_seconds_bucket{le="+Inf"}'), 13);
  assert.ok(scrape.value('tlswarden_reply_seconds_sum') > 0);
  assert.equal(scrape.value('tlswarden_lanes_messages'), 3);
});

test('connections and trouble are counted', async (t) => {
  const workspace = await Workspace.of(t);
  const service = await MeasuredService.start(workspace, { server: 'max_connections = 2' });
  const [one, other] = [await service.connect(), await service.connect()];
  await service.untilMetric('tlswarden_connections', 2);
  await (await service.connect()).untilClosed();
  one.send('nonsense\n');
  await one.untilClosed();
  await service.untilMetric('tlswarden_connections', 1);
  const scrape = await service.scrape();
  assert.equal(scrape.value('tlswarden_connections_max'), 2);
  assert.equal(scrape.value('tlswarden_connections_accepted_total'), 2);
  assert.equal(scrape.value('tlswarden_connections_refused_total'), 1);
  assert.equal(scrape.value('tlswarden_trouble_total{kind="no-equals"}'), 1);
  assert.equal(other.isClosed, false);
});

test('settings show their version and age, and that a reload failed until one succeeds', async (t) => {
  const workspace = await Workspace.of(t);
  const began = Date.now() / 1000;
  const service = await MeasuredService.start(workspace, { settings: { a: '[domains."a.example"]' } });
  const first = await service.scrape();
  assert.equal(first.value('tlswarden_settings_domains'), 1);
  assert.equal(first.value('tlswarden_settings_generation'), 1);
  const changed = first.value('tlswarden_settings_changed_timestamp_seconds');
  assert.ok(changed >= began && changed <= Date.now() / 1000);

  await service.write('b', '[domains."b.example"');
  await service.untilMetric('tlswarden_settings_reload_failing', 1);
  const failing = await service.scrape();
  assert.ok(failing.value('tlswarden_settings_reloads_total{result="failed"}') > 0);
  assert.equal(failing.value('tlswarden_settings_domains'), 1);
  assert.equal(failing.value('tlswarden_settings_changed_timestamp_seconds'), changed);

  await service.write('b', '[domains."b.example"]');
  await service.untilMetric('tlswarden_settings_reload_failing', 0);
  const mended = await service.scrape();
  assert.ok(mended.value('tlswarden_settings_reloads_total{result="done"}') > 0);
  assert.equal(mended.value('tlswarden_settings_domains'), 2);
  assert.ok(mended.value('tlswarden_settings_changed_timestamp_seconds') > changed);
  assert.ok(mended.value('tlswarden_settings_loaded_timestamp_seconds') > changed);
});

test('tables show whether they were written from the settings in force, and for how many domains FILTER stands in', async (t) => {
  const workspace = await Workspace.of(t);
  const required = 'incoming.delivery.require_tls = "always"';
  const service = await MeasuredService.start(workspace, {
    settings: { a: `[domains."a.example"]\n${required}\n[domains."plain.example"]` },
    main: '[maps]\ndirectory = "maps"\ntype = "texthash"',
  });
  const none = await service.scrape();
  assert.equal(none.value('tlswarden_tables_configured'), 1);
  assert.equal(none.value('tlswarden_tables_written_timestamp_seconds'), 0);
  assert.equal(none.value('tlswarden_tables_current'), 0);
  assert.equal(none.value('tlswarden_tables_domains_not_held'), 1);

  assert.equal((await service.run('maps')).status, 0);
  await service.untilMetric('tlswarden_tables_current', 1);
  const fresh = await service.scrape();
  assert.ok(fresh.value('tlswarden_tables_written_timestamp_seconds') > Date.now() / 1000 - 60);
  assert.equal(fresh.value('tlswarden_tables_domains_not_held'), 1, 'not before all of Postfix uses them');

  await service.makeTablesOld();
  await service.untilMetric('tlswarden_tables_domains_not_held', 0);

  await service.write('b', `[domains."b.example"]\n${required}\n[domains."c.example"]\n${required}`);
  await service.untilMetric('tlswarden_tables_current', 0);
  assert.equal((await service.scrape()).value('tlswarden_tables_domains_not_held'), 2);
});

test('without settings the service is alive and not ready; with Redis back it is ready, and shows how following gets on', async (t) => {
  const workspace = await Workspace.of(t);
  const redis = await RedisServer.start(workspace);
  const panel = new Panel(redis.url);
  await panel.set({ 'a.example': ALWAYS });
  await redis.kill();
  const snapshot = workspace.path('snapshot');
  const service = await MeasuredService.begin(workspace, {
    main: `[settings]\nsource = "${redis.url}"\nsnapshot = "${snapshot}"`,
  });
  await service.untilShown();
  assert.deepEqual([(await service.http('/healthz')).status, (await service.http('/healthz')).body], [200, 'alive\n']);
  const unready = await service.http('/readyz');
  assert.deepEqual([unready.status, unready.body], [503, 'not ready: no settings are in force yet\n']);
  const away = await service.scrape();
  for (const name of [
    'ready',
    'redis_connected',
    'redis_following',
    'redis_heard_timestamp_seconds',
    'snapshot_current',
  ]) {
    assert.equal(away.value(`tlswarden_${name}`), 0, name);
  }
  assert.equal(away.value('tlswarden_redis_configured'), 1);
  assert.equal(await service.ask({ recipient: 'u@a.example' }), 'closed');
  assert.equal((await service.scrape()).value('tlswarden_trouble_total{kind="no-answer"}'), 1);

  await redis.start();
  await service.untilMetric('tlswarden_ready', 1);
  const ready = await service.http('/readyz');
  assert.deepEqual([ready.status, ready.body], [200, 'ready\n']);
  await service.untilMetric('tlswarden_redis_following', 1);
  await service.untilMetric('tlswarden_snapshot_current', 1);
  const back = await service.scrape();
  assert.equal(back.value('tlswarden_redis_connected'), 1);
  assert.equal(back.value('tlswarden_redis_position'), 1);
  for (const what of ['redis_heard', 'snapshot_written']) {
    assert.ok(back.value(`tlswarden_${what}_timestamp_seconds`) > Date.now() / 1000 - 60, what);
  }

  await panel.set({ 'b.example': ALWAYS });
  await service.untilMetric('tlswarden_redis_position', 2);
  await redis.cli('HSET', '{tlswarden}:domains', 'c.example', 'nonsense');
  await service.untilMetric('tlswarden_redis_refused_records', 1);
  await redis.kill();
  await service.untilMetric('tlswarden_redis_connected', 0);
  const gone = await service.scrape();
  assert.equal(gone.value('tlswarden_redis_following'), 0);
  assert.equal(gone.value('tlswarden_ready'), 1);
  assert.equal(gone.value('tlswarden_settings_domains'), 2);
});

test('only three pages are shown, only to be read, and what else comes over HTTP concerns nobody', async (t) => {
  const workspace = await Workspace.of(t);
  const service = await MeasuredService.start(workspace);
  assert.equal((await service.http('/')).status, 404);
  assert.equal((await service.http('/metrics/x')).status, 404);
  assert.equal((await service.http('/metrics?name=x')).status, 200);
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
    const { status, headers } = await service.http('/metrics', method);
    assert.deepEqual([status, headers['allow']], [405, 'GET, HEAD'], method);
  }
  const head = await service.http('/metrics', 'HEAD');
  assert.deepEqual([head.status, head.body, Number(head.headers['content-length']) > 5000], [200, '', true]);
  for (const bytes of ['\0\x01\x02', 'GET / HTTP/9.9\r\n\r\n', `GET /${'x'.repeat(20_000)} HTTP/1.1\r\n\r\n`]) {
    const socket = connect(service.metricsPort, '127.0.0.1');
    t.after(() => socket.destroy());
    socket.on('error', () => {});
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.resume();
    socket.write(bytes);
    await closed;
  }
  assert.equal((await service.http('/healthz')).status, 200);
  assert.equal(await service.ask({ recipient: 'u@else.example' }), 'DUNNO');
});

test('a client that is silent on the HTTP port keeps the service neither from answering nor from stopping', async (t) => {
  const workspace = await Workspace.of(t);
  const service = await MeasuredService.start(workspace);
  const idle = connect(service.metricsPort, '127.0.0.1');
  t.after(() => idle.destroy());
  idle.on('error', () => {});
  await new Promise((resolve) => idle.once('connect', resolve));
  idle.write('GET /metrics HTTP/1.1\r\n');
  assert.equal((await service.http('/readyz')).status, 200);
  assert.equal(await service.stop(), 0);
});

test('a port of metrics that is in use is exit status 1; one for all the world, or none at all, is 2', async (t) => {
  const workspace = await Workspace.of(t);
  const service = await MeasuredService.start(workspace);
  const serveWith = (metrics: string) =>
    service.attemptWith(`[server]\nlisten = ["127.0.0.1:0"]\nmetrics = "${metrics}"\n`);
  const inUse = await serveWith(`127.0.0.1:${service.metricsPort}`);
  assert.equal(inUse.status, 1);
  assert.match(
    inUse.stderr,
    new RegExp(`^tlswarden: cannot listen on 127\\.0\\.0\\.1:${service.metricsPort}: the port is in use`, 'mu'),
  );
  const remote = await serveWith('0.0.0.0:10041');
  assert.equal(remote.status, 2);
  assert.match(remote.stderr, /tlswarden\.toml:3: server\.metrics: "0\.0\.0\.0:10041": .*server\.allow_remote = true/u);
  const wrong = await serveWith('yes');
  assert.equal(wrong.status, 2);
  assert.match(wrong.stderr, /tlswarden\.toml:3: server\.metrics: "yes": no port/u);
});

test('without server.metrics nothing listens', async (t) => {
  const workspace = await Workspace.of(t);
  const service = await MeasuredService.start(workspace, { metrics: false });
  await assert.rejects(service.http('/healthz'), { code: 'ECONNREFUSED' });
});

test('the README tells of every metric what the service says of it', async (t) => {
  const workspace = await Workspace.of(t);
  const { text, samples } = await (await MeasuredService.start(workspace)).scrape();
  const told = [...text.matchAll(/^# HELP (\S+) (.*)\n# TYPE \S+ (\S+)$/gmu)].map(([, name = '', help, type]) => {
    const one = samples.find((sample) => sample.name === name || sample.name === `${name}_bucket`);
    const labels = Object.keys(one?.labels ?? {}).filter((label) => label !== 'le');
    return `| \`${name}${labels.length === 0 ? '' : `{${labels.join(', ')}}`}\` | ${type} | ${help} |`;
  });
  const readme = await readFile(new URL('../../../README.md', import.meta.url), 'utf8');
  assert.deepEqual(readme.match(/^\| `(?:tlswarden|process)_.*$/gmu), told);
});
