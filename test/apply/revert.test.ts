import assert from 'node:assert/strict';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { Host } from './host.ts';

describe('postfix revert', { concurrency: 4 }, () => {
  it('keeps what somebody has changed since, and says so', async (t) => {
    const host = await Host.of(t, {
      parameters: { smtp_tls_security_level: 'none', transport_maps: 'inline:{ b.example=smtp:[x] }' },
    });
    const { main } = await host.files();
    await host.told('apply');
    const applied = await host.files();
    await host.write({
      main: applied.main
        .replace('smtpd_tls_security_level = may', 'smtpd_tls_security_level = encrypt')
        .replace('inline:{ b.example=smtp:[x] }', 'inline:{ b.example=smtp:[y] }, lmdb:/z')
        .concat('smtpd_sender_restrictions = check_sender_access inline:{ q=tlswarden_tls }\n'),
    });
    const dry = await host.attempt(['postfix', 'revert', '--dry-run']);
    assert.match(dry.stdout, /^-smtp_tls_security_level = may\n\+smtp_tls_security_level = none$/mu);
    const { notes } = await host.told('revert');
    assert.deepEqual(notes, [
      'Somebody has changed it since apply set it, so it stays: smtpd_tls_security_level = encrypt',
      "This still names what is tlswarden's: smtpd_sender_restrictions",
    ]);
    assert.equal(
      (await host.files()).main,
      main
        .replace('smtp:[x] }', 'smtp:[y] }, lmdb:/z')
        .concat(
          'smtpd_tls_security_level = encrypt\nsmtpd_sender_restrictions = check_sender_access inline:{ q=tlswarden_tls }\n',
        ),
    );
    assert.equal(await host.value('-h', 'plaintext_reject_code'), '450');
  });

  it('takes out several applies, and what stood there before the first comes back', async (t) => {
    const host = await Host.of(t);
    const before = await host.files();
    for (const listen of ['127.0.0.1:10040', 'unix:/run/a']) {
      await host.mainFile({ listen });
      await host.told('apply');
    }
    await host.told('revert');
    const after = await host.files();
    assert.deepEqual([after.main, after.master], [before.main, before.master]);
  });

  const BY_HAND = 'check_policy_service inet:127.0.0.1:10040';
  const LISTS = {
    smtpd_recipient_restrictions: `reject_non_fqdn_recipient, reject_unauth_destination, ${BY_HAND}, permit`,
    smtpd_data_restrictions: `reject_unauth_pipelining, ${BY_HAND}`,
  };
  const STILL_NAMED = [
    "This still names what is tlswarden's: smtpd_recipient_restrictions",
    "This still names what is tlswarden's: smtpd_data_restrictions",
  ];

  it('leaves a call of the service that somebody had written before apply, and says so', async (t) => {
    const service = `2525 inet n - n - - smtpd -o { smtpd_recipient_restrictions = reject_unauth_destination, ${BY_HAND} }`;
    const host = await Host.of(t, { parameters: LISTS, services: [service] });
    const before = await host.files();
    await host.told('apply');
    const applied = await host.files();
    assert.doesNotMatch(applied.main + applied.master, /check_policy_service inet/u);
    const { notes } = await host.told('revert');
    const after = await host.files();
    assert.deepEqual([after.main, after.master], [before.main, before.master]);
    assert.deepEqual([...notes].sort(), [...STILL_NAMED, "This still names what is tlswarden's: 2525/inet"].sort());
    assert.deepEqual((await host.told('revert')).changed, false);
  });

  it('leaves it also where the lists have changed since, or apply has changed them several times', async (t) => {
    const host = await Host.of(t, { parameters: LISTS });
    for (const listen of ['127.0.0.1:10040', '127.0.0.1:10099']) {
      await host.mainFile({ listen });
      await host.told('apply');
      const { main } = await host.files();
      await host.write({
        main: main.replace(/^(smtpd_\w+_restrictions = )/gmu, `$1warn_if_reject reject_${listen.slice(-5)}, `),
      });
    }
    await host.told('revert');
    const added = 'warn_if_reject reject_10099, warn_if_reject reject_10040, ';
    for (const [parameter, value] of Object.entries(LISTS)) {
      const now = await host.value('-h', parameter);
      assert.deepEqual(now.split(', ').sort(), (added + value).split(', ').sort());
    }
  });

  it('takes out its own call also where somebody has changed that', async (t) => {
    const host = await Host.of(t, { parameters: { smtpd_recipient_restrictions: LISTS.smtpd_recipient_restrictions } });
    await host.told('apply');
    const { main } = await host.files();
    const changed = main.replaceAll(/, \{ default_action = [^}]*\}/gu, '');
    assert.notEqual(changed, main);
    await host.write({ main: changed });
    await host.told('revert');
    assert.equal(await host.value('-h', 'smtpd_recipient_restrictions'), LISTS.smtpd_recipient_restrictions);
    assert.equal(await host.value('-h', 'smtpd_data_restrictions'), '');
  });

  it('takes its own call for none that stood there before, though a record of an older version does', async (t) => {
    const host = await Host.of(t);
    await host.told('apply');
    const value = await host.value('-h', 'smtpd_recipient_restrictions');
    const file = host.backup('applied.json');
    const { record } = JSON.parse(await readFile(file, 'utf8'));
    record.parameters.smtpd_recipient_restrictions = { before: value, after: `${value}, permit` };
    await writeFile(file, JSON.stringify({ record }));
    await host.told('revert');
    assert.doesNotMatch(await host.value('-h', 'smtpd_recipient_restrictions'), /check_policy_service/u);
  });

  it('without a record leaves a call that it would not have written', async (t) => {
    const host = await Host.of(t, { parameters: LISTS });
    const before = await host.files();
    const { changed, notes } = await host.told('revert');
    assert.deepEqual([changed, [...notes].sort()], [false, [...STILL_NAMED].sort()]);
    assert.deepEqual((await host.files()).main, before.main);
  });

  it("without a record takes out what is plainly tlswarden's, whatever the main file says now", async (t) => {
    const host = await Host.of(t, { services: ['tlswarden-mine unix - - n - - smtp'] });
    const { master } = await host.files();
    await host.told('apply');
    await rm(host.backup(), { recursive: true });
    await host.mainFile({ listen: '127.0.0.1:10099', maps: 'others' });
    await host.writeTables();
    const { notes } = await host.told('revert');
    assert.match(notes.join('\n'), /^There is no record/u);
    const after = await host.files();
    assert.equal(after.master, master);
    assert.doesNotMatch(after.main, /tlswarden(?!-test)/u);
    assert.match(after.main, /^plaintext_reject_code = 550$/mu);
    assert.equal((await host.told('revert')).changed, false);
  });

  it('takes back first what was cut short', async (t) => {
    const host = await Host.of(t);
    const before = await host.files();
    // It is killed while it waits for postfix check.
    const programs = await host.workspace.program('postfix', 'kill -9 "$TLSWARDEN"; exit 1');
    const script = await host.workspace.write('killed', `#!/bin/sh\nTLSWARDEN=$$ PATH=${programs}:$PATH exec "$@"\n`);
    const killed = await host.attempt(['postfix', 'apply'], { through: ['sh', script] });
    assert.equal(killed.status, -1);
    const half = await host.files();
    assert.notEqual(half.main, before.main);
    assert.equal(await readFile(host.backup('pending.json'), 'utf8').then((text) => text.length > 0), true);
    const { stdout, stderr } = await host.attempt(['postfix', 'revert']);
    assert.deepEqual(
      [stdout, stderr],
      ['nothing to change\n', 'Note: A run that was cut short was taken back first.\n'],
    );
    const after = await host.files();
    assert.deepEqual([after.main, after.master], [before.main, before.master]);
  });
});
