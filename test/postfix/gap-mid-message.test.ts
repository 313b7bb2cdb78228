// Settings may change while a message is half said. It then goes as the new ones ask, or its client is told to try again.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Destination } from '../harness/destination.ts';
import { Gateway } from '../harness/gateway.ts';
import { messageText } from '../harness/send-message.ts';
import { SmtpClient } from '../harness/smtp-client.ts';
import { Workspace } from '../harness/workspace.ts';

const from = 'someone@partner.example';
const always = 'incoming.delivery = { require_tls = "always" }';

test('a change between the recipients and DATA holds for the message, or it has to come again', async (t) => {
  const workspace = await Workspace.of(t);
  const destination = await Destination.start(workspace);
  const settings = (setting: string): string =>
    `[domains."changing.example"]\nnexthop = "${destination.nexthop}"\n${setting}
     [domains."steady.example"]\nnexthop = "${destination.nexthop}"\n${always}`;
  const gateway = await Gateway.start(workspace, {
    settled: true,
    parameters: {
      relay_domains: 'changing.example',
      transport_maps: `inline:{ changing.example=smtp:${destination.nexthop} }`,
    },
    settings: { all: settings('') },
  });
  async function begin(...to: readonly string[]): Promise<SmtpClient> {
    const client = await SmtpClient.connect(gateway.postfix);
    await client.ehlo();
    await client.mailFrom(from);
    for (const address of to) assert.equal((await client.rcptTo(address)).code, 250);
    return client;
  }
  const one = await begin('user@changing.example');
  const two = await begin('user@changing.example', 'clerk@changing.example');
  await gateway.changeSettings('all', settings(always));
  const text = messageText({ id: 'message', from, to: [] });
  assert.match((await two.data(text)).text, /^451 4\.3\.0 /);
  assert.equal((await one.data(text)).code, 250);
  await gateway.postfix.waitForQueue(([message]) => /TLS is required/.test(message?.recipients[0]?.delay_reason ?? ''));
  assert.deepEqual(destination.messages, []);
  await one.quit();
  await two.quit();
});
