/**
 * The deliveries in a mail log in words for a terminal, as one JSON document, and as CSV. Pure.
 */
import { TLS_VERSIONS } from '../settings/level.ts';
import { FLOWS, type Flow } from '../settings/setting.ts';
import { OTHER, SESSIONS, sessionPlace } from './counters.ts';
import { formatCsv } from './csv.ts';
import { DELIVERY_LACKS, type DeliveryGroup, type DeliveryLack, failuresOf, plaintextOf } from './deliveries.ts';
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
  type TextForm,
  table,
  wordDomains,
  wordKey,
  wordShare,
  words,
} from './text-table.ts';

/** What was read. */
export interface ReadLog {
  /** What to call the log. */
  readonly name: string;
  /** The hosted domains that the question is about; empty: all. */
  readonly domains: readonly string[];
  /** The moments of the first and the last delivery, as the log has them; '' where there is none. */
  readonly period: readonly [string, string];
  /** Whether it holds any connection over TLS. */
  readonly hasTls: boolean;
  /** All that the question is about. */
  readonly groups: readonly DeliveryGroup[];
  /** Those of them that are to be shown. */
  readonly chosen: readonly DeliveryGroup[];
}

/** Many lines, without a newline at the end. */
export function wordDeliveries(log: ReadLog, form: TextForm): string {
  const { name, domains, period, groups, chosen, hasTls } = log;
  if (groups.length === 0) return `${name} tells of no delivery like that.`;
  const flows = FLOWS.filter((flow) => groups.some((group) => group.flow === flow));
  const of = (flow: Flow): readonly DeliveryGroup[] => groups.filter((group) => group.flow === flow);
  const head = [
    `Delivered, as ${name} tells${wordDomains(domains)}, ${period[0]} to ${period[1]}:`,
    ...flows.map((flow) => {
      const recipients = total(of(flow), (group) => group.recipients);
      return `  ${flow}: ${plural(recipients, 'recipient')}, ${wordShare(total(of(flow), plaintextOf), recipients)} in plaintext`;
    }),
  ];
  const failing = flows.filter((flow) => total(of(flow), failuresOf) > 0);
  if (failing.length === 0) head.push('Nothing that settings require, be it under monitor, would have kept any of it.');
  else head.push('What settings require, also those under monitor, would have kept');
  for (const flow of failing) head.push(`  ${flow}: ${wordFailures(of(flow))}`);
  const notes = [wordKey(form.blocks)];
  if (!hasTls) {
    notes.push('The log tells of no TLS at all. It can only if main.cf says smtp_tls_loglevel = 1, or more.');
  }
  if (chosen.some(({ unknown }) => unknown > 0)) {
    notes.push(
      'NOT KNOWN: over TLS, but the names in the certificate were not held against what is required, since it is not yet;\n' +
        '"tlswarden probe DOMAIN" does so.',
    );
  }
  const tables = flows
    .map((flow) => [flow, chosen.filter((group) => group.flow === flow)] as const)
    .filter(([, rows]) => rows.length > 0)
    .map(([flow, rows]) => wordTable(flow, rows, domains, form));
  if (tables.length === 0) tables.push('No row is like that.');
  return [head.join('\n'), ...tables, notes.join('\n')].join('\n\n');
}

const total = (groups: readonly DeliveryGroup[], value: (group: DeliveryGroup) => number): number =>
  groups.reduce((sum, group) => sum + value(group), 0);

const WHY: Readonly<Record<DeliveryLack, string>> = {
  tls: 'without TLS',
  protocol: 'with too old a protocol',
  certificate: 'with a certificate that is not trusted',
};

function wordFailures(groups: readonly DeliveryGroup[]): string {
  const why = DELIVERY_LACKS.map((lack) => [lack, total(groups, ({ wouldFail }) => wouldFail[lack])] as const)
    .filter(([, count]) => count > 0)
    .map(([lack, count]) => `${number(count)} ${WHY[lack]}`);
  const required = total(groups, (group) => group.required);
  return `${wordShare(total(groups, failuresOf), required)} of ${number(required)}, ${why.join(', ')}`;
}

function wordTable(flow: Flow, groups: readonly DeliveryGroup[], domains: readonly string[], form: TextForm): string {
  const shown = groups.slice(0, form.most);
  const at =
    (place: number) =>
    ({ sessions }: DeliveryGroup): number =>
      sessions[place] ?? 0;
  const old = (group: DeliveryGroup): number => at(sessionPlace('TLSv1'))(group) + at(sessionPlace('TLSv1.1'))(group);
  const shares = (group: DeliveryGroup) => ({
    all: group.recipients,
    plaintext: plaintextOf(group),
    old: old(group),
  });
  const columns: readonly Column[] = [
    numbers('RECIPIENTS', shown, ({ recipients }) => recipients),
    words('TLS', shown, (group) => bar(shares(group), form.blocks), 'left'),
    numbers('PLAINTEXT', shown, plaintextOf),
    words('', shown, (group) => percent(plaintextOf(group), group.recipients)),
    ...TLS_VERSIONS.flatMap((version) => rare(version, shown, at(sessionPlace(version)))),
    ...rare('OTHER', shown, at(OTHER)),
    ...rare('UNTRUSTED', shown, ({ untrusted }) => untrusted),
    numbers('REQUIRED', shown, ({ required }) => required),
    numbers('WOULD FAIL', shown, failuresOf),
    ...rare('NOT KNOWN', shown, ({ unknown }) => unknown),
  ];
  const lines = table(`${flow.toUpperCase()}, DELIVERED`, namesOf(shown, domains), columns, form);
  return [...lines, ...more(groups, shown)].join('\n');
}

/** For JSON: the shape is a promise. Moments are as the log writes them, absent is null. */
export function deliveriesDocument({ name, period, hasTls, chosen }: ReadLog): unknown {
  return {
    maillog: name,
    first: period[0] || null,
    last: period[1] || null,
    has_tls: hasTls,
    rows: chosen.map(({ flow, domain, remote, recipients, sessions, untrusted, required, wouldFail, unknown }) => ({
      flow,
      domain: domain ?? null,
      remote: remote ?? null,
      recipients,
      sessions: Object.fromEntries(SESSIONS.map((session, i) => [session, sessions[i] ?? 0])),
      untrusted,
      required,
      would_fail: wouldFail,
      unknown,
    })),
  };
}

/** A header line, then one for each row; columns that the grouping has no use for are empty. */
export function deliveriesCsv({ chosen }: ReadLog): string {
  return formatCsv([
    [
      ...['flow', 'domain', 'remote', 'recipients', ...SESSIONS, 'untrusted', 'required'],
      ...DELIVERY_LACKS.map((lack) => `would_fail_${lack}`),
      'unknown',
    ],
    ...chosen.map(({ flow, domain = '', remote = '', ...group }) => [
      ...[flow, domain, remote],
      ...[group.recipients, ...group.sessions, group.untrusted, group.required].map(String),
      ...DELIVERY_LACKS.map((lack) => String(group.wouldFail[lack])),
      String(group.unknown),
    ]),
  ]);
}
