import assert from 'node:assert/strict';
import { readdir, rm } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ApplyDirectory } from '../../src/apply/apply-directory.ts';
import { recover } from '../../src/apply/put-in-force.ts';
import { attempt } from '../harness/command.ts';
import type { Job } from './apply-process.ts';
import { Host } from './host.ts';

const applyProcess = fileURLToPath(new URL('apply-process.js', import.meta.url));
const settings = {
  domains: { 'a.example': { nexthop: '[mx.a.example]:25', incoming: { delivery: { require_tls: 'always' } } } },
} as const;

test('an apply that is killed at any step is taken back by the next run, or was done', async (t) => {
  const host = await Host.of(t);
  const configDirectory = host.postfix.configDirectory;
  const directory = new ApplyDirectory(configDirectory);
  // A check that takes no time: what is tried here is the dying.
  const programs = await host.workspace.program('postfix', 'exit 0');
  const env = { PATH: `${programs}:${process.env['PATH']}` };
  const run = async (dieAt: number): Promise<boolean> => {
    const maps = { directory: host.workspace.path('maps'), type: 'lmdb' };
    const options = { configDirectory, policyService: 'inet:127.0.0.1:10040', maps, dryRun: false };
    const job: Job = { settings, options, dieAt };
    const file = await host.workspace.write('job.json', JSON.stringify(job));
    const { status, stderr } = await attempt(process.execPath, [applyProcess, file], { env });
    assert.equal(stderr, '');
    return status === 0;
  };
  const before = await host.files();
  assert.equal(await run(-1), true);
  const after = await host.files();
  assert.notEqual(after.main, before.main);
  const seen = new Set<string>();
  for (let step = 0; ; step += 1) {
    await host.write(before);
    await rm(directory.path, { recursive: true, force: true });
    if (await run(step)) {
      assert.ok(step > 5, `${step} steps`);
      break;
    }
    const killed = await host.files();
    const [master, main] = [killed.master === after.master, killed.main === after.main];
    if (!master) assert.equal(killed.master, before.master);
    if (!main) assert.equal(killed.main, before.main);
    assert.ok(master || !main, 'main.cf names no transport that master.cf lacks');
    const isDone = (await directory.record()) !== undefined;
    await recover(configDirectory, directory, true);
    seen.add(`${master} ${main}`);
    const { main: mainNow, master: masterNow } = await host.files();
    assert.deepEqual([mainNow, masterNow], isDone ? [after.main, after.master] : [before.main, before.master]);
    const left = (await readdir(configDirectory)).filter((name) => name !== 'tlswarden-backup');
    assert.deepEqual(left, ['main.cf', 'master.cf']);
  }
  assert.deepEqual([...seen].sort(), ['false false', 'true false', 'true true']);
});
