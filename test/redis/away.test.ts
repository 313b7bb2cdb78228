/**
 * Redis comes and goes, with its data and without; what is in force stays in force until something newer is here whole.
 */
import assert from 'node:assert/strict';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { RedisServer } from '../harness/redis.ts';
import { waitFor } from '../harness/wait-for.ts';
import { type Ending, Workspace } from '../harness/workspace.ts';
import { ALWAYS, Host, NEVER, Panel, Service, tlswarden } from './host.ts';
import { Readers } from './readers.ts';

/** A host that follows a Redis with these domains, and is kept out of it until `readers` lets it in. */
async function cutOff(
  t: Ending,
  domains: Parameters<Panel['set']>[0],
): Promise<{ readonly redis: RedisServer; readonly panel: Panel; readonly readers: Readers; readonly host: Host }> {
  const workspace = await Workspace.of(t);
  const redis = await RedisServer.start(workspace);
  const panel = new Panel(redis.url);
  await panel.set(domains);
  const readers = await Readers.of(redis);
  const host = await Host.start(workspace, readers.url);
  await host.untilLogged('following');
  await readers.cutOff(host);
  return { redis, panel, readers, host };
}

describe('while Redis is away', () => {
  it('decisions go on, domains set says so and exits 1, and changes come in again with it', async (t) => {
    const workspace = await Workspace.of(t);
    const redis = await RedisServer.start(workspace);
    const panel = new Panel(redis.url);
    await panel.set({ 'a.example': ALWAYS, 'b.example': NEVER });
    const service = await Service.start(workspace, 'mx1', [`source = "${redis.url}"`]);
    assert.equal(await service.decides('a.example'), 'always');

    await redis.kill();
    await service.untilLogged('those in force stay');
    assert.equal(await service.decides('a.example'), 'always');
    assert.equal(await service.decides('b.example'), 'never');
    const set = await tlswarden(service.config, [
      'domains',
      'set',
      'b.example',
      'incoming.receipt',
      'require_tls=always',
    ]);
    assert.equal(set.status, 1);
    assert.match(set.stderr, /^tlswarden: redis:\/\/.*ECONNREFUSED/u);

    await redis.start();
    await panel.set({ 'b.example': ALWAYS });
    await service.untilDecides('b.example', 'always');
    assert.equal(await service.stop(), 0);
  });

  it('a host that was cut off catches up from where it was, without loading all again', async (t) => {
    const { panel, readers, host } = await cutOff(t, { 'a.example': NEVER, 'gone.example': ALWAYS });
    for (let n = 0; n < 5; n++)
      await panel.set({ 'a.example': n % 2 === 0 ? ALWAYS : NEVER, [`new${n}.example`]: ALWAYS });
    await panel.set({ 'gone.example': undefined });
    await readers.letIn();
    await host.until(() => host.requires('gone.example') === undefined, 'the last change');
    assert.equal(host.requires('a.example'), 'always');
    assert.equal(host.requires('new4.example'), 'always');
    assert.equal(host.log.filter((line) => line.includes('loaded from Redis')).length, 1);
  });

  it('a host that was cut off longer than the stream remembers loads all again', async (t) => {
    const { redis, panel, readers, host } = await cutOff(t, { 'a.example': NEVER });
    await panel.set({ 'a.example': ALWAYS, 'b.example': ALWAYS });
    await panel.set({ 'c.example': ALWAYS });
    await panel.set({ 'd.example': ALWAYS });
    await redis.cli('XTRIM', '{tlswarden}:changes', 'MAXLEN', '1');
    await readers.letIn();
    await host.until(() => host.requires('d.example') === 'always', 'the last change');
    await host.untilLogged('entry 2 is missing');
    assert.equal(host.requires('a.example'), 'always');
    assert.equal(host.settings?.size, 4);
  });

  it('a host that was cut off from a failover which lost a change, to a server whose clock is behind, loads all again', async (t) => {
    const { redis, panel, readers, host } = await cutOff(t, { 'a.example': ALWAYS, 'b.example': NEVER });
    // In the place of the change that the host has stands another one, with a smaller id; the next one comes after both.
    const changes = '{tlswarden}:changes';
    const epoch = (await redis.cli('XREVRANGE', changes, '+', '-', 'COUNT', '1')).split('\n')[2] ?? '';
    const record = '{"domain":"b.example","incoming":{"receipt":{"require_tls":"always"}}}';
    await redis.cli('DEL', changes);
    await redis.cli('HSET', '{tlswarden}:domains', 'b.example', record);
    const entry = ['epoch', epoch, 'seq', '1', 'domains', '["b.example"]', 'records', `[${record}]`];
    await redis.cli('XADD', changes, '1-1', ...entry);
    await panel.set({ 'c.example': ALWAYS });
    await readers.letIn();
    await host.until(() => host.requires('c.example') === 'always', 'the last change');
    await host.until(() => host.requires('b.example') === 'always', 'the change in between');
  });

  it('a Redis that says nothing at all is given up, and asked again', { timeout: 90_000 }, async (t) => {
    const workspace = await Workspace.of(t);
    const redis = await RedisServer.start(workspace);
    const panel = new Panel(redis.url);
    await panel.set({ 'a.example': NEVER });
    const host = await Host.start(workspace, redis.url);
    await host.untilLogged('following');
    redis.pause();
    await host.until(() => host.log.some((line) => line.includes('no answer to')), 'it to be given up', 40_000);
    assert.equal(host.requires('a.example'), 'never');
    redis.resume();
    await panel.set({ 'a.example': ALWAYS });
    await host.until(() => host.requires('a.example') === 'always', 'the change', 40_000);
  });
});

describe('a Redis that comes back without its data', () => {
  it('changes nothing, not even with new settings in it, until somebody says that it is meant to be so', async (t) => {
    const workspace = await Workspace.of(t);
    const redis = await RedisServer.start(workspace);
    const panel = new Panel(redis.url);
    await panel.set({ 'a.example': ALWAYS, 'b.example': ALWAYS });
    const host = await Host.start(workspace, redis.url);
    await redis.kill();
    await redis.wipe();
    await redis.start();
    await host.untilLogged('holds no settings any more');
    assert.equal(host.requires('a.example'), 'always');

    await panel.set({ 'c.example': ALWAYS });
    await host.untilLogged('did not come from those in force');
    assert.equal(host.requires('a.example'), 'always');
    assert.equal(host.requires('c.example'), undefined);

    assert.equal(await panel.store.adopt(), 1);
    await host.until(() => host.requires('c.example') === 'always', 'the other settings');
    assert.equal(host.requires('a.example'), undefined);
  });

  it('and is flushed under the eyes of a host changes nothing either', async (t) => {
    const workspace = await Workspace.of(t);
    const redis = await RedisServer.start(workspace);
    const panel = new Panel(redis.url);
    await panel.set({ 'a.example': ALWAYS });
    const host = await Host.start(workspace, redis.url);
    await host.untilLogged('following');
    await redis.cli('FLUSHALL');
    await panel.set({ 'b.example': ALWAYS });
    await host.untilLogged('did not come from those in force');
    assert.equal(host.requires('a.example'), 'always');
    assert.equal(host.requires('b.example'), undefined);
  });

  it('but with older data of its own is believed: it was restored', async (t) => {
    const workspace = await Workspace.of(t);
    const redis = await RedisServer.start(workspace, { lines: ['appendonly no'] });
    const panel = new Panel(redis.url);
    await panel.set({ 'a.example': NEVER });
    await redis.cli('SAVE');
    await panel.set({ 'a.example': ALWAYS });
    const host = await Host.start(workspace, redis.url);
    assert.equal(host.requires('a.example'), 'always');
    await redis.kill();
    await redis.start();
    await host.until(() => host.requires('a.example') === 'never', 'the restored settings');
    await host.untilLogged('Redis is behind');
  });

  it('of the records alone, as by an eviction, changes nothing, not even on SIGHUP or for who comes anew', async (t) => {
    const workspace = await Workspace.of(t);
    const redis = await RedisServer.start(workspace);
    const panel = new Panel(redis.url);
    await panel.set({ 'a.example': ALWAYS, 'b.example': NEVER });
    const host = await Host.start(workspace, redis.url);
    await host.untilLogged('following');
    await redis.cli('DEL', '{tlswarden}:domains');
    await host.untilLogged('records of all domains are gone');
    assert.equal(host.requires('a.example'), 'always');
    host.refresh();
    const other = await Host.start(workspace, redis.url);
    await other.untilLogged('records of all domains are gone');
    assert.equal(other.settings, undefined);
    assert.equal(host.log.filter((line) => line.includes('are gone')).length, 1);
    // All may be brought back while hosts keep what they have, until somebody says that it is meant to be so.
    await panel.set({ 'c.example': ALWAYS });
    await host.untilLogged('did not come from those in force');
    assert.equal(host.requires('a.example'), 'always');
    await panel.set({ 'a.example': ALWAYS });
    assert.equal(await panel.store.adopt(), 2);
    for (const one of [host, other]) await one.until(() => one.requires('c.example') === 'always', 'the new domain');
    for (const one of [host, other]) assert.equal(one.requires('a.example'), 'always');
    await redis.cli('DEL', '{tlswarden}:domains');
    await host.until(({ log }) => log.filter((line) => line.includes('are gone')).length === 2, 'the second loss');
    assert.equal(await panel.store.adopt(), 0);
    for (const one of [host, other]) await one.until(({ settings }) => settings?.size === 0, 'no domains');
  });

  it('of the records, which are brought back while a host cannot load them, costs no change in its snapshot', async (t) => {
    const workspace = await Workspace.of(t);
    const redis = await RedisServer.start(workspace);
    const panel = new Panel(redis.url);
    await panel.set({ 'a.example': NEVER });
    const may = ['+ping', '+hscan', '+hlen', '+hmget', '+get', '+xread', '+xrevrange'];
    await redis.cli('ACL', 'SETUSER', 'reader', 'on', '>secret', '%R~{tlswarden}:*', ...may);
    const snapshot = workspace.path('snapshot');
    const host = await Host.start(workspace, redis.url.replace('//', '//reader:secret@'), { snapshot });
    await redis.cli('ACL', 'SETUSER', 'reader', '-hscan');
    await redis.cli('RENAME', '{tlswarden}:domains', '{tlswarden}:away');
    await host.untilLogged('records of all domains are gone');
    await redis.cli('RENAME', '{tlswarden}:away', '{tlswarden}:domains');
    await host.untilLogged('NOPERM');
    await panel.set({ 'a.example': ALWAYS });
    await redis.cli('ACL', 'SETUSER', 'reader', '+hscan');
    await host.until(() => host.requires('a.example') === 'always', 'the change');
    await waitFor(async () => (await readFile(snapshot, 'utf8')).includes('always'), 'the change in the snapshot');
  });

  it('is not what an entry of the stream looks like that tlswarden did not write: it is told, and nobody writes after it', async (t) => {
    const workspace = await Workspace.of(t);
    const redis = await RedisServer.start(workspace);
    const panel = new Panel(redis.url);
    await panel.set({ 'a.example': ALWAYS });
    const host = await Host.start(workspace, redis.url);
    await host.untilLogged('following');
    await redis.cli('XADD', '{tlswarden}:changes', '*', 'hello', 'world');
    await host.untilLogged('holds an entry that tlswarden did not write');
    await assert.rejects(panel.set({ 'b.example': ALWAYS }), /holds an entry that tlswarden did not write/u);
    assert.equal(host.requires('a.example'), 'always');
    const other = await Host.start(workspace, redis.url);
    await other.untilLogged('holds an entry that tlswarden did not write');
  });

  it('by the last domain taken away is followed: that stands in the stream', async (t) => {
    const workspace = await Workspace.of(t);
    const redis = await RedisServer.start(workspace);
    const panel = new Panel(redis.url);
    await panel.set({ 'a.example': ALWAYS });
    const host = await Host.start(workspace, redis.url);
    await panel.set({ 'a.example': undefined });
    await host.until(() => host.settings?.size === 0, 'no domains');
  });
});

describe('a start without Redis', () => {
  it('goes by the snapshot, and by changes when Redis is back', async (t) => {
    const workspace = await Workspace.of(t);
    const redis = await RedisServer.start(workspace);
    const snapshot = workspace.path('snapshot');
    const settings = [`source = "${redis.url}"`, `snapshot = "${snapshot}"`];
    const panel = new Panel(redis.url);
    await panel.set({ 'a.example': NEVER, 'gone.example': ALWAYS });
    const first = await Service.start(workspace, 'mx1', settings);
    await panel.set({ 'a.example': ALWAYS, 'gone.example': undefined });
    await waitFor(async () => {
      const text = await readFile(snapshot, 'utf8').catch(() => '');
      return text.includes('"always"') && !text.includes('gone.example');
    }, 'the change in the snapshot');
    await first.stop();
    await redis.kill();

    const second = await Service.start(workspace, 'mx1', settings);
    assert.match(second.log, /settings loaded from the snapshot/u);
    assert.equal(await second.decides('a.example'), 'always');
    await redis.start();
    await panel.set({ 'a.example': NEVER });
    await second.untilDecides('a.example', 'never');
  });

  it('does not use a snapshot that is damaged, says so, and has no settings', async (t) => {
    const workspace = await Workspace.of(t);
    const redis = await RedisServer.start(workspace);
    const snapshot = workspace.path('snapshot');
    await new Panel(redis.url).set({ 'a.example': ALWAYS, 'b.example': ALWAYS });
    const host = await Host.start(workspace, redis.url, { snapshot });
    host.stop();
    await redis.kill();
    const whole = await readFile(snapshot, 'utf8');
    const damages: readonly (readonly [string, string])[] = [
      ['digest', whole.replace('always', 'never!')],
      ['no end', whole.split('\n').slice(0, -2).join('\n').concat('\n')],
      ['not whole', whole.slice(0, -20)],
      ['digest', whole.replace(/^.*b\.example.*\n/mu, '')],
      ['no snapshot', 'something else\n'],
      ['follows its end', `${whole}{"domain":"c.example"}\n`],
      ['no end', ''],
    ];
    for (const [reason, text] of damages) {
      await writeFile(snapshot, text);
      const other = await Host.start(workspace, redis.url, { snapshot });
      assert.equal(other.settings, undefined, reason);
      assert.ok(
        other.log.some((line) => line.includes('the snapshot is damaged') && line.includes(reason)),
        `${reason}: ${other.log.join('\n')}`,
      );
      other.stop();
    }
    await writeFile(snapshot, whole);
    const good = await Host.start(workspace, redis.url, { snapshot });
    assert.equal(good.settings?.size, 2);
  });

  it('needs a snapshot: that none can be written is said once, and that it can again', {
    timeout: 60_000,
  }, async (t) => {
    const workspace = await Workspace.of(t);
    const redis = await RedisServer.start(workspace);
    const panel = new Panel(redis.url);
    await panel.set({ 'a.example': NEVER });
    const directory = workspace.path('state');
    await mkdir(directory);
    const host = await Host.start(workspace, redis.url, { snapshot: `${directory}/snapshot` });
    await rename(directory, `${directory}.away`);
    await panel.set({ 'a.example': ALWAYS });
    await host.untilLogged('the snapshot cannot be written');
    // It is tried again every few seconds.
    await setTimeout(7_000);
    await rename(`${directory}.away`, directory);
    await host.untilLogged('the snapshot is written again');
    assert.equal(host.log.filter((line) => line.includes('cannot be written')).length, 1);
    assert.match(await readFile(`${directory}/snapshot`, 'utf8'), /"always"/u);
  });

  it('and without a snapshot closes connections without a reply, until Redis is there', async (t) => {
    const workspace = await Workspace.of(t);
    const redis = await RedisServer.start(workspace);
    await new Panel(redis.url).set({ 'a.example': ALWAYS });
    await redis.kill();
    const service = await Service.start(workspace, 'mx1', [`source = "${redis.url}"`]);
    assert.equal(await service.ask('a.example'), undefined);
    await redis.start();
    await service.untilDecides('a.example', 'always');
  });

  it('takes a Redis that nobody ever wrote to for none', async (t) => {
    const workspace = await Workspace.of(t);
    const redis = await RedisServer.start(workspace);
    const service = await Service.start(workspace, 'mx1', [`source = "${redis.url}"`]);
    assert.equal(await service.ask('a.example'), undefined);
    await new Panel(redis.url).set({ 'a.example': ALWAYS });
    await service.untilDecides('a.example', 'always');
  });
});
