import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { Host } from './host.ts';

/**
 * Makes a primary instance of a copy of the machine's own configuration, seen here only, and a second one by postmulti;
 * then runs the command for the second.
 */
const SECOND = `
root=$0; own=$(postconf -dh config_directory)
mkdir "$root/primary"; cp -a "$own/." "$root/primary"; mount --bind "$root/primary" "$own"
age() { touch -d "1 minute ago" "$1/main.cf"; }
age "$own"; postmulti -e init; age "$own"
postmulti -I postfix-second -G mta -e create config_directory="$root/second" queue_directory="$root/queue" data_directory="$root/data"
age "$own"; age "$root/second"
postmulti -i postfix-second -e enable; age "$root/second"
before=$(cat "$own/main.cf" "$own/master.cf" | cksum); second=$(cat "$root/second/main.cf" "$root/second/master.cf" | cksum)
"$@" postfix apply; age "$root/second"
postmulti -i postfix-second -x postconf -h transport_maps
postmulti -i postfix-second -x postconf -M tlswarden-encrypt/unix
postmulti -i postfix-second -p check
"$@" postfix apply
"$@" postfix revert > "$root/reverted"
[ "$second" = "$(cat "$root/second/main.cf" "$root/second/master.cf" | cksum)" ]
[ "$before" = "$(cat "$own/main.cf" "$own/master.cf" | cksum)" ]
`;

test('of several instances the one that the main file names is told, and no other', async (t) => {
  const host = await Host.of(t);
  const root = host.workspace.path('instances');
  await host.workspace.write('instances/.keep', '');
  await host.workspace.write(
    'tlswarden.toml',
    (await readFile(host.config, 'utf8')).replace(host.postfix.configDirectory, `${root}/second`),
  );
  const through = ['unshare', '--mount', '--propagation', 'private', 'sh', '-ec', SECOND, root];
  const { status, stdout, stderr } = await host.attempt([], { through });
  assert.equal(status, 0, stderr + stdout);
  const [, after = ''] = stdout.split(`Now run: postfix -c ${root}/second reload\n`);
  assert.match(after, /^lmdb:.*\/maps\/current\/transport\ntlswarden-encrypt unix .*\n\s*nothing to change\n/u);
});
