// Settings with a mistake: the program does not start with them, and does not begin to use them; what was in force stays in
// force, for the service and for the tables. Every mistake is named by file, domain and key.

import assert from 'node:assert/strict';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Site } from '../harness/site.ts';
import { Workspace } from '../harness/workspace.ts';

const broken = {
  'broken TOML': ['[domains."bank.example"\n', /bank\.toml:1/u],
  'an unknown key': [
    '[domains."bank.example".incoming.receipt]\nrequire_tsl = "always"',
    /bank\.toml:2: bank\.example: incoming\.receipt\.require_tsl: .*"require_tls"/u,
  ],
  'an unknown value': [
    '[domains."bank.example".incoming.receipt]\nrequire_tls = "alway"',
    /bank\.toml:2: bank\.example: incoming\.receipt\.require_tls: .*"always"/u,
  ],
  'a bad address': [
    '[domains."bank.example".incoming.delivery]\nrequire_tls = "specific"\nrecipients = "a@b@c@"',
    /bank\.toml:3: bank\.example: incoming\.delivery\.recipients: "a@b@c@"/u,
  ],
  'nobody listed': [
    '[domains."bank.example".outgoing.delivery]\nrequire_tls = "specific"',
    /bank\.toml:\d: bank\.example: outgoing\.delivery/u,
  ],
  'a domain that stands in two files': [
    '[domains."other.example"]',
    /other\.toml(?::\d)?: other\.example: stands already in bank\.toml/u,
  ],
} as const;

describe('settings with a mistake', () => {
  let workspace: Workspace;
  let site: Site;
  let good: string;

  before(async () => {
    workspace = await Workspace.create();
    site = await Site.open(workspace);
    const inside = await site.server('mx.inside.example');
    good = `[domains."bank.example"]\nnexthop = "${inside.nexthop}"\nincoming.receipt.require_tls = "always"`;
    await site.start({
      tables: true,
      domains: { 'bank.example': inside, 'other.example': inside },
      settings: { bank: good, other: `[domains."other.example"]\nnexthop = "${inside.nexthop}"` },
    });
  });
  after(() => workspace.dispose());

  const from = 'a@partner.example';

  async function assertOldInForce(): Promise<void> {
    assert.match((await site.send({ from, to: 'u@bank.example' })).reply, /^550 5\.7\.1 /u);
    const secure = await site.send({ from, to: 'u@bank.example', tls: {} });
    assert.equal(await site.outcome(secure), 'TLSv1.3 at mx.inside.example by smtp');
    const other = await site.send({ from, to: 'u@other.example' });
    assert.equal(await site.outcome(other), 'TLSv1.3 at mx.inside.example by smtp');
  }

  for (const [mistake, [text, complaint]] of Object.entries(broken)) {
    test(`(${mistake}) are refused, by name, and those in force stay`, async () => {
      const { gateway } = site;
      const skip = gateway.log.length;
      await gateway.write('bank', text);
      const logged = await gateway.waitForLog(/\{.*"settings cannot be used; those in force stay".*\}/u, skip);
      const { complaints } = JSON.parse(logged[0]) as { complaints: readonly { readonly file?: string }[] };
      assert.equal(complaints.length, 1, logged[0]);
      await assertOldInForce();

      const serve = await gateway.attempt('serve');
      assert.deepEqual([serve.status, serve.stdout], [2, '']);
      assert.match(serve.stderr, complaint);
      const maps = await gateway.attempt('maps');
      assert.equal(maps.status, 2);
      assert.match(maps.stderr, complaint);
      await assertOldInForce();
    });
  }

  test('are in force once the mistake is mended', async () => {
    const { gateway } = site;
    await gateway.changeSettings('bank', good.replace('always', 'never'));
    await gateway.run('maps');
    const sent = await site.send({ from, to: 'u@bank.example' });
    assert.equal(await site.outcome(sent), 'TLSv1.3 at mx.inside.example by smtp');
    await gateway.changeSettings('bank', good);
    assert.match((await site.send({ from, to: 'u@bank.example' })).reply, /^550 5\.7\.10 /u);
    await gateway.run('maps');
  });

  test('or none at all, the directory being gone, leave those in force in force', async () => {
    const { gateway } = site;
    const directory = join(gateway.directory, 'domains.d');
    const skip = gateway.log.length;
    await rename(directory, `${directory}.away`);
    await gateway.waitForLog(/"settings cannot be used; those in force stay"/u, skip);
    await assertOldInForce();
    const serve = await gateway.attempt('serve');
    assert.equal(serve.status, 2);
    assert.match(serve.stderr, /domains\.d: the settings directory cannot be read/u);
    const back = gateway.log.length;
    await rename(`${directory}.away`, directory);
    await gateway.waitForLog(/"settings in force"/u, back);
    await assertOldInForce();
  });
});
