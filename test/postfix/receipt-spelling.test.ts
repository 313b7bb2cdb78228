// However an address is written, it is the same address: no spelling that Postfix delivers to a mailbox slips past what is
// required there.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Site, trusted } from '../harness/site.ts';
import { Workspace } from '../harness/workspace.ts';

/** Recipients that Postfix takes for payroll@hosted.example; gateway.test is the gateway's own domain. */
const spellings = [
  'PayRoll@HOSTED.Example',
  'payroll+june@hosted.example',
  'payroll@hosted.example.',
  '"payroll"@hosted.example',
  'pay\\roll@hosted.example',
  '@relay.example,@other.example:payroll@hosted.example',
  'payroll%hosted.example',
  'payroll%hosted.example@gateway.test',
  'payroll%HOSTED.example.@gateway.test.',
  'hosted.example!payroll',
  'hosted.example!payroll@gateway.test',
  '"payroll@hosted.example"@gateway.test',
  'payroll@hosted.example@gateway.test',
  'payroll%hosted.example%gateway.test@gateway.test',
  '"payroll%hosted.example@gateway.test"@gateway.test',
  `payroll%hosted.example${'%gateway.test'.repeat(30)}@gateway.test`,
  'payroll%hosted.example@',
  '!payroll%hosted.example',
  '!hosted.example!payroll',
];

/** The same, where myorigin is hosted.example. */
const unqualified = ['payroll', 'PAYROLL+june', '"payroll"'];

for (const tables of [true, false]) {
  describe(`a required address, ${tables ? 'with tables' : 'by the service alone'}`, () => {
    let workspace: Workspace;
    let site: Site;

    before(async () => {
      workspace = await Workspace.create();
      site = await Site.open(workspace);
      const inside = await site.server('mx.inside.example', { certificateNames: [] });
      await site.server('mx.outside.example', { certificateNames: [], mxOf: ['outside.example'] });
      await site.start({
        tables,
        settled: tables,
        myorigin: 'hosted.example',
        domains: {
          'hosted.example': inside,
          'plain.example': inside,
          'bücher.example': inside,
          'xn--bcher-kva.example': inside,
          'xn--caf-dma.example': inside,
        },
        settings: {
          all: `
            [domains."hosted.example"]
            nexthop = "${inside.nexthop}"
            incoming.receipt = { require_tls = "specific", recipients = "payroll" }
            outgoing.receipt = { require_tls = "specific", senders = "payroll" }
            outgoing.delivery = { require_tls = "specific", senders = "payroll" }
            [domains."plain.example"]
            nexthop = "${inside.nexthop}"
            incoming.delivery = { require_tls = "specific", recipients = "payroll" }
            [domains."Bücher.example"]
            nexthop = "${inside.nexthop}"
            incoming.receipt = { require_tls = "always" }
            outgoing.receipt = { require_tls = "always" }
            [domains."xn--caf-dma.example"]
            nexthop = "${inside.nexthop}"
            incoming.receipt = { require_tls = "specific", senders = "*@bücher.example, jörg@partner.example" }
          `,
        },
      });
    });
    after(() => workspace.dispose());

    for (const to of [...spellings, ...unqualified]) {
      test(`is the same written ${to}`, async () => {
        const plain = await site.send({ from: 'a@partner.example', to });
        assert.match(plain.reply, /^550 5\.7\.10? /u);
        assert.equal(plain.data, undefined);
        const secure = await site.send({ from: 'a@partner.example', to, tls: {} });
        assert.equal(await site.outcome(secure), 'plaintext at mx.inside.example by smtp');
        assert.match(site.message(secure)?.to.join() ?? '', /^payroll(?:\+june)?@hosted\.example$/iu);
      });
    }

    for (const to of spellings) {
      const written = to.replaceAll(/hosted\.example/giu, 'plain.example');
      test(`is not delivered without TLS written ${written}`, async () => {
        const sent = await site.send({ from: 'a@partner.example', to: written });
        assert.equal(await site.outcome(sent), 'deferred by tlswarden-encrypt: TLS is required, but was not offered');
      });
    }

    for (const from of [...spellings, ...unqualified].filter((spelling) => !spelling.startsWith('@'))) {
      test(`is the same as the sender ${from}`, async () => {
        const plain = await site.send({ from, to: 'u@outside.example', ...trusted });
        assert.match(plain.reply, /^550 5\.7\.10 .*mail from hosted\.example/u);
        const secure = await site.send({ from, to: 'u@outside.example', tls: {}, ...trusted });
        assert.equal(await site.outcome(secure), 'deferred by tlswarden-encrypt: TLS is required, but was not offered');
      });
    }

    for (const [domain, smtputf8] of [
      ['xn--bcher-kva.example', false],
      ['XN--Bcher-KVA.example', false],
      ['bücher.example', true],
      ['BÜCHER.Example', true],
    ] as const) {
      test(`of an internationalised domain is the same as user@${domain}`, async () => {
        const incoming = { from: 'a@partner.example', to: `user@${domain}`, smtputf8 };
        const plain = await site.send(incoming);
        assert.match(plain.reply, /^550 5\.7\.(1 Session|10 .*mail for xn--bcher-kva\.example is accepted)/u);
        const secure = await site.send({ ...incoming, tls: {} });
        assert.equal(await site.outcome(secure), 'plaintext at mx.inside.example by smtp');

        const outgoing = { from: `user@${domain}`, to: 'u@plain.example', smtputf8, ...trusted };
        assert.match((await site.send(outgoing)).reply, /^550 5\.7\.10 .*mail from xn--bcher-kva\.example/u);
        assert.equal((await site.send({ ...outgoing, tls: {} })).data?.code, 250);
      });

      test(`of another server is listed as user@${domain} too`, async () => {
        const sent = await site.send({ from: `user@${domain}`, to: 'u@xn--caf-dma.example', smtputf8 });
        assert.match(sent.reply, /^550 5\.7\.10 /u);
      });
    }

    test('with a local part beyond ASCII is matched in any case', async () => {
      for (const from of ['jörg@partner.example', 'JÖRG@Partner.example', 'jörg+x@partner.example']) {
        const sent = await site.send({ from, to: 'u@xn--caf-dma.example', smtputf8: true });
        assert.match(sent.reply, /^550 5\.7\.10 .*mail for xn--caf-dma\.example/u);
      }
      const other = await site.send({ from: 'jorg@partner.example', to: 'u@xn--caf-dma.example', smtputf8: true });
      assert.equal(await site.outcome(other), 'plaintext at mx.inside.example by smtp');
    });
  });
}
