// Clients that are not asked for TLS on receipt: receipt.exempt_clients, by table and by service alike.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { Site } from '../harness/site.ts';
import { Workspace } from '../harness/workspace.ts';

// Where the kernel has no IPv6, Postfix knows no such clients.
const v6 = existsSync('/proc/net/if_inet6');

describe('receipt.exempt_clients', () => {
  let workspace: Workspace;
  let site: Site;

  before(async () => {
    workspace = await Workspace.create();
    site = await Site.open(workspace);
    const inside = await site.server('mx.inside.example');
    await site.start({
      parameters: { inet_protocols: v6 ? 'all' : 'ipv4' },
      exemptClients: ['198.51.100.0/28', '203.0.113.9', '2001:db8:25::/48'],
      domains: { 'bank.example': inside, 'waiting.example': inside, 'sender.example': inside },
      settings: {
        all: `
          [domains."bank.example"]
          nexthop = "${inside.nexthop}"
          incoming.receipt = { require_tls = "always", min_protocol = "TLSv1.3" }
          [domains."waiting.example"]
          nexthop = "${inside.nexthop}"
          incoming.receipt = { require_tls = "always", on_failure = "defer" }
          [domains."sender.example"]
          nexthop = "${inside.nexthop}"
          outgoing.receipt = { require_tls = "always" }
        `,
      },
    });
  });
  after(() => workspace.dispose());

  for (const client of ['198.51.100.1', '203.0.113.9', 'IPV6:2001:db8:25::1']) {
    test(`lets ${client}, which it lists, send in plaintext`, { skip: client.startsWith('IPV6:') && !v6 }, async () => {
      const played = { xclient: { ADDR: client } };
      for (const to of ['u@bank.example', 'u@waiting.example']) {
        const sent = await site.send({ from: 'a@sender.example', to, ...played });
        assert.equal(await site.outcome(sent), 'TLSv1.3 at mx.inside.example by smtp');
      }
      const weak = await site.send({
        from: 'a@partner.example',
        to: 'u@bank.example',
        tls: { max: 'TLSv1.2' },
        ...played,
      });
      assert.equal(await site.outcome(weak), 'TLSv1.3 at mx.inside.example by smtp');
    });
  }

  for (const client of ['198.51.100.16', '203.0.113.8', 'IPV6:2001:db8:26::1']) {
    test(`asks ${client}, which it does not list, for TLS`, { skip: client.startsWith('IPV6:') && !v6 }, async () => {
      const played = { xclient: { ADDR: client } };
      const bank = await site.send({ from: 'a@partner.example', to: 'u@bank.example', ...played });
      assert.match(bank.reply, /^550 5\.7\.1 Session encryption is required/u);
      const waiting = await site.send({ from: 'a@partner.example', to: 'u@waiting.example', ...played });
      assert.match(waiting.reply, /^450 4\.7\.10 /u);
      const weak = await site.send({
        from: 'a@partner.example',
        to: 'u@bank.example',
        tls: { max: 'TLSv1.2' },
        ...played,
      });
      assert.match(weak.reply, /^550 5\.7\.10 .*TLSv1\.3 or later/u);
    });
  }
});
