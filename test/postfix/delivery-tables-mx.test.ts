// Domains whose mail goes by MX, without a relayhost, by the tables alone: tls_policy for those that always require TLS,
// transport for those that list recipients or want mail back, sender_transport for outgoing mail.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Site, trusted } from '../harness/site.ts';
import type { Server } from '../harness/smtp-client.ts';
import { Workspace } from '../harness/workspace.ts';

describe('the tables, for domains by MX', () => {
  let workspace: Workspace;
  let site: Site;
  let doors: readonly (Server | undefined)[];

  before(async () => {
    workspace = await Workspace.create();
    site = await Site.open(workspace);
    const idn = ['xn--bcher-kva.example', 'bücher.example'];
    const hosted = [
      ...['always.example', 'always.test', 'must.example', 'sub.must.example', 'some.example', 'back.example'],
      ...['named.example', 'misnamed.example', 'sender.example', 'sender.test', 'dane.example', 'undane.example'],
    ];
    await site.server('mx.secure.example', {
      certificateNames: ['mx.secure.example', 'named.example'],
      mxOf: ['always.example', 'always.test', 'named.example', 'misnamed.example', 'outside.example', 'sender.example'],
    });
    await site.server('mx.plain.example', {
      certificateNames: [],
      mxOf: [
        'must.example',
        'sub.must.example',
        'some.example',
        'back.example',
        'open.example',
        'xn--bcher-kva.example',
      ],
    });
    const dane = await site.server('mx.dane.example', { mxOf: ['dane.example', 'undane.example'] });
    site.names.setMailHost('dane.example', 'mx.dane.example', dane.address, [dane.certificate?.tlsa ?? '']);
    site.names.setMailHost('undane.example', 'mx.undane.example', dane.address, [`3 1 1 ${'00'.repeat(32)}`]);
    await site.start({
      settled: true,
      domains: Object.fromEntries([...hosted, ...idn].map((name) => [name, undefined])),
      settings: {
        incoming: `
          [domains."always.example"]
          aliases = ["always.test"]
          incoming.delivery = { require_tls = "always" }
          [domains."must.example"]
          incoming.delivery = { require_tls = "always" }
          [domains."sub.must.example"]
          [domains."some.example"]
          incoming.delivery = { require_tls = "specific", recipients = ["payroll"] }
          [domains."back.example"]
          incoming.delivery = { require_tls = "always", on_failure = "bounce" }
          [domains."named.example"]
          incoming.delivery = { require_tls = "always", level = "secure" }
          [domains."misnamed.example"]
          incoming.delivery = { require_tls = "always", level = "secure" }
          [domains."dane.example"]
          incoming.delivery = { require_tls = "always", level = "dane-only" }
          [domains."undane.example"]
          incoming.delivery = { require_tls = "always", level = "dane-only" }
          [domains."bücher.example"]
          incoming.delivery = { require_tls = "always" }
        `,
        outgoing: `
          [domains."sender.example"]
          aliases = ["sender.test"]
          outgoing.delivery = { require_tls = "specific", senders = ["payroll"] }
        `,
      },
    });
    doors = [undefined, await site.sideDoor()];
  });
  after(() => workspace.dispose());

  async function assertOutcome(to: string, expected: string, from = 'a@partner.example'): Promise<void> {
    for (const door of doors) {
      const smtputf8 = /[^ -~]/u.test(to);
      const sent = await site.send({ from, to, smtputf8, ...trusted, ...(door && { door }) });
      assert.equal(await site.outcome(sent), expected, `${from} to ${to}`);
    }
  }

  const notOffered = 'TLS is required, but was not offered';

  test('compel TLS on the route that Postfix takes anyway', async () => {
    for (const to of ['u@always.example', 'u@ALWAYS.test', 'u+x@always.example'])
      await assertOutcome(to, 'TLSv1.3 at mx.secure.example by smtp');
    await assertOutcome('u@must.example', `deferred by smtp: ${notOffered}`);
  });

  test('compel nothing at a hosted subdomain that asks for nothing', async () => {
    await assertOutcome('u@sub.must.example', 'plaintext at mx.plain.example by smtp');
  });

  test('compel TLS for listed recipients alone', async () => {
    await assertOutcome('payroll@some.example', `deferred by tlswarden-encrypt: ${notOffered}`);
    await assertOutcome('user@some.example', 'plaintext at mx.plain.example by smtp');
  });

  test('send mail back that cannot have its TLS where the domain says so', async () => {
    await assertOutcome('u@back.example', `bounced by tlswarden-encrypt-bounce: ${notOffered}`);
  });

  test('check that a certificate is for the domain where the level is secure', async () => {
    await assertOutcome('u@named.example', 'TLSv1.3 at mx.secure.example by smtp');
    await assertOutcome('u@misnamed.example', 'deferred by smtp: Server certificate not verified');
  });

  test('check the DNS where the level is dane-only', async () => {
    await assertOutcome('u@dane.example', 'TLSv1.3 at mx.dane.example by smtp');
    await assertOutcome('u@undane.example', 'deferred by smtp: Server certificate not verified');
  });

  test('hold for an internationalised domain, in A-labels and in U-labels', async () => {
    for (const to of ['u@xn--bcher-kva.example', 'u@bücher.example', 'u@BÜCHER.example'])
      await assertOutcome(to, `deferred by smtp: ${notOffered}`);
  });

  test('compel TLS for mail from listed senders to anywhere else', async () => {
    for (const from of ['payroll@sender.example', 'Payroll+x@SENDER.test']) {
      await assertOutcome('u@outside.example', 'TLSv1.3 at mx.secure.example by tlswarden-encrypt', from);
      await assertOutcome('u@open.example', `deferred by tlswarden-encrypt: ${notOffered}`, from);
    }
    await assertOutcome('u@open.example', 'plaintext at mx.plain.example by smtp', 'user@sender.example');
    await assertOutcome('u@outside.example', 'TLSv1.3 at mx.secure.example by smtp', 'user@sender.test');
  });

  test('need no FILTER for any of this', async () => {
    assert.deepEqual(await site.filtered(), []);
  });
});
