// The file that keeps counts, written by a process that is killed at any system call.

import assert from 'node:assert/strict';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { ReportBounds } from '../../src/report/report-store.ts';
import { StateFile } from '../../src/report/state-file.ts';
import { crashEverywhere } from '../harness/crash-points.ts';
import { Workspace } from '../harness/workspace.ts';
import { linesOf, rowOf } from './rows.ts';

const bounds: ReportBounds = { maxRows: 1_000, localParts: false };
const one = rowOf('example.com incoming a.example plaintext=1 first=10 last=20');
const two = rowOf('example.com incoming b.example TLSv1.3=2 first=15 last=20');

const writer = fileURLToPath(new URL('./write-process.js', import.meta.url));

test('a writer killed at any call leaves the old counts or the new ones, and loses nothing that was kept', async (t) => {
  const workspace = await Workspace.of(t);
  const directory = workspace.path('state');
  const path = workspace.path('state', 'report');
  await mkdir(directory);
  const open = (): StateFile => new StateFile(path, bounds, { error: (_, message) => assert.fail(message) });
  const counted = async (): Promise<readonly string[]> => linesOf((await open().read())?.rows ?? []);
  const old = 'example.com incoming a.example plaintext=1';
  await crashEverywhere(t, {
    workspace,
    some: 8,
    async prepare() {
      await rm(path, { force: true });
      await open().add([one], 100);
    },
    writer: () => ({ command: [writer, path, 'r.example', '3'] }),
    async holds({ killed, said }) {
      const kept = said.split('\n').length - 1;
      const states = [kept, kept + 1].map((n) => [
        old,
        ...(n === 0 ? [] : [`example.com incoming r.example plaintext=${n}`]),
      ]);
      const found = JSON.stringify(await counted());
      assert.ok(
        (killed ? states : states.slice(0, 1)).some((state) => JSON.stringify(state) === found),
        `${said}${found}`,
      );
      // The next one goes on from there, and clears away what is left.
      await open().add([two], 200);
      assert.equal((await counted()).length, JSON.parse(found).length + 1);
      assert.deepEqual(await readdir(directory), ['report']);
    },
  });
});
