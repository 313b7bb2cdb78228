// Whoever may write to Redis as attackers would: records that are none, too long or too deep, a hash full of them, entries
// that name everything. A host says so, briefly, keeps the last good settings, and follows what comes after.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { RedisLink } from '../../src/redis/redis-link.ts';
import { RejectedChange } from '../../src/source/settings-store.ts';
import { RedisServer } from '../harness/redis.ts';
import { waitFor } from '../harness/wait-for.ts';
import { Workspace } from '../harness/workspace.ts';
import { ALWAYS, addressOf, Host, NEVER, Panel, Service } from './host.ts';

const DOMAINS = '{tlswarden}:domains';
const CHANGES = '{tlswarden}:changes';

/** Writes as somebody who knows how tlswarden does. */
class Intruder {
  readonly #link: RedisLink;

  private constructor(link: RedisLink) {
    this.#link = link;
  }

  static async enter(workspace: Workspace, url: string): Promise<Intruder> {
    const link = await RedisLink.open(addressOf(url));
    workspace.push({ dispose: () => link.close() });
    return new Intruder(link);
  }

  async command(name: string, ...args: readonly string[]): Promise<unknown> {
    return await this.#link.command(name, ...args);
  }

  /** Sets a record, and says so in the stream. */
  async set(name: string, record: string): Promise<void> {
    await this.command('HSET', DOMAINS, name, record);
    await this.entry(JSON.stringify([name]));
  }

  async entry(domains: string): Promise<void> {
    const [[, flat]] = (await this.command('XREVRANGE', CHANGES, '+', '-', 'COUNT', '1')) as [[string, string[]]];
    const value = (field: string): string => flat[flat.indexOf(field) + 1] ?? '';
    const seq = String(Number(value('seq')) + 1);
    await this.command('XADD', CHANGES, '*', 'epoch', value('epoch'), 'seq', seq, 'domains', domains);
  }
}

test('records that cannot be used leave the last good settings, are told briefly, and stop nothing', async (t) => {
  const workspace = await Workspace.of(t);
  const redis = await RedisServer.start(workspace);
  const panel = new Panel(redis.url);
  await panel.set({ 'a.example': ALWAYS });
  const host = await Host.start(workspace, redis.url, { snapshot: workspace.path('snapshot') });
  const intruder = await Intruder.enter(workspace, redis.url);
  const deep = (open: string, close: string): string => open.repeat(200_000) + close.repeat(200_000);
  const records: readonly (readonly [record: string, said: RegExp])[] = [
    [`{"domain":"a.example","x":"${'y'.repeat(17 << 20)}"}`, /its record in Redis is longer than 16777216 characters/],
    [`{"domain":"a.example","aliases":${deep('[', ']')}}`, /aliases.*must be a string or an array of strings/],
    [`{"domain":"a.example","incoming":${deep('{"receipt":', '}').replace('}', '1}')}}`, /unknown key|not JSON/],
    ['\u001b[2J\n\u0000\u009b'.repeat(10_000), /its record in Redis is not JSON/],
    ['null', /is no JSON object/],
    ['{"domain":"__proto__"}', /has another name under/],
    [`{"domain":"a.example","__proto__":{"x":1},"constructor":2}`, /__proto__.*unknown key/],
    [JSON.stringify({ domain: 'a.example', nexthop: '\u001b[2J'.repeat(100) }), /is no next hop/],
  ];
  for (const [record, said] of records) {
    const before = host.log.length;
    await intruder.set('a.example', record);
    await host.until(({ log }) => log.slice(before).some((line) => said.test(line)), `${said} in the log`);
    for (const line of host.log.slice(before)) {
      assert.ok(line.length < 5_000, line.slice(0, 200));
      assert.doesNotMatch(line, /\p{Cc}/u);
    }
    assert.equal(host.requires('a.example'), 'always');
  }
  await panel.set({ 'a.example': NEVER });
  await host.until(({ requires }) => requires.call(host, 'a.example') === 'never', 'what is mended is in force');

  // An entry that names more domains than any that tlswarden writes: everything is read anew.
  await intruder.entry(JSON.stringify(Array.from({ length: 150_000 }, (_, i) => `d${i}.example`)));
  await host.untilLogged('an entry names 150000 domains');
  await panel.set({ 'a.example': ALWAYS });
  await host.until(() => host.requires('a.example') === 'always', 'what comes after is in force');
});

test('the last good settings outlive a load of everything and a start without Redis', async (t) => {
  const workspace = await Workspace.of(t);
  const redis = await RedisServer.start(workspace);
  const panel = new Panel(redis.url);
  await panel.set({ 'a.example': ALWAYS, 'b.example': NEVER });
  const snapshot = workspace.path('snapshot');
  const host = await Host.start(workspace, redis.url, { snapshot });
  const intruder = await Intruder.enter(workspace, redis.url);
  await intruder.set('a.example', '{"domain":"a.example","incoming":{"receipt":{"require_tls":"maybe"}}}');
  await host.untilLogged('records in Redis cannot be used');
  const loads = (): number => host.log.filter((line) => line.includes('loading all of them again')).length;
  await intruder.entry(JSON.stringify(Array.from({ length: 150_000 }, (_, i) => `d${i}.example`)));
  await host.until(() => loads() === 1, 'a load of everything');
  await panel.set({ 'b.example': ALWAYS });
  await host.until(() => host.requires('b.example') === 'always', 'what comes after is in force');
  assert.equal(host.requires('a.example'), 'always');
  await waitFor(async () => /"b\.example".*always/u.test(await readFile(snapshot, 'utf8')), 'it in the snapshot');
  host.stop();
  await redis.kill();

  const again = await Host.start(workspace, redis.url, { snapshot });
  assert.equal(again.requires('a.example'), 'always');
  assert.equal(again.requires('b.example'), 'always');
});

test('of a domain that never had settings that can be used nothing is answered, also after a start without Redis', async (t) => {
  const workspace = await Workspace.of(t);
  const redis = await RedisServer.start(workspace);
  const panel = new Panel(redis.url);
  await panel.set({ 'a.example': ALWAYS, 'b.example': NEVER });
  const intruder = await Intruder.enter(workspace, redis.url);
  await intruder.set('a.example', '{"domain":"a.example","aliases":["alias.example"],"newer":1}');
  const snapshot = workspace.path('snapshot');
  const settings = [`source = "${redis.url}"`, `snapshot = "${snapshot}"`];
  const answers = async (service: Service): Promise<unknown> =>
    await Promise.all(['a.example', 'alias.example', 'b.example'].map((domain) => service.ask(domain)));
  const first = await Service.start(workspace, 'first', settings);
  await first.untilLogged('records in Redis cannot be used');
  assert.deepEqual(await answers(first), [undefined, undefined, 'DUNNO']);
  await first.stop();
  await redis.kill();

  const second = await Service.start(workspace, 'second', settings);
  assert.deepEqual(await answers(second), [undefined, undefined, 'DUNNO']);
  await redis.start();
  await panel.set({ 'a.example': ALWAYS });
  await second.untilDecides('a.example', 'always');
  assert.deepEqual(await second.ask('alias.example'), 'DUNNO');
});

test('a hash full of records that are none is told in one line, and the one that is one counts', async (t) => {
  const workspace = await Workspace.of(t);
  const redis = await RedisServer.start(workspace);
  const panel = new Panel(redis.url);
  await panel.set({ 'a.example': ALWAYS });
  const intruder = await Intruder.enter(workspace, redis.url);
  for (let from = 0; from < 50_000; from += 1_000) {
    const fields = Array.from({ length: 1_000 }, (_, i) => [`garbage ${from + i}`, '\u001b garbage']).flat();
    await intruder.command('HSET', DOMAINS, ...fields);
  }
  const host = await Host.start(workspace, redis.url);
  assert.equal(host.requires('a.example'), 'always');
  await host.untilLogged(/records in Redis cannot be used.*"refused":50000/);
  assert.ok(host.log.join('\n').length < 50_000);
  await panel.set({ 'a.example': NEVER, 'b.example': ALWAYS });
  await host.until(() => host.requires('b.example') === 'always', 'what comes after is in force');
  assert.equal(host.requires('a.example'), 'never');
});

test('nobody writes a record that no host would take in', async (t) => {
  const workspace = await Workspace.of(t);
  const redis = await RedisServer.start(workspace);
  const panel = new Panel(redis.url);
  const people = (side: string): readonly string[] =>
    Array.from({ length: 100_000 }, (_, i) => `${'x'.repeat(60)}${i}${side}`);
  const both = { require_tls: 'specific', senders: people('@far.example'), recipients: people('') };
  const table = { incoming: { receipt: both, delivery: both } };
  await assert.rejects(panel.set({ 'a.example': table }), (error) => {
    assert.ok(error instanceof RejectedChange);
    assert.match(error.message, /a\.example: is longer than 16777216 characters as a record/);
    return true;
  });
});
