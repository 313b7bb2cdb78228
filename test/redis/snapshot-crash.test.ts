// The snapshot of settings in Redis, written by processes that are killed at any system call: it is the old one or the new
// one, whole, or there is none yet; and the next service writes it without help.

import assert from 'node:assert/strict';
import { mkdir, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readSnapshot, SnapshotWriter } from '../../src/redis/snapshot.ts';
import { run } from '../harness/command.ts';
import { crashEverywhere, type Writer } from '../harness/crash-points.ts';
import { MAIN } from '../harness/main.ts';
import { RedisServer } from '../harness/redis.ts';
import { Workspace } from '../harness/workspace.ts';
import { ALWAYS, Panel, Service } from './host.ts';

const writer = fileURLToPath(new URL('./snapshot-process.js', import.meta.url));

/** More than is written at once. */
const RECORDS = 6_000;

/** The seq of the snapshot and how many records of each version are in it; undefined: there is none. Throws if it is damaged. */
async function look(path: string): Promise<string | undefined> {
  const versions = new Map<string, number>();
  const position = await readSnapshot(path, (record) => {
    const version = /\[mx(\d+)\.example\]/u.exec(record)?.[1] ?? 'no version';
    versions.set(version, (versions.get(version) ?? 0) + 1);
  });
  return position === undefined ? undefined : `${position.seq}: ${JSON.stringify([...versions])}`;
}

for (const [what, before, after] of [
  ['the first snapshot', undefined, `2: [["2",${RECORDS}]]`],
  ['a snapshot that is renewed', `1: [["1",${RECORDS}]]`, `2: [["2",${RECORDS}]]`],
] as const) {
  test(`${what}, killed at any call, is the old one or the new one`, async (t) => {
    const workspace = await Workspace.of(t);
    const directory = workspace.path('state');
    const path = workspace.path('state', 'snapshot');
    const write = (version: number): Writer => ({ command: [writer, path, String(version), String(RECORDS)] });
    await crashEverywhere(t, {
      workspace,
      some: 4,
      async prepare() {
        await rm(directory, { recursive: true, force: true });
        await mkdir(directory);
        if (before !== undefined) await run(process.execPath, write(1).command);
      },
      writer: () => write(2),
      async holds({ killed, status, said }) {
        const found = await look(path);
        if (killed) assert.ok(found === before || found === after, found);
        else assert.deepEqual([status, said, found], [0, '', after]);
        await run(process.execPath, write(3).command);
        assert.equal(await look(path), `3: [["3",${RECORDS}]]`);
      },
    });
  });
}

test('a service killed at any call of its start leaves a snapshot that a start without Redis goes by', async (t) => {
  const workspace = await Workspace.of(t);
  const redis = await RedisServer.start(workspace);
  await new Panel(redis.url).set({ 'a.example': ALWAYS });
  const directory = workspace.path('state');
  const settings = (url: string): readonly string[] => [`source = "${url}"`, `snapshot = "${directory}/snapshot"`];
  const config = await workspace.write(
    'killed.toml',
    `[server]\nlisten = ["unix:${workspace.path('socket')}"]\n[settings]\n${settings(redis.url).join('\n')}\n`,
  );
  // With a snapshot of the same settings from before, or without.
  let isFirst = false;
  let wasThere = false;
  await crashEverywhere(t, {
    workspace,
    some: 2,
    async prepare() {
      isFirst = !isFirst;
      if (isFirst) await rm(directory, { recursive: true, force: true });
      await mkdir(directory, { recursive: true });
      wasThere = (await readdir(directory)).includes('snapshot');
    },
    writer: () => ({
      command: [MAIN, '--config', config, 'serve'],
      isDone: (said) => said.includes('"ready"'),
    }),
    async holds({ killed, status, said }) {
      if (!killed) assert.equal(status, 0, said);
      const names = await readdir(directory);
      const position = await readSnapshot(`${directory}/snapshot`, () => {});
      assert.equal(position !== undefined, names.includes('snapshot'));
      if (wasThere || !killed) assert.ok(position !== undefined);
      if (position === undefined) return;
      const away = await Service.start(workspace, 'away', settings('redis://127.0.0.1:1/0'));
      assert.equal(await away.decides('a.example'), 'always');
      assert.equal(await away.stop(), 0);
    },
  });
});

test('what writers have left that were killed is removed; that of one which is at work is not', async (t) => {
  const workspace = await Workspace.of(t);
  const [left, atWork, other] = ['.tlswarden-snapshot-7.tmp', '.tlswarden-snapshot-8.tmp', '.other.tmp'];
  for (const name of [left, atWork, other]) await writeFile(workspace.path(name), 'half');
  const long = Date.now() / 1000 - 3600;
  for (const name of [left, other]) await utimes(workspace.path(name), long, long);
  const writer = await SnapshotWriter.begin(workspace.path('snapshot'));
  await writer.finish({ epoch: 'e', id: '1-0', seq: 1 });
  assert.deepEqual((await readdir(workspace.directory)).sort(), [other, atWork, 'snapshot']);
});
