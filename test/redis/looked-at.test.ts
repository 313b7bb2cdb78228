/**
 * What explain, doctor and `maps --check` tell of a host whose Redis is away: by the snapshot, or what needs no settings.
 */
import assert from 'node:assert/strict';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { RedisServer } from '../harness/redis.ts';
import { waitFor } from '../harness/wait-for.ts';
import { Workspace } from '../harness/workspace.ts';
import { Panel, Service, tlswarden } from './host.ts';

const MAIN_CF = 'smtpd_tls_security_level = none\nsmtp_tls_security_level = may\n';
const MASTER_CF = 'smtp inet n - n - - smtpd\nsmtp unix - - n - - smtp\n';

/** A host whose service has kept a snapshot and whose tables are written; then Redis goes. */
async function cutOff(workspace: Workspace): Promise<{ readonly config: string; readonly snapshot: string }> {
  const redis = await RedisServer.start(workspace);
  await new Panel(redis.url).set({
    'a.example': { nexthop: '[mx.a.example]:25', incoming: { delivery: { require_tls: 'always' } } },
  });
  const snapshot = workspace.path('snapshot');
  await workspace.write('config/main.cf', `queue_directory = ${workspace.path('queue')}\n${MAIN_CF}`);
  await workspace.write('config/master.cf', MASTER_CF);
  const more = `[postfix]\nconfig_directory = "config"\n[maps]\ndirectory = "maps"\ntype = "lmdb"\n`;
  const settings = [`source = "${redis.url}"`, `snapshot = "${snapshot}"`];
  const { config } = await Service.start(workspace, 'mx1', settings, more);
  await waitFor(async () => (await readFile(snapshot, 'utf8').catch(() => '')).includes('a.example'), 'the snapshot');
  const { status, stderr } = await tlswarden(config, ['maps']);
  assert.equal(status, 0, stderr);
  await redis.kill();
  return { config, snapshot };
}

interface Told {
  readonly status: number | null;
  readonly ids: readonly string[];
  readonly note: string;
  readonly domains: { readonly looked: number; readonly of: number };
}

async function doctor(config: string): Promise<Told> {
  const { status, stdout, stderr } = await tlswarden(config, ['--json', 'doctor']);
  assert.notEqual(stdout, '', stderr);
  const { findings, domains } = JSON.parse(stdout);
  const away = findings.find(({ id }: { readonly id: string }) => id === 'redis-away');
  assert.match(away?.what, /ECONNREFUSED/u);
  return { status, ids: findings.map(({ id }: { readonly id: string }) => id), note: away.note, domains };
}

describe('while Redis is away', () => {
  it('doctor goes by the snapshot, and says so', async (t) => {
    const { config } = await cutOff(await Workspace.of(t));
    const { status, ids, note, domains } = await doctor(config);
    assert.equal(status, 1);
    assert.match(note, /the settings are those of the snapshot \/.*, written 20\d\d-[^ ]*Z\.$/u);
    assert.deepEqual(domains, { looked: 1, of: 1 });
    for (const id of ['service-not-asked', 'table-not-referenced', 'transport-missing', 'next-hop-differs']) {
      assert.ok(ids.includes(id), `${id}: ${ids.join()}`);
    }
    for (const id of ['tables-stale', 'service-silent', 'service-behind']) assert.ok(!ids.includes(id), ids.join());
  });

  it('doctor without a snapshot tells what does not depend on the settings, and that this is not all', async (t) => {
    const { config, snapshot } = await cutOff(await Workspace.of(t));
    await rm(snapshot);
    const { status, ids, note } = await doctor(config);
    assert.equal(status, 1);
    assert.match(note, /there is no snapshot in .*, so what depends on the settings was not looked at\.$/u);
    assert.ok(ids.includes('service-not-asked'), ids.join());
    for (const id of ['tables-stale', 'tables-damaged', 'next-hop-differs']) assert.ok(!ids.includes(id), ids.join());

    await writeFile(snapshot, 'something else\n');
    assert.match((await doctor(config)).note, /the snapshot .* is damaged: it is no snapshot/u);
  });

  it('maps --check and --diff compare the tables with the snapshot, and say so; without one they do not answer', async (t) => {
    const { config, snapshot } = await cutOff(await Workspace.of(t));
    const said = /^redis:.*ECONNREFUSED.*; the settings are those of the snapshot .*, written .*Z\n$/u;
    const well = await tlswarden(config, ['maps', '--check']);
    assert.deepEqual([well.status, well.stdout], [0, 'the tables are what the settings ask for\n']);
    assert.match(well.stderr, said);
    const same = await tlswarden(config, ['maps', '--diff']);
    assert.deepEqual([same.status, same.stdout], [0, '']);
    assert.match(same.stderr, said);

    await rm(snapshot);
    const none = await tlswarden(config, ['maps', '--check']);
    assert.deepEqual([none.status, none.stdout], [1, '']);
    assert.match(none.stderr, /^tlswarden: redis:.*ECONNREFUSED.*; there is no snapshot in /u);
  });

  it('explain tells what the snapshot asks for, and by which key; without one it says what keeps it from that', async (t) => {
    const { config, snapshot } = await cutOff(await Workspace.of(t));
    const question = ['explain', 'someone@partner.example', 'info@a.example'];
    const { status, stdout, stderr } = await tlswarden(config, question);
    assert.equal(status, 0, stderr);
    assert.match(stderr, /^redis:.*ECONNREFUSED.*; the settings are those of the snapshot .*, written .*Z\n$/u);
    assert.match(stdout, /incoming\.delivery of a\.example asks for TLS/u);
    assert.match(stdout, /^ {4}redis:.* {2}require_tls = "always"$/mu);

    await rm(snapshot);
    const none = await tlswarden(config, question);
    assert.deepEqual([none.status, none.stdout], [1, '']);
    assert.match(none.stderr, /^tlswarden: redis:.*ECONNREFUSED.*; there is no snapshot in /u);
  });
});
