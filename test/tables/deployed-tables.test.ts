import assert from 'node:assert/strict';
import { renameSync } from 'node:fs';
import { rm, utimes } from 'node:fs/promises';
import { test } from 'node:test';
import type { DomainName } from '../../src/address/domain-name.ts';
import type { Settings } from '../../src/settings/settings.ts';
import { DeployedTables } from '../../src/tables/deployed-tables.ts';
import { SETTLE_MS } from '../../src/tables/held-domains.ts';
import { compile } from '../decision/core.ts';
import { waitFor } from '../harness/wait-for.ts';
import type { RawSettings } from '../oracle/oracle.ts';
import { MapsSite } from './maps-site.ts';

const always = { require_tls: 'always' } as const;
const one: RawSettings = {
  domains: { 'a.example': { incoming: { delivery: always } }, 'b.example': { incoming: { receipt: always } } },
};
const other: RawSettings = {
  domains: { ...one.domains, 'a.example': { incoming: { delivery: { ...always, level: 'secure' } } } },
};

class Clock {
  #ahead = 0;
  readonly now = (): number => Date.now() + this.#ahead;

  pass(ms: number): void {
    this.#ahead += ms;
  }
}

async function started(
  t: Parameters<typeof MapsSite.of>[0],
  site: MapsSite,
  settings: Settings,
  clock: Clock,
): Promise<DeployedTables> {
  const tables = new DeployedTables(site.options.directory, settings, { now: clock.now });
  t.after(async () => tables.stop());
  await tables.start();
  return tables;
}

function holding(tables: DeployedTables, settings: Settings): string[] {
  return [...settings.domains()].filter((domain) => tables.holds(domain)).map(({ name }) => name);
}

test('tables count once Postfix must have seen them, and the service need not be told', async (t) => {
  const site = await MapsSite.of(t);
  const { settings } = compile(one);
  const clock = new Clock();
  const tables = await started(t, site, settings, clock);
  assert.deepEqual(holding(tables, settings), []);
  await site.write(one);
  await tables.look();
  assert.deepEqual(holding(tables, settings), []);
  clock.pass(SETTLE_MS + 1000);
  assert.deepEqual(holding(tables, settings), ['a.example', 'b.example']);
});

test('a clock that is set on by an hour makes no tables older than they are', async (t) => {
  const site = await MapsSite.of(t);
  const { settings } = compile(one);
  const clock = Date.now;
  let ahead = 0;
  t.mock.method(Date, 'now', () => clock() + ahead);
  const tables = new DeployedTables(site.options.directory, settings);
  t.after(() => tables.stop());
  await tables.start();
  await site.write(one);
  await tables.look();
  ahead = 3_600_000;
  await tables.look();
  assert.equal((await tables.read()).isCurrent, true);
  assert.deepEqual(holding(tables, settings), []);
});

test('who asks for a look just as another one ends gets one that sees what has come since', async (t) => {
  const site = await MapsSite.of(t);
  await site.write(one);
  await utimes(site.file('stamp.json'), 1, 1);
  const { settings } = compile(one);
  const [link, away] = [site.file('current'), site.file('away')];
  renameSync(link, away);
  let asked: Promise<void> | undefined;
  const now = (): number => {
    if (asked !== undefined) return Date.now();
    // The directory has just been read; the look is over before anything else has its turn, but this.
    renameSync(away, link);
    asked = Promise.resolve().then(() => tables.look());
    return Date.now();
  };
  const tables = new DeployedTables(site.options.directory, settings, { now });
  t.after(() => tables.stop());
  await tables.look();
  await asked;
  assert.equal((await tables.read()).isCurrent, true);
});

test('a change of settings counts at once, and for its own domain only', async (t) => {
  const site = await MapsSite.of(t);
  await site.write(one);
  await utimes(site.file('stamp.json'), 1, 1);
  const [before, after] = [compile(one).settings, compile(other).settings];
  const clock = new Clock();
  const tables = await started(t, site, before, clock);
  assert.deepEqual(holding(tables, before), ['a.example', 'b.example']);
  tables.update(after);
  assert.deepEqual(holding(tables, after), ['b.example']);
  await site.write(other);
  await tables.look();
  assert.deepEqual(holding(tables, after), ['b.example']);
  clock.pass(SETTLE_MS + 1000);
  assert.deepEqual(holding(tables, after), ['a.example', 'b.example']);
});

test('a service that starts with stale tables learns from them what they hold', async (t) => {
  const site = await MapsSite.of(t);
  await site.write(one);
  await utimes(site.file('stamp.json'), 1, 1);
  const { settings } = compile(other);
  const tables = await started(t, site, settings, new Clock());
  assert.deepEqual(holding(tables, settings), ['b.example']);
});

test('no stamp, no directory, or tables of another relayhost: nothing is held', async (t) => {
  const site = await MapsSite.of(t);
  await site.write(one);
  await utimes(site.file('stamp.json'), 1, 1);
  const relayed = compile({ ...one, postfix: { relayhost: '[relay.example]:25' } }).settings;
  assert.deepEqual(holding(await started(t, site, relayed, new Clock()), relayed), []);
  const { settings } = compile(one);
  const tables = await started(t, site, settings, new Clock());
  assert.deepEqual(holding(tables, settings), ['a.example', 'b.example']);
  await rm(site.file('stamp.json'));
  await waitFor(() => holding(tables, settings).length === 0, 'the service sees that the stamp is gone');
  await rm(site.options.directory, { recursive: true });
  await tables.look();
  assert.deepEqual(holding(tables, settings), []);
});

test('the list of domains of a large installation is read without keeping the event loop', async (t) => {
  const site = await MapsSite.of(t);
  const domains = Object.fromEntries(
    Array.from({ length: 20_000 }, (_, i) => [`d${i}.example`, { incoming: { receipt: always } }]),
  );
  await site.write({ domains });
  await utimes(site.file('stamp.json'), 1, 1);
  const { settings } = compile({ domains: { ...domains, ...one.domains } });
  const tables = new DeployedTables(site.options.directory, settings);
  t.after(async () => tables.stop());
  let turns = 0;
  const ticking = setInterval(() => (turns += 1));
  await tables.start();
  clearInterval(ticking);
  assert(turns > 0);
  assert.equal(tables.holds(settings.find('d7.example' as DomainName) ?? assert.fail()), true);
  assert.equal(tables.holds(settings.find('a.example' as DomainName) ?? assert.fail()), false);
});
