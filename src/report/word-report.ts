/**
 * A report in words for a terminal: what enforcing would do, then tables with bars, as wide as the terminal. Pure.
 */
import { LEVELS, TLS_VERSIONS } from '../settings/level.ts';
import { FLOWS, type Flow } from '../settings/setting.ts';
import {
  deliveriesOf,
  deliveryPlace,
  EXEMPT,
  LACKS,
  LAST,
  LAST_LACKING,
  type LackKind,
  mailOf,
  type Numbers,
  numberAt,
  PLAINTEXT,
  refusalPlace,
  refusedOf,
  SESSIONS,
  sessionPlace,
  wouldRefuseOf,
} from './counters.ts';
import type { Group, Summary } from './summary.ts';

export interface Wording {
  readonly now: number;
  /** Columns of the terminal. */
  readonly width: number;
  /** Whether it shows block characters; else ASCII. */
  readonly blocks: boolean;
  /** Rows of each table. */
  readonly most: number;
  /** Whether Postfix's own tables refuse before the service is asked. */
  readonly hasTables: boolean;
}

const BAR = 12;
const NAMES_SHOWN = 5;
/** The narrowest that a name is cut to. */
const LEAST_NAME = 16;

export function wordReport(summary: Summary, wording: Wording): string {
  const parts = [wordHead(summary, wording)];
  const isFiltered = summary.question.plaintext || summary.question.refused;
  for (const flow of FLOWS) {
    const groups = summary.groups.filter((group) => group.flow === flow);
    const receipt = groups.filter(({ numbers }) => mailOf(numbers) > 0);
    // Whoever asks who is in plaintext, or refused, asks about receipt.
    const delivery = isFiltered ? [] : groups.filter(({ numbers }) => deliveriesOf(numbers) > 0);
    if (receipt.length > 0) parts.push(wordReceipt(flow, receipt, wording));
    if (delivery.length > 0) parts.push(wordDelivery(flow, delivery, wording));
  }
  if (summary.groups.length === 0) parts.push('No row is like that.');
  parts.push(wordNotes(summary, isFiltered, wording));
  return parts.filter((part) => part !== '').join('\n\n');
}

/** By flow: mail between two hosted domains is one of each. */
function wordHead({ since, hosts, totals, wouldRefuse }: Summary, { now }: Wording): string {
  const flows = FLOWS.filter((flow) => mailOf(totals[flow]) > 0);
  const lines = [
    `Counted since ${wordMoment(since)}, ${wordAge(now - since)}, on ${wordNames(hosts)}:`,
    ...flows.map((flow) => {
      const [mail, plaintext] = [mailOf(totals[flow]), numberAt(totals[flow], PLAINTEXT)];
      return `  ${flow}: ${plural(mail, 'recipient')}, ${wordShare(plaintext, mail)} in plaintext`;
    }),
  ];
  if (flows.length === 0) lines.push('  no mail');
  const wouldFlows = flows.filter((flow) => wouldRefuseOf(totals[flow]) > 0);
  if (wouldFlows.length === 0) return [...lines, 'Nothing under monitor would refuse any of it.'].join('\n');
  lines.push('Enforcing what is under monitor would refuse');
  for (const flow of wouldFlows) {
    const why = LACKS.map((lack) => [lack, numberAt(totals[flow], refusalPlace(lack, true))] as const);
    const words = why.filter(([, count]) => count > 0).map(wordWhy);
    lines.push(`  ${flow}: ${wordShare(wouldRefuseOf(totals[flow]), mailOf(totals[flow]))}, ${words.join(', ')}`);
  }
  lines.push(
    `  of mail with ${wordNames(wouldRefuse.remotes)}`,
    `  by the settings of ${wordNames(wouldRefuse.domains)}`,
  );
  return lines.join('\n');
}

const WHY: Readonly<Record<LackKind, string>> = {
  tls: 'without TLS',
  protocol: 'with too old a protocol',
  cipher: 'with too weak a cipher',
};

const wordWhy = ([lack, count]: readonly [LackKind, number]): string => `${number(count)} ${WHY[lack]}`;

interface Column {
  readonly title: string;
  readonly cells: readonly string[];
  readonly align: 'left' | 'right';
}

function wordReceipt(flow: Flow, groups: readonly Group[], wording: Wording): string {
  const shown = groups.slice(0, wording.most);
  const all = shown.map(({ numbers }) => numbers);
  const column = (title: string, value: (numbers: Numbers) => number): Column => ({
    title,
    cells: all.map((numbers) => number(value(numbers))),
    align: 'right',
  });
  /** Of what there is none, there is no column. */
  const rare = (title: string, value: (numbers: Numbers) => number): readonly Column[] =>
    all.some((numbers) => value(numbers) > 0) ? [column(title, value)] : [];
  const at =
    (place: number) =>
    (numbers: Numbers): number =>
      numberAt(numbers, place);
  const share = all.map((numbers) => percent(numberAt(numbers, PLAINTEXT), mailOf(numbers)));
  const columns: readonly Column[] = [
    column('RECIPIENTS', mailOf),
    { title: 'TLS', cells: all.map((numbers) => bar(numbers, wording.blocks)), align: 'left' },
    column('PLAINTEXT', at(PLAINTEXT)),
    { title: '', cells: share, align: 'right' },
    ...TLS_VERSIONS.flatMap((version) => rare(version, at(sessionPlace(version)))),
    ...rare('OTHER', at(SESSIONS.length - 1)),
    ...rare('EXEMPT', at(EXEMPT)),
    ...rare('REFUSED', refusedOf),
    column('WOULD REFUSE', wouldRefuseOf),
    {
      title: 'LAST LACKING',
      cells: all.map((numbers) => wordLast(numberAt(numbers, LAST_LACKING), wording.now)),
      align: 'right',
    },
  ];
  const lines = table(`${flow.toUpperCase()}, RECEIPT`, shown.map(nameOf), columns, wording);
  return [...lines, ...more(groups, shown)].join('\n');
}

function wordDelivery(flow: Flow, groups: readonly Group[], wording: Wording): string {
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
    { title: 'LEVEL', cells: shown.map(({ level }) => level), align: 'left' },
    { title: 'REQUIRED', cells: shown.map(({ enforced }) => number(enforced)), align: 'right' },
    { title: 'MONITORED', cells: shown.map(({ monitored }) => number(monitored)), align: 'right' },
    {
      title: 'LAST',
      cells: shown.map(({ group }) => wordLast(numberAt(group.numbers, LAST), wording.now)),
      align: 'right',
    },
  ];
  const names = shown.map(({ group }) => nameOf(group));
  const lines = table(`${flow.toUpperCase()}, DELIVERY`, names, columns, wording);
  return [...lines, ...more(rows, shown)].join('\n');
}

function more(all: readonly unknown[], shown: readonly unknown[]): readonly string[] {
  const left = all.length - shown.length;
  return left === 0 ? [] : [`and ${number(left)} more; -n ${all.length} shows all`];
}

function wordNotes({ totals }: Summary, isFiltered: boolean, { blocks, hasTables }: Wording): string {
  const mail = FLOWS.some((flow) => mailOf(totals[flow]) > 0);
  const deliveries = !isFiltered && FLOWS.some((flow) => deliveriesOf(totals[flow]) > 0);
  const [plain, old, good] = signs(blocks);
  const notes: string[] = [];
  if (mail) notes.push(`TLS: ${plain} plaintext  ${old} older than TLSv1.2  ${good} TLSv1.2 or newer`);
  if (mail && hasTables) {
    notes.push(
      'Where TLS is required of everyone, Postfix refuses plaintext by its own table receipt_access, before the service\n' +
        'is asked: such refusals are not among these.',
    );
  }
  if (deliveries) {
    notes.push(
      'Whether a delivery has its TLS shows only later, between Postfix and the next server: the service counts whom\n' +
        'a requirement concerns, and "tlswarden probe DOMAIN" tells whether its servers could do it.',
    );
  }
  return notes.join('\n');
}

/** A pair as the mail goes: from whom to whom. */
function nameOf({ flow, domain, remote }: Group): string {
  if (domain === undefined || remote === undefined) return domain ?? remote ?? '';
  return flow === 'incoming' ? `${remote} > ${domain}` : `${domain} > ${remote}`;
}

function table(
  title: string,
  names: readonly string[],
  columns: readonly Column[],
  { width }: Wording,
): readonly string[] {
  const widths = columns.map((column) => Math.max(column.title.length, ...column.cells.map((cell) => cell.length)));
  const right = widths.reduce((sum, one) => sum + one + 2, 0);
  const longest = Math.max(title.length, ...names.map((name) => name.length));
  const room = Math.min(longest, Math.max(LEAST_NAME, title.length, width - right));
  const line = (name: string, cells: readonly string[]): string => {
    const rest = cells.map((cell, i) => {
      const size = widths[i] ?? 0;
      return columns[i]?.align === 'left' ? cell.padEnd(size) : cell.padStart(size);
    });
    return [shorten(name, room).padEnd(room), ...rest].join('  ').trimEnd();
  };
  return [
    line(
      title,
      columns.map((column) => column.title),
    ),
    ...names.map((name, row) =>
      line(
        name,
        columns.map((column) => column.cells[row] ?? ''),
      ),
    ),
  ];
}

/** The end of a domain name tells more than its middle. */
function shorten(name: string, room: number): string {
  if (name.length <= room) return name;
  const half = Math.floor((room - 1) / 2);
  return `${name.slice(0, room - 1 - half)}~${name.slice(-half)}`;
}

const signs = (blocks: boolean): readonly [string, string, string] => (blocks ? ['█', '▒', '·'] : ['#', '+', '.']);

/** One sign at least for what there is at all. */
function bar(numbers: Numbers, blocks: boolean): string {
  const mail = mailOf(numbers) - numberAt(numbers, EXEMPT);
  if (mail === 0) return '';
  const [plain, old, good] = signs(blocks);
  const count = (n: number): number => (n === 0 ? 0 : Math.max(1, Math.round((BAR * n) / mail)));
  const oldMail = numberAt(numbers, sessionPlace('TLSv1')) + numberAt(numbers, sessionPlace('TLSv1.1'));
  const plainSigns = Math.min(BAR, count(numberAt(numbers, PLAINTEXT)));
  const oldSigns = Math.min(BAR - plainSigns, count(oldMail));
  return plain.repeat(plainSigns) + old.repeat(oldSigns) + good.repeat(BAR - plainSigns - oldSigns);
}

const number = (n: number): string => n.toLocaleString('en');
const plural = (n: number, one: string): string => `${number(n)} ${one}${n === 1 ? '' : 's'}`;

function percent(part: number, all: number): string {
  if (all === 0 || part === 0) return '';
  const share = (100 * part) / all;
  return `${share < 0.1 ? '<0.1' : share.toFixed(share < 10 ? 1 : 0)} %`;
}

const wordShare = (part: number, all: number): string =>
  part === 0 ? 'none' : `${number(part)} (${percent(part, all)})`;

function wordNames(names: readonly string[]): string {
  const more = names.length - NAMES_SHOWN;
  return more > 1
    ? `${names.slice(0, NAMES_SHOWN).join(', ')} and ${number(more)} more`
    : names.join(', ') || 'no host';
}

const wordLast = (moment: number, now: number): string => (moment === 0 ? '-' : wordAge(now - moment));

/** `just now`, `5 min ago`, `3 h ago`, `12 d ago`. */
function wordAge(ms: number): string {
  if (ms < 60_000) return 'just now';
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min ago`;
  return ms < 48 * 3_600_000 ? `${Math.floor(ms / 3_600_000)} h ago` : `${Math.floor(ms / 86_400_000)} d ago`;
}

const wordMoment = (ms: number): string => new Date(ms).toISOString().slice(0, 16).replace('T', ' ');
