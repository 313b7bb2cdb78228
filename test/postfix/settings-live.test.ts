// Settings that change while mail flows: the service decides by them at once, `maps --watch` brings the tables after them, and
// nothing slips through in between.

import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Site } from '../harness/site.ts';
import type { Server } from '../harness/smtp-client.ts';
import { waitFor } from '../harness/wait-for.ts';
import { Workspace } from '../harness/workspace.ts';

describe('a change of the settings', () => {
  let workspace: Workspace;
  let site: Site;
  let door: Server;
  let nexthop: string;

  before(async () => {
    workspace = await Workspace.create();
    site = await Site.open(workspace);
    const inside = await site.server('mx.inside.example', { certificateNames: [], mxOf: ['by-mx.example'] });
    nexthop = `nexthop = "${inside.nexthop}"`;
    const routed = ['receipt.example', 'delivery.example', 'set.example', 'signal.example', 'gone.example'];
    await site.start({
      domains: { ...Object.fromEntries(routed.map((name) => [name, inside])), 'by-mx.example': undefined },
      settings: {
        'gone.example': `[domains."gone.example"]\n${nexthop}\nincoming.receipt.require_tls = "always"`,
        // A transport has to be known to Postfix before a change needs it.
        other: '[domains."other.example"]\nincoming.delivery.require_tls = "always"',
        'set.example': `[domains."set.example"]\n${nexthop}`,
      },
    });
    door = await site.sideDoor({
      smtpd_recipient_restrictions: `check_recipient_access lmdb:${site.gateway.mapsDirectory}/current/receipt_access`,
    });
  });
  after(() => workspace.dispose());

  const from = 'a@partner.example';
  const plaintext = 'plaintext at mx.inside.example by smtp';
  const waits = (transport: string): string => `deferred by ${transport}: TLS is required, but was not offered`;

  async function outcome(to: string, by?: Server): Promise<string> {
    const sent = await site.send({ from, to, ...(by && { door: by }) });
    return sent.queueId === undefined ? sent.reply : await site.outcome(sent);
  }

  test('is in force for receipt as soon as the service says so', async () => {
    assert.equal(await outcome('u@receipt.example'), plaintext);
    const text = `[domains."receipt.example"]\n${nexthop}\nincoming.receipt.require_tls =`;
    await site.gateway.changeSettings('receipt.example', `${text} "always"`);
    assert.match(await outcome('u@receipt.example'), /^550 5\.7\.10 /u);
    await site.gateway.changeSettings('receipt.example', `${text} "never"`);
    assert.equal(await outcome('u@receipt.example'), plaintext);
  });

  test('is in force for delivery before any table has it', async () => {
    assert.equal(await outcome('u@delivery.example'), plaintext);
    await site.gateway.changeSettings(
      'delivery.example',
      `[domains."delivery.example"]\n${nexthop}\nincoming.delivery.require_tls = "always"`,
    );
    assert.equal((await site.gateway.attempt('maps', '--check')).status, 1);
    assert.equal(await outcome('u@delivery.example'), waits('tlswarden-encrypt'));
  });

  test('by `domains set` is in force too', async () => {
    assert.equal(await outcome('u@set.example'), plaintext);
    await site.gateway.run('domains', 'set', 'set.example', 'incoming.receipt', 'require_tls=always');
    await waitFor(
      async () => (await outcome('u@set.example')).startsWith('550 5.7.10 '),
      'mail to set.example is refused in plaintext',
    );
  });

  test('is read again on SIGHUP', async () => {
    const skip = site.gateway.log.length;
    site.gateway.signal('SIGHUP');
    await site.gateway.waitForLog(/"settings read again"/u, skip);
    assert.match(await outcome('u@set.example'), /^550 5\.7\.10 /u);
  });

  test('that takes a domain away leaves its mail alone', async () => {
    const skip = site.gateway.log.length;
    assert.match(await outcome('u@gone.example'), /^550 /u);
    await rm(join(site.gateway.directory, 'domains.d', 'gone.example.toml'));
    await site.gateway.waitForLog(/"settings in force"/u, skip);
    await site.gateway.run('maps');
    assert.equal(await outcome('u@gone.example'), plaintext);
  });

  test('comes to the tables by `maps --watch`', async () => {
    await site.gateway.watchMaps();
    await waitFor(
      async () => (await site.gateway.attempt('maps', '--check')).status === 0,
      'the tables are what the settings ask for',
    );
    assert.equal(await outcome('u@by-mx.example', door), plaintext);
    const skip = site.gateway.log.length;
    await site.gateway.write(
      'by-mx.example',
      '[domains."by-mx.example"]\nincoming.receipt.require_tls = "always"\nincoming.delivery.require_tls = "always"',
    );
    await site.gateway.waitForLog(/"tables written"/u, skip);
    // smtpd opens the tables anew for a new client; smtp for a new message.
    assert.match(await outcome('u@by-mx.example', door), /^550 5\.7\.1 Session encryption is required/u);
    const sent = await site.send({ from, to: 'u@by-mx.example', door, tls: {} });
    assert.equal(await site.outcome(sent), waits('smtp'));
  });

  test('reaches trivial-rewrite without a reload, mail being answered by FILTER meanwhile', async () => {
    assert.equal(await outcome('first@receipt.example', door), plaintext);
    const lines = (await site.gateway.postfix.logLines()).length;
    await site.gateway.write(
      'receipt.example',
      `[domains."receipt.example"]\n${nexthop}\nincoming.delivery.require_tls = "always"`,
    );
    await waitFor(
      async () => (await outcome('while@receipt.example')) === waits('tlswarden-encrypt'),
      'mail through the front door waits',
    );
    await site.gateway.postfix.waitForLog(/trivial-rewrite\[\d+\]: table \S+ has changed/u, lines, 30_000);
    // qmgr remembers the route of the address that it asked for last.
    await outcome('another@delivery.example', door);
    assert.equal(await outcome('later@receipt.example', door), waits('tlswarden-encrypt'));
  });
});
