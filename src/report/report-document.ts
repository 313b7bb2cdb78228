/**
 * A report for programs: one JSON document, or CSV (RFC 4180). The shape of both is a promise: moments are ISO 8601,
 * absent is null, in CSV empty. Pure.
 */
import { LACKS } from '../decision/receipt.ts';
import { LEVELS } from '../settings/level.ts';
import { ENFORCEMENTS, FLOWS } from '../settings/setting.ts';
import {
  deliveryPlace,
  EXEMPT,
  FIRST,
  LAST,
  LAST_LACKING,
  mailOf,
  type Numbers,
  numberAt,
  refusalPlace,
  SESSIONS,
} from './counters.ts';
import { formatCsv } from './csv.ts';
import type { Summary } from './summary.ts';

/** `place`: what to call where counts are kept. `now`: milliseconds since the epoch. */
export function reportDocument(summary: Summary, place: string, now: number): unknown {
  const { question, since, hosts, totals, groups, wouldRefuse } = summary;
  return {
    place,
    since: moment(since),
    now: moment(now),
    hosts,
    by: question.by,
    totals: Object.fromEntries(
      FLOWS.filter((flow) => question.flow === undefined || question.flow === flow).map((flow) => [
        flow,
        numbersDocument(totals[flow]),
      ]),
    ),
    would_refuse: wouldRefuse,
    rows: groups.map(({ flow, domain, remote, numbers }) => ({
      flow,
      domain: domain ?? null,
      remote: remote ?? null,
      ...numbersDocument(numbers),
    })),
  };
}

function numbersDocument(numbers: Numbers): Readonly<Record<string, unknown>> {
  const at = (place: number): number => numberAt(numbers, place);
  const lacks = (isMonitored: boolean) =>
    Object.fromEntries(LACKS.map((lack) => [lack, at(refusalPlace(lack, isMonitored))]));
  return {
    recipients: mailOf(numbers),
    sessions: Object.fromEntries(SESSIONS.map((session, i) => [session, at(i)])),
    exempt: at(EXEMPT),
    refused: lacks(false),
    would_refuse: lacks(true),
    delivery: Object.fromEntries(
      ENFORCEMENTS.map((enforcement) => [
        enforcement,
        Object.fromEntries(LEVELS.map((level) => [level, at(deliveryPlace(level, enforcement))])),
      ]),
    ),
    first: moment(at(FIRST)),
    last: moment(at(LAST)),
    last_lacking: moment(at(LAST_LACKING)),
  };
}

const moment = (ms: number): string | null => (ms === 0 ? null : new Date(ms).toISOString());

const CSV_NUMBERS: readonly (readonly [name: string, value: (numbers: Numbers) => number | string])[] = [
  ['recipients', mailOf],
  ...SESSIONS.map((session, i) => [session, (numbers: Numbers) => numberAt(numbers, i)] as const),
  ['exempt', (numbers) => numberAt(numbers, EXEMPT)],
  ...[false, true].flatMap((isMonitored) =>
    LACKS.map(
      (lack) =>
        [
          `${isMonitored ? 'would_refuse' : 'refused'}_${lack}`,
          (numbers: Numbers) => numberAt(numbers, refusalPlace(lack, isMonitored)),
        ] as const,
    ),
  ),
  ...ENFORCEMENTS.flatMap((enforcement) =>
    LEVELS.map(
      (level) =>
        [
          `delivery_${enforcement}_${level}`,
          (numbers: Numbers) => numberAt(numbers, deliveryPlace(level, enforcement)),
        ] as const,
    ),
  ),
  ['first', (numbers) => moment(numberAt(numbers, FIRST)) ?? ''],
  ['last', (numbers) => moment(numberAt(numbers, LAST)) ?? ''],
  ['last_lacking', (numbers) => moment(numberAt(numbers, LAST_LACKING)) ?? ''],
];

/** A header line, then one for each row; columns that the grouping has no use for are empty. */
export function reportCsv({ groups }: Summary): string {
  return formatCsv([
    ['flow', 'domain', 'remote', ...CSV_NUMBERS.map(([name]) => name)],
    ...groups.map(({ flow, domain, remote, numbers }) => [
      flow,
      domain ?? '',
      remote ?? '',
      ...CSV_NUMBERS.map(([, value]) => String(value(numbers))),
    ]),
  ]);
}
