/**
 * Words an explanation for a person who has been woken by it. It says nothing that is not in the data.
 */
import type { Explanation, Line, PartyExplained, Reply, RequirementExplained, RouteExplained } from './explain.ts';

/** Many lines, without a newline at the end; times by the clock of this host. */
export function wordExplanation(explanation: Explanation): string {
  const { sender, recipient, otherwise, exempt, receipt, delivery } = explanation;
  const lines = [wordParty('From', sender), wordParty('To', recipient), ...wordOtherwise(explanation), ''];
  if (sender.domain === null && recipient.domain === null && otherwise === null) {
    lines.push('Neither side is hosted here: no setting counts for this mail, and the service says DUNNO.');
    return lines.join('\n');
  }
  lines.push('RECEIPT, from the sending server or user to this Postfix');
  if (receipt.length === 0) lines.push('  nothing asks for TLS');
  else if (exempt) lines.push('  the client is one of receipt.exempt_clients: it is not asked for what follows');
  for (const requirement of receipt)
    lines.push(...wordRequirement(requirement), `    ${receiptEnforcer(requirement, explanation)}`);
  lines.push('', 'DELIVERY, from this Postfix to the next server');
  if (delivery.length === 0) lines.push('  nothing asks for TLS');
  for (const requirement of delivery)
    lines.push(...wordRequirement(requirement), `    ${deliveryEnforcer(requirement)}`);
  lines.push(...wordRoute(explanation));
  lines.push('', 'REPLIES at RCPT, to the first recipient of a message');
  const names = explanation.replies.map(wordSession);
  const width = Math.max(...names.map((name) => name.length));
  for (const [i, reply] of explanation.replies.entries())
    lines.push(`  ${(names[i] ?? '').padEnd(width)}  ${wordReply(reply, explanation)}`);
  return lines.join('\n');
}

function wordParty(word: string, party: PartyExplained): string {
  return `${word.padEnd(5)}${party.address === '' ? '<> (the null sender)' : party.address}, ${wordHosted(party)}.`;
}

function wordHosted({ domain, is_alias: isAlias }: PartyExplained): string {
  if (domain === null) return 'not hosted here';
  return isAlias ? `hosted here as an alias of ${domain}` : 'hosted here';
}

function wordOtherwise({ recipient, otherwise }: Explanation): readonly string[] {
  if (otherwise === null) return [];
  const name = recipient.address.slice(recipient.address.lastIndexOf('@') + 1);
  return [
    `     or, if this Postfix has the mailboxes of ${name} itself, ${otherwise.address}, ${wordHosted(otherwise)}:`,
    '     only Postfix knows, so what is asked of either holds.',
  ];
}

function wordRequirement(requirement: RequirementExplained): readonly string[] {
  const { flow, hop, domain, asks, require_tls: requireTls, when, entries } = requirement;
  const head = `  ${flow}.${hop} of ${domain} asks for TLS${hop === 'delivery' ? ', level' : ':'} ${wordAsks(asks)}`;
  const cited: (readonly [Line, string])[] = [
    [
      requirement,
      `require_tls = "${requireTls}"${when === 'both' ? ', when = "both"' : ''}${requirement.is_default ? ' (a default)' : ''}`,
    ],
    ...entries.map((one): readonly [Line, string] => [
      one,
      one.entry === null ? `${one.list} is empty: everyone` : `${one.list} lists "${one.entry}"`,
    ]),
  ];
  const places = cited.map(([{ file, line }]) => (line === null ? file : `${file}:${line}`));
  const width = Math.max(...places.map((place) => place.length));
  return [head, ...cited.map(([, text], i) => `    ${(places[i] ?? '').padEnd(width)}  ${text}`)];
}

function wordAsks(asks: Readonly<Record<string, unknown>>): string {
  if ('min_protocol' in asks)
    return `${asks['min_protocol']} or later, ciphers of ${asks['min_cipher_bits']} bits or more`;
  const list = (key: string, word: string): string =>
    Array.isArray(asks[key]) ? `, ${word} ${asks[key].join(' or ')}` : '';
  const names = list('certificate_names', 'a certificate for') + list('fingerprints', 'a certificate with');
  return `${asks['level']}, protocols ${asks['protocols']}, ciphers ${asks['ciphers']}${names}`;
}

function receiptEnforcer(
  { enforcement, on_failure: onFailure, in_tables: inTables }: RequirementExplained,
  { tables, otherwise, replies }: Explanation,
): string {
  if (enforcement === 'monitor') return 'under monitor: it is logged and counted, and the mail passes';
  const table = inTables ? RECEIPT_TABLE_WORDS[tables] : '';
  const isSure = table === '' || otherwise === null || replies.some(({ before }) => before !== null);
  return `enforced by reply: ${onFailure}${table}${isSure ? '' : ', where Postfix reads the recipient so'}`;
}

const RECEIPT_TABLE_WORDS: Readonly<Record<Explanation['tables'], string>> = {
  none: '',
  absent: '; table receipt_access will too, once "tlswarden maps" has run',
  outdated: '; table receipt_access will too, once "tlswarden maps" has run',
  current: '; and first, without TLS, by table receipt_access',
};

function deliveryEnforcer({
  enforcement,
  on_failure: onFailure,
  in_tables: inTables,
  flow,
}: RequirementExplained): string {
  if (enforcement === 'monitor') return 'under monitor: it is logged and counted, and the mail passes';
  const what = `without TLS the mail ${onFailure === 'bounce' ? 'bounces' : 'waits in the queue'}`;
  if (!inTables) return `dynamic (no table can say it): enforced by FILTER; ${what}`;
  return `static: a table can hold it (${flow === 'incoming' ? 'tls_policy or transport' : 'sender_transport'}); ${what}`;
}

const DYNAMIC_WORDS = 'no table can give all of it, so the service answers FILTER';

const TABLES_WORDS: Readonly<Record<Explanation['tables'], string>> = {
  none: 'there is no [maps] directory, so the service answers FILTER',
  absent: 'no tables are in force yet, so the service answers FILTER until "tlswarden maps" has run',
  outdated: 'the tables in force hold other settings, so the service answers FILTER until "tlswarden maps" has run',
  current: DYNAMIC_WORDS,
};

function wordRoute(explanation: Explanation): readonly string[] {
  const { route, recipient, otherwise, tables } = explanation;
  const isEither = otherwise !== null && route?.by !== 'filter';
  const routes: readonly (readonly [whose: string, route: RouteExplained | null])[] = isEither
    ? [
        [`As ${recipient.address}`, route],
        [`As ${otherwise.address}`, otherwise.route],
      ]
    : [['Together', route]];
  const lines = routes.flatMap(([whose, one]) => (one === null ? [] : wordOneRoute(whose, one, tables)));
  return lines.length === 0 ? [] : [...lines, ...wordSettling(explanation)];
}

function wordOneRoute(whose: string, route: RouteExplained, tables: Explanation['tables']): readonly string[] {
  const nexthop = route.nexthop === '' ? 'the MX of the recipient domain' : route.nexthop;
  const filter = route.in_tables ? TABLES_WORDS[tables] : DYNAMIC_WORDS;
  const by = route.by === 'tables' ? 'the tables in force give just that' : filter;
  return [`  ${whose}: transport ${route.transport} to ${nexthop};`, `  ${by}.`];
}

/** Only the service remembers whether the tables hold something new of the domain, so both are said. */
function wordSettling({ settling, replies, recipient, otherwise, sender }: Explanation): readonly string[] {
  if (settling === null || replies.every(({ while_settling: reply }) => reply === null)) return [];
  const [writtenAt, until] = [wordTime(settling.written_at), wordTime(settling.until)];
  const names = new Set([recipient.domain ?? sender.domain, otherwise === null ? null : otherwise.domain]);
  const name = [...names].filter((one) => one !== null).join(' or ');
  return [
    `  They were written at ${writtenAt}. Until ${until} some of Postfix may go by those before: if what they hold`,
    `  of ${name} is new, or the service was started since, it answers FILTER until then.`,
  ];
}

function wordReply({ before, reply, while_settling: whileSettling }: Reply, { settling }: Explanation): string {
  if (before !== null) return `${before}, by table receipt_access; the service is not asked`;
  if (whileSettling === null || settling === null) return reply;
  return `${reply}, or until ${wordTime(settling.until)} ${whileSettling.reply}`;
}

/** As the clock of this host has it. */
function wordTime(iso: string): string {
  return new Date(iso).toTimeString().slice(0, 8);
}

function wordSession({ session }: Reply): string {
  return session === null ? 'without TLS' : `${session.protocol}, ${session.bits} bits`;
}
