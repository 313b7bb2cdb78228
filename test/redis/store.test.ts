/**
 * Changes of the settings in Redis: validated first, whole or not at all, one after the other, and told in the log.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { DomainName } from '../../src/address/domain-name.ts';
import { RedisServer } from '../harness/redis.ts';
import { Workspace } from '../harness/workspace.ts';
import { ALWAYS, Host, NEVER, Panel, tlswarden } from './host.ts';

const secure = (name: string): Readonly<Record<string, unknown>> => ({
  nexthop: 'mx.example',
  incoming: { delivery: { require_tls: 'always', level: 'secure', certificate_names: [name] } },
});

describe('a change in Redis', () => {
  it('that takes a name or an alias of another domain is refused, and names it', async (t) => {
    const workspace = await Workspace.of(t);
    const panel = new Panel((await RedisServer.start(workspace)).url);
    await panel.set({ 'a.example': { aliases: ['x.example'] }, 'b.example': {} });
    for (const [name, table, said] of [
      [
        'c.example',
        { aliases: ['x.example'] },
        /c\.example: aliases: "x\.example" stands already as an alias of a\.example/u,
      ],
      ['c.example', { aliases: ['b.example'] }, /c\.example: aliases: "b\.example" stands already in redis/u],
      ['x.example', {}, /x\.example: stands already as an alias of a\.example/u],
    ] as const) {
      await assert.rejects(panel.set({ [name]: table }), said);
    }
    // An alias may go from one domain to another, in one change.
    await panel.set({ 'a.example': {}, 'b.example': { aliases: ['x.example'] } });
    await assert.rejects(panel.set({ 'a.example': { aliases: ['x.example'] } }), /an alias of b\.example/u);
    await panel.set({ 'b.example': undefined });
    await panel.set({ 'a.example': { aliases: ['x.example'] } });
  });

  it('of a record that cannot be read here leaves nothing of it behind: its aliases and certificates are free', async (t) => {
    const workspace = await Workspace.of(t);
    const redis = await RedisServer.start(workspace);
    const panel = new Panel(redis.url);
    const domains = '{tlswarden}:domains';
    for (const after of [undefined, NEVER]) {
      await panel.set({ 'a.example': { ...secure('a.example'), aliases: ['x.example'] } });
      // As a newer version writes it, or a host with another main file.
      const record = await redis.cli('HGET', domains, 'a.example');
      await redis.cli('HSET', domains, 'a.example', record.trim().replace(/\}$/u, ',"newer":1}'));
      await panel.set({ 'a.example': after });
      await panel.set({ 'b.example': { ...secure('b.example'), aliases: ['x.example'] } });
      await panel.set({ 'a.example': undefined, 'b.example': undefined });
    }
  });

  it('that asks for another certificate at a shared next hop is refused, and names the domain', async (t) => {
    const workspace = await Workspace.of(t);
    const panel = new Panel((await RedisServer.start(workspace)).url);
    await panel.set({ 'a.example': secure('one.example') });
    for (const other of ['two.example', 'one.example2', 'a.example']) {
      await assert.rejects(
        panel.set({ 'b.example': secure(other) }),
        /certificate_names: differs from that of a\.example/u,
      );
    }
    await panel.set({ 'b.example': secure('one.example') });
    await assert.rejects(panel.set({ 'a.example': secure('two.example') }), /that of b\.example/u);
    await panel.set({ 'a.example': secure('two.example'), 'b.example': secure('two.example') });
  });

  it('is not lost when many change the same domain at once', async (t) => {
    const workspace = await Workspace.of(t);
    const redis = await RedisServer.start(workspace);
    const panel = new Panel(redis.url);
    await panel.set({ 'a.example': { aliases: [] } });
    const name = 'a.example' as DomainName;
    const add = async (alias: string): Promise<number> =>
      panel.store.change(
        (present) => {
          const before = present.get(name)?.table['aliases'] as readonly string[] | undefined;
          return new Map([[name, { aliases: [...(before ?? []), alias] }]]);
        },
        { concerns: [name] },
      );
    await Promise.all(Array.from({ length: 12 }, (_, n) => add(`x${n}.example`)));
    const { domains } = await panel.store.read([name]);
    const aliases = domains.get(name)?.table['aliases'] as readonly string[] | undefined;
    assert.equal(aliases?.length, 12);
    assert.equal(await redis.cli('HLEN', '{tlswarden}:aliases'), '12');
  });

  it('that makes a domain is said to, with the hosted domain that was probably meant', async (t) => {
    const workspace = await Workspace.of(t);
    const redis = await RedisServer.start(workspace);
    await new Panel(redis.url).set({ 'example.com': ALWAYS, 'other.example': ALWAYS });
    const config = await workspace.write('main.toml', `[settings]\nsource = "${redis.url}"\n`);
    const set = async (name: string) => {
      const { status, stdout, stderr } = await tlswarden(config, ['domains', 'set', name, 'nexthop=mx.example']);
      return [status, stdout, stderr];
    };
    const meant = 'exmaple.com: did you mean example.com, which is hosted here?\n';
    assert.deepEqual(await set('exmaple.com'), [0, 'exmaple.com: new domain\n', meant]);
    assert.deepEqual(await set('exmaple.com'), [0, 'exmaple.com: nothing to change\n', '']);
    assert.deepEqual(await set('new.example'), [0, 'new.example: new domain\n', '']);
  });

  it('of many domains that is refused half-way says how many were written', async (t) => {
    const workspace = await Workspace.of(t);
    const redis = await RedisServer.start(workspace);
    await new Panel(redis.url).set({ 'a.example': { aliases: ['x.example'] } });
    const config = await workspace.write('main.toml', `[settings]\nsource = "${redis.url}"\n`);
    const lines = Array.from({ length: 1000 }, (_, n) => `{"domain":"d${n}.example"}\n`);
    const file = await workspace.write('in.jsonl', `${lines.join('')}{"domain":"x.example"}\n`);
    const once = await tlswarden(config, ['domains', 'import', file]);
    assert.equal(once.status, 2);
    assert.match(once.stderr, /x\.example: stands already as an alias of a\.example/u);
    assert.match(once.stderr, /^1000 domains were written before that/mu);
    assert.doesNotMatch(once.stderr, /Nothing was changed/u);
    assert.equal(await redis.cli('HLEN', '{tlswarden}:domains'), '1001');
    const all = await tlswarden(config, ['domains', 'import', '--all-or-nothing', file]);
    assert.match(all.stderr, /\nNothing was changed\.\n$/u);
  });

  it('is told by domains log: who, where, when and what', async (t) => {
    const workspace = await Workspace.of(t);
    const redis = await RedisServer.start(workspace);
    const config = await workspace.write('main.toml', `[settings]\nsource = "${redis.url}"\n`);
    const set = ['domains', 'set', 'a.example', 'incoming.receipt'];
    assert.equal((await tlswarden(config, [...set, 'require_tls=always'])).status, 0);
    const env = { SUDO_USER: 'alice' };
    assert.equal((await tlswarden(config, [...set, 'require_tls=never'], { env })).status, 0);
    await new Panel(redis.url).set({ 'b.example': {} });
    const log = await tlswarden(config, ['domains', 'log', 'a.example']);
    assert.equal(log.status, 0, log.stderr);
    const [newest] = log.stdout.split('\n');
    assert.match(
      newest ?? '',
      /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}alice@\S+ {2}domains set {2}a\.example: incoming\.receipt\.require_tls: "always" → "never"$/u,
    );
    assert.doesNotMatch(log.stdout, /b\.example/u);
    const json = await tlswarden(config, ['--json', 'domains', 'log', '--number', '1']);
    assert.deepEqual(JSON.parse(json.stdout).domains, ['b.example']);
  });
});

describe('domains import into Redis', () => {
  it('is taken up where it was cut short, and gives back what it was given', async (t) => {
    const workspace = await Workspace.of(t);
    const redis = await RedisServer.start(workspace);
    const config = await workspace.write('main.toml', `[settings]\nsource = "${redis.url}"\n`);
    const lines = Array.from({ length: 3000 }, (_, n) =>
      JSON.stringify({
        domain: `c${String(n).padStart(4, '0')}.example`,
        aliases: [`a${n}.example`],
        ...(n % 2 ? ALWAYS : NEVER),
      }),
    );
    const file = await workspace.write('all.jsonl', `${lines.join('\n')}\n`);
    const some = await workspace.write('some.jsonl', `${lines.slice(0, 1200).join('\n')}\n`);
    assert.equal(
      (await tlswarden(config, ['domains', 'import', some])).stdout,
      '1200 domains read: 1200 new, 0 replaced, 0 as they were\n',
    );
    assert.equal(
      (await tlswarden(config, ['domains', 'import', file])).stdout,
      '3000 domains read: 1800 new, 0 replaced, 1200 as they were\n',
    );
    const exported = await tlswarden(config, ['domains', 'export', '--format', 'jsonl']);
    assert.equal(exported.stdout, `${lines.join('\n')}\n`);
  });

  it('with --all-or-nothing writes none if one is in the way; without, all that come before it', async (t) => {
    const workspace = await Workspace.of(t);
    const redis = await RedisServer.start(workspace);
    const config = await workspace.write('main.toml', `[settings]\nsource = "${redis.url}"\n`);
    await new Panel(redis.url).set({ 'z.example': { aliases: ['taken.example'] } });
    const lines = Array.from({ length: 1200 }, (_, n) =>
      JSON.stringify({ domain: `c${n}.example`, ...(n === 1100 ? { aliases: ['taken.example'] } : {}) }),
    );
    const file = await workspace.write('all.jsonl', `${lines.join('\n')}\n`);
    const whole = await tlswarden(config, ['domains', 'import', '--all-or-nothing', file]);
    assert.equal(whole.status, 2);
    assert.match(
      whole.stderr,
      /all\.jsonl:1101: c1100\.example: aliases: "taken\.example" stands already as an alias of z\.example/u,
    );
    assert.equal(await redis.cli('HLEN', '{tlswarden}:domains'), '1');
    const parts = await tlswarden(config, ['domains', 'import', file]);
    assert.equal(parts.status, 2);
    assert.match(parts.stderr, /c1100\.example/u);
    assert.equal(await redis.cli('HLEN', '{tlswarden}:domains'), '1001');
    await new Panel(redis.url).set({ 'z.example': undefined });
    assert.equal((await tlswarden(config, ['domains', 'import', '--all-or-nothing', file])).status, 0);
    assert.equal(await redis.cli('HLEN', '{tlswarden}:domains'), '1200');
  });

  it('of an alias that goes from one domain of the file to another works in whichever order', async (t) => {
    const workspace = await Workspace.of(t);
    const redis = await RedisServer.start(workspace);
    const panel = new Panel(redis.url);
    const many = (from: string): Map<DomainName, Record<string, unknown>> =>
      new Map(
        Array.from({ length: 1500 }, (_, n) => [
          `c${n}.example` as DomainName,
          `c${n}` === from ? { aliases: ['x.example'] } : {},
        ]),
      );
    await panel.store.replace(many('c1400'));
    assert.deepEqual(await panel.store.replace(many('c3')), { added: 0, replaced: 2, unchanged: 1498 });
    const host = await Host.start(workspace, redis.url);
    assert.equal(host.settings?.find('x.example' as DomainName)?.name, 'c3.example');
  });
});
