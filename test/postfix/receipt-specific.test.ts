// A domain that requires TLS on receipt of those that it lists: either side's, or only where both are listed.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Site, trusted } from '../harness/site.ts';
import { Workspace } from '../harness/workspace.ts';

describe('a domain that requires TLS of those that it lists', () => {
  let workspace: Workspace;
  let site: Site;

  before(async () => {
    workspace = await Workspace.create();
    site = await Site.open(workspace);
    const inside = await site.server('mx.inside.example', { certificateNames: [] });
    await site.server('mx.outside.example', { mxOf: ['bank.example', 'other.example', 'eu.bank.example'] });
    const hosted = ['either.example', 'either.test', 'both.example', 'one-sided.example'];
    await site.start({
      domains: Object.fromEntries(hosted.map((name) => [name, inside])),
      settings: {
        either: `
          [domains."either.example"]
          aliases = ["either.test"]
          nexthop = "${inside.nexthop}"
          [domains."either.example".incoming.receipt]
          require_tls = "specific"
          senders = "*@bank.example, *@*.bank.example ceo@partner.example <>"
          recipients = ["payroll", "legal@either.test"]
          [domains."either.example".outgoing.receipt]
          require_tls = "specific"
          senders = ["payroll"]
          recipients = "bank.example"
        `,
        both: `
          [domains."both.example"]
          nexthop = "${inside.nexthop}"
          [domains."both.example".incoming.receipt]
          require_tls = "specific"
          when = "both"
          senders = ["bank.example"]
          recipients = ["payroll"]
          [domains."both.example".outgoing.receipt]
          require_tls = "specific"
          when = "both"
          senders = ["payroll"]
          recipients = ["bank.example"]
          [domains."one-sided.example"]
          nexthop = "${inside.nexthop}"
          [domains."one-sided.example".incoming.receipt]
          require_tls = "specific"
          when = "both"
          senders = ["bank.example"]
        `,
      },
    });
  });
  after(() => workspace.dispose());

  /** Sends in plaintext, expects the refusal; sends over TLS, expects it to be taken. */
  async function assertRequired(from: string, to: string, played = {}): Promise<void> {
    const plain = await site.send({ from, to, ...played });
    assert.match(plain.reply, /^550 5\.7\.(10 .*TLS required: mail (for|from) |1 Session encryption is required)/u);
    assert.equal(plain.data, undefined);
    const secure = await site.send({ from, to, tls: {}, ...played });
    assert.equal(secure.data?.code, 250, `${from} to ${to} over TLS: ${secure.reply}`);
    assert.equal((await site.fate(secure)).status, 'sent');
  }

  async function assertFree(from: string, to: string, played = {}): Promise<void> {
    const sent = await site.send({ from, to, ...played });
    assert.equal(sent.data?.code, 250, `${from} to ${to} in plaintext: ${sent.reply}`);
    assert.equal((await site.fate(sent)).status, 'sent');
  }

  test('asks listed senders for TLS, to whomever they write', async () => {
    await assertRequired('anyone@bank.example', 'user@either.example');
    await assertRequired('ceo@partner.example', 'user@either.test');
  });

  test('asks subdomains for TLS where they are listed', async () => {
    await assertRequired('anyone@eu.bank.example', 'user@either.example');
    await assertFree('anyone@eu.bank.example', 'payroll@both.example');
  });

  test('asks the null sender for TLS where it is listed', async () => {
    await assertRequired('', 'user@either.example');
    await assertFree('', 'user@one-sided.example');
  });

  test('asks for TLS at listed recipients, whoever writes to them, under all names of the domain', async () => {
    for (const to of ['payroll@either.example', 'payroll@either.test', 'legal@either.example', 'legal@either.test'])
      await assertRequired('a@other.example', to);
  });

  test('an extension, another case or a trailing dot make no other address', async () => {
    await assertRequired('a@other.example', 'Payroll+2024@EITHER.example');
    await assertRequired('CEO+assistant@Partner.Example', 'user@either.example');
    await assertRequired('anyone@bank.example.', 'user@either.example.');
  });

  test('leaves all others alone', async () => {
    await assertFree('a@other.example', 'user@either.example');
    await assertFree('assistant@partner.example', 'user@either.test');
    await assertFree('a@notbank.example', 'payrolls@either.example');
  });

  test('asks its own listed senders for TLS, and whoever writes to listed recipients', async () => {
    await assertRequired('payroll@either.example', 'user@other.example', trusted);
    await assertRequired('payroll+x@either.test', 'user@other.example', trusted);
    await assertRequired('user@either.example', 'user@bank.example', trusted);
    await assertFree('user@either.example', 'user@other.example', trusted);
    await assertFree('user@either.example', 'user@eu.bank.example', trusted);
  });

  test('where both have to be listed, asks for TLS between these only', async () => {
    await assertRequired('anyone@bank.example', 'payroll@both.example');
    await assertFree('anyone@bank.example', 'user@both.example');
    await assertFree('anyone@other.example', 'payroll@both.example');
    await assertRequired('payroll@both.example', 'user@bank.example', trusted);
    await assertFree('payroll@both.example', 'user@other.example', trusted);
    await assertFree('user@both.example', 'user@bank.example', trusted);
  });

  test('where both have to be listed, an empty list means everyone', async () => {
    await assertRequired('anyone@bank.example', 'whoever@one-sided.example');
    await assertFree('anyone@other.example', 'whoever@one-sided.example');
  });

  test('judges each recipient of a message by itself', async () => {
    const to = ['user@either.example', 'payroll@either.example', 'user@both.example'];
    const sent = await site.send({ from: 'a@other.example', to });
    assert.deepEqual(
      sent.recipients.map(({ code }) => code),
      [250, 550, 250],
    );
    assert.equal((await site.fate(sent, 'user@both.example')).status, 'sent');
    assert.deepEqual(site.message(sent)?.to.toSorted(), ['user@both.example', 'user@either.example']);
  });
});
