/**
 * Redis that moves: a Sentinel that fails over, a Cluster whose slot goes to another master, while changes are written.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ReportInRedis } from '../../src/redis/report-in-redis.ts';
import type { Settings } from '../../src/settings/settings.ts';
import { RedisServer } from '../harness/redis.ts';
import { waitFor } from '../harness/wait-for.ts';
import { Workspace } from '../harness/workspace.ts';
import { linesOf, rowOf } from '../report/rows.ts';
import { ALWAYS, addressOf, Host, Panel } from './host.ts';
import { Writer } from './writer.ts';

/** Writes on and on, whatever fails, until told to stop or the test ends; gives how many writes failed. */
function writeOn(workspace: Workspace, writer: Writer): { stop(): Promise<number> } {
  let stopped = false;
  // A test that fails half-way must not write for ever.
  workspace.push({
    dispose: () => {
      stopped = true;
    },
  });
  let failures = 0;
  const done = (async () => {
    while (!stopped) await writer.write().catch(() => (failures += 1));
  })();
  return {
    stop: async () => {
      stopped = true;
      await done;
      return failures;
    },
  };
}

/** What the server says of its part. One that is told to follow another drops its connections. */
async function replicationOf(server: RedisServer): Promise<string> {
  return await server.cli('INFO', 'replication').catch(() => '');
}

/** Writes until a write succeeds. */
async function untilWritten(writer: Writer): Promise<void> {
  let last: unknown;
  const write = async (): Promise<boolean> => {
    try {
      await writer.write();
      return true;
    } catch (error) {
      last = error;
      return false;
    }
  };
  await waitFor(write, () => `a write to succeed: ${last}`, 60_000);
}

describe('a Sentinel', () => {
  it('that fails over while changes are written: nobody sees half a change, all agree in the end', {
    timeout: 120_000,
  }, async (t) => {
    const workspace = await Workspace.of(t);
    const master = await RedisServer.start(workspace);
    const replica = await RedisServer.start(workspace, { lines: [`replicaof ${master.host} ${master.port}`] });
    await waitFor(async () => (await replicationOf(replica)).includes('master_link_status:up'), 'the replica');
    const sentinels: RedisServer[] = [];
    for (let n = 0; n < 3; n++) sentinels.push(await RedisServer.startSentinel(workspace, master, 2));
    for (const sentinel of sentinels) {
      await waitFor(
        async () => {
          const known = await sentinel.cli('SENTINEL', 'MASTER', 'settings');
          return /num-slaves\n1\n/u.test(known) && /num-other-sentinels\n2\n/u.test(known);
        },
        'the Sentinels to know one another',
        40_000,
      );
    }
    const hosts = sentinels.map(({ host, port }) => `${host}:${port}`).join(',');
    const url = `redis-sentinel://${hosts}/settings`;
    const writer = new Writer(new Panel(url));
    await writer.write();
    const seen = (settings: Settings): void => writer.check(settings);
    const first = await Host.start(workspace, url, { seen });
    const second = await Host.start(workspace, url, { seen });
    const writing = writeOn(workspace, writer);
    await master.kill();
    await waitFor(async () => (await replicationOf(replica)).includes('role:master'), 'the failover', 30_000);
    // The old master comes back with what it had, and is told what it is now: or what the other is, for on a busy machine
    // the Sentinels may well take the new one for lost.
    await master.start();
    await waitFor(
      async () => {
        const [old, promoted] = [await replicationOf(master), await replicationOf(replica)];
        const isSettled = (follower: string): boolean =>
          /role:slave/u.test(follower) && /link_status:up/u.test(follower);
        return isSettled(old) !== isSettled(promoted) && (/role:master/u.test(old) || /role:master/u.test(promoted));
      },
      async () => `one master and one replica:\n${await replicationOf(master)}\n${await replicationOf(replica)}`,
      60_000,
    );
    assert.ok((await writing.stop()) > 0, 'some writes must have failed while there was no master');
    await untilWritten(writer);
    for (const host of [first, second]) {
      await host.until(({ settings }) => writer.isLast(settings), 'the last change', 30_000);
      assert.deepEqual(
        host.log.filter((line) => line.startsWith('failed') || line.includes('a bug')),
        [],
      );
    }
  });
});

describe('a Cluster', () => {
  it('of three masters, whose slot moves while changes are written: nobody sees half a change, all agree', {
    timeout: 120_000,
  }, async (t) => {
    const workspace = await Workspace.of(t);
    const lines = ['cluster-enabled yes', 'cluster-node-timeout 2000'];
    const masters: RedisServer[] = [];
    for (let n = 0; n < 3; n++) masters.push(await RedisServer.start(workspace, { lines }));
    const [first] = masters as [RedisServer];
    await first.cli('--cluster', 'create', ...masters.map(({ host, port }) => `${host}:${port}`), '--cluster-yes');
    for (const master of masters) {
      await waitFor(
        async () => (await master.cli('CLUSTER', 'INFO')).includes('cluster_state:ok'),
        'the Cluster',
        30_000,
      );
    }
    const slot = await first.cli('CLUSTER', 'KEYSLOT', '{tlswarden}:domains');
    for (const key of ['aliases', 'certificates', 'changes', 'adopted', 'report', 'report-sizes', 'report-about']) {
      assert.equal(await first.cli('CLUSTER', 'KEYSLOT', `{tlswarden}:${key}`), slot);
    }
    const url = `redis-cluster://${masters.map(({ host }) => host).join(',')}`;
    const panel = new Panel(url);
    const writer = new Writer(panel);
    await writer.write();
    await panel.set({ 'a.example': ALWAYS });
    const seen = (settings: Settings): void => writer.check(settings);
    const hosts = [await Host.start(workspace, url, { seen }), await Host.start(workspace, url, { seen })];
    const counts = new ReportInRedis(addressOf(url), { maxRows: 100, localParts: false });
    workspace.push({ dispose: () => counts.close() });
    const counted = rowOf('a.example incoming p.example plaintext=1 first=1 last=1');
    await counts.add([counted], 1_000);
    const writing = writeOn(workspace, writer);

    const ids = new Map<RedisServer, string>();
    for (const master of masters) ids.set(master, await master.cli('CLUSTER', 'MYID'));
    const keys = async (master: RedisServer): Promise<readonly string[]> =>
      (await master.cli('CLUSTER', 'GETKEYSINSLOT', slot, '100')).split('\n').filter((key) => key !== '');
    let source: RedisServer | undefined;
    for (const master of masters) if ((await keys(master)).length > 0) source = master;
    const target = masters.find((master) => master !== source);
    assert.ok(source !== undefined && target !== undefined);
    // As redis-cli --cluster reshard does it.
    await target.cli('CLUSTER', 'SETSLOT', slot, 'IMPORTING', ids.get(source) ?? '');
    await source.cli('CLUSTER', 'SETSLOT', slot, 'MIGRATING', ids.get(target) ?? '');
    for (let moved = await keys(source); moved.length > 0; moved = await keys(source)) {
      for (const key of moved) await source.cli('MIGRATE', target.host, String(target.port), key, '0', '5000');
    }
    for (const master of [target, source, ...masters]) {
      await master.cli('CLUSTER', 'SETSLOT', slot, 'NODE', ids.get(target) ?? '');
    }
    await writing.stop();
    await untilWritten(writer);
    assert.ok((await keys(target)).length > 0);
    // It may have to look for the slot first; what it could not add then it still has.
    await counts.add([counted], 2_000).catch(() => {});
    await waitFor(
      () =>
        counts.add([], 3_000).then(
          () => true,
          () => false,
        ),
      'the counts to be added',
    );
    assert.deepEqual(linesOf((await counts.read())?.rows ?? []), ['a.example incoming p.example plaintext=2']);
    for (const host of hosts) {
      await host.until(({ settings }) => writer.isLast(settings), 'the last change', 30_000);
      assert.equal(host.requires('a.example'), 'always');
      assert.deepEqual(
        host.log.filter((line) => line.startsWith('failed') || line.includes('a bug')),
        [],
      );
    }
  });
});
