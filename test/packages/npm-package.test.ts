// What `npm pack` holds: all that runs, and no more.

import assert from 'node:assert/strict';
import { chmodSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { run } from '../harness/command.ts';
import { Workspace } from '../harness/workspace.ts';

const repository = fileURLToPath(new URL('../../../', import.meta.url));

const EXPECTED = [
  /^(?:package\.json|README\.md|LICENSE|CHANGELOG\.md)$/u,
  /^dist\/src\/.+\.js$/u,
  /^dist\/man\/(?:tlswarden\.8|tlswarden\.toml\.5)$/u,
  /^postfix\/example\/(?:.+\/)?[^/]+\.toml$/u,
  /^systemd\/tlswarden(?:-maps)?\.(?:service|socket)$/u,
];
/** What operators look at, beside what runs. */
const BESIDE = /^monitoring\/.+\.(?:json|ya?ml)$/u;

test('the npm package holds what runs and no more, and runs', async (t) => {
  const workspace = await Workspace.of(t);
  // Building it is over: the tests run from what was built.
  const output = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', workspace.directory], {
    cwd: repository,
  });
  const [{ filename, files }] = JSON.parse(output) as [{ filename: string; files: { path: string }[] }];
  const paths = files.map(({ path }) => path);
  assert.deepEqual(
    paths.filter((path) => ![...EXPECTED, BESIDE].some((pattern) => pattern.test(path))),
    [],
  );
  for (const pattern of EXPECTED)
    assert.ok(
      paths.some((path) => pattern.test(path)),
      String(pattern),
    );

  await run('tar', ['-xzf', workspace.path(filename), '-C', workspace.directory]);
  symlinkSync(join(repository, 'node_modules'), workspace.path('package/node_modules'));
  // As npm does with what `bin` names.
  const program = workspace.path('package/dist/src/main.js');
  chmodSync(program, 0o755);
  const { version } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8'));
  assert.equal(await run(program, ['--version']), `${version}\n`);
  const config = workspace.path('package/postfix/example/tlswarden.toml');
  assert.match(await run(program, ['--config', config, 'check']), /^4 domains/u);
});
