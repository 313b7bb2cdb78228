import assert from 'node:assert/strict';
import { mkdir, readdir } from 'node:fs/promises';
import { test } from 'node:test';
import { ApplyDirectory } from '../../src/apply/apply-directory.ts';
import { readConfigurationFiles } from '../../src/apply/configuration-files.ts';
import { Workspace } from '../harness/workspace.ts';

test('five backups are kept, and the one from before the first apply', async (t) => {
  const workspace = await Workspace.of(t);
  for (const name of ['main.cf', 'master.cf']) await workspace.write(name, name);
  const directory = new ApplyDirectory(workspace.directory);
  await mkdir(directory.path);
  const files = await readConfigurationFiles(workspace.directory);
  const names: string[] = [];
  for (let i = 0; i < 9; i++) names.push(await directory.backUp(files, names.slice(0, 1)));
  assert.deepEqual((await readdir(directory.path)).sort(), [...names.slice(0, 1), ...names.slice(-5)]);
  assert.deepEqual(await directory.backup(names[0] ?? ''), files);
  assert.equal(await directory.backup(names[1] ?? ''), undefined);
});
