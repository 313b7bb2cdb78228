// Levels that look at the certificate: a next server with the wrong one gets no mail, whichever flow asks for it, whether the
// server is found by MX or named, and whether a table or FILTER says so. Levels that go by the DNS: levels-dane-only.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Authority, type Certificate, selfSignedCertificate } from '../harness/certificates.ts';
import { run } from '../harness/command.ts';
import { deliveriesAt } from '../harness/deliveries.ts';
import { Destination } from '../harness/destination.ts';
import { Gateway } from '../harness/gateway.ts';
import { NameServer } from '../harness/name-server.ts';
import { sendMessage } from '../harness/send-message.ts';
import { waitFor } from '../harness/wait-for.ts';
import { Workspace } from '../harness/workspace.ts';

const levels = ['encrypt', 'fingerprint', 'verify', 'secure'] as const;
type Level = (typeof levels)[number];

/** How one domain's requirement finds its way to the next server. */
interface Way {
  readonly flow: 'incoming' | 'outgoing';
  readonly server: 'by MX' | 'by next hop';
  readonly said: 'by table' | 'by FILTER';
}

const ways: readonly Way[] = (['incoming', 'outgoing'] as const).flatMap((flow) =>
  (['by MX', 'by next hop'] as const).flatMap((server) =>
    (['by table', 'by FILTER'] as const).map((said) => ({ flow, server, said })),
  ),
);

interface Case extends Way {
  readonly level: Level;
  readonly name: string;
  /** The domain with the setting. */
  readonly hosted: string;
  readonly sender: string;
  readonly recipient: string;
}

const cases: readonly Case[] = ways.flatMap((way) =>
  levels.flatMap((level) => {
    const { flow, server, said } = way;
    // A server's fingerprints need to be those of one server: outgoing by MX has none.
    if (flow === 'outgoing' && server === 'by MX' && level === 'fingerprint') return [];
    const name = `${flow} ${server} ${said}, ${level}`;
    const hosted = `${name.replaceAll(/[, ]+/g, '-').toLowerCase()}.example`;
    return flow === 'incoming'
      ? [{ ...way, level, name, hosted, sender: 'ceo@partner.example', recipient: `user@${hosted}` }]
      : [{ ...way, level, name, hosted, sender: `user@${hosted}`, recipient: `ceo@far-from-${hosted}` }];
  }),
);

const mailHost = 'mx.provider.example';
const certifiedName = 'mail.certified.example';
/** For level secure by MX a certificate has to name the domain itself. */
const allNames = [mailHost, certifiedName, ...cases.map(({ recipient }) => recipient.replace(/.*@/, ''))];

describe('a next server', () => {
  let workspace: Workspace;
  let authority: Authority;
  let right: Certificate;
  /** The one that domains by MX lead to, those that are named, for tables and for FILTER, and the relayhost. */
  let destinations: Readonly<Record<'exchange' | 'table' | 'filter' | 'relay', Destination>>;
  /** Two, for outgoing mail goes either by MX or to a relayhost. */
  let byMx: Gateway;
  let byRelay: Gateway;

  before(async () => {
    workspace = await Workspace.create();
    authority = await Authority.create(workspace);
    const names = await NameServer.start(workspace);
    right = await authority.issue(allNames);
    destinations = {
      exchange: await Destination.start(workspace, { name: 'exchange', certificate: right }),
      table: await Destination.start(workspace, { name: 'table', certificate: right }),
      filter: await Destination.start(workspace, { name: 'filter', certificate: right }),
      relay: await Destination.start(workspace, { name: 'relay', certificate: right }),
    };
    names.set(mailHost, { a: [destinations.exchange.address] });
    for (const { recipient } of cases) names.set(recipient.replace(/.*@/, ''), { mx: [`10 ${mailHost}`] });
    const start = async (name: string, its: readonly Case[], relayhost?: string): Promise<Gateway> =>
      await Gateway.start(workspace, {
        name,
        nameServer: names.address,
        settled: true,
        ...(relayhost === undefined ? {} : { relayhost }),
        parameters: {
          relay_domains: its.map(({ hosted }) => hosted).join(' '),
          smtp_tls_CAfile: authority.caFile,
          // What has been refused stays so until it is asked for again.
          minimal_backoff_time: '100s',
          maximal_backoff_time: '100s',
        },
        settings: { all: its.map(settingsOf).join('\n') },
      });
    byMx = await start(
      'by-mx',
      cases.filter((each) => !isRelayed(each)),
    );
    byRelay = await start('by-relay', cases.filter(isRelayed), destinations.relay.nexthop);
  });
  after(() => workspace.dispose());

  function isRelayed({ flow, server }: Case): boolean {
    return flow === 'outgoing' && server === 'by next hop';
  }

  function settingsOf({ flow, server, said, level, hosted, recipient }: Case): string {
    const nexthop = destinations[said === 'by table' ? 'table' : 'filter'].nexthop;
    const far = flow === 'incoming' ? 'senders = "ceo@partner.example"' : `recipients = "${recipient}"`;
    return [
      `[domains."${hosted}"]`,
      flow === 'incoming' && server === 'by next hop' ? `nexthop = "${nexthop}"` : '',
      `[domains."${hosted}".${flow}.delivery]`,
      said === 'by table' ? 'require_tls = "always"' : `require_tls = "specific"\n${far}`,
      `level = "${level}"`,
      level === 'fingerprint' ? `fingerprints = ["${right.certificateFingerprint}"]` : '',
      (level === 'verify' || level === 'secure') && server === 'by next hop'
        ? `certificate_names = ["${certifiedName}"]`
        : '',
    ].join('\n');
  }

  const shown: readonly {
    readonly what: string;
    readonly certificate: () => Promise<Certificate | undefined>;
    readonly getsMail: (each: Case) => boolean;
  }[] = [
    {
      what: 'with the right certificate gets mail of every level',
      certificate: async () => right,
      getsMail: () => true,
    },
    {
      what: "with another's certificate gets what needs to be encrypted, no more",
      certificate: () => authority.issue(['elsewhere.example']),
      getsMail: ({ level }) => level === 'encrypt',
    },
    {
      what: 'with an expired certificate gets what needs to be encrypted, no more',
      certificate: () => authority.issueExpired(allNames),
      getsMail: ({ level }) => level === 'encrypt',
    },
    {
      what: 'with a certificate that nobody vouches for gets what needs to be encrypted, no more',
      certificate: () => selfSignedCertificate(workspace, allNames),
      getsMail: ({ level }) => level === 'encrypt',
    },
    {
      what: 'with the certificate of its host name is verified but not secure, if only the DNS leads there',
      certificate: () => authority.issue([mailHost, certifiedName]),
      getsMail: ({ level, server }) =>
        level === 'encrypt' || level === 'verify' || (level === 'secure' && server === 'by next hop'),
    },
    {
      what: 'without TLS gets nothing',
      certificate: async () => undefined,
      getsMail: () => false,
    },
  ];

  for (const [number, { what, certificate, getsMail }] of shown.entries()) {
    test(what, async () => {
      const shows = await certificate();
      for (const destination of Object.values(destinations)) {
        destination.messages.length = 0;
        destination.certificate = shows;
        destination.starttls = shows !== undefined;
      }
      const sender = (each: Case): Gateway => (isRelayed(each) ? byRelay : byMx);
      for (const each of cases) {
        const sent = await sendMessage(sender(each).postfix, {
          from: each.sender,
          to: [each.recipient],
          id: `${number}-${each.hosted}`,
        });
        assert.equal(sent.data?.code, 250, `${each.name}: ${sent.recipients[0]?.text} ${sent.data?.text}`);
      }
      const taken = cases.filter(getsMail);
      for (const gateway of [byMx, byRelay]) {
        const refused = cases.filter((each) => !getsMail(each) && sender(each) === gateway);
        await waitFor(
          async () => {
            const queue = await gateway.postfix.queue();
            if (queue.some(({ queue_name: name }) => name !== 'deferred')) return false;
            // Put off without a look, since another could not be delivered.
            const isUnseen = queue.some(({ recipients }) =>
              recipients.some(({ delay_reason: reason }) => reason?.includes('suspended') !== false),
            );
            if (isUnseen) await gateway.postfix.flush();
            return !isUnseen && queue.length === refused.length;
          },
          async () => `${refused.length} wait: ${JSON.stringify(await gateway.postfix.queue(), undefined, 1)}`,
        );
        await run('postsuper', ['-c', gateway.postfix.configDirectory, '-d', 'ALL']);
      }
      const seen = deliveriesAt(Object.values(destinations)).map(({ id, at, overTls }) => ({ id, at, overTls }));
      const place = ({ flow, server, said }: Case): string => {
        if (server === 'by MX') return 'exchange';
        return flow === 'outgoing' ? 'relay' : said === 'by table' ? 'table' : 'filter';
      };
      const wanted = taken.map((each) => ({ id: `${number}-${each.hosted}`, at: place(each), overTls: true }));
      const byId = (a: { readonly id: string }, b: { readonly id: string }): number => (a.id < b.id ? -1 : 1);
      assert.deepEqual(seen.sort(byId), wanted.sort(byId));
    });
  }

  test('is found by table where a table can say it, and by FILTER where not', async () => {
    for (const gateway of [byMx, byRelay]) {
      const filtered = new Set(
        (await gateway.postfix.logLines()).flatMap(
          (line) =>
            line
              .match(/filter: RCPT .* triggers FILTER tlswarden-.*from=<([^>]*)> to=<([^>]*)>/)
              ?.slice(1)
              .join(' ') ?? [],
        ),
      );
      const its = cases.filter((each) => isRelayed(each) === (gateway === byRelay));
      assert.deepEqual(
        its.filter(({ sender, recipient }) => filtered.has(`${sender} ${recipient}`)).map(({ name }) => name),
        its.filter(({ said }) => said === 'by FILTER').map(({ name }) => name),
      );
    }
  });
});
