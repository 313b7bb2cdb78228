// Settings on trial, enforcement = "monitor": what would be refused is logged by smtpd(8) and passes, on both flows.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Site, trusted } from '../harness/site.ts';
import { Workspace } from '../harness/workspace.ts';

describe('a requirement under monitor', () => {
  let workspace: Workspace;
  let site: Site;

  before(async () => {
    workspace = await Workspace.create();
    site = await Site.open(workspace);
    const inside = await site.server('mx.inside.example');
    const hosted = ['trial.example', 'strict.example', 'sender.example', 'guarded.example'];
    await site.start({
      domains: Object.fromEntries(hosted.map((name) => [name, inside])),
      settings: {
        all: `
          [domains."trial.example"]
          nexthop = "${inside.nexthop}"
          incoming.receipt = { require_tls = "always", enforcement = "monitor", min_protocol = "TLSv1.3" }
          [domains."sender.example"]
          nexthop = "${inside.nexthop}"
          outgoing.receipt = { require_tls = "always", enforcement = "monitor" }
          [domains."strict.example"]
          nexthop = "${inside.nexthop}"
          incoming.receipt = { require_tls = "specific", senders = "sender.example" }
          [domains."guarded.example"]
          nexthop = "${inside.nexthop}"
          incoming.receipt = { require_tls = "always", enforcement = "monitor" }
          incoming.delivery = { require_tls = "specific", senders = "*" , recipients = "payroll" }
        `,
      },
    });
  });
  after(() => workspace.dispose());

  test('lets plaintext mail to the domain pass, and smtpd logs what would have been refused', async () => {
    const sent = await site.send({ from: 'a@partner.example', to: 'u@trial.example' });
    assert.equal(await site.outcome(sent), 'TLSv1.3 at mx.inside.example by smtp');
    await site.gateway.postfix.waitForLog(
      /smtpd\[\d+\]: NOQUEUE: warn: .*tlswarden would refuse: TLS required: mail for trial\.example is accepted over TLS only, and this session is not encrypted; .*to=<u@trial\.example>/u,
    );
    await site.gateway.waitForLog(/"decision":"warn".*"domain":"trial\.example".*"reason":"tls"/u);
  });

  test('lets a weak session pass, and says what it lacks', async () => {
    const sent = await site.send({ from: 'a@partner.example', to: 'weak@trial.example', tls: { max: 'TLSv1.2' } });
    assert.equal(await site.outcome(sent), 'TLSv1.3 at mx.inside.example by smtp');
    await site.gateway.postfix.waitForLog(/warn: .*TLSv1\.3 or later, and this session uses TLSv1\.2.*to=<weak@/u);
  });

  test('says nothing of a session that satisfies it', async () => {
    const sent = await site.send({ from: 'a@partner.example', to: 'good@trial.example', tls: {} });
    assert.equal(await site.outcome(sent), 'TLSv1.3 at mx.inside.example by smtp');
    assert.ok(!(await site.gateway.postfix.logLines()).some((line) => /warn: .*good@trial/u.test(line)));
  });

  test('lets mail from the domain pass too', async () => {
    const sent = await site.send({ from: 'a@sender.example', to: 'u@trial.example', ...trusted });
    assert.equal(await site.outcome(sent), 'TLSv1.3 at mx.inside.example by smtp');
    await site.gateway.postfix.waitForLog(/warn: .*tlswarden would refuse: .*from=<a@sender\.example>/u);
  });

  test('does not weaken what the other side enforces', async () => {
    const sent = await site.send({ from: 'a@sender.example', to: 'u@strict.example', ...trusted });
    assert.match(sent.reply, /^550 5\.7\.10 .*mail for strict\.example is accepted over TLS only/u);
  });

  test('does not keep delivery from being enforced', async () => {
    const sent = await site.send({ from: 'a@partner.example', to: 'payroll@guarded.example' });
    assert.equal(await site.outcome(sent), 'TLSv1.3 at mx.inside.example by tlswarden-encrypt');
    const other = await site.send({ from: 'a@partner.example', to: 'other@guarded.example' });
    assert.equal(await site.outcome(other), 'TLSv1.3 at mx.inside.example by tlswarden-encrypt');
  });
});
