// The service may die at any moment, and what it knew of messages under way dies with it. Then a message goes where it
// belongs, as it must, or its client is told to try again: never to a wrong server, never in plaintext that is not allowed.

import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { Authority } from '../harness/certificates.ts';
import { deliveriesAt, wordDeliveries } from '../harness/deliveries.ts';
import { Destination } from '../harness/destination.ts';
import { Gateway } from '../harness/gateway.ts';
import { messageText } from '../harness/send-message.ts';
import { sendSplitting } from '../harness/send-splitting.ts';
import { type Reply, SmtpClient } from '../harness/smtp-client.ts';
import { waitFor } from '../harness/wait-for.ts';
import { Workspace } from '../harness/workspace.ts';

const from = 'someone@partner.example';
const known = [
  'payroll@tls.example',
  'clerk@tls.example',
  'user@clear.example',
  'clerk@clear.example',
  'user@other.example',
];
const [payroll = '', clerk = '', user = '', colleague = '', other = ''] = known;

/** tls.example and other.example ask for TLS and have it; clear.example has none and asks for none. */
describe('when the service is killed and started again', () => {
  let workspace: Workspace;
  let gateway: Gateway;
  const destinations: Destination[] = [];
  let client: SmtpClient;

  before(async () => {
    workspace = await Workspace.create();
    const authority = await Authority.create(workspace);
    const certificate = await authority.issue(['mx.test']);
    for (const name of ['tls.example', 'clear.example', 'other.example']) {
      destinations.push(
        await Destination.start(workspace, { name, ...(name === 'clear.example' ? {} : { certificate }) }),
      );
    }
    const required = 'incoming.delivery = { require_tls = "always" }';
    gateway = await Gateway.start(workspace, {
      parameters: {
        relay_domains: destinations.map(({ name }) => name).join(' '),
        relay_recipient_maps: `inline:{ ${known.map((address) => `${address}=known`).join(', ')} }`,
        transport_maps: `inline:{ ${destinations.map(({ name, nexthop }) => `${name}=smtp:${nexthop}`).join(', ')} }`,
      },
      settings: {
        all: destinations
          .map(({ name, nexthop }) =>
            [`[domains."${name}"]`, `nexthop = "${nexthop}"`, name === 'clear.example' ? '' : required].join('\n'),
          )
          .join('\n'),
      },
    });
  });
  after(() => workspace.dispose());

  beforeEach(async () => {
    for (const { messages } of destinations) messages.length = 0;
    client = await SmtpClient.connect(gateway.postfix);
    await client.ehlo();
    assert.equal((await client.mailFrom(from)).code, 250);
  });

  async function restart(): Promise<void> {
    await gateway.kill();
    await gateway.serve();
  }

  async function rcpt(to: string, code = 250): Promise<void> {
    const reply = await client.rcptTo(to);
    assert.equal(reply.code, code, `${to}: ${reply.text}`);
  }

  async function data(id: string, to: readonly string[] = []): Promise<Reply> {
    const reply = await client.data(messageText({ id, from, to }));
    await client.quit();
    return reply;
  }

  /** Has the client try again, and sees that each recipient gets one copy where it belongs, and that there was none before. */
  async function tryAgain(id: string, to: readonly string[]): Promise<void> {
    assert.deepEqual(await gateway.postfix.queue(), []);
    assert.deepEqual(deliveriesAt(destinations), []);
    await sendSplitting(gateway.postfix, { id, from, to });
    await arrives(id, to);
  }

  async function arrives(id: string, to: readonly string[]): Promise<void> {
    await waitFor(
      () => deliveriesAt(destinations).length >= to.length,
      () => `copies for ${to.join(', ')}; there are ${wordDeliveries(deliveriesAt(destinations)).join('\n')}`,
    );
    await gateway.postfix.waitForQueue((queue) => queue.length === 0);
    assert.deepEqual(
      wordDeliveries(deliveriesAt(destinations)),
      to
        .map((address) => {
          const domain = address.replace(/.*@/, '');
          return `${id} ${address} at ${domain} ${domain === 'clear.example' ? 'in plaintext' : 'over TLS'}`;
        })
        .sort(),
    );
  }

  for (const [what, first, second] of [
    ['from one lane to another', payroll, other],
    ['from a lane to none', payroll, user],
    ['from no lane to one', user, payroll],
  ] as const) {
    test(`between two recipients, ${what}, the client is told to try again`, async () => {
      await rcpt(first);
      await restart();
      await rcpt(second);
      const id = what.replaceAll(' ', '-');
      assert.match((await data(id)).text, /^451 4\.3\.0 /);
      await tryAgain(id, [first, second]);
    });
  }

  test('between two recipients of one lane, the client is told to try again', async () => {
    await rcpt(payroll);
    await restart();
    await rcpt(clerk);
    assert.match((await data('same')).text, /^451 4\.3\.0 /);
    await tryAgain('same', [payroll, clerk]);
  });

  test('between the recipients and DATA, the client is told to try again', async () => {
    await rcpt(payroll);
    await rcpt(clerk);
    await restart();
    assert.match((await data('data')).text, /^451 4\.3\.0 /);
    await tryAgain('data', [payroll, clerk]);
  });

  test('between recipients without a lane and DATA, the client is told to try again', async () => {
    await rcpt(user);
    await rcpt(colleague);
    await restart();
    assert.match((await data('plain')).text, /^451 4\.3\.0 /);
    await tryAgain('plain', [user, colleague]);
  });

  test('between the one recipient and DATA, the message goes as it must', async () => {
    await rcpt(payroll);
    await restart();
    assert.equal((await data('one')).code, 250);
    await arrives('one', [payroll]);
  });

  test('after a recipient with a lane that Postfix itself refused, one without has to try again', async () => {
    await rcpt('nobody@tls.example', 550);
    await gateway.postfix.waitForLog(/filter: RCPT .* triggers FILTER tlswarden-encrypt:.* to=<nobody@tls\.example>/);
    await restart();
    await rcpt(user);
    assert.match((await data('refused')).text, /^451 4\.3\.0 /);
    await tryAgain('refused', [user]);
  });

  test('after a recipient with a lane that Postfix itself refused, one with another lane goes by its own', async () => {
    await rcpt('nobody@tls.example', 550);
    await restart();
    await rcpt(other);
    assert.equal((await data('overtaken')).code, 250);
    await arrives('overtaken', [other]);
  });

  test('while it is away, nobody is let in, and what was let in before waits', async () => {
    await rcpt(payroll);
    await gateway.kill();
    const refused = await client.rcptTo(user);
    assert.match(refused.text, /^451 4\.3\.5 /);
    assert.match((await data('away')).text, /^451 4\.3\.5 /);
    await gateway.serve();
    await tryAgain('away', [payroll, user]);
  });

  test('a client that keeps its session sends again what it was told to', async () => {
    await rcpt(payroll);
    await restart();
    await rcpt(user);
    assert.match((await client.data(messageText({ id: 'session', from, to: [] }))).text, /^451 4\.3\.0 /);
    await client.reset();
    for (const to of [payroll, user]) {
      await client.mailFrom(from);
      await rcpt(to);
      assert.equal((await client.data(messageText({ id: 'session', from, to: [to] }))).code, 250);
    }
    await client.quit();
    await arrives('session', [payroll, user]);
  });

  test('and even if it is not, a recipient with a lane that Postfix itself refused does not move one without', async () => {
    await rcpt('nobody@tls.example', 550);
    const apart = await client.rcptTo(user);
    assert.match(apart.text, /^452 4\.5\.3 /);
    await client.quit();
    await tryAgain('apart', [user]);
  });
});
