// Level dane-only: mail goes where the DNS, signed, says by TLSA which key is right, and the server has that key; else nowhere.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Authority, selfSignedCertificate } from '../harness/certificates.ts';
import { deliveriesAt } from '../harness/deliveries.ts';
import { Destination } from '../harness/destination.ts';
import { Gateway } from '../harness/gateway.ts';
import { NameServer } from '../harness/name-server.ts';
import { sendMessage } from '../harness/send-message.ts';
import { waitFor } from '../harness/wait-for.ts';
import { Workspace } from '../harness/workspace.ts';

const keys = ['right', 'wrong', 'no', 'unsigned'] as const;

interface Case {
  readonly key: (typeof keys)[number];
  readonly name: string;
  readonly hosted: string;
  readonly host: string;
  readonly byMx: boolean;
  readonly sender: string;
  readonly recipient: string;
  readonly setting: string;
}

const partner = 'ceo@partner.example';

const cases: readonly Case[] = keys.flatMap((key) =>
  (['incoming', 'outgoing'] as const).flatMap((flow) =>
    [true, false].flatMap((byMx) =>
      (['table', 'filter'] as const).flatMap((said) => {
        if (flow === 'outgoing' && !byMx) return [];
        const name = `${key}-${flow}-${byMx ? 'mx' : 'nexthop'}-${said}`;
        const hosted = `${name}.example`;
        const far = `partner@far-${hosted}`;
        const condition =
          said === 'table'
            ? 'require_tls = "always"'
            : `require_tls = "specific"\n${flow === 'incoming' ? `senders = "${partner}"` : `recipients = "${far}"`}`;
        const [sender, recipient] = flow === 'incoming' ? [partner, `user@${hosted}`] : [`user@${hosted}`, far];
        const setting = `[domains."${hosted}".${flow}.delivery]\nlevel = "dane-only"\n${condition}`;
        return [{ key, name, hosted, host: `mx.${name}.test`, byMx, sender, recipient, setting }];
      }),
    ),
  ),
);

describe('mail that needs a key that the DNS vouches for', () => {
  let workspace: Workspace;
  let destination: Destination;
  let gateway: Gateway;

  before(async () => {
    workspace = await Workspace.create();
    const names = await NameServer.start(workspace);
    const authority = await Authority.create(workspace);
    // Nobody but the DNS vouches for it, under no name that would do: the key is all that counts.
    const certificate = await selfSignedCertificate(workspace, ['anything.test']);
    const other = await authority.issue(cases.map(({ host }) => host));
    destination = await Destination.start(workspace, { name: 'destination', certificate });
    for (const { key, host, recipient } of cases) {
      const insecure = key === 'unsigned';
      names.set(recipient.replace(/.*@/, ''), { mx: [`10 ${host}`], insecure });
      names.set(host, { a: [destination.address], insecure });
      if (key === 'no') continue;
      names.set(`_25._tcp.${host}`, { tlsa: [key === 'wrong' ? other.tlsa : certificate.tlsa], insecure });
    }
    gateway = await Gateway.start(workspace, {
      nameServer: names.address,
      settled: true,
      parameters: {
        relay_domains: cases.map(({ hosted }) => hosted).join(' '),
        minimal_backoff_time: '100s',
        maximal_backoff_time: '100s',
      },
      settings: {
        all: cases
          .map(({ hosted, host, byMx, setting }) =>
            [`[domains."${hosted}"]`, byMx ? '' : `nexthop = "[${host}]:25"`, setting].join('\n'),
          )
          .join('\n'),
      },
    });
    for (const { name, sender, recipient } of cases) {
      const sent = await sendMessage(gateway.postfix, { from: sender, to: [recipient], id: name });
      assert.equal(sent.data?.code, 250, `${name}: ${sent.recipients[0]?.text} ${sent.data?.text}`);
    }
    const refused = cases.filter(({ key }) => key !== 'right').length;
    await waitFor(
      async () => {
        const queue = await gateway.postfix.queue();
        return queue.length === refused && queue.every(({ queue_name: name }) => name === 'deferred');
      },
      async () => `${refused} wait: ${JSON.stringify(await gateway.postfix.queue(), undefined, 1)}`,
    );
  });
  after(() => workspace.dispose());

  test('goes over TLS to a server that has it, on both flows, by MX and by next hop, by table and by FILTER', () => {
    const seen = deliveriesAt([destination]).filter(({ id }) => id.startsWith('right-'));
    assert.deepEqual(
      seen.map(({ id, overTls }) => `${id} ${overTls}`).sort(),
      cases.flatMap(({ key, name }) => (key === 'right' ? [`${name} true`] : [])).sort(),
    );
  });

  for (const [key, what] of [
    ['wrong', 'does not go to a server with another key'],
    ['no', 'does not go to a server of which the DNS says no key'],
    ['unsigned', 'does not go to a server of which the DNS says the key unsigned'],
  ] as const) {
    test(what, () => {
      assert.deepEqual(
        deliveriesAt([destination]).filter(({ id }) => id.startsWith(`${key}-`)),
        [],
      );
    });
  }
});
