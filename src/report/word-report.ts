/**
 * A report in words: what enforcing would do, then tables with bars, as wide as the terminal if there is one. Pure.
 */
import { LACKS, type Lack } from '../decision/receipt.ts';
import { LEVELS, TLS_VERSIONS } from '../settings/level.ts';
import { FLOWS, type Flow } from '../settings/setting.ts';
import {
  deliveriesOf,
  deliveryPlace,
  EXEMPT,
  LAST,
  LAST_LACKING,
  mailOf,
  type Numbers,
  numberAt,
  OTHER,
  PLAINTEXT,
  refusalPlace,
  refusedOf,
  sessionPlace,
  wouldRefuseOf,
} from './counters.ts';
import type { Group, Summary } from './summary.ts';
import {
  bar,
  type Column,
  more,
  namesOf,
  number,
  numbers,
  percent,
  plural,
  rare,
  type Shares,
  type TextForm,
  table,
  wordDomains,
  wordKey,
  wordNames,
  wordShare,
  words,
} from './text-table.ts';

/** How a report is to be worded. */
export interface Wording extends TextForm {
  /** Milliseconds since the epoch, for how long ago things were. */
  readonly now: number;
  /** Whether Postfix's own tables refuse before the service is asked. */
  readonly hasTables: boolean;
}

/** Many lines, without a newline at the end. */
export function wordReport(summary: Summary, wording: Wording): string {
  const parts = [wordHead(summary, wording)];
  const { domains, plaintext, refused } = summary.question;
  const isFiltered = plaintext || refused;
  for (const flow of FLOWS) {
    const groups = summary.groups.filter((group) => group.flow === flow);
    const receipt = groups.filter((group) => mailOf(group.numbers) > 0);
    // Whoever asks who is in plaintext, or refused, asks about receipt.
    const delivery = isFiltered ? [] : groups.filter((group) => deliveriesOf(group.numbers) > 0);
    if (receipt.length > 0) parts.push(wordReceipt(flow, receipt, domains, wording));
    if (delivery.length > 0) parts.push(wordDelivery(flow, delivery, domains, wording));
  }
  if (isEmpty(summary)) return parts.join('\n\n');
  if (summary.groups.length === 0) parts.push('No row is like that.');
  parts.push(wordNotes(summary, isFiltered, wording));
  return parts.filter((part) => part !== '').join('\n\n');
}

/** Whether there was no mail, of whatever kind. */
function isEmpty({ totals }: Summary): boolean {
  return FLOWS.every((flow) => mailOf(totals[flow]) + deliveriesOf(totals[flow]) === 0);
}

/** By flow: mail between two hosted domains is one of each. */
function wordHead(summary: Summary, { now }: Wording): string {
  const { question, since, hosts, totals, wouldRefuse } = summary;
  const flows = FLOWS.filter((flow) => mailOf(totals[flow]) > 0);
  const lines = [
    `Counted${wordDomains(question.domains)} since ${wordMoment(since)}, ${wordAge(now - since)}, on ${wordNames(hosts)}:`,
    ...flows.map((flow) => {
      const [mail, plaintext] = [mailOf(totals[flow]), numberAt(totals[flow], PLAINTEXT)];
      return `  ${flow}: ${plural(mail, 'recipient')}, ${wordShare(plaintext, mail)} in plaintext`;
    }),
  ];
  if (isEmpty(summary)) return [...lines, '  no mail'].join('\n');
  const wouldFlows = flows.filter((flow) => wouldRefuseOf(totals[flow]) > 0);
  if (flows.length > 0 && wouldFlows.length === 0) lines.push('Nothing under monitor would refuse any of it.');
  if (wouldFlows.length === 0) return lines.join('\n');
  lines.push('Enforcing what is under monitor would refuse');
  for (const flow of wouldFlows) {
    const why = LACKS.map((lack) => [lack, numberAt(totals[flow], refusalPlace(lack, true))] as const);
    const reasons = why.filter(([, count]) => count > 0).map(wordWhy);
    lines.push(`  ${flow}: ${wordShare(wouldRefuseOf(totals[flow]), mailOf(totals[flow]))}, ${reasons.join(', ')}`);
  }
  lines.push(
    `  of mail with ${wordNames(wouldRefuse.remotes)}`,
    `  by the settings of ${wordNames(wouldRefuse.domains)}`,
  );
  return lines.join('\n');
}

const WHY: Readonly<Record<Lack, string>> = {
  tls: 'without TLS',
  protocol: 'with too old a protocol',
  cipher: 'with too weak a cipher',
};

const wordWhy = ([lack, count]: readonly [Lack, number]): string => `${number(count)} ${WHY[lack]}`;

function wordReceipt(flow: Flow, groups: readonly Group[], domains: readonly string[], wording: Wording): string {
  const shown = groups.slice(0, wording.most);
  const all = shown.map((group) => group.numbers);
  const at =
    (place: number) =>
    (row: Numbers): number =>
      numberAt(row, place);
  const columns: readonly Column[] = [
    numbers('RECIPIENTS', all, mailOf),
    words('TLS', all, (row) => bar(sharesOf(row), wording.blocks), 'left'),
    numbers('PLAINTEXT', all, at(PLAINTEXT)),
    words('', all, (row) => percent(numberAt(row, PLAINTEXT), mailOf(row))),
    ...TLS_VERSIONS.flatMap((version) => rare(version, all, at(sessionPlace(version)))),
    ...rare('OTHER', all, at(OTHER)),
    ...rare('EXEMPT', all, at(EXEMPT)),
    ...rare('REFUSED', all, refusedOf),
    numbers('WOULD REFUSE', all, wouldRefuseOf),
    words('LAST LACKING', all, (row) => wordLast(numberAt(row, LAST_LACKING), wording.now)),
  ];
  const lines = table(`${flow.toUpperCase()}, RECEIPT`, namesOf(shown, domains), columns, wording);
  return [...lines, ...more(groups, shown)].join('\n');
}

/** Exempt recipients are left out: nobody looked at their sessions. */
function sharesOf(row: Numbers): Shares {
  return {
    all: mailOf(row) - numberAt(row, EXEMPT),
    plaintext: numberAt(row, PLAINTEXT),
    old: numberAt(row, sessionPlace('TLSv1')) + numberAt(row, sessionPlace('TLSv1.1')),
  };
}

function wordDelivery(flow: Flow, groups: readonly Group[], domains: readonly string[], wording: Wording): string {
  const rows = groups.flatMap((group) =>
    LEVELS.map((level) => ({
      group,
      level,
      enforced: numberAt(group.numbers, deliveryPlace(level, 'enforce')),
      monitored: numberAt(group.numbers, deliveryPlace(level, 'monitor')),
    })).filter(({ enforced, monitored }) => enforced + monitored > 0),
  );
  const shown = rows.slice(0, wording.most);
  const columns: readonly Column[] = [
    words('LEVEL', shown, ({ level }) => level, 'left'),
    numbers('REQUIRED', shown, ({ enforced }) => enforced),
    numbers('MONITORED', shown, ({ monitored }) => monitored),
    words('LAST', shown, ({ group }) => wordLast(numberAt(group.numbers, LAST), wording.now)),
  ];
  const names = namesOf(
    shown.map(({ group }) => group),
    domains,
  );
  const lines = table(`${flow.toUpperCase()}, DELIVERY`, names, columns, wording);
  return [...lines, ...more(rows, shown)].join('\n');
}

function wordNotes({ totals }: Summary, isFiltered: boolean, { blocks, hasTables }: Wording): string {
  const mail = FLOWS.some((flow) => mailOf(totals[flow]) > 0);
  const deliveries = !isFiltered && FLOWS.some((flow) => deliveriesOf(totals[flow]) > 0);
  const notes: string[] = [];
  if (mail) notes.push(wordKey(blocks));
  if (mail && hasTables) {
    notes.push(
      'Where TLS is required of everyone, Postfix refuses plaintext by its own table receipt_access, before the service\n' +
        'is asked: such refusals are not among these.',
    );
  }
  if (deliveries) {
    notes.push(
      'Whether a delivery has its TLS shows only later, between Postfix and the next server: the service counts whom\n' +
        'a requirement concerns. "tlswarden report --maillog FILE" tells what became of it, and "tlswarden probe DOMAIN"\n' +
        'whether its servers could do it.',
    );
  }
  return notes.join('\n');
}

const wordLast = (moment: number, now: number): string => (moment === 0 ? '-' : wordAge(now - moment));

/** `just now`, `5 min ago`, `3 h ago`, `12 d ago`. */
function wordAge(ms: number): string {
  if (ms < 60_000) return 'just now';
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min ago`;
  return ms < 48 * 3_600_000 ? `${Math.floor(ms / 3_600_000)} h ago` : `${Math.floor(ms / 86_400_000)} d ago`;
}

const wordMoment = (ms: number): string => `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
