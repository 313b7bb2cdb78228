// A service that cannot start says why in a sentence, with the exit status that tells a mistake (2) from a failure (1), and
// leaves nothing behind. One that can start on a UNIX socket serves Postfix there.

import assert from 'node:assert/strict';
import { chmod, mkdir, readdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { userId } from '../harness/account.ts';
import { attempt, type CommandResult } from '../harness/command.ts';
import { MAIN } from '../harness/main.ts';
import { Site } from '../harness/site.ts';
import { Workspace } from '../harness/workspace.ts';

/** Runs `serve` with a main file and an empty settings directory, in a workspace of the test's. */
async function serve(workspace: Workspace, main: string): Promise<CommandResult> {
  await mkdir(workspace.path('domains.d'), { recursive: true });
  const config = await workspace.write('tlswarden.toml', main);
  return await attempt(process.execPath, [MAIN, '--config', config, 'serve'], { cwd: workspace.directory });
}

test('a port that is in use is exit status 1, and the way to find who has it', async (t) => {
  const workspace = await Workspace.of(t);
  const holder = createServer().listen(0, '127.0.0.1');
  t.after(() => holder.close());
  await new Promise((resolve) => holder.once('listening', resolve));
  const { port } = holder.address() as { readonly port: number };
  const result = await serve(workspace, `[server]\nlisten = ["127.0.0.1:${port}"]\n`);
  assert.equal(result.status, 1);
  assert.match(
    result.stderr,
    new RegExp(`tlswarden: cannot listen on 127\\.0\\.0\\.1:${port}: the port is in use; .*ss -ltnp`, 'u'),
  );
});

test('a UNIX socket path that is too long is exit status 2, by file, line and key', async (t) => {
  const workspace = await Workspace.of(t);
  const path = `/tmp/${'x'.repeat(103)}`;
  const result = await serve(workspace, `[server]\nlisten = [\n  "unix:${path}",\n]\n`);
  assert.deepEqual([result.status, result.stdout], [2, '']);
  assert.match(result.stderr, /tlswarden\.toml:\d: server\.listen: "unix:\/tmp\/x+…": .*107 bytes at most/u);
});

test('a UNIX socket where something else lies is exit status 1, and that is left alone', async (t) => {
  const workspace = await Workspace.of(t);
  const path = await workspace.write('policy', 'precious');
  const result = await serve(workspace, `[server]\nlisten = ["unix:${path}"]\n`);
  assert.equal(result.status, 1);
  assert.match(result.stderr, /cannot listen on unix:.*policy: there is a file of that name which is not a socket/u);
  assert.deepEqual((await readdir(workspace.directory)).toSorted(), ['domains.d', 'policy', 'tlswarden.toml']);
});

test('a listener for all the world is exit status 2 unless it is allowed', async (t) => {
  const workspace = await Workspace.of(t);
  const result = await serve(workspace, '[server]\nlisten = ["0.0.0.0:10040"]\n');
  assert.equal(result.status, 2);
  assert.match(result.stderr, /tlswarden\.toml:2: server\.listen: .*server\.allow_remote = true/u);
});

test('a main file that is not there, or no file, is exit status 2 and its name', async (t) => {
  const workspace = await Workspace.of(t);
  for (const path of [workspace.path('absent.toml'), workspace.directory]) {
    const result = await attempt(process.execPath, [MAIN, '--config', path, 'serve']);
    assert.equal(result.status, 2);
    assert.ok(result.stderr.startsWith(`${path}: `), result.stderr);
    assert.equal(result.stderr.trimEnd().split('\n').length, 1);
  }
});

test('a main file that may not be read is exit status 2 and its name', async (t) => {
  const workspace = await Workspace.of(t);
  const config = await workspace.write('tlswarden.toml', '');
  await chmod(config, 0o600);
  // Whether this user reaches the program at all depends on where it lies; only then is there something to see.
  const asNobody = { uid: userId('nobody'), cwd: '/' };
  if ((await attempt(process.execPath, [MAIN, '--version'], asNobody)).status !== 0) {
    t.skip('the program lies where nobody may read');
    return;
  }
  const result = await attempt(process.execPath, [MAIN, '--config', config, 'serve'], asNobody);
  assert.equal(result.status, 2);
  assert.match(result.stderr, new RegExp(`^${config}: .*(?:permission|EACCES)`, 'iu'));
});

test('Postfix asks a service that listens on a UNIX socket there', async (t) => {
  const workspace = await Workspace.of(t);
  const site = await Site.open(workspace);
  const inside = await site.server('mx.inside.example');
  const path = workspace.path('policy');
  const gateway = await site.start({
    listen: `unix:${path}`,
    tables: false,
    domains: { 'bank.example': inside },
    settings: {
      bank: `[domains."bank.example"]\nnexthop = "${inside.nexthop}"\nincoming.receipt.require_tls = "always"\nincoming.delivery.require_tls = "always"`,
    },
  });
  assert.match(await gateway.postfix.postconf('-h', 'smtpd_recipient_restrictions'), new RegExp(`unix:${path}`, 'u'));
  const from = 'a@partner.example';
  assert.match((await site.send({ from, to: 'u@bank.example' })).reply, /^550 5\.7\.10 /u);
  const sent = await site.send({ from, to: 'u@bank.example', tls: {} });
  assert.equal(await site.outcome(sent), 'TLSv1.3 at mx.inside.example by tlswarden-encrypt');
  await gateway.kill('SIGTERM');
  assert.ok(!(await readdir(workspace.directory)).includes('policy'), 'the socket goes with the service');
  assert.match((await site.send({ from, to: 'u@bank.example', tls: {} })).reply, /^451 4\.3\.5 /u);
});
