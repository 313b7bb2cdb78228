import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { policyServiceCall } from '../../src/fragments/main-parameters.ts';
import { Host } from './host.ts';

const call = policyServiceCall('inet:127.0.0.1:10040');

/** Where Debian's package keeps what it installs. */
const STOCK = '/usr/share/postfix';

test("on Debian's own main.cf and master.cf: set once, nothing the second time, and as before after revert", async (t) => {
  const host = await Host.of(t);
  const main = await readFile(join(STOCK, 'main.cf.debian'), 'utf8');
  const master = await readFile(join(STOCK, 'master.cf.dist'), 'utf8');
  await host.write({ main: `${main}${await host.places()}`, master });
  const before = await host.files();

  const dry = await host.run('postfix', 'apply', '--dry-run');
  assert.match(dry, /^--- main\.cf\n# offer STARTTLS.*\n\+smtpd_tls_security_level = may\n/u);
  assert.match(
    dry,
    /^--- master\.cf\n# level encrypt.*\n\+tlswarden-encrypt unix - - n - - smtp\n\+ {4}-o syslog_name/mu,
  );
  assert.deepEqual(await host.files(), before);
  assert.deepEqual(await readdir(host.postfix.configDirectory), ['main.cf', 'master.cf']);

  const first = await host.told('apply');
  assert.equal(first.changed, true);
  assert.equal(first.reload, 'due');
  const applied = await host.files();
  assert.equal(
    await host.value('-h', 'smtpd_recipient_restrictions'),
    `check_recipient_access lmdb:${host.tables}/receipt_access, ${call}`,
  );
  assert.equal(await host.value('-h', 'transport_maps'), `lmdb:${host.tables}/transport`);
  assert.match(await host.value('-Mf', 'tlswarden-encrypt/unix'), /smtp_tls_security_level=encrypt/u);
  assert.ok(applied.main.startsWith(main.trimEnd()), 'what stood there stands there');
  assert.equal(await readFile(join(first.backup ?? '', 'main.cf'), 'utf8'), before.main);

  assert.match(await host.run('postfix', 'apply'), /^nothing to change\n/u);
  const second = await host.told('apply');
  assert.deepEqual([second.changed, second['main.cf'], second['master.cf']], [false, [], []]);
  assert.deepEqual(await host.files(), applied);

  assert.equal((await host.told('revert')).changed, true);
  const { main: mainAfter, master: masterAfter } = await host.files();
  assert.equal(mainAfter, before.main);
  assert.equal(masterAfter, before.master);
  assert.equal(await host.run('postfix', 'revert'), 'nothing to change\n');
});

test('lists over many lines, $parameters and lists of a service of its own keep what they had', async (t) => {
  const host = await Host.of(t);
  const { main, master } = await host.files();
  await host.write({
    main: `${main}my_checks = permit_sasl_authenticated
smtpd_recipient_restrictions =
    # what comes first
    reject_non_fqdn_recipient,
    reject_unauth_destination

    # and then
    $my_checks
    $smtpd_relay_restrictions
    check_policy_service { unix:private/grey, timeout=3s },
transport_maps = $virtual_mailbox_maps,
  proxy:lmdb:/etc/postfix/transport
smtp_tls_policy_maps = lmdb:/etc/postfix/policy
virtual_mailbox_maps =
`,
    master: `${master}submission inet n - n - - smtpd
  # who logs in
  -o syslog_name=postfix/submission
  -o smtpd_recipient_restrictions=permit_sasl_authenticated,reject
  -o { smtpd_data_restrictions = permit_mynetworks, reject_unauth_pipelining }
  -o smtpd_tls_security_level=encrypt
`,
  });
  const before = await host.files();
  await host.told('apply');
  const ours = `check_recipient_access lmdb:${host.tables}/receipt_access, ${call}`;
  const value = async (name: string): Promise<string> => (await host.value('-h', name)).replaceAll(/\s+/gu, ' ');
  assert.equal(
    (await value('smtpd_recipient_restrictions')).replace(/,$/u, ''),
    `reject_non_fqdn_recipient, reject_unauth_destination, ${ours}, $my_checks, $smtpd_relay_restrictions, check_policy_service { unix:private/grey, timeout=3s }`,
  );
  assert.equal(
    await value('transport_maps'),
    `lmdb:${host.tables}/transport, $virtual_mailbox_maps, proxy:lmdb:/etc/postfix/transport`,
  );
  assert.equal(await value('smtp_tls_policy_maps'), `lmdb:${host.tables}/tls_policy, lmdb:/etc/postfix/policy`);
  const overrides = await host.value('-P');
  assert.ok(
    overrides.includes(`submission/inet/smtpd_recipient_restrictions = ${ours}, permit_sasl_authenticated, reject\n`),
  );
  assert.ok(
    overrides.includes(
      `submission/inet/smtpd_data_restrictions = ${call}, permit_mynetworks, reject_unauth_pipelining\n`,
    ),
  );
  assert.ok(overrides.includes('submission/inet/smtpd_tls_security_level = encrypt'));
  const { main: again } = await host.files();
  assert.equal((await host.told('apply')).changed, false);
  assert.equal((await host.files()).main, again);
  await host.told('revert');
  const after = await host.files();
  assert.deepEqual([after.main, after.master], [before.main, before.master]);
});
