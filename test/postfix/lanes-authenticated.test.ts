// A mail program cannot send a message in parts. So in an authenticated session a recipient joins a lane that does right by it,
// and only where none does is it asked to come separately. Anybody else's recipients have to have the very same lane.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Authority } from '../harness/certificates.ts';
import { type Delivery, deliveriesAt, wordDeliveries } from '../harness/deliveries.ts';
import { Destination } from '../harness/destination.ts';
import { Gateway } from '../harness/gateway.ts';
import { type Sending, sendMessage } from '../harness/send-message.ts';
import { waitFor } from '../harness/wait-for.ts';
import { Workspace } from '../harness/workspace.ts';

const user = { ADDR: '192.0.2.25', LOGIN: 'fred' };
const server = { ADDR: '192.0.2.25' };
const from = 'fred@elsewhere.example';

describe('in a message', () => {
  let workspace: Workspace;
  let gateway: Gateway;
  const destinations: Destination[] = [];

  before(async () => {
    workspace = await Workspace.create();
    const authority = await Authority.create(workspace);
    const certificate = await authority.issue(['mx.test']);
    for (const name of ['shared', 'other']) {
      destinations.push(await Destination.start(workspace, { name, certificate }));
    }
    const [shared = '', other = ''] = destinations.map(({ nexthop }) => nexthop);
    gateway = await Gateway.start(workspace, {
      parameters: {
        mynetworks: '192.0.2.0/24',
        relay_domains: 'some.example weak.example strong.example other.example',
        transport_maps: `inline:{ some.example=smtp:${shared}, other.example=smtp:${other} }`,
        smtp_tls_CAfile: authority.caFile,
      },
      settings: {
        all: `[domains."some.example"]
          nexthop = "${shared}"
          incoming.delivery = { require_tls = "specific", recipients = "payroll" }
          [domains."weak.example"]
          nexthop = "${shared}"
          incoming.delivery = { require_tls = "always", level = "encrypt" }
          [domains."strong.example"]
          nexthop = "${shared}"
          incoming.delivery = { require_tls = "always", level = "verify", certificate_names = ["mx.test"] }
          [domains."other.example"]
          nexthop = "${other}"
          incoming.delivery = { require_tls = "always", level = "encrypt" }`,
      },
    });
  });
  after(() => workspace.dispose());

  /** Sends it once, and tells who was accepted when these have their copies. */
  async function accepted(sending: Omit<Sending, 'from'>): Promise<readonly string[]> {
    const sent = await sendMessage(gateway.postfix, { from, ...sending });
    const codes = sent.recipients.map(({ text }) => text.slice(0, 9));
    assert.deepEqual(
      codes.filter((code) => code !== '250 2.1.5' && code !== '452 4.5.3'),
      [],
    );
    assert.equal(sent.data?.code, 250);
    const its = sending.to.filter((_, i) => codes[i] === '250 2.1.5');
    const copies = (): readonly Delivery[] => deliveriesAt(destinations).filter(({ id }) => id === sending.id);
    await waitFor(
      () => copies().length >= its.length,
      () => `copies of ${its.join(', ')}; there are ${wordDeliveries(copies()).join('\n')}`,
    );
    await gateway.postfix.waitForQueue((queue) => queue.length === 0);
    assert.deepEqual(
      wordDeliveries(copies()),
      its.map((to) => `${sending.id} ${to} at ${to.endsWith('other.example') ? 'other' : 'shared'} over TLS`).sort(),
    );
    return its;
  }

  const [payroll, anybody, weak, strong, other] = [
    'payroll@some.example',
    'anybody@some.example',
    'user@weak.example',
    'user@strong.example',
    'user@other.example',
  ];

  test('of a mail program, who needs nothing or less joins who needs more, at one next hop', async () => {
    const to = [strong, weak, anybody, payroll];
    assert.deepEqual(await accepted({ id: 'joins', to, xclient: user }), to);
  });

  test('of a mail program, all go by the lane that the first one fixed, not by one that a later one would have', async () => {
    await accepted({ id: 'first', to: [strong, weak, anybody], xclient: user });
    await gateway.postfix.waitForLog(/tlswarden-verify\/smtp\[\d+\]: .*to=<anybody@some\.example>.*status=sent/);
  });

  test('of a mail program, who needs more than the first one comes separately', async () => {
    assert.deepEqual(await accepted({ id: 'more', to: [anybody, payroll, weak], xclient: user }), [anybody]);
    assert.deepEqual(await accepted({ id: 'stronger', to: [weak, strong, anybody], xclient: user }), [weak, anybody]);
  });

  test('of a mail program, who belongs at another server comes separately', async () => {
    assert.deepEqual(await accepted({ id: 'place', to: [weak, other, anybody], xclient: user }), [weak, anybody]);
  });

  test('of a mail server, only who has the same lane comes along', async () => {
    const to = [weak, anybody, payroll, strong, other];
    assert.deepEqual(await accepted({ id: 'server', to, xclient: server }), [weak, payroll]);
  });
});
