// A gateway with a relayhost: outgoing mail goes there over TLS where its sender's domain requires it, and a hosted domain
// without a next hop keeps what it requires.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Destination } from '../harness/destination.ts';
import { Site, trusted } from '../harness/site.ts';
import type { Server } from '../harness/smtp-client.ts';
import { Workspace } from '../harness/workspace.ts';

describe('with a relayhost', () => {
  let workspace: Workspace;
  let site: Site;
  let relay: Destination;
  let doors: readonly (Server | undefined)[];

  before(async () => {
    workspace = await Workspace.create();
    site = await Site.open(workspace);
    relay = await site.server('relay.example');
    const inside = await site.server('mx.inside.example');
    const open = await site.server('mx.open.example', { certificateNames: [], mxOf: ['by-mx.example'] });
    await site.start({
      settled: true,
      relayhost: relay.nexthop,
      domains: {
        ...{ 'all.example': inside, 'all.test': inside, 'some.example': inside, 'checked.example': inside },
        ...{ 'free.example': inside, 'open.example': open, 'by-mx.example': undefined },
      },
      settings: {
        senders: `
          [domains."all.example"]
          aliases = ["all.test"]
          nexthop = "${inside.nexthop}"
          outgoing.delivery = { require_tls = "always" }
          [domains."some.example"]
          nexthop = "${inside.nexthop}"
          outgoing.delivery = { require_tls = "specific", senders = ["payroll"] }
          [domains."checked.example"]
          nexthop = "${inside.nexthop}"
          outgoing.delivery = { require_tls = "always", level = "secure", certificate_names = "relay.example" }
          [domains."free.example"]
          nexthop = "${inside.nexthop}"
        `,
        recipients: `
          [domains."open.example"]
          nexthop = "${open.nexthop}"
          [domains."by-mx.example"]
          incoming.delivery = { require_tls = "always" }
        `,
      },
    });
    doors = [undefined, await site.sideDoor()];
  });
  after(() => workspace.dispose());

  async function assertOutcome(from: string, to: string, expected: string): Promise<void> {
    for (const door of doors) {
      const sent = await site.send({ from, to, ...trusted, ...(door && { door }) });
      assert.equal(await site.outcome(sent), expected, `${from} to ${to}`);
    }
  }

  const away = 'u@far.example';

  test('mail from a domain that always requires TLS goes there by the transport that compels it', async () => {
    for (const from of ['u@all.example', 'u+x@ALL.test'])
      await assertOutcome(from, away, 'TLSv1.3 at relay.example by tlswarden-encrypt');
  });

  test('of a domain that lists senders, only their mail does', async () => {
    await assertOutcome('payroll@some.example', away, 'TLSv1.3 at relay.example by tlswarden-encrypt');
    await assertOutcome('payroll+june@some.example', away, 'TLSv1.3 at relay.example by tlswarden-encrypt');
    await assertOutcome('user@some.example', away, 'TLSv1.3 at relay.example by smtp');
  });

  test('its certificate is checked for those who ask for that', async () => {
    await assertOutcome('u@checked.example', away, 'TLSv1.3 at relay.example by tlswarden-secure');
    const good = relay.certificate;
    relay.certificate = await site.authority.issue(['somebody.else.example']);
    await assertOutcome('wary@checked.example', away, 'deferred by tlswarden-secure: Server certificate not verified');
    relay.certificate = good;
  });

  test('mail that must have TLS waits if it offers none; other mail goes', async () => {
    relay.starttls = false;
    const waiting = 'deferred by tlswarden-encrypt: TLS is required, but was not offered';
    await assertOutcome('u@all.example', away, waiting);
    await assertOutcome('u@free.example', away, 'plaintext at relay.example by smtp');
    relay.starttls = true;
  });

  test('mail to a hosted domain without a next hop has its TLS, whoever sends it', async () => {
    for (const from of ['u@free.example', '', 'u@all.example'])
      await assertOutcome(
        from,
        'u@by-mx.example',
        'deferred by tlswarden-encrypt: TLS is required, but was not offered',
      );
  });

  test('none of this needs a FILTER', async () => {
    assert.deepEqual(await site.filtered(), []);
  });

  test('what a sender requires holds to hosted recipients too, by FILTER to their own server', async () => {
    const inside = await site.send({ from: 'u@all.example', to: 'u@free.example', ...trusted });
    assert.equal(await site.outcome(inside), 'TLSv1.3 at mx.inside.example by tlswarden-encrypt');
    const open = await site.send({ from: 'u@all.example', to: 'u@open.example', ...trusted });
    assert.equal(await site.outcome(open), 'deferred by tlswarden-encrypt: TLS is required, but was not offered');
    const other = await site.send({ from: 'user@some.example', to: 'u@open.example', ...trusted });
    assert.equal(await site.outcome(other), 'plaintext at mx.open.example by smtp');
    assert.equal((await site.filtered()).length, 4);
  });
});
