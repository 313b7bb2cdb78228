// Domains with a next hop of their own, by the tables alone: each gets the TLS that it asks for, also where many share one
// server. The same holds for mail that comes in where no policy service is asked.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Site } from '../harness/site.ts';
import type { Server } from '../harness/smtp-client.ts';
import { Workspace } from '../harness/workspace.ts';

describe('the tables, for domains with a next hop', () => {
  let workspace: Workspace;
  let site: Site;
  let doors: readonly (Server | undefined)[];

  before(async () => {
    workspace = await Workspace.create();
    site = await Site.open(workspace);
    const secure = await site.server('mx.secure.example');
    const plain = await site.server('mx.plain.example', { certificateNames: [] });
    const wrong = await site.server('mx.wrong.example', { certificateNames: ['somebody.else.example'] });
    const old = await site.server('mx.old.example');
    old.maxVersion = 'TLSv1.2';
    const pinned = await site.server('mx.pinned.example');
    const foreign = await site.authority.issue(['mx.wrong.example']);
    const at = (name: string, nexthop: string, more: string): string =>
      `[domains."${name}"]\nnexthop = "${nexthop}"\n${more}\n`;
    await site.start({
      settled: true,
      domains: {
        ...{ 'always.example': secure, 'always.test': secure, 'free.example': secure, 'verified.example': secure },
        ...{ 'must.example': plain, 'sub.must.example': plain, 'some.example': plain, 'some.test': plain },
        ...{ 'back.example': plain, 'trial.example': plain, 'named.example': wrong, 'unnamed.example': wrong },
        ...{ 'newest.example': old, 'beside.example': old, 'keyed.example': pinned, 'misled.example': wrong },
      },
      settings: {
        secure: [
          at('always.example', secure.nexthop, 'aliases = ["always.test"]\nincoming.delivery.require_tls = "always"'),
          at('free.example', secure.nexthop, ''),
          at(
            'verified.example',
            secure.nexthop,
            'incoming.delivery = { require_tls = "always", level = "secure", certificate_names = "mx.secure.example" }',
          ),
        ].join('\n'),
        plain: [
          at('must.example', plain.nexthop, 'incoming.delivery.require_tls = "always"'),
          at('sub.must.example', plain.nexthop, ''),
          at(
            'some.example',
            plain.nexthop,
            'aliases = ["some.test"]\nincoming.delivery = { require_tls = "specific", recipients = "payroll, legal@some.test" }',
          ),
          at('back.example', plain.nexthop, 'incoming.delivery = { require_tls = "always", on_failure = "bounce" }'),
          at('trial.example', plain.nexthop, 'incoming.delivery = { require_tls = "always", enforcement = "monitor" }'),
        ].join('\n'),
        wrong: [
          at(
            'named.example',
            wrong.nexthop,
            'incoming.delivery = { require_tls = "always", level = "verify", certificate_names = ["mx.wrong.example"], fingerprints = [] }',
          ),
          at('unnamed.example', wrong.nexthop, 'incoming.delivery = { require_tls = "always", level = "encrypt" }'),
          at(
            'misled.example',
            wrong.nexthop,
            `incoming.delivery = { require_tls = "always", level = "fingerprint", fingerprints = "${foreign.publicKeyFingerprint}" }`,
          ),
        ].join('\n'),
        old: [
          at('newest.example', old.nexthop, 'incoming.delivery = { require_tls = "always", protocols = ">=TLSv1.3" }'),
          at('beside.example', old.nexthop, 'incoming.delivery = { require_tls = "specific", recipients = "payroll" }'),
        ].join('\n'),
        pinned: at(
          'keyed.example',
          pinned.nexthop,
          `incoming.delivery = { require_tls = "always", level = "fingerprint", fingerprints = "${pinned.certificate?.publicKeyFingerprint}" }`,
        ),
      },
    });
    doors = [undefined, await site.sideDoor()];
  });
  after(() => workspace.dispose());

  /** Sends through the front door and through the one where no policy service is asked. */
  async function assertOutcome(to: string, expected: string): Promise<void> {
    for (const door of doors) {
      const sent = await site.send({ from: 'a@partner.example', to, ...(door && { door }) });
      assert.equal(await site.outcome(sent), expected, `${to} by ${door === undefined ? 'smtpd' : 'the side door'}`);
    }
  }

  const notOffered = 'TLS is required, but was not offered';

  test('deliver over TLS where it is required, with whatever certificate', async () => {
    await assertOutcome('u@always.example', 'TLSv1.3 at mx.secure.example by tlswarden-encrypt');
    await assertOutcome('u@unnamed.example', 'TLSv1.3 at mx.wrong.example by tlswarden-encrypt');
  });

  test('hold for an alias, an extension and any case', async () => {
    for (const to of ['u@always.test', 'u+x@always.example', 'U@Always.EXAMPLE'])
      await assertOutcome(to, 'TLSv1.3 at mx.secure.example by tlswarden-encrypt');
  });

  test('let mail wait that would go in plaintext', async () => {
    await assertOutcome('u@must.example', `deferred by tlswarden-encrypt: ${notOffered}`);
  });

  test('do not hold for a hosted subdomain that asks for nothing', async () => {
    await assertOutcome('u@sub.must.example', 'plaintext at mx.plain.example by smtp');
  });

  test('hold for listed recipients under all names of their domain, and for nobody else', async () => {
    for (const to of ['payroll@some.example', 'payroll+june@some.test', 'legal@some.example', 'Legal@some.test'])
      await assertOutcome(to, `deferred by tlswarden-encrypt: ${notOffered}`);
    await assertOutcome('user@some.example', 'plaintext at mx.plain.example by smtp');
  });

  test('send mail back that cannot have its TLS where the domain says on_failure = "bounce"', async () => {
    await assertOutcome('u@back.example', `bounced by tlswarden-encrypt-bounce: ${notOffered}`);
  });

  test('hold nothing that is under monitor', async () => {
    await assertOutcome('u@trial.example', 'plaintext at mx.plain.example by smtp');
  });

  test('leave others at the same server alone', async () => {
    await assertOutcome('u@free.example', 'TLSv1.3 at mx.secure.example by smtp');
  });

  test('check names of certificates where a level asks for it', async () => {
    await assertOutcome('u@verified.example', 'TLSv1.3 at mx.secure.example by tlswarden-secure');
    await assertOutcome('u@named.example', 'deferred by tlswarden-verify: Server certificate not verified');
  });

  test('check fingerprints', async () => {
    await assertOutcome('u@keyed.example', 'TLSv1.3 at mx.pinned.example by tlswarden-fingerprint');
    await assertOutcome('u@misled.example', 'deferred by tlswarden-fingerprint: Server certificate not verified');
  });

  test('ask for the newest version that any of those at one server asks for', async () => {
    await assertOutcome('u@newest.example', 'deferred by tlswarden-encrypt: Cannot start TLS: handshake failure');
    await assertOutcome('payroll@beside.example', 'deferred by tlswarden-encrypt: Cannot start TLS: handshake failure');
    await assertOutcome('user@beside.example', 'TLSv1.2 at mx.old.example by smtp');
  });

  test('give each recipient of one message its own, in one transaction', async () => {
    for (const door of doors) {
      const to = ['payroll@some.example', 'user@some.example', 'u@always.example', 'u@free.example'];
      const sent = await site.send({ from: 'a@partner.example', to, ...(door && { door }) });
      assert.deepEqual(
        sent.recipients.map(({ code }) => code),
        [250, 250, 250, 250],
      );
      const outcomes = await Promise.all(to.map((recipient) => site.outcome(sent, recipient)));
      assert.deepEqual(outcomes, [
        `deferred by tlswarden-encrypt: ${notOffered}`,
        'plaintext at mx.plain.example by smtp',
        'TLSv1.3 at mx.secure.example by tlswarden-encrypt',
        'TLSv1.3 at mx.secure.example by smtp',
      ]);
    }
  });

  test('deliver what waited when TLS is there', async () => {
    const [must] = site.destinations.filter(({ name }) => name === 'mx.plain.example');
    assert.ok(must);
    const sent = await site.send({ from: 'a@partner.example', to: 'late@must.example' });
    assert.equal((await site.fate(sent)).status, 'deferred');
    must.certificate = await site.authority.issue(['mx.plain.example']);
    must.starttls = true;
    await site.gateway.postfix.flush();
    assert.equal((await must.waitForMessage(sent.id)).tls?.version, 'TLSv1.3');
    must.starttls = false;
  });

  test('need no FILTER for any of this', async () => {
    assert.deepEqual(await site.filtered(), []);
  });
});
