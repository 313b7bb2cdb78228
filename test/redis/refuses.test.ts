/**
 * Redis is there and refuses: no memory, no password, no permission. A change is made whole or not at all, and what is
 * secret is never said.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Authority } from '../harness/certificates.ts';
import { freeLoopbackAddress } from '../harness/loopback.ts';
import { RedisServer } from '../harness/redis.ts';
import { Workspace } from '../harness/workspace.ts';
import { ALWAYS, Host, NEVER, Panel, Service, tlswarden } from './host.ts';

/** All that stands in Redis, but for the times in it. */
async function contents(redis: RedisServer): Promise<string> {
  const parts = [
    await redis.cli('HGETALL', '{tlswarden}:domains'),
    await redis.cli('HGETALL', '{tlswarden}:aliases'),
    await redis.cli('ZRANGE', '{tlswarden}:certificates', '0', '-1'),
    await redis.cli('XRANGE', '{tlswarden}:changes', '-', '+'),
  ];
  return parts.join('\n--\n');
}

describe('a Redis that refuses', () => {
  it('for want of memory: domains set says so and exits 1, nothing is changed, decisions go on', async (t) => {
    const workspace = await Workspace.of(t);
    const redis = await RedisServer.start(workspace, { lines: ['maxmemory-policy noeviction'] });
    await new Panel(redis.url).set({ 'a.example': ALWAYS });
    const service = await Service.start(workspace, 'mx1', [`source = "${redis.url}"`]);
    const before = await contents(redis);
    await redis.cli('CONFIG', 'SET', 'maxmemory', '1');
    const set = await tlswarden(service.config, [
      'domains',
      'set',
      'a.example',
      'incoming.receipt',
      'require_tls=never',
    ]);
    assert.equal(set.status, 1);
    assert.match(set.stderr, /OOM/u);
    assert.equal(await contents(redis), before);
    assert.equal(await service.decides('a.example'), 'always');
    await redis.cli('CONFIG', 'SET', 'maxmemory', '0');
    await new Panel(redis.url).set({ 'a.example': NEVER });
    await service.untilDecides('a.example', 'never');
  });

  it('a wrong password: it is said, without the password, and the right one is taken at once', async (t) => {
    const workspace = await Workspace.of(t);
    const redis = await RedisServer.start(workspace);
    await redis.cli('ACL', 'SETUSER', 'gateway', 'on', '>r1ght/s3cret', '~*', '+@all');
    const wrong = redis.url.replace('//', '//gateway:wr0ng-s3cret@');
    const right = redis.url.replace('//', '//gateway:r1ght%2Fs3cret@');
    await new Panel(right).set({ 'a.example': ALWAYS });
    const host = await Host.start(workspace, wrong);
    await host.untilLogged('WRONGPASS');
    assert.equal(host.settings, undefined);
    assert.doesNotMatch(host.log.join('\n'), /s3cret/u);
    const config = await workspace.write('main.toml', `[settings]\nsource = "${wrong}"\n`);
    for (const args of [
      ['domains', 'list'],
      ['--json', 'domains', 'set', 'b.example', 'nexthop=x.example'],
      ['check'],
    ]) {
      const { status, stdout, stderr } = await tlswarden(config, args);
      assert.equal(status, 1);
      assert.match(stderr, /WRONGPASS/u);
      assert.doesNotMatch(stdout + stderr, /s3cret/u);
    }
    // The environment comes before the main file, and a file that it names too.
    const file = await workspace.write('redis-url', `${right}\n`);
    await workspace.write('credentials/redis-url', right);
    for (const env of [
      { TLSWARDEN_REDIS_URL: right },
      { TLSWARDEN_REDIS_URL_FILE: file },
      { CREDENTIALS_DIRECTORY: workspace.path('credentials') },
    ]) {
      const { status, stdout, stderr } = await tlswarden(config, ['domains', 'show', 'a.example'], { env });
      assert.equal(stderr, '');
      assert.equal(status, 0);
      assert.match(stdout, /# a\.example, in redis:\/\/127/u);
      assert.doesNotMatch(stdout, /s3cret/u);
    }
  });

  it('any one command that a change needs: nothing is changed', async (t) => {
    const workspace = await Workspace.of(t);
    const redis = await RedisServer.start(workspace);
    const full: Record<string, unknown> = { ...ALWAYS, aliases: ['x.example', 'y.example'] };
    await new Panel(redis.url).set({ 'a.example': full });
    const before = await contents(redis);
    for (const command of ['eval', 'hset', 'hdel', 'hget', 'xadd', 'xrevrange', 'zadd', 'zrem', 'hlen', 'hmget']) {
      await redis.cli('ACL', 'SETUSER', 'panel', 'reset', 'on', '>secret', '~*', '+@all', `-${command}`);
      const panel = new Panel(redis.url.replace('//', '//panel:secret@'));
      await assert.rejects(
        panel.set({ 'a.example': { ...NEVER, aliases: ['z.example'] } }),
        /NOPERM|permission|can't run this command/iu,
        command,
      );
      assert.equal(await contents(redis), before, command);
    }
    // What README says that it needs.
    const reads = '+ping +hscan +hlen +hmget +get +xread +xrevrange'.split(' ');
    const writes = '+eval +hget +hexists +hset +hdel +zadd +zrem +zcard +zrangebylex +xadd +set'.split(' ');
    await redis.cli('ACL', 'SETUSER', 'panel', 'reset', 'on', '>secret', '~{tlswarden}:*', ...reads, ...writes);
    const panel = new Panel(redis.url.replace('//', '//panel:secret@'));
    const certain = { require_tls: 'always', level: 'secure', certificate_names: ['mx.example'] };
    await panel.set({
      'a.example': { nexthop: 'mx.example', aliases: ['z.example'], incoming: { delivery: certain } },
    });
    await panel.set({ 'a.example': undefined });
    await panel.store.adopt();
  });

  it('writes of hosts, which need none', async (t) => {
    const workspace = await Workspace.of(t);
    const redis = await RedisServer.start(workspace);
    await new Panel(redis.url).set({ 'a.example': NEVER });
    const may = ['+ping', '+hscan', '+hlen', '+hmget', '+get', '+xread', '+xrevrange'];
    await redis.cli('ACL', 'SETUSER', 'reader', 'on', '>secret', '%R~{tlswarden}:*', ...may);
    const host = await Host.start(workspace, redis.url.replace('//', '//reader:secret@'));
    await new Panel(redis.url).set({ 'a.example': ALWAYS });
    await host.until(() => host.requires('a.example') === 'always', 'the change');
  });
});

describe('a Redis behind TLS', () => {
  it('is spoken to if its certificate is vouched for, and not otherwise', async (t) => {
    const workspace = await Workspace.of(t);
    const authority = await Authority.create(workspace);
    const host = await freeLoopbackAddress(6379);
    const { certificateFile, keyFile } = await authority.issue([host]);
    const files = [
      `tls-cert-file ${certificateFile}`,
      `tls-key-file ${keyFile}`,
      `tls-ca-cert-file ${authority.caFile}`,
    ];
    await RedisServer.start(workspace, {
      host,
      lines: ['port 0', 'tls-port 6379', 'tls-auth-clients no', ...files],
      login: ['--tls', '--cacert', authority.caFile],
    });
    const trusted = `rediss://${host}?ca=${authority.caFile}`;
    await new Panel(trusted).set({ 'a.example': ALWAYS });
    const good = await Host.start(workspace, trusted);
    assert.equal(good.requires('a.example'), 'always');
    const bad = await Host.start(workspace, `rediss://${host}`);
    assert.equal(bad.settings, undefined);
    await bad.untilLogged(/certificate/u);
    await assert.rejects(new Panel(`redis://${host}`).set({ 'a.example': NEVER }));
  });
});

describe('what somebody wrote into Redis by hand', () => {
  it('if it cannot be used, leaves that domain its last good settings, and is told', async (t) => {
    const workspace = await Workspace.of(t);
    const redis = await RedisServer.start(workspace);
    const panel = new Panel(redis.url);
    await panel.set({ 'a.example': ALWAYS, 'b.example': ALWAYS });
    const host = await Host.start(workspace, redis.url);
    const bad = '{"domain":"a.example","incoming":{"receipt":{"require_tls":"alwasy"}}}';
    await redis.cli('HSET', '{tlswarden}:domains', 'a.example', bad, 'c.example', 'no JSON');
    host.refresh();
    await host.untilLogged('cannot be used');
    assert.equal(host.requires('a.example'), 'always');
    assert.equal(host.requires('b.example'), 'always');
    assert.match(host.log.join('\n'), /did you mean \\"always\\"/u);
    // And what is written properly afterwards is taken.
    await redis.cli('HDEL', '{tlswarden}:domains', 'a.example', 'c.example');
    await panel.set({ 'a.example': NEVER });
    await host.until(() => host.requires('a.example') === 'never', 'the good record');
  });
});
