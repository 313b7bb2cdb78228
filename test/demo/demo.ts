// `npm run demo`: a gateway with tlswarden in front, servers around it with and without TLS, a dozen messages over both flows,
// and a table of what became of each. Everything lives in a temporary folder and on loopback addresses, and is gone at the
// end, also after Ctrl-C. Needs root and Postfix, which test/prerequisites.ts sees to before.

import { Site, trusted } from '../harness/site.ts';
import type { ClientTls } from '../harness/smtp-client.ts';
import { Workspace } from '../harness/workspace.ts';
import { type Row, wordRefusals, wordTable } from './word-demo.ts';

interface Message {
  readonly from: string;
  readonly to: string;
  readonly tls?: ClientTls;
  /** Sent by a user of the gateway's own. */
  readonly ours?: boolean;
}

const TLS_1_1: ClientTls = { min: 'TLSv1.1', max: 'TLSv1.1' };

const messages: readonly Message[] = [
  { from: 'news@partner.example', to: 'info@shop.example' },
  { from: 'lab@partner.example', to: 'ward@clinic.example' },
  { from: 'lab@partner.example', to: 'ward@clinic.example', tls: TLS_1_1 },
  { from: 'lab@partner.example', to: 'ward@clinic.example', tls: {} },
  { from: 'ceo@partner.example', to: 'board@bank.example' },
  { from: 'news@old.example', to: 'board@bank.example' },
  { from: 'news@old.example', to: 'office@school.example' },
  { from: 'news@old.example', to: 'payroll@school.example' },
  { from: 'court@partner.example', to: 'office@school.example' },
  { from: 'court@partner.example', to: 'desk@lawyer.example', tls: {} },
  { from: 'clerk@firm.example', to: 'info@old.example', ours: true },
  { from: 'payroll@firm.example', to: 'info@old.example', ours: true },
  { from: 'payroll@firm.example', to: 'info@partner.example', ours: true },
  { from: 'hr@firm.example', to: 'info@partner.example', ours: true },
  { from: 'hr@firm.example', to: 'info@partner.example', ours: true, tls: {} },
];

const wishes = `The gateway hosts:
  shop.example     asks for nothing; its server has no TLS
  clinic.example   incoming.receipt: only takes mail that arrived over TLS
  bank.example     incoming.receipt: the same of *@partner.example; incoming.delivery: always, level secure
  school.example   incoming.delivery: TLS for payroll, and for what court@partner.example sends; its server has no TLS
  lawyer.example   incoming.delivery: always, level secure; its server's certificate is for another name
  firm.example     outgoing.delivery: TLS for what payroll sends; outgoing.receipt: TLS from hr
Elsewhere: partner.example, whose server has TLS, and old.example, whose server has none.
`;

/** Builds the gateway and all that is around it. */
async function build(workspace: Workspace): Promise<Site> {
  const site = await Site.open(workspace);
  const shop = await site.server('mx.shop.example', { certificateNames: [] });
  const clinic = await site.server('mx.clinic.example');
  const bank = await site.server('mx.bank.example');
  const school = await site.server('mx.school.example', { certificateNames: [] });
  const lawyer = await site.server('mx.lawyer.example', { certificateNames: ['mx.somebody-else.example'] });
  await site.server('mx.partner.example', { mxOf: ['partner.example'] });
  await site.server('mx.old.example', { certificateNames: [], mxOf: ['old.example'] });
  await site.start({
    settled: true,
    domains: {
      'shop.example': shop,
      'clinic.example': clinic,
      'bank.example': bank,
      'school.example': school,
      'lawyer.example': lawyer,
      'firm.example': shop,
    },
    settings: {
      customers: `
        [domains."shop.example"]
        nexthop = "${shop.nexthop}"

        [domains."clinic.example"]
        nexthop = "${clinic.nexthop}"
        incoming.receipt = { require_tls = "always" }

        [domains."bank.example"]
        nexthop = "${bank.nexthop}"
        incoming.receipt = { require_tls = "specific", senders = "*@partner.example" }
        incoming.delivery = { require_tls = "always", level = "secure", certificate_names = "mx.bank.example" }

        [domains."school.example"]
        nexthop = "${school.nexthop}"
        incoming.delivery = { require_tls = "specific", recipients = "payroll", senders = "court@partner.example" }

        [domains."lawyer.example"]
        nexthop = "${lawyer.nexthop}"
        incoming.delivery = { require_tls = "always", level = "secure", certificate_names = "mx.lawyer.example" }

        [domains."firm.example"]
        nexthop = "${shop.nexthop}"
        outgoing.receipt = { require_tls = "specific", senders = "hr" }
        outgoing.delivery = { require_tls = "specific", senders = "payroll" }
      `,
    },
  });
  return site;
}

async function send(site: Site, { from, to, tls, ours }: Message): Promise<Row> {
  const sent = await site.send({ from, to, ...(tls && { tls }), ...(ours === true ? trusted : {}) });
  const session = sent.tls?.version ?? 'plaintext';
  const row = { from, to, session, reply: sent.reply };
  if (sent.queueId === undefined) return { ...row, delivered: 'nothing: refused' };
  const fate = await site.fate(sent);
  if (fate.at !== undefined) return { ...row, delivered: `${fate.tls} at ${fate.at}` };
  return { ...row, delivered: `${fate.status === 'deferred' ? 'waits' : 'sent back'}: ${fate.reason}` };
}

const workspace = await Workspace.create();
try {
  process.stderr.write(`Building a gateway and the servers around it in ${workspace.directory} …\n\n`);
  const site = await build(workspace);
  const rows: Row[] = [];
  for (const message of messages) rows.push(await send(site, message));
  process.stdout.write(`${wishes}\n${wordTable(rows)}\n${wordRefusals(rows)}`);
} finally {
  await workspace.dispose();
}
