// Postfix looks certificates up by next hop, so domains that share one have to agree on what they ask of it: those that do not
// are told, both by name, before anything goes by such settings.

import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { test } from 'node:test';
import { attempt } from '../harness/command.ts';
import { MAIN } from '../harness/main.ts';
import { Workspace } from '../harness/workspace.ts';

const fingerprint = (byte: string): string => Array.from({ length: 32 }, () => byte).join(':');

const conflicts = {
  'certificate_names of two domains': {
    relayhost: '',
    domains: ['first', 'second'].map((name) => [
      `nexthop = "[mx.shared.example]:25"`,
      `incoming.delivery = { require_tls = "always", level = "verify", certificate_names = ["${name}.shared.example"] }`,
    ]),
    key: 'incoming.delivery.certificate_names',
  },
  'fingerprints of two domains': {
    relayhost: '',
    domains: ['AA', 'BB'].map((byte) => [
      `nexthop = "[mx.shared.example]:25"`,
      `incoming.delivery = { require_tls = "always", level = "fingerprint", fingerprints = ["${fingerprint(byte)}"] }`,
    ]),
    key: 'incoming.delivery.fingerprints',
  },
  'certificate_names that two domains ask of the relayhost': {
    relayhost: '[relay.example]:25',
    domains: ['first', 'second'].map((name) => [
      `outgoing.delivery = { require_tls = "always", level = "secure", certificate_names = ["${name}.relay.example"] }`,
    ]),
    key: 'outgoing.delivery.certificate_names',
  },
} as const;

for (const [what, { relayhost, domains, key }] of Object.entries(conflicts)) {
  for (const command of ['check', 'maps', 'serve']) {
    test(`${command}: ${what} with one next hop differ, and the error names both`, async (t) => {
      const workspace = await Workspace.of(t);
      const main = await workspace.write(
        'tlswarden.toml',
        `[server]\nlisten = ["127.0.0.1:0"]\n[settings]\nsource = "domains.d"\n[maps]\ndirectory = "maps"\ntype = "lmdb"\n[postfix]\nrelayhost = "${relayhost}"\n`,
      );
      await mkdir(workspace.path('domains.d'));
      for (const [i, lines] of domains.entries()) {
        await workspace.write(`domains.d/customer-${i}.toml`, [`[domains."hosted-${i}.example"]`, ...lines].join('\n'));
      }
      const { status, stderr } = await attempt(process.execPath, [MAIN, '--config', main, command]);
      assert.equal(status, 2, stderr);
      for (const part of ['hosted-0.example', 'customer-0.toml', 'hosted-1.example', 'customer-1.toml', key]) {
        assert.ok(stderr.includes(part), `${part} in: ${stderr}`);
      }
    });
  }
}

test('domains that agree, or of which one says nothing, share a next hop', async (t) => {
  const workspace = await Workspace.of(t);
  const main = await workspace.write('tlswarden.toml', '[settings]\nsource = "domains.d"\n');
  const named =
    'incoming.delivery = { require_tls = "always", level = "verify", certificate_names = ["mx.shared.example"] }';
  await workspace.write(
    'domains.d/all.toml',
    [named, named, 'incoming.delivery = { require_tls = "always", level = "encrypt" }', '']
      .map((setting, i) => `[domains."hosted-${i}.example"]\nnexthop = "[mx.shared.example]:25"\n${setting}\n`)
      .join(''),
  );
  const { status, stderr } = await attempt(process.execPath, [MAIN, '--config', main, 'check']);
  assert.equal(status, 0, stderr);
});
