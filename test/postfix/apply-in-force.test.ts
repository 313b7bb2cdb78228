// `postfix apply` and `postfix revert` on a Postfix that runs: what it does with mail before, between and after.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { run } from '../harness/command.ts';
import { Site } from '../harness/site.ts';
import { waitFor } from '../harness/wait-for.ts';
import { Workspace } from '../harness/workspace.ts';

test('after apply Postfix enforces the settings, and after revert it does what it did before', async (t) => {
  const site = await Site.open(await Workspace.of(t));
  const plain = await site.server('mx.plain.example', { certificateNames: [] });
  const gateway = await site.start({
    domains: { 'bank.example': plain },
    settings: {
      bank: `[domains."bank.example"]
nexthop = "${plain.nexthop}"
[domains."bank.example".incoming.receipt]
require_tls = "specific"
recipients = "payroll"
[domains."bank.example".incoming.delivery]
require_tls = "specific"
senders = "ceo@partner.example"
`,
    },
    told: false,
  });
  const toPayroll = { from: 'a@elsewhere.example', to: 'payroll@bank.example' };
  const byCeo = { from: 'ceo@partner.example', to: 'info@bank.example' };
  const replyTo = async (sending: typeof toPayroll): Promise<string> => (await site.send(sending)).reply;
  const before = await site.send(toPayroll);
  assert.equal(await site.outcome(before), 'plaintext at mx.plain.example by smtp');

  const applied = JSON.parse(await gateway.run('--json', 'postfix', 'apply', '--reload'));
  assert.equal(applied.reload, 'done');
  // A reload takes effect as each process comes to its end.
  await waitFor(async () => (await replyTo(toPayroll)).startsWith('550 5.7.1'), 'smtpd refuses');
  const bound = await site.send(byCeo);
  assert.match(await site.outcome(bound), /^deferred by tlswarden-encrypt: TLS is required, but was not offered/u);
  assert.match(await gateway.run('postfix', 'apply', '--reload'), /^nothing to change\n$/u);

  const reverted = JSON.parse(await gateway.run('--json', 'postfix', 'revert', '--reload'));
  assert.equal(reverted.reload, 'done');
  assert.deepEqual(reverted.queued, [{ id: bound.queueId, transport: 'tlswarden-encrypt' }]);
  const config = gateway.postfix.configDirectory;
  const again = await gateway.run('postfix', 'revert');
  assert.ok(again.startsWith('nothing to change\n'));
  const command = `postsuper -c ${config} -r ${bound.queueId}`;
  assert.ok(again.endsWith(`${command}\n`), again);
  await waitFor(async () => (await replyTo(toPayroll)).startsWith('250'), 'smtpd accepts');
  // What is bound stays, in the clear it never leaves by itself.
  await gateway.postfix.flush();
  await gateway.postfix.waitForLog(new RegExp(`${bound.queueId}: .*mail transport unavailable`, 'u'));
  const lines = (await gateway.postfix.logLines()).length;
  await run('sh', ['-c', command]);
  await gateway.postfix.flush();
  await gateway.postfix.waitForLog(/postfix\/smtp\[\d+\]: .*to=<info@bank\.example>.* status=sent/u, lines);
});
