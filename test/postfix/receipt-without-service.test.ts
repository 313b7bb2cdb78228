// What holds on receipt when the policy service is asked for one hop only, says nothing, or is not there: mail is refused or
// late, never let through.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Site } from '../harness/site.ts';
import { SmtpClient } from '../harness/smtp-client.ts';
import { Workspace } from '../harness/workspace.ts';

describe('a gateway', () => {
  let workspace: Workspace;
  let site: Site;
  let settings: (receipt: 'always' | 'never') => string;

  before(async () => {
    workspace = await Workspace.create();
    site = await Site.open(workspace);
    const inside = await site.server('mx.inside.example');
    settings = (receipt) => `
      [domains."bank.example"]
      nexthop = "${inside.nexthop}"
      incoming.receipt = { require_tls = "${receipt}" }
      [domains."sender.example"]
      nexthop = "${inside.nexthop}"
      incoming.receipt = { require_tls = "specific", senders = "bank.example" }
      incoming.delivery = { require_tls = "specific", senders = "bank.example" }
    `;
    await site.start({
      domains: { 'bank.example': inside, 'sender.example': inside },
      settings: { all: settings('always') },
    });
  });
  after(() => workspace.dispose());

  const toBank = { from: 'a@partner.example', to: 'u@bank.example' };
  const fromBank = { from: 'a@bank.example', to: 'u@sender.example' };
  const unavailable = /^451 4\.3\.5 <\S+>: .*TLS policy service is not available, try again later$/u;

  test('whose service says nothing refuses by its table what requires TLS of everyone', async () => {
    await site.gateway.changeSettings('all', settings('never'));
    assert.match((await site.send(toBank)).reply, /^550 5\.7\.1 Session encryption is required/u);
    await site.gateway.run('maps');
    assert.equal(await site.outcome(await site.send(toBank)), 'TLSv1.3 at mx.inside.example by smtp');
    await site.gateway.changeSettings('all', settings('always'));
    assert.match((await site.send(toBank)).reply, /^550 5\.7\.10 /u);
    await site.gateway.run('maps');
    assert.match((await site.send(toBank)).reply, /^550 5\.7\.1 Session encryption is required/u);
  });

  test('that asks the service with policy_context = receipt is told nothing of delivery', async () => {
    const service = `inet:127.0.0.1:${site.gateway.port}`;
    const door = await site.sideDoor({
      smtpd_recipient_restrictions: `check_policy_service { ${service}, policy_context=receipt }`,
      smtpd_data_restrictions: `check_policy_service { ${service}, policy_context=receipt }`,
    });
    assert.match((await site.send({ ...fromBank, door })).reply, /^550 5\.7\.10 .*mail for sender\.example/u);
    const sent = await site.send({ ...fromBank, door, tls: {} });
    assert.equal(await site.outcome(sent), 'TLSv1.3 at mx.inside.example by smtp');
  });

  test('that asks the service with policy_context = delivery is told nothing of receipt', async () => {
    const service = `inet:127.0.0.1:${site.gateway.port}`;
    const door = await site.sideDoor({
      smtpd_recipient_restrictions: `check_policy_service { ${service}, policy_context=delivery }`,
      smtpd_data_restrictions: `check_policy_service { ${service}, policy_context=delivery }`,
    });
    const sent = await site.send({ ...fromBank, door });
    assert.equal(await site.outcome(sent), 'TLSv1.3 at mx.inside.example by tlswarden-encrypt');
  });

  test('whose service goes away in the middle of a message answers DATA with 451 4.3.5', async () => {
    await site.gateway.serve();
    const client = await SmtpClient.connect(site.gateway.postfix);
    await client.ehlo();
    await client.mailFrom('a@partner.example');
    assert.equal((await client.rcptTo('u@sender.example')).code, 250);
    await site.gateway.kill();
    assert.match((await client.data('Subject: lost\n\nlost\n')).text, /^451 4\.3\.5 .*TLS policy service is not/u);
    await client.quit();
  });

  test('whose service is down defers all mail, and what its table refuses it refuses', async () => {
    await site.gateway.kill();
    for (const tls of [undefined, {}]) {
      const sent = await site.send({ from: 'a@partner.example', to: 'u@sender.example', ...(tls && { tls }) });
      assert.match(sent.reply, unavailable);
      assert.equal(sent.data, undefined);
    }
    assert.match((await site.send(toBank)).reply, /^550 5\.7\.1 Session encryption is required/u);
    assert.match((await site.send({ ...toBank, tls: {} })).reply, unavailable);
  });

  test('whose service is back takes mail again', async () => {
    await site.gateway.serve();
    const sent = await site.send({ ...toBank, tls: {} });
    assert.equal(await site.outcome(sent), 'TLSv1.3 at mx.inside.example by smtp');
  });
});
