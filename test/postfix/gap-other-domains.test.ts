// A change of one domain's settings concerns that domain: the others' mail goes on by the tables that hold them, in the company
// that it had, while the changed one's goes by FILTER until the tables hold it too.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Authority } from '../harness/certificates.ts';
import { deliveriesAt, wordDeliveries } from '../harness/deliveries.ts';
import { Destination } from '../harness/destination.ts';
import { Gateway } from '../harness/gateway.ts';
import { sendMessage } from '../harness/send-message.ts';
import { waitFor } from '../harness/wait-for.ts';
import { Workspace } from '../harness/workspace.ts';

const from = 'someone@partner.example';
const domains = ['changing.example', 'always.example', 'listed.example', 'clear.example'] as const;
const always = 'incoming.delivery = { require_tls = "always" }';

test("one domain's change moves that domain's mail alone, whoever else is in a message", async (t) => {
  const workspace = await Workspace.of(t);
  const authority = await Authority.create(workspace);
  const certificate = await authority.issue(['mx.test']);
  const destinations: Destination[] = [];
  for (const name of domains) {
    destinations.push(
      await Destination.start(workspace, { name, ...(name === 'clear.example' ? {} : { certificate }) }),
    );
  }
  const settingsOf = (name: string, setting: string): string =>
    `[domains."${name}"]\nnexthop = "${destinations.find((each) => each.name === name)?.nexthop}"\n${setting}`;
  const gateway = await Gateway.start(workspace, {
    settled: true,
    parameters: {
      relay_domains: domains.join(' '),
      transport_maps: `inline:{ ${destinations.map(({ name, nexthop }) => `${name}=smtp:${nexthop}`).join(', ')} }`,
    },
    settings: {
      'changing.example': settingsOf('changing.example', ''),
      'always.example': settingsOf('always.example', always),
      'listed.example': settingsOf(
        'listed.example',
        'incoming.delivery = { require_tls = "specific", recipients = "payroll" }',
      ),
      'clear.example': settingsOf('clear.example', ''),
    },
  });
  const others = ['user@always.example', 'payroll@listed.example', 'user@listed.example', 'user@clear.example'];

  /** One message to all, sent once; who was accepted. */
  async function send(id: string, ...to: readonly string[]): Promise<readonly string[]> {
    const sent = await sendMessage(gateway.postfix, { id, from, to });
    assert.equal(sent.data?.code, 250, sent.data?.text);
    return to.filter((_, i) => sent.recipients[i]?.code === 250);
  }
  const filters = async (): Promise<number> =>
    (await gateway.postfix.logLines()).filter((line) => line.includes(' triggers FILTER ')).length;

  const all = ['user@changing.example', ...others];
  assert.deepEqual(await send('before', ...all), all);
  assert.equal(await filters(), 0);

  await gateway.changeSettings('changing.example', settingsOf('changing.example', always));
  assert.deepEqual(await send('others', ...others), others);
  assert.equal(await filters(), 0);
  assert.deepEqual(await send('changed', ...all), ['user@changing.example']);
  assert.ok((await filters()) > 0);

  await gateway.run('maps');
  await gateway.settle();
  await waitFor(
    async () => (await send(`after-${Date.now()}`, ...all)).length === all.length,
    'the service leaves it to the tables',
  );
  await waitFor(
    () => deliveriesAt(destinations).some(({ id, at }) => id.startsWith('after-') && at === 'clear.example'),
    'mail arrives',
  );
  await gateway.postfix.waitForQueue((queue) => queue.length === 0);
  const copies = deliveriesAt(destinations).filter(({ id }) => id === 'others' || id === 'changed');
  assert.deepEqual(wordDeliveries(copies), [
    'changed user@changing.example at changing.example over TLS',
    'others payroll@listed.example at listed.example over TLS',
    'others user@always.example at always.example over TLS',
    'others user@clear.example at clear.example in plaintext',
    'others user@listed.example at listed.example over TLS',
  ]);
});
