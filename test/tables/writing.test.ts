import assert from 'node:assert/strict';
import { readdirSync, statSync } from 'node:fs';
import { readFile, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import type { DomainName } from '../../src/address/domain-name.ts';
import { BY_MX } from '../../src/settings/next-hop.ts';
import { SettingsOwner } from '../../src/settings/settings-owner.ts';
import { checkTables, type TablesOptions } from '../../src/tables/check-tables.ts';
import { diffTables } from '../../src/tables/diff-tables.ts';
import { TablesError } from '../../src/tables/tables-error.ts';
import { writeTables } from '../../src/tables/write-tables.ts';
import { compile } from '../decision/core.ts';
import { waitFor } from '../harness/wait-for.ts';
import type { RawSettings } from '../oracle/oracle.ts';
import { MapsSite } from './maps-site.ts';

const always = { require_tls: 'always' } as const;
const one: RawSettings = {
  domains: {
    'a.example': { incoming: { receipt: always, delivery: always } },
    'b.example': {
      nexthop: '[mx.b.example]:25',
      incoming: { delivery: { ...always, level: 'secure', certificate_names: ['mx.b.example'] } },
    },
    'bücher.example': { outgoing: { delivery: { ...always, protocols: '>=TLSv1.3' } } },
  },
};
const other: RawSettings = { domains: { ...one.domains, 'c.example': { incoming: { receipt: always } } } };

for (const type of ['lmdb', 'cdb', 'hash', 'btree', 'texthash']) {
  test(`postmap finds what was written, under the names that main.cf has, as ${type}`, async (t) => {
    const site = await MapsSite.of(t, type);
    assert.equal(await site.write(one), true);
    assert.equal(await site.query('tls_policy', 'a.example'), 'encrypt protocols=>=TLSv1.2 ciphers=medium');
    assert.equal(await site.query('transport', 'b.example'), 'tlswarden-secure:[mx.b.example]:25');
    const entry = 'secure match=mx.b.example protocols=>=TLSv1.2 ciphers=medium';
    assert.equal(await site.query('tls_policy_required_secure', '[mx.b.example]:25'), entry);
    assert.equal(await site.query('sender_transport', '@bücher.example'), 'tlswarden-encrypt-tls13:');
    assert.equal(await site.query('sender_transport', '@xn--bcher-kva.example'), 'tlswarden-encrypt-tls13:');
    assert.equal(await site.query('receipt_access', 'a.example'), 'tlswarden_tls');
    assert.equal(await site.query('receipt_access', 'c.example'), undefined);
    assert.equal(await site.write(other), true);
    assert.equal(await site.query('receipt_access', 'c.example'), 'tlswarden_tls');
    assert.equal(await site.query('tls_policy_required_encrypt-tls13', 'a.example'), undefined);
  });
}

test('nothing is rewritten when nothing changed', async (t) => {
  const site = await MapsSite.of(t, 'lmdb');
  await site.write(one);
  const before = site.snapshot();
  assert.equal(await site.write(one), false);
  assert.deepEqual(site.snapshot(), before);
});

test('the same settings give the same stamp in any directory, byte by byte', async (t) => {
  const [here, there] = [await MapsSite.of(t), await MapsSite.of(t)];
  await here.write(one);
  await there.write(one);
  assert.equal(await readFile(here.file('stamp.json'), 'utf8'), await readFile(there.file('stamp.json'), 'utf8'));
});

test('everybody may read the tables, whatever the umask', async (t) => {
  const site = await MapsSite.of(t, 'lmdb');
  const { outcomes } = await site.process({ settings: [one] }, ['sh', '-c', 'umask 077; exec "$@"', 'sh']);
  assert.equal(outcomes.length, 1);
  for (const name of readdirSync(site.file('current'))) {
    assert.equal(statSync(site.file('current', name)).mode & 0o777, 0o644, name);
  }
  assert.equal(statSync(site.file()).mode & 0o777, 0o755);
  assert.equal(statSync(site.file('current')).mode & 0o777, 0o755);
  assert.equal(statSync(site.file('stamp.json')).mode & 0o777, 0o644);
});

test('what somebody changed by hand is found and mended', async (t) => {
  const site = await MapsSite.of(t, 'lmdb');
  const { settings } = compile(one);
  const damages: readonly (readonly [string, () => Promise<void>])[] = [
    ['transport was changed by somebody else', () => writeFile(site.file('current', 'transport'), 'a.example smtp:\n')],
    ['tls_policy.lmdb is missing or older than its text', () => rm(site.file('current', 'tls_policy.lmdb'))],
    ['tls_policy.lmdb is missing or older than its text', () => truncate(site.file('current', 'tls_policy.lmdb'))],
    ['tls_policy.lmdb is missing or older than its text', () => utimes(site.file('current', 'tls_policy.lmdb'), 1, 1)],
    ['there is no current set', () => rm(site.file('current'))],
    ['there is no valid stamp.json beside the tables', () => rm(site.file('stamp.json'))],
    ['there is no valid stamp.json beside the tables', () => writeFile(site.file('stamp.json'), '{"format":1}')],
    ['domains cannot be read', () => rm(site.file('current', 'domains'))],
  ];
  await site.write(one);
  for (const [reason, damage] of damages) {
    await damage();
    const { current, reasons } = await checkTables(settings, site.options);
    assert.equal(current, false, reason);
    assert(reasons.includes(reason), `${reason}: ${reasons.join('; ')}`);
    assert.equal(await site.write(one), true, reason);
    assert.deepEqual(await checkTables(settings, site.options), { current: true, reasons: [] });
    assert.equal(site.inForce([one]), 0);
  }
});

test('check says that the settings, the exempt clients or the type have changed', async (t) => {
  const site = await MapsSite.of(t);
  await site.write(one);
  const check = async (raw: RawSettings, more = {}): Promise<readonly string[]> =>
    (await checkTables(compile(raw).settings, { ...site.options, ...more })).reasons;
  assert.deepEqual(await check(one), []);
  assert.deepEqual(await check(other), ['the settings have changed since']);
  assert.deepEqual(await check(one, { type: 'lmdb' }), ['the tables are of type texthash, not lmdb']);
  assert.deepEqual(await check(one, { exemptClients: ['192.0.2.0/24'] }), [
    'receipt_clients would have another content',
  ]);
  const relayed = { ...one, postfix: { relayhost: '[relay.example]:25' } };
  assert((await check(relayed)).includes('relayhost has changed since'));
});

test('diff says which lines go and come, and nothing after they have', async (t) => {
  const site = await MapsSite.of(t);
  const diff = async (raw: RawSettings): Promise<string[]> => {
    const lines: string[] = [];
    for await (const { table, sign, line } of diffTables(compile(raw).settings, site.options))
      lines.push(`${table} ${sign}${line}`);
    return lines;
  };
  await site.write(one);
  assert.deepEqual(await diff(one), []);
  assert.deepEqual(await diff(other), ['receipt_access +c.example tlswarden_tls']);
  const weaker: RawSettings = {
    domains: { ...one.domains, 'a.example': { incoming: { delivery: { ...always, level: 'verify' } } } },
  };
  assert.deepEqual(await diff(weaker), [
    'receipt_access -a.example tlswarden_tls',
    'tls_policy -a.example encrypt protocols=>=TLSv1.2 ciphers=medium',
    'tls_policy +a.example verify protocols=>=TLSv1.2 ciphers=medium',
    // Senders of bücher.example raise it to TLSv1.3.
    'tls_policy_required_verify-tls13 +[mx.b.example]:25 verify match=mx.b.example protocols=>=TLSv1.3 ciphers=medium',
  ]);
  await site.write(weaker);
  assert.deepEqual(await diff(weaker), []);
});

test('a domain whose settings cannot be used keeps its entries, until it is mended or goes', async (t) => {
  const site = await MapsSite.of(t);
  const asked = { incoming: { delivery: { require_tls: 'always' } } } as const;
  await site.write({ domains: { 'a.example': asked, 'b.example': {} } });
  const owner = new SettingsOwner(BY_MX);
  for (const domain of compile({ domains: { 'b.example': asked } }).settings.domains()) owner.add(domain);
  owner.withhold(new Set(['a.example', 'new.example'] as DomainName[]));
  await assert.rejects(
    writeTables(owner.settings, site.options),
    /maps: hold a\.example, whose settings cannot be used/u,
  );
  assert.match(await readFile(site.file('current', 'tls_policy'), 'utf8'), /^a\.example encrypt /mu);
  owner.withhold(new Set(['new.example'] as DomainName[]));
  await writeTables(owner.settings, site.options);
  assert.doesNotMatch(await readFile(site.file('current', 'tls_policy'), 'utf8'), /a\.example/u);
});

test('a table that Postfix may still refer to never vanishes', async (t) => {
  const site = await MapsSite.of(t);
  await site.write(one);
  const without: RawSettings = { domains: { 'a.example': { incoming: { delivery: always } } } };
  await site.write(without);
  assert.equal(
    (await readFile(site.file('current', 'tls_policy_required_encrypt-tls13'), 'utf8')).split('\n').length,
    2,
  );
  assert.equal(await site.write(without), false);
});

test('Postfix is told to reload only where it would not see a change by itself', async (t) => {
  const site = await MapsSite.of(t, 'lmdb');
  const reloaded = async (raw: RawSettings, options: Partial<TablesOptions> = {}): Promise<boolean> =>
    (await writeTables(compile(raw).settings, { ...site.options, ...options })).reloaded;
  await site.running();
  assert.equal(await reloaded(one), false);
  assert.equal(await reloaded(other), false);
  const exemptClients = ['192.0.2.0/24'];
  assert.equal(await site.told(), 0);
  assert.equal(await reloaded(other, { exemptClients }), true);
  await waitFor(async () => (await site.told()) === 1, 'Postfix to be told');
  assert.equal(await reloaded(one, { exemptClients, type: 'texthash' }), true);
  await waitFor(async () => (await site.told()) === 2, 'Postfix to be told again');
});

test('nobody is told where Postfix does not run, whatever a killed one has left behind', async (t) => {
  const site = await MapsSite.of(t);
  await site.write(one);
  await site.workspace.write('queue/pid/master.pid', `${process.pid}\n`);
  assert.equal((await writeTables(compile(other).settings, site.options)).reloaded, false);
});

test('a reload that fails leaves no stamp, and the next run tells Postfix again', async (t) => {
  const site = await MapsSite.of(t);
  await site.write(one);
  await site.running();
  const pid = await readFile(site.workspace.path('queue/pid/master.pid'), 'utf8');
  await site.workspace.write('queue/pid/master.pid', 'nonsense');
  const write = () => writeTables(compile(other).settings, site.options);
  await assert.rejects(write(), (error) => error instanceof TablesError && error.kind === 'reload');
  assert.equal((await checkTables(compile(other).settings, site.options)).current, false);
  await site.workspace.write('queue/pid/master.pid', pid);
  assert.equal((await write()).reloaded, true);
  assert.equal((await checkTables(compile(other).settings, site.options)).current, true);
});

test('a postmap that fails leaves the old tables in force, and nothing lying about', async (t) => {
  const site = await MapsSite.of(t, 'lmdb');
  await site.write(one);
  const before = readdirSync(site.options.directory).sort();
  await site.program(
    'postmap',
    'case "$3" in *sender_transport) echo "postmap: fatal: no luck" >&2; exit 1;; esac\nfile=$3; : > $(echo "$file" | cut -d: -f2).lmdb',
  );
  const { outcomes } = await site.process({ settings: [other] });
  assert.match(
    JSON.stringify(outcomes),
    /sender_transport: postmap failed \(exit status 1\): postmap: fatal: no luck/u,
  );
  assert.deepEqual(readdirSync(site.options.directory).sort(), before);
  assert.equal(site.inForce([one, other]), 0);
  assert.equal((await checkTables(compile(one).settings, site.options)).current, true);
});

test('a full disk leaves the old tables in force, and nothing lying about', async (t) => {
  const site = await MapsSite.of(t);
  const domains = Object.fromEntries(
    Array.from({ length: 20_000 }, (_, i) => [`d${i}.example`, { incoming: { receipt: always } }]),
  );
  const script = `mkdir ${site.options.directory} && mount -t tmpfs -o size=256k none ${site.options.directory} && exec "$@"`;
  const { outcomes } = await site.process({ settings: [one, { domains }, one] }, [
    'unshare',
    '--mount',
    '--propagation',
    'private',
    'sh',
    '-c',
    script,
    'sh',
  ]);
  const [first, second, third] = outcomes.map(
    (outcome) => JSON.parse(JSON.stringify(outcome)) as Record<string, unknown>,
  );
  assert.equal(first?.['changed'], true);
  assert.equal(second?.['kind'], 'write');
  assert.match(String(second?.['error']), /no space left/u);
  assert.deepEqual(second?.['entries'], first?.['entries']);
  assert.equal(second?.['current'], first?.['current']);
  assert.equal(third?.['changed'], false);
});

test('of a directory that is missing only the last part is made', async (t) => {
  const site = await MapsSite.of(t);
  await assert.rejects(site.write(one, { directory: site.workspace.path('not/there') }), (error) => {
    assert(error instanceof TablesError);
    assert.equal(error.kind, 'directory');
    assert.match(error.message, /the directory above it does not exist/u);
    return true;
  });
  await site.workspace.write('file', '');
  await assert.rejects(site.write(one, { directory: site.workspace.path('file') }), /file: is not a directory/u);
  assert.equal(await site.write(one), true);
});

test('a type of table that postmap cannot make is refused before anything is touched', async (t) => {
  const site = await MapsSite.of(t);
  await assert.rejects(
    site.write(one, { type: 'mysql' }),
    /maps.type "mysql" is none of lmdb, cdb, hash, btree, texthash/u,
  );
  assert.throws(() => statSync(site.options.directory));
});
