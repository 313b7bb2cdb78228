// Every type of table that maps.type offers, in one Postfix, one after the other: each is written, compiled, found by smtpd,
// trivial-rewrite and smtp, and says the same.

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { run } from '../harness/command.ts';
import { Site, trusted } from '../harness/site.ts';
import type { Server } from '../harness/smtp-client.ts';
import { Workspace } from '../harness/workspace.ts';

describe('tables of type', () => {
  let workspace: Workspace;
  let site: Site;
  let door: Server;

  before(async () => {
    workspace = await Workspace.create();
    site = await Site.open(workspace);
    const secure = await site.server('mx.secure.example', { mxOf: ['outside.example'] });
    const plain = await site.server('mx.plain.example', { certificateNames: [], mxOf: ['by-mx.example'] });
    await site.start({
      settled: true,
      domains: {
        'always.example': secure,
        'checked.example': secure,
        'some.example': plain,
        'by-mx.example': undefined,
      },
      settings: {
        all: `
          [domains."always.example"]
          nexthop = "${secure.nexthop}"
          incoming.receipt = { require_tls = "always" }
          incoming.delivery = { require_tls = "always" }
          outgoing.delivery = { require_tls = "always" }
          [domains."checked.example"]
          nexthop = "${secure.nexthop}"
          incoming.delivery = { require_tls = "always", level = "secure", certificate_names = "mx.secure.example" }
          [domains."some.example"]
          nexthop = "${plain.nexthop}"
          incoming.delivery = { require_tls = "specific", recipients = "payroll" }
          [domains."by-mx.example"]
          incoming.delivery = { require_tls = "always" }
        `,
      },
    });
  });
  after(() => workspace.dispose());

  async function outcome(from: string, to: string, tls?: object): Promise<string> {
    return await site.outcome(await site.send({ from, to, door, ...trusted, ...(tls && { tls }) }));
  }

  for (const type of ['lmdb', 'cdb', 'hash', 'btree', 'texthash'] as const) {
    test(`${type} deliver rightly`, async (t) => {
      const { gateway } = site;
      if (!(await run('postconf', ['-m'])).split('\n').includes(type === 'texthash' ? 'texthash' : type)) {
        t.skip(`this Postfix has no ${type}`);
        return;
      }
      const main = await readFile(gateway.configFile, 'utf8');
      await writeFile(gateway.configFile, main.replace(/^type = .*$/mu, `type = "${type}"`));
      await gateway.run('maps');
      await gateway.configure();
      assert.match(await gateway.postfix.postconf('-h', 'transport_maps'), new RegExp(`^${type}:`));
      door = await site.sideDoor({
        smtpd_recipient_restrictions: `check_recipient_access ${await site.receiptTable()}`,
      });

      const refused = await site.send({ from: 'a@partner.example', to: 'u@always.example', door });
      assert.match(refused.reply, /^550 5\.7\.1 Session encryption is required/u);
      const from = 'a@partner.example';
      const waiting = 'TLS is required, but was not offered';
      assert.equal(await outcome(from, 'u@always.example', {}), 'TLSv1.3 at mx.secure.example by tlswarden-encrypt');
      assert.equal(await outcome(from, 'u@checked.example'), 'TLSv1.3 at mx.secure.example by tlswarden-secure');
      assert.equal(await outcome(from, 'payroll@some.example'), `deferred by tlswarden-encrypt: ${waiting}`);
      assert.equal(await outcome(from, 'user@some.example'), 'plaintext at mx.plain.example by smtp');
      assert.equal(await outcome(from, 'u@by-mx.example'), `deferred by smtp: ${waiting}`);
      assert.equal(
        await outcome('u@always.example', 'u@outside.example'),
        'TLSv1.3 at mx.secure.example by tlswarden-encrypt',
      );
    });
  }
});
