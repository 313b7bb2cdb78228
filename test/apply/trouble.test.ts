import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { freePort } from '../harness/loopback.ts';
import { Host } from './host.ts';

/** Nothing has changed, nothing was printed, and the one line on standard error says why. */
async function refused(host: Host, args: readonly string[], through: readonly string[], why: RegExp): Promise<void> {
  const { main, master } = await host.files();
  const { status, stdout, stderr } = await host.attempt(args, { through });
  assert.match(stderr, why);
  assert.deepEqual([status, stdout], [1, '']);
  const after = await host.files();
  assert.deepEqual([after.main, after.master], [main, master]);
}

/** Runs a program where the configuration directory is mounted otherwise. */
const mounted = (host: Host, mount: string): readonly string[] => [
  ...['unshare', '--mount', '--propagation', 'private', 'sh', '-c', `${mount}; exec "$@"`],
  host.postfix.configDirectory,
];

const apply = ['postfix', 'apply'];

describe('main.cf and master.cf stay as they are', { concurrency: 4 }, () => {
  it('for somebody who is not root', async (t) => {
    const host = await Host.of(t);
    await refused(
      host,
      apply,
      ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'],
      /are root's: run this as root, or with --dry-run\n$/u,
    );
    const dry = await host.attempt([...apply, '--dry-run'], {
      through: ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'],
    });
    assert.equal(dry.status, 0, dry.stderr);
    assert.match(dry.stdout, /^\+tlswarden-encrypt unix/mu);
  });

  it('without postconf, and without tables', async (t) => {
    const host = await Host.of(t);
    const flock = await host.workspace.program('flock', 'exec /usr/bin/flock "$@"');
    await rm(join(flock, 'postfix'));
    await refused(host, apply, ['env', `PATH=${flock}`], /postconf was not found in PATH\n$/u);
    await rm(host.workspace.path('maps'), { recursive: true });
    await refused(
      host,
      apply,
      [],
      /there is no .*\/tls_policy\.lmdb, nor \d+ more: write the tables first, by "tlswarden maps"; nothing was changed\n$/u,
    );
    const dry = await host.attempt([...apply, '--dry-run']);
    assert.match(dry.stderr, /The tables are not there yet/u);
    assert.equal(dry.status, 0);
  });

  it('if Postfix is to reload while the policy service does not answer, which would have it defer all mail', async (t) => {
    const host = await Host.of(t);
    const port = await freePort();
    await host.mainFile({ listen: `127.0.0.1:${port}` });
    const reload = [...apply, '--reload'];
    const why = (reason: string): RegExp =>
      new RegExp(
        `the policy service ${reason} \\(inet:127.*\\); .* nothing was changed.*\\n(?:systemctl restart |tlswarden --config .* serve &\\n$)`,
        'u',
      );
    await refused(host, reload, [], why('is not reached: ECONNREFUSED'));
    const mute = createServer((socket) =>
      socket
        .on('error', () => {})
        .resume()
        .end(),
    ).listen(port, '127.0.0.1');
    await once(mute, 'listening');
    await refused(host, reload, [], why('closes the connection without a reply'));
    mute.close();
    await once(mute, 'close');

    assert.equal((await host.attempt([...reload, '--dry-run'])).status, 0);
    assert.match((await host.attempt(apply)).stderr, /The policy service is not reached: .* Postfix defers all mail/u);
    assert.equal((await host.told('revert')).changed, true);
    const forced = await host.told('apply', '--reload', '--force');
    assert.deepEqual([forced.changed, forced.reload], [true, 'not running']);
    assert.match(forced.notes.join(' '), /The policy service is not reached/u);
  });

  it('on a file system that is read-only', async (t) => {
    const host = await Host.of(t);
    const through = mounted(host, 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0"');
    await refused(host, apply, through, /tlswarden-backup: the file system is read-only\n$/u);
  });

  it('if one of them cannot be replaced, when the other was already', async (t) => {
    const host = await Host.of(t);
    // A mount point cannot be renamed over.
    const through = mounted(host, 'mount --bind "$0/main.cf" "$0/main.cf"');
    await refused(host, apply, through, /config\/main\.cf: EBUSY: resource busy or locked\n$/u);
    assert.equal((await host.told('revert')).changed, false);
  });

  it('for a run that is interrupted', async (t) => {
    const host = await Host.of(t);
    const programs = await host.workspace.program('postfix', 'kill -TERM "$TLSWARDEN"; sleep 0.2');
    const through = ['sh', '-c', `TLSWARDEN=$$ PATH=${programs}:$PATH exec "$@"`, 'sh'];
    await refused(host, apply, through, /interrupted; main\.cf and master\.cf are as they were\n$/u);
  });

  it('on a disk that is full, sooner or later', async (t) => {
    const host = await Host.of(t);
    const { status, stdout, stderr } = await host.attempt(apply, {
      through: ['sh', '-c', FULL_DISKS, host.postfix.configDirectory],
    });
    assert.deepEqual([status, stderr], [0, '']);
    const reasons = stdout.match(/^tlswarden: .*$/gmu) ?? [];
    assert.deepEqual(
      [...new Set(reasons.map((line) => line.replace(/^.*: | on device$/gu, '').toLowerCase()))],
      ['no space left'],
    );
  });
});

it('Postfix is told of a service that has just been started', async (t) => {
  const host = await Host.of(t);
  const port = await freePort();
  await host.mainFile({ listen: `127.0.0.1:${port}` });
  const service = createServer((socket) => {
    socket.on('error', () => {}).once('data', () => socket.write('action=DUNNO\n\n'));
  });
  t.after(() => service.close());
  const applied = host.told('apply', '--reload');
  setTimeout(() => service.listen(port, '127.0.0.1'), 1_500);
  assert.equal((await applied).changed, true);
});

/** Runs the command where the disk has 0, 2, 4, … pages left, until it succeeds; fails if it fails and changes anything. */
const FULL_DISKS = `
config=$0; copy=$(mktemp -d); cp -a "$config/." "$copy"; pages=3
while unshare --mount --propagation private sh -c '
  config=$0; copy=$1; pages=$2; shift 2
  mount -t tmpfs -o size=$((pages * 4))k,mode=755 none "$config" && cp -a "$copy/." "$config" || exit 3
  "$@" 2>&1 && exit 1
  cmp "$config/main.cf" "$copy/main.cf" && cmp "$config/master.cf" "$copy/master.cf" || exit 4
' "$config" "$copy" $pages "$@" || { status=$?; false; }; do pages=$((pages + 2)); done
rm -r "$copy"; [ $status -eq 1 ]
`;
