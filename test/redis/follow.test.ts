/**
 * Many hosts on one Redis: a change is in force everywhere, whole, and the tables follow.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import type { DomainName } from '../../src/address/domain-name.ts';
import type { Settings } from '../../src/settings/settings.ts';
import type { Table } from '../../src/toml/table-reader.ts';
import { RedisServer } from '../harness/redis.ts';
import { waitFor } from '../harness/wait-for.ts';
import { Workspace } from '../harness/workspace.ts';
import { ALWAYS, Host, NEVER, Panel, Service, tlswarden } from './host.ts';
import { Readers } from './readers.ts';
import { Writer } from './writer.ts';

describe('many hosts', () => {
  it('twenty services decide by a change as soon as domains set has made it', { timeout: 120_000 }, async (t) => {
    const workspace = await Workspace.of(t);
    const redis = await RedisServer.start(workspace);
    const panel = new Panel(redis.url);
    await panel.set({ 'a.example': NEVER, 'b.example': NEVER });
    const services: Service[] = [];
    // No more at once than there are processors.
    while (services.length < 20) {
      const start = (n: number): Promise<Service> => Service.start(workspace, `mx${n}`, [`source = "${redis.url}"`]);
      services.push(...(await Promise.all([start(services.length), start(services.length + 1)])));
    }
    const [first] = services as [Service];
    const set = await tlswarden(first.config, [
      'domains',
      'set',
      'a.example',
      'incoming.receipt',
      'require_tls=always',
    ]);
    assert.equal(set.status, 0, set.stderr);
    for (const service of services) await service.untilDecides('a.example', 'always');
    const unset = await tlswarden(first.config, ['domains', 'unset', 'a.example']);
    assert.equal(unset.status, 0, unset.stderr);
    for (const service of services) await service.untilDecides('a.example', 'never');
    const stopped = await Promise.all(services.map((service) => service.stop()));
    assert.deepEqual(new Set(stopped), new Set([0]));
  });

  it('never see half a change, of one domain or of several that change together', async (t) => {
    const workspace = await Workspace.of(t);
    const redis = await RedisServer.start(workspace);
    const writer = new Writer(new Panel(redis.url));
    await writer.write();
    const hosts: Host[] = [];
    for (let n = 0; n < 5; n++) {
      const seen = (settings: Settings): void => writer.check(settings);
      hosts.push(await Host.start(workspace, redis.url, { seen }));
    }
    for (let n = 0; n < 200; n++) await writer.write();
    for (const host of hosts) {
      await host.until(({ settings }) => writer.isLast(settings), 'the last change');
      assert.equal(host.log.filter((line) => line.includes('loaded from Redis')).length, 1);
    }
  });

  it('never see an alias between two domains, though the entry of the stream leaves long records to the hash', async (t) => {
    const workspace = await Workspace.of(t);
    const redis = await RedisServer.start(workspace);
    const panel = new Panel(redis.url);
    const aliases = ['x.example'];
    await panel.set({ 'a.example': { ...ALWAYS, aliases }, 'b.example': ALWAYS });
    const versions: boolean[] = [];
    const seen = (settings: Settings): number => versions.push(settings.find('x.example' as DomainName) !== undefined);
    const readers = await Readers.of(redis);
    const host = await Host.start(workspace, readers.url, { seen });
    await host.untilLogged('following');
    await readers.cutOff(host);
    const senders = Array.from({ length: 4000 }, (_, n) => `someone${n}@partner.example`);
    const long = { incoming: { receipt: { require_tls: 'specific', senders } } };
    await panel.set({ 'a.example': { ...long, aliases } });
    // More than a host reads at once.
    for (let n = 0; n < 510; n++) await panel.set({ 'c.example': n % 2 === 0 ? ALWAYS : NEVER });
    await panel.set({ 'a.example': long, 'b.example': { ...ALWAYS, aliases } });
    await readers.letIn();
    await host.until(
      ({ settings }) => settings?.find('x.example' as DomainName)?.name === 'b.example',
      'the last change',
    );
    assert.deepEqual(new Set(versions), new Set([true]));
    assert.equal(host.log.filter((line) => line.includes('loaded from Redis')).length, 1);
  });

  it('never see half of one step that takes several entries of the stream', async (t) => {
    const workspace = await Workspace.of(t);
    const redis = await RedisServer.start(workspace);
    const panel = new Panel(redis.url);
    const aliases = ['x.example'];
    const step = (first: Table, last: Table): Map<DomainName, Table> => {
      const between = Array.from({ length: 5000 }, (_, n) => [`c${n}.example`, ALWAYS] as const);
      return new Map([['a.example', first], ...between, ['z.example', last]] as [DomainName, Table][]);
    };
    await panel.set({ 'a.example': { ...ALWAYS, aliases } });
    const versions: boolean[] = [];
    const seen = (settings: Settings): number => versions.push(settings.find('x.example' as DomainName) !== undefined);
    const host = await Host.start(workspace, redis.url, { seen });
    await host.untilLogged('following');
    await panel.store.replace(step(ALWAYS, { ...ALWAYS, aliases }), { allOrNothing: true });
    await host.until(
      ({ settings }) => settings?.find('x.example' as DomainName)?.name === 'z.example',
      'the whole step',
    );
    assert.equal(host.settings?.size, 5002);
    assert.deepEqual(new Set(versions), new Set([true]));
  });

  it('load all domains while they are being changed, and agree', async (t) => {
    const workspace = await Workspace.of(t);
    const redis = await RedisServer.start(workspace);
    const panel = new Panel(redis.url);
    const many = new Map(
      Array.from({ length: 20_000 }, (_, n) => [`c${n}.example` as DomainName, n % 2 ? ALWAYS : NEVER]),
    );
    await panel.store.replace(many);
    const writer = new Writer(panel);
    let stop = false;
    const writing = (async () => {
      while (!stop) {
        await writer.write();
        await panel.set({
          [`c${Math.floor(Math.random() * 20_000)}.example`]: Math.random() < 0.5 ? ALWAYS : undefined,
        });
      }
    })();
    const hosts = await Promise.all([1, 2, 3].map(() => Host.start(workspace, redis.url)));
    for (const host of hosts) assert.ok(host.settings !== undefined && host.settings.size > 19_000);
    stop = true;
    await writing;
    for (const host of hosts) await host.until(({ settings }) => writer.isLast(settings), 'the last change');
    const fresh = await Host.start(workspace, redis.url);
    const all = (host: Host): unknown =>
      [...(host.settings?.domains() ?? [])].map(({ name }) => [name, host.requires(name)]).sort();
    for (const host of hosts) assert.deepEqual(all(host), all(fresh));
  });
});

describe('maps --watch', () => {
  it('on Redis makes one set of tables of many changes in a burst', async (t) => {
    const workspace = await Workspace.of(t);
    const redis = await RedisServer.start(workspace);
    const panel = new Panel(redis.url);
    const versions: number[] = [];
    await panel.set({ 'a.example': NEVER });
    // What maps --watch is told of.
    const host = await Host.start(workspace, redis.url, { quietMs: 200, seen: ({ size }) => versions.push(size) });
    await host.untilLogged('following');
    await Promise.all(Array.from({ length: 20 }, (_, n) => panel.set({ [`n${n}.example`]: ALWAYS })));
    await host.until(() => versions.at(-1) === 21, 'all of them');
    assert.deepEqual(versions, [1, 21]);
  });

  it('on Redis writes the tables, and again when the settings change', async (t) => {
    const workspace = await Workspace.of(t);
    const redis = await RedisServer.start(workspace);
    const panel = new Panel(redis.url);
    const required = { nexthop: '[mx.example]:25', incoming: { delivery: { require_tls: 'always' } } };
    await panel.set({ 'a.example': required });
    const maps = `[maps]\ndirectory = "maps"\ntype = "texthash"\n`;
    const config = await workspace.write('maps.toml', `[settings]\nsource = "${redis.url}"\n${maps}`);
    const stop = new AbortController();
    const watching = tlswarden(config, ['maps', '--watch'], { signal: stop.signal });
    const table = async (): Promise<string> =>
      await readFile(workspace.path('maps', 'current', 'transport'), 'utf8').catch(() => '');
    workspace.push({ dispose: () => stop.abort(), abandon: () => stop.abort() });
    await waitFor(async () => (await table()).includes('a.example tlswarden-encrypt:[mx.example]:25'), 'the table');
    await panel.set({ 'b.example': required });
    await waitFor(async () => (await table()).includes('b.example'), 'the change in the table');
    stop.abort();
    const { status } = await watching;
    assert.equal(status, 0);
  });
});
