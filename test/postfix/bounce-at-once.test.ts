// Mail that cannot have its TLS waits, or, where the domain asks for that (on_failure = "bounce"), goes back at once with the
// reason. Either way it never leaves without. Troubles that TLS has no part in make mail wait, whatever the domain asks.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Authority, type Certificate } from '../harness/certificates.ts';
import { Destination } from '../harness/destination.ts';
import { Gateway } from '../harness/gateway.ts';
import { NameServer } from '../harness/name-server.ts';
import { sendMessage } from '../harness/send-message.ts';
import { Workspace } from '../harness/workspace.ts';

const from = 'sender@origin.example';

/** By MX the table is another one than by next hop. */
const ways = ['mx-table', 'mx-filter', 'nexthop-table', 'nexthop-filter'] as const;

describe('mail that cannot have its TLS', () => {
  let workspace: Workspace;
  let right: Certificate;
  let wrong: Certificate;
  /** Where notifications go to. */
  let origin: Destination;
  /** Each requirement has a server of its own. */
  const destinations = new Map<string, Destination>();
  let gateway: Gateway;

  before(async () => {
    workspace = await Workspace.create();
    const authority = await Authority.create(workspace);
    const names = await NameServer.start(workspace);
    wrong = await authority.issue(['elsewhere.example']);
    right = await authority.issue(['mx.test']);
    origin = await Destination.start(workspace, { name: 'origin' });
    names.setMailHost('origin.example', 'mx.origin.example', origin.address);
    const settings: string[] = [];
    for (const onFailure of ['defer', 'bounce']) {
      for (const way of ways) {
        const domain = `${onFailure}-${way}.example`;
        const destination = await Destination.start(workspace, { name: domain });
        destinations.set(domain, destination);
        names.setMailHost(domain, `mx.${domain}`, destination.address);
        settings.push(
          `[domains."${domain}"]`,
          way.startsWith('mx') ? '' : `nexthop = "${destination.nexthop}"`,
          `[domains."${domain}".incoming.delivery]`,
          way.endsWith('table') ? 'require_tls = "always"' : `require_tls = "specific"\nsenders = "${from}"`,
          `level = "verify"\ncertificate_names = ["mx.test"]\non_failure = "${onFailure}"`,
        );
      }
    }
    gateway = await Gateway.start(workspace, {
      nameServer: names.address,
      settled: true,
      settings: { all: settings.join('\n') },
      parameters: {
        relay_domains: [...destinations.keys()].join(' '),
        smtp_tls_CAfile: authority.caFile,
        minimal_backoff_time: '100s',
        maximal_backoff_time: '100s',
      },
    });
  });
  after(() => workspace.dispose());

  /** The server of a domain shows this certificate, or has no TLS. */
  function show(domain: string, certificate: Certificate | undefined): Destination {
    const destination = destinations.get(domain);
    assert.ok(destination !== undefined);
    destination.starttls = certificate !== undefined;
    destination.certificate = certificate;
    destination.messages.length = 0;
    return destination;
  }

  async function send(id: string, to: string): Promise<void> {
    const sent = await sendMessage(gateway.postfix, { id, from, to: [to] });
    assert.equal(sent.data?.code, 250, sent.data?.text);
  }

  async function goesBack(domain: string, status: string): Promise<void> {
    const to = `user@${domain}`;
    const notification = await origin.waitForMessage(({ data }) => data.includes(`Final-Recipient: rfc822; ${to}`));
    origin.messages.length = 0;
    assert.equal(notification.from, '');
    assert.match(notification.data, new RegExp(`^Status: ${status.replaceAll('.', '\\.')}$`, 'm'));
    assert.match(notification.data, /^Action: failed$/m);
    await gateway.postfix.waitForQueue((queue) => queue.length === 0);
    assert.deepEqual(destinations.get(domain)?.messages, []);
  }

  for (const way of ways) {
    test(`goes back at once if the domain asks for that, ${way.replace('-', ' by ')}`, async () => {
      const domain = `bounce-${way}.example`;
      show(domain, undefined);
      await send(`${way}-none`, `user@${domain}`);
      await goesBack(domain, '5.7.4');
      show(domain, wrong);
      await gateway.postfix.flush();
      await send(`${way}-wrong`, `user@${domain}`);
      await goesBack(domain, '5.7.5');
    });

    test(`waits, and goes when the server gets its TLS, ${way.replace('-', ' by ')}`, async () => {
      const domain = `defer-${way}.example`;
      const destination = show(domain, undefined);
      await send(way, `user@${domain}`);
      const waits = async (reason: RegExp): Promise<void> => {
        await gateway.postfix.waitForQueue((queue) =>
          queue.some(
            ({ queue_name: name, recipients }) => name === 'deferred' && reason.test(recipients[0]?.delay_reason ?? ''),
          ),
        );
      };
      await waits(/TLS is required, but was not offered/);
      show(domain, wrong);
      await gateway.postfix.flush();
      await waits(/certificate not verified/);
      show(domain, right);
      await gateway.postfix.flush();
      const message = await destination.waitForMessage(way);
      assert.ok(message.tls !== undefined);
      await gateway.postfix.waitForQueue((queue) => queue.length === 0);
      assert.equal(destination.messages.length, 1);
      assert.deepEqual(origin.messages, []);
    });
  }

  test('of a server that is down waits, even if the domain asks for mail to go back', async () => {
    const domain = 'bounce-mx-table.example';
    const destination = show(domain, right);
    await destination.down();
    await send('down', `user@${domain}`);
    await gateway.postfix.waitForQueue(([message]) => message?.queue_name === 'deferred');
    assert.deepEqual(origin.messages, []);
    await destination.up();
    await gateway.postfix.flush();
    assert.ok((await destination.waitForMessage('down')).tls !== undefined);
  });
});
