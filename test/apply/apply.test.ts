import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { policyServiceCall } from '../../src/fragments/main-parameters.ts';
import { Host } from './host.ts';

const call = policyServiceCall('inet:127.0.0.1:10040');

/** Where Debian's package keeps what it installs. */
const STOCK = '/usr/share/postfix';

describe('postfix apply', { concurrency: 4 }, () => {
  it("on Debian's own files sets what is asked for, once, and revert makes them as they were", async (t) => {
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
    assert.ok(applied.main.startsWith(before.main), 'what stood there stands there');
    assert.ok(applied.master.startsWith(before.master));
    assert.equal(await readFile(join(first.backup ?? '', 'main.cf'), 'utf8'), before.main);

    const second = await host.told('apply');
    assert.deepEqual([second.changed, second['main.cf'], second['master.cf']], [false, [], []]);
    assert.deepEqual(await host.files(), applied);

    assert.equal((await host.told('revert')).changed, true);
    const after = await host.files();
    assert.deepEqual([after.main, after.master], [before.main, before.master]);
    assert.equal(await host.run('postfix', 'revert'), 'nothing to change\n');
    assert.deepEqual((await host.files()).times, after.times);
  });

  it('keeps lists over many lines, their comments, $parameters, and the lists of a service of its own', async (t) => {
    const host = await Host.of(t);
    const { main, master } = await host.files();
    await host.write({
      main: `${main}my_checks = permit_sasl_authenticated
smtpd_recipient_restrictions =
    # what comes first
    reject_non_fqdn_recipient,
    reject_unauth_destination,

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
    const access = `check_recipient_access lmdb:${host.tables}/receipt_access`;
    const applied = await host.files();
    for (const part of [
      `    # and then\n    ${access},\n    ${call},\n    $my_checks\n    $smtpd_relay_restrictions\n`,
      `transport_maps = lmdb:${host.tables}/transport,\n  $virtual_mailbox_maps,\n  proxy:lmdb:/etc/postfix/transport\n`,
      `smtp_tls_policy_maps = lmdb:${host.tables}/tls_policy, lmdb:/etc/postfix/policy\n`,
    ]) {
      assert.ok(applied.main.includes(part), part);
    }
    assert.ok(
      applied.master.includes(`  # who logs in
  -o syslog_name=postfix/submission
  -o { smtpd_recipient_restrictions = ${access}, ${call}, permit_sasl_authenticated, reject }
  -o { smtpd_data_restrictions = ${call}, permit_mynetworks, reject_unauth_pipelining }
  -o smtpd_tls_security_level=encrypt
`),
    );
    // What Postfix reads is what was to be there: of one thing each.
    assert.equal(
      (await host.value('-h', 'smtpd_recipient_restrictions')).replaceAll(/[\s,]+/gu, ' ').trim(),
      `reject_non_fqdn_recipient, reject_unauth_destination, ${access}, ${call}, $my_checks, $smtpd_relay_restrictions, check_policy_service { unix:private/grey, timeout=3s }`.replaceAll(
        /[\s,]+/gu,
        ' ',
      ),
    );
    assert.ok(
      (await host.value('-P')).includes(
        `submission/inet/smtpd_recipient_restrictions = ${access}, ${call}, permit_sasl`,
      ),
    );
    assert.equal((await host.told('apply')).changed, false);
    // A change elsewhere does not make revert lose the lines.
    await host.write({ main: `${applied.main}delay_warning_time = 4h\n` });
    await host.told('revert');
    const after = await host.files();
    assert.deepEqual([after.main, after.master], [`${before.main}delay_warning_time = 4h\n`, before.master]);
  });

  it('adds to files whose last line has no end, and revert makes them as they were', async (t) => {
    const host = await Host.of(t);
    const { main, master } = await host.files();
    await host.write({
      main: `${main}delay_warning_time = 4h`.replaceAll('\n', '\r\n'),
      master: `${master}submission inet n - n - - smtpd\n  -o smtpd_recipient_restrictions=permit_sasl_authenticated,reject`,
    });
    const before = await host.files();
    await host.told('apply');
    assert.equal(await host.value('-h', 'delay_warning_time'), '4h');
    assert.equal(await host.value('-h', 'transport_maps'), `lmdb:${host.tables}/transport`);
    assert.match(await host.value('-h', '-P', 'submission/inet/smtpd_recipient_restrictions'), /, reject$/u);
    assert.equal((await host.told('apply')).changed, false);
    await host.told('revert');
    const after = await host.files();
    assert.deepEqual([after.main, after.master], [before.main, before.master]);
  });

  it('sets an option that a service has twice, of which Postfix takes the last', async (t) => {
    const host = await Host.of(t);
    const { master } = await host.files();
    const list = '-o smtpd_recipient_restrictions=';
    await host.write({
      master: `${master}submission inet n - n - - smtpd ${list}permit ${list}permit_sasl_authenticated,reject\n`,
    });
    const before = await host.files();
    await host.told('apply');
    assert.match(
      await host.value('-h', '-P', 'submission/inet/smtpd_recipient_restrictions'),
      /^check_recipient_access .*, permit_sasl_authenticated, reject$/u,
    );
    assert.equal((await host.told('apply')).changed, false);
    await host.told('revert');
    assert.equal((await host.files()).master, before.master);
  });

  it('is undone, to the byte, if postfix check fails, and says what it said', async (t) => {
    const host = await Host.of(t);
    const { master } = await host.files();
    await host.write({ master: master.replace(/^postlog.*\n/mu, '') });
    const before = await host.files();
    const { status, stdout, stderr } = await host.attempt(['postfix', 'apply']);
    assert.deepEqual([status, stdout], [1, '']);
    assert.match(
      stderr,
      /^tlswarden: postfix check failed; main\.cf and master\.cf are as they were, and it fails with these too: mend that first\npostfix\/postfix-script: fatal: missing 'postlog' service in master\.cf/u,
    );
    const after = await host.files();
    assert.deepEqual([after.main, after.master], [before.main, before.master]);
    assert.deepEqual((await host.attempt(['postfix', 'revert'])).status, 0, 'there is nothing to take out');
  });

  it('that is run twice at once is done once', async (t) => {
    const host = await Host.of(t);
    const both = await Promise.all([1, 2].map(() => host.attempt(['--json', 'postfix', 'apply'])));
    assert.deepEqual(
      both.map(({ status }) => status),
      [0, 0],
    );
    assert.deepEqual(both.map(({ stdout }) => JSON.parse(stdout).changed).sort(), [false, true]);
    assert.match(both.map(({ stderr }) => stderr).join(''), /waiting for another tlswarden/u);
    assert.equal((await readdir(host.backup())).filter((name) => /^\d/u.test(name)).length, 1);
  });

  it('follows the main file, and takes out what an earlier one has put in', async (t) => {
    const host = await Host.of(t);
    await host.told('apply');
    await host.settings(
      '[domains."a.example"]\n[domains."a.example".outgoing.delivery]\nrequire_tls = "always"\nlevel = "secure"\n',
    );
    await host.mainFile({ listen: 'unix:/run/tlswarden/policy', maps: 'others' });
    await host.writeTables();
    await host.told('apply');
    const { main, master } = await host.files();
    assert.equal(main.includes('10040') || main.includes(host.tables), false, main);
    assert.match(
      await host.value('-h', 'smtpd_data_restrictions'),
      /^check_policy_service \{ unix:\/run\/tlswarden\/policy, /u,
    );
    // Mail may be queued for it.
    assert.match(master, /^tlswarden-encrypt unix/mu);
    assert.match(master, /^tlswarden-secure unix/mu);
    assert.equal(master.includes(host.tables), false);

    await host.mainFile({ maps: null });
    await host.told('apply');
    assert.equal((await host.files()).main.includes('/others/'), false);
    assert.equal(await host.value('-h', 'transport_maps'), '');
    assert.match(
      await host.value('-h', 'smtpd_recipient_restrictions'),
      /^check_policy_service \{ inet:127\.0\.0\.1:10040, /u,
    );
  });

  it('keeps what somebody has added to a transport', async (t) => {
    const host = await Host.of(t);
    await host.told('apply');
    const own = '-o smtp_bind_address=127.0.0.9';
    const { master } = await host.files();
    await host.write({ master: master.replace(/^(tlswarden-encrypt unix .*) -( +)smtp$/mu, `$1 7$2smtp\n    ${own}`) });
    assert.equal((await host.told('apply')).changed, false);
    await host.mainFile({ maps: null });
    await host.told('apply');
    const entry = await host.value('-M', 'tlswarden-encrypt/unix');
    assert.match(entry, / 7 +smtp /u);
    assert.match(entry, /-o smtp_tls_policy_maps= /u);
    assert.ok(entry.includes(own), entry);
  });
});
