/**
 * Counts in Redis: those of all hosts are one, each is added once, and where they cannot be added nothing else suffers.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { ReportInRedis } from '../../src/redis/report-in-redis.ts';
import { RedisServer } from '../harness/redis.ts';
import { waitFor } from '../harness/wait-for.ts';
import { Workspace } from '../harness/workspace.ts';
import { ask, reported, untilReported } from '../report/counting-service.ts';
import { linesOf, rowOf } from '../report/rows.ts';
import { addressOf, NEVER, Panel, Service, tlswarden } from './host.ts';

const DAY_MS = 86_400_000;
const mail = { recipient: 'u@a.example', protocol: '' };
const row = (n: number): string =>
  `a.example partner.example: ${n} recipients, ${n} plaintext, 0 refused, 0 would be refused`;

function storeAt(redis: RedisServer, maxRows = 1_000): ReportInRedis {
  return new ReportInRedis(addressOf(redis.url), { maxRows, localParts: false });
}

async function linesIn(redis: RedisServer): Promise<readonly string[]> {
  return linesOf((await storeAt(redis).read())?.rows ?? []);
}

/** Bytes that have come for the server, and that it has not read. */
function unread({ host, port }: RedisServer): number {
  // proc_pid_net(5): addresses as the machine keeps them, in hexadecimal; queues as sent:received.
  const address = host.split('.').map((part) => Number(part).toString(16).padStart(2, '0').toUpperCase());
  const local = `${address.reverse().join('')}:${port.toString(16).padStart(4, '0').toUpperCase()}`;
  return readFileSync('/proc/net/tcp', 'latin1')
    .split('\n')
    .map((line) => line.trim().split(/\s+/u))
    .filter(([, from, , state]) => from === local && state === '01')
    .reduce((sum, fields) => sum + Number.parseInt(fields[4]?.split(':')[1] ?? '0', 16), 0);
}

describe('counts in Redis', { concurrency: true }, () => {
  it('are those of all hosts together, outlive them, and begin anew for all', async (t) => {
    const workspace = await Workspace.of(t);
    const redis = await RedisServer.start(workspace);
    await new Panel(redis.url).set({ 'a.example': NEVER });
    const source = [`source = "${redis.url}"`];
    const services = [await Service.start(workspace, 'mx1', source), await Service.start(workspace, 'mx2', source)];
    const [first, second] = services as [Service, Service];
    await Promise.all([ask(first, mail, mail), ask(second, mail)]);
    await untilReported(first.config, [row(3)]);
    await ask(first, mail);
    await ask(second, mail, mail);
    await Promise.all(services.map((service) => service.stop()));
    assert.deepEqual(await reported(first.config), [row(6)]);
    const { stdout } = await tlswarden(second.config, ['report', '--reset']);
    assert.match(stdout, /^redis:.*: counting begins anew\n$/u);
    assert.deepEqual(await reported(first.config), []);
  });

  it('wait for a Redis that is away, and are added once when it is back', async (t) => {
    const workspace = await Workspace.of(t);
    const redis = await RedisServer.start(workspace);
    await new Panel(redis.url).set({ 'a.example': NEVER });
    const service = await Service.start(workspace, 'mx1', [`source = "${redis.url}"`]);
    await redis.kill();
    assert.deepEqual(await ask(service, mail), ['DUNNO']);
    await service.untilLogged('counts for the report cannot be kept; trying again');
    assert.deepEqual(await ask(service, mail), ['DUNNO']);
    await redis.start();
    await service.untilLogged('counts for the report are kept again');
    await service.stop();
    assert.deepEqual(await reported(service.config), [row(2)]);
  });

  it('are not waited for at a stop while Redis says nothing: that they are lost is said', async (t) => {
    const workspace = await Workspace.of(t);
    const redis = await RedisServer.start(workspace);
    await new Panel(redis.url).set({ 'a.example': NEVER });
    const service = await Service.start(workspace, 'mx1', [`source = "${redis.url}"`]);
    redis.pause();
    assert.deepEqual(await ask(service, mail), ['DUNNO']);
    assert.equal(await service.stop(), 0);
    assert.match(service.log, /what was counted last for the report is lost/u);
    redis.resume();
  });

  it('that were added, though the answer was lost, are not added again', async (t) => {
    const workspace = await Workspace.of(t);
    const redis = await RedisServer.start(workspace);
    const store = storeAt(redis);
    await store.add([rowOf('a.example incoming p.example plaintext=1 first=1 last=1')], 1_000);
    // Redis does what it was asked for after the one who asked has gone.
    redis.pause();
    const adding = store.add([rowOf('a.example incoming p.example plaintext=1 first=1 last=1')], 2_000);
    await waitFor(() => unread(redis) > 0, 'the step to have come to Redis');
    store.close();
    await assert.rejects(adding);
    redis.resume();
    await waitFor(async () => (await linesIn(redis))[0]?.endsWith('plaintext=2'), 'Redis to have done it');
    assert.equal(store.isSettled, false);
    await store.add([], 3_000);
    assert.equal(store.isSettled, true);
    assert.deepEqual(await linesIn(redis), ['a.example incoming p.example plaintext=2']);
    store.close();
  });

  it('keep the same bounds and the same rows as on a host', async (t) => {
    const workspace = await Workspace.of(t);
    const redis = await RedisServer.start(workspace);
    const now = 10 * DAY_MS;
    const [one, two] = [storeAt(redis, 100), storeAt(redis, 100)];
    const known = rowOf(`known.example incoming p.example plaintext=5 first=1 last=${now}`);
    await one.add([known], now);
    const invented = (i: number) => rowOf(`c${i % 12}.example incoming i${i}.example plaintext=1 first=1 last=1`);
    await one.add(
      Array.from({ length: 300 }, (_, i) => invented(i)),
      now,
    );
    await two.add(
      Array.from({ length: 300 }, (_, i) => invented(i + 300)),
      now,
    );
    const domains = Array.from({ length: 300 }, (_, i) =>
      rowOf(`d${i}.example incoming p.example plaintext=1 first=1 last=1`),
    );
    await two.add(domains, now);
    await two.add([known], now);
    const rows = (await two.read())?.rows ?? [];
    assert.ok(rows.length <= 100, `${rows.length} rows`);
    assert.equal(
      rows.reduce((sum, { numbers }) => sum + (numbers[0] ?? 0), 0),
      910,
    );
    const lines = linesOf(rows);
    assert.ok(lines.includes('known.example incoming p.example plaintext=10'));
    assert.ok(lines.some((line) => line.startsWith('(others) incoming (others) plaintext=')));
    // A host that finds little room folds those that idle: who comes then has a row of its own.
    const three = storeAt(redis, 100);
    await three.add([known], now);
    await three.add([rowOf(`known.example incoming new.example TLSv1.3=1 first=1 last=${now}`)], now);
    assert.ok((await linesIn(redis)).includes('known.example incoming new.example TLSv1.3=1'));
    for (const store of [one, two, three]) store.close();
  });

  it('of a host that may not write them stay on it: that is said once, and nothing else suffers', async (t) => {
    const workspace = await Workspace.of(t);
    const redis = await RedisServer.start(workspace);
    await new Panel(redis.url).set({ 'a.example': NEVER });
    const readOnly = ['+ping', '+hscan', '+hlen', '+hmget', '+get', '+xread', '+xrevrange', '%R~{tlswarden}:*'];
    await redis.cli('ACL', 'SETUSER', 'reader', 'on', '>secret', ...readOnly);
    const url = redis.url.replace('//', '//reader:secret@');
    const service = await Service.start(workspace, 'mx1', [`source = "${url}"`]);
    await ask(service, mail);
    await service.untilLogged('counts for the report cannot be kept; trying again');
    assert.match(service.log, /NOPERM/u);
    assert.deepEqual(await ask(service, mail), ['DUNNO']);
    const may = [
      '+eval',
      '+hget',
      '+hexists',
      '+hgetall',
      '+hset',
      '+hincrby',
      '+hdel',
      '+del',
      '~{tlswarden}:report*',
    ];
    await redis.cli('ACL', 'SETUSER', 'reader', ...may);
    await service.untilLogged('counts for the report are kept again');
    await service.stop();
    assert.deepEqual(await reported(service.config), [row(2)]);
    assert.doesNotMatch(service.log, /secret/u);
    assert.equal(service.log.split('counts for the report cannot be kept').length, 2);
  });

  it('may be kept in a file of the host all the same, and are not kept where nobody wants them', async (t) => {
    const workspace = await Workspace.of(t);
    const redis = await RedisServer.start(workspace);
    await new Panel(redis.url).set({ 'a.example': NEVER });
    const source = [`source = "${redis.url}"`];
    const inFile = await Service.start(workspace, 'mx1', source, '[report]\nstate = "report"\n');
    const nowhere = await Service.start(workspace, 'mx2', source, '[report]\nenabled = false\n');
    await Promise.all([ask(inFile, mail), ask(nowhere, mail)]);
    await Promise.all([inFile.stop(), nowhere.stop()]);
    assert.deepEqual(await reported(inFile.config), [row(1)]);
    assert.deepEqual(await linesIn(redis), []);
  });
});
