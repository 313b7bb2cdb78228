// How good the TLS of a session has to be: its version and the bits of its cipher.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Site, trusted } from '../harness/site.ts';
import type { ClientTls } from '../harness/smtp-client.ts';
import { Workspace } from '../harness/workspace.ts';

describe('a session that is weaker than a domain asks for', () => {
  let workspace: Workspace;
  let site: Site;

  before(async () => {
    workspace = await Workspace.create();
    site = await Site.open(workspace);
    const inside = await site.server('mx.inside.example');
    const hosted = ['usual.example', 'newest.example', 'old.example', 'long.example', 'sender.example'];
    await site.start({
      domains: Object.fromEntries(hosted.map((name) => [name, inside])),
      settings: {
        all: `
          [domains."usual.example"]
          nexthop = "${inside.nexthop}"
          incoming.receipt = { require_tls = "always" }
          [domains."newest.example"]
          nexthop = "${inside.nexthop}"
          incoming.receipt = { require_tls = "always", min_protocol = "TLSv1.3" }
          [domains."old.example"]
          nexthop = "${inside.nexthop}"
          incoming.receipt = { require_tls = "always", min_protocol = "TLSv1", on_failure = "defer" }
          [domains."long.example"]
          nexthop = "${inside.nexthop}"
          incoming.receipt = { require_tls = "always", min_cipher_bits = 256 }
          [domains."sender.example"]
          nexthop = "${inside.nexthop}"
          outgoing.receipt = { require_tls = "always", min_protocol = "TLSv1.3", min_cipher_bits = 256 }
        `,
      },
    });
  });
  after(() => workspace.dispose());

  const only = (version: 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3', ciphers?: string): ClientTls => ({
    min: version,
    max: version,
    ...(ciphers === undefined ? {} : { ciphers }),
  });
  const from = 'a@partner.example';

  test('is refused if its version is too old, and told which one is asked for', async () => {
    const usual = await site.send({ from, to: 'u@usual.example', tls: only('TLSv1.1') });
    assert.equal(usual.tls?.version, 'TLSv1.1');
    assert.match(
      usual.reply,
      /^550 5\.7\.10 .*TLS required: mail for usual\.example is accepted over TLS only, TLSv1\.2 or later, and this session uses TLSv1\.1$/u,
    );
    const newest = await site.send({ from, to: 'u@newest.example', tls: only('TLSv1.2') });
    assert.match(newest.reply, /^550 5\.7\.10 .*TLSv1\.3 or later, and this session uses TLSv1\.2$/u);
  });

  test('is taken if its version will do', async () => {
    for (const [to, version] of [
      ['u@usual.example', 'TLSv1.2'],
      ['u@usual.example', 'TLSv1.3'],
      ['u@newest.example', 'TLSv1.3'],
      ['u@old.example', 'TLSv1'],
    ] as const) {
      const sent = await site.send({ from, to, tls: only(version) });
      assert.equal(sent.tls?.version, version);
      assert.equal(await site.outcome(sent), 'TLSv1.3 at mx.inside.example by smtp');
    }
  });

  test('is refused if its cipher is too short, and told how long it has to be', async () => {
    const tls = only('TLSv1.2', 'ECDHE-ECDSA-AES128-GCM-SHA256');
    const short = await site.send({ from, to: 'u@long.example', tls });
    assert.match(
      short.reply,
      /^550 5\.7\.10 .*accepted over TLS only, with ciphers of 256 bits or more, and this session uses 128$/u,
    );
    const usual = await site.send({ from, to: 'u@usual.example', tls });
    assert.equal(await site.outcome(usual), 'TLSv1.3 at mx.inside.example by smtp');
  });

  test('is taken if its cipher is long enough', async () => {
    const sent = await site.send({
      from,
      to: 'u@long.example',
      tls: only('TLSv1.2', 'ECDHE-ECDSA-AES256-GCM-SHA384'),
    });
    assert.equal(await site.outcome(sent), 'TLSv1.3 at mx.inside.example by smtp');
  });

  test('is refused for outgoing mail too', async () => {
    const to = 'u@usual.example';
    const weak = await site.send({ from: 'a@sender.example', to, tls: only('TLSv1.2'), ...trusted });
    assert.match(weak.reply, /^550 5\.7\.10 .*mail from sender\.example .*TLSv1\.3 or later, and .* uses TLSv1\.2$/u);
    const short = only('TLSv1.3', 'TLS_AES_128_GCM_SHA256:DEFAULT');
    const bits = await site.send({ from: 'a@sender.example', to, tls: short, ...trusted });
    assert.match(bits.reply, /^550 5\.7\.10 .*mail from sender\.example .*ciphers of 256 bits or more/u);
    const good = await site.send({ from: 'a@sender.example', to, tls: only('TLSv1.3'), ...trusted });
    assert.equal(await site.outcome(good), 'TLSv1.3 at mx.inside.example by smtp');
  });

  test('is told to come again where the domain says on_failure = "defer"', async () => {
    const sent = await site.send({ from, to: 'u@old.example' });
    assert.match(sent.reply, /^450 4\.7\.10 .*TLS required: mail for old\.example is accepted over TLS only/u);
    assert.equal(sent.data, undefined);
  });
});
