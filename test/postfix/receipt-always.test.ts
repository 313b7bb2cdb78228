// A domain that requires TLS of everyone on receipt: mail to it, or from it, is accepted over TLS only, whichever of its
// names is used. With tables and without the promise is the same; only the words of a refusal may differ.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Site, trusted } from '../harness/site.ts';
import { Workspace } from '../harness/workspace.ts';

for (const tables of [true, false]) {
  describe(`a domain that requires TLS of everyone, ${tables ? 'with tables' : 'by the service alone'}`, () => {
    let workspace: Workspace;
    let site: Site;

    before(async () => {
      workspace = await Workspace.create();
      site = await Site.open(workspace);
      const inside = await site.server('mx.inside.example', { certificateNames: [] });
      await site.server('mx.partner.example', { mxOf: ['partner.example'] });
      const nexthop = `nexthop = "${inside.nexthop}"`;
      const hosted = [
        ...['bank.example', 'bank.test', 'free.example', 'sender.example'],
        ...['open.bank.example', 'partly.bank.example', 'deep.open.bank.example'],
      ];
      await site.start({
        tables,
        domains: Object.fromEntries(hosted.map((name) => [name, inside])),
        settings: {
          bank: `
            [domains."bank.example"]
            aliases = ["bank.test"]
            ${nexthop}
            incoming.receipt = { require_tls = "always" }
            [domains."open.bank.example"]
            ${nexthop}
            [domains."partly.bank.example"]
            ${nexthop}
            incoming.receipt = { require_tls = "specific", recipients = "secret" }
            [domains."deep.open.bank.example"]
            ${nexthop}
            outgoing.receipt = { require_tls = "always" }
          `,
          others: `
            [domains."free.example"]
            ${nexthop}
            [domains."sender.example"]
            aliases = ["sender.test"]
            ${nexthop}
            outgoing.receipt = { require_tls = "always" }
          `,
        },
      });
    });
    after(() => workspace.dispose());

    const refused = tables
      ? /^550 5\.7\.1 Session encryption is required$/u
      : /^550 5\.7\.10 <\S+>: Recipient address rejected: TLS required: mail for bank\.(example|test) is accepted over TLS only, and this session is not encrypted; send it with STARTTLS$/u;

    test('mail to it in plaintext is refused for good', async () => {
      for (const from of ['a@partner.example', 'a@free.example', '']) {
        const sent = await site.send({ from, to: 'user@bank.example' });
        assert.match(sent.reply, refused);
        assert.equal(sent.data, undefined);
      }
    });

    test('mail to it over TLS is taken and delivered as ever', async () => {
      for (const from of ['a@partner.example', '']) {
        const sent = await site.send({ from, to: 'user@bank.example', tls: {} });
        assert.equal(await site.outcome(sent), 'plaintext at mx.inside.example by smtp');
      }
    });

    test('the same holds for its alias, an extension, any case', async () => {
      for (const to of ['user@bank.test', 'user+ext@bank.example', 'User@BANK.Example', 'postmaster@Bank.test']) {
        assert.match((await site.send({ from: 'a@partner.example', to })).reply, refused);
        const sent = await site.send({ from: 'a@partner.example', to, tls: {} });
        assert.equal(await site.outcome(sent), 'plaintext at mx.inside.example by smtp');
      }
    });

    test('users who may relay are asked for TLS too', async () => {
      assert.match((await site.send({ from: 'a@free.example', to: 'user@bank.example', ...trusted })).reply, refused);
    });

    test('a hosted subdomain of it goes by its own settings', async () => {
      for (const to of ['user@open.bank.example', 'user@partly.bank.example', 'user@deep.open.bank.example']) {
        const sent = await site.send({ from: 'a@partner.example', to });
        assert.equal(await site.outcome(sent), 'plaintext at mx.inside.example by smtp');
      }
      const sent = await site.send({ from: 'a@partner.example', to: 'secret@partly.bank.example' });
      assert.match(sent.reply, /^550 5\.7\.10? /u);
    });

    test('a refused recipient does not take others of the message with it', async () => {
      const to = ['user@bank.example', 'user@free.example'];
      const sent = await site.send({ from: 'a@partner.example', to });
      assert.match(sent.reply, refused);
      assert.equal(sent.recipients[1]?.code, 250);
      assert.equal(await site.outcome(sent), 'plaintext at mx.inside.example by smtp');
      const [, message] = [await site.quiet(), site.message(sent)];
      assert.deepEqual(message?.to, ['user@free.example']);
    });

    test('mail from a domain that requires TLS of everyone is refused in plaintext, to whomever it goes', async () => {
      for (const to of ['user@free.example', 'user@partner.example', 'user@sender.example']) {
        const sent = await site.send({ from: 'user@sender.example', to, ...trusted });
        assert.match(
          sent.reply,
          /^550 5\.7\.10 <\S+>: Recipient address rejected: TLS required: mail from sender\.example is accepted over TLS only, and this session is not encrypted; send it with STARTTLS$/u,
        );
        assert.equal(sent.data, undefined);
      }
      const alias = await site.send({ from: 'User+x@Sender.TEST', to: 'user@free.example' });
      assert.match(alias.reply, /^550 5\.7\.10 .*mail from sender\.test is/u);
    });

    test('mail from it over TLS is taken', async () => {
      const outside = await site.send({ from: 'user@sender.test', to: 'user@partner.example', tls: {}, ...trusted });
      assert.equal(await site.outcome(outside), 'TLSv1.3 at mx.partner.example by smtp');
      const inside = await site.send({ from: 'user@sender.example', to: 'user@free.example', tls: {} });
      assert.equal(await site.outcome(inside), 'plaintext at mx.inside.example by smtp');
    });

    test('where both sides require it, either may refuse', async () => {
      const sent = await site.send({ from: 'user@sender.example', to: 'user@bank.example' });
      assert.match(sent.reply, /^550 5\.7\.10? /u);
    });

    test('mail that has nothing to do with it comes in plaintext', async () => {
      const sent = await site.send({ from: 'user@bank.example', to: 'user@free.example' });
      assert.equal(await site.outcome(sent), 'plaintext at mx.inside.example by smtp');
      const relayed = await site.send({ from: 'user@bank.example', to: 'user@partner.example', ...trusted });
      assert.equal(await site.outcome(relayed), 'TLSv1.3 at mx.partner.example by smtp');
    });
  });
}
