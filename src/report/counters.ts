/**
 * What is counted of the mail between one hosted domain and one remote, and the one text form of it, which the state file
 * and Redis share. Numbers only: whose they are stands beside them. Pure.
 */
import { LACKS, type Lack } from '../decision/receipt.ts';
import { LEVELS, type Level, TLS_VERSIONS } from '../settings/level.ts';
import type { Enforcement } from '../settings/setting.ts';

/** What the session of a recipient was, as far as it counts. */
export const SESSIONS = ['plaintext', ...TLS_VERSIONS, 'other'] as const;

const levels = (prefix: string): readonly string[] => LEVELS.map((level) => `${prefix}-${level}`);

/**
 * The counters by their names: recipients by session; those of exempt clients whose session was not looked at; refused by
 * what they lacked, and those that monitor let pass; recipients with a requirement on delivery, by level.
 */
const COUNTERS: readonly string[] = [
  ...SESSIONS,
  'exempt',
  ...LACKS.map((lack) => `refused-${lack}`),
  ...LACKS.map((lack) => `would-refuse-${lack}`),
  ...levels('enforced'),
  ...levels('monitored'),
];

/** Where in a row's numbers the counters begin, and behind them three moments in milliseconds since the epoch. */
const AFTER_SESSIONS = SESSIONS.length;
/** The place of the recipients whose client is exempt. */
export const EXEMPT = AFTER_SESSIONS;
const REFUSED = EXEMPT + 1;
const WOULD_REFUSE = REFUSED + LACKS.length;
const ENFORCED = WOULD_REFUSE + LACKS.length;
const MONITORED = ENFORCED + LEVELS.length;
/** The place of the moment of the first recipient; of this and the two behind it 0 means that there was none. */
export const FIRST = COUNTERS.length;
/** The place of the moment of the last recipient. */
export const LAST = FIRST + 1;
/** The place of the moment of the last recipient in plaintext or with less than is asked for. */
export const LAST_LACKING = FIRST + 2;
/** Numbers of a row. */
export const WIDTH = COUNTERS.length + 3;

const NAMES: readonly string[] = [...COUNTERS, 'first', 'last', 'last-lacking'];
const PLACES: ReadonlyMap<string, number> = new Map(NAMES.map((name, i) => [name, i]));

/** The place of the recipients whose session was not encrypted. */
export const PLAINTEXT = 0;

/** The place of the recipients whose session had another protocol than those that are known. */
export const OTHER = SESSIONS.length - 1;

const SESSION_PLACES: ReadonlyMap<string, number> = new Map([
  ['', PLAINTEXT],
  ...TLS_VERSIONS.map((version) => [version, SESSIONS.indexOf(version)] as const),
]);

/** The place of a session's counter; `protocol` is '' for plaintext. */
export function sessionPlace(protocol: string): number {
  return SESSION_PLACES.get(protocol) ?? OTHER;
}

/** The place of the counter of refusals, done or only thought of, for this lack. */
export function refusalPlace(lack: Lack, isMonitored: boolean): number {
  return (isMonitored ? WOULD_REFUSE : REFUSED) + LACKS.indexOf(lack);
}

/** The place of the counter of recipients whose delivery is asked for this level. */
export function deliveryPlace(level: Level, enforcement: Enforcement): number {
  return (enforcement === 'monitor' ? MONITORED : ENFORCED) + LEVELS.indexOf(level);
}

/** The numbers of one row: {@link WIDTH} of them. A plain array: there may be many, and typed ones are costly to throw away. */
export type Numbers = readonly number[];
/** The same, to be added to. */
export type OpenNumbers = number[];

/** A row of which nothing is counted yet. */
export const noNumbers = (): OpenNumbers => new Array<number>(WIDTH).fill(0);

/** Adds `more` to the numbers that begin `at` there: counts are summed up, of moments the first and the last hold. */
export function addNumbers(to: OpenNumbers | Float64Array, more: Numbers, at = 0): void {
  for (let i = 0; i < FIRST; i++) to[at + i] = (to[at + i] ?? 0) + (more[i] ?? 0);
  const [first, otherFirst] = [to[at + FIRST] ?? 0, more[FIRST] ?? 0];
  to[at + FIRST] = first === 0 || (otherFirst !== 0 && otherFirst < first) ? otherFirst : first;
  for (const place of [LAST, LAST_LACKING]) to[at + place] = Math.max(to[at + place] ?? 0, more[place] ?? 0);
}

function sum(numbers: Numbers, from: number, count: number): number {
  let all = 0;
  for (let i = from; i < from + count; i++) all += numbers[i] ?? 0;
  return all;
}

/** All recipients that receipt was asked about. */
export const mailOf = (numbers: Numbers): number => sum(numbers, 0, EXEMPT + 1);
/** Recipients that were refused, or deferred, for what their session lacked. */
export const refusedOf = (numbers: Numbers): number => sum(numbers, REFUSED, LACKS.length);
/** Recipients whom a setting under monitor would have refused. */
export const wouldRefuseOf = (numbers: Numbers): number => sum(numbers, WOULD_REFUSE, LACKS.length);
/** Recipients with a requirement on delivery, be it under monitor. */
export const deliveriesOf = (numbers: Numbers): number => sum(numbers, ENFORCED, 2 * LEVELS.length);
/** The number at a place; 0 where a row is shorter. */
export const numberAt = (numbers: Numbers, place: number): number => numbers[place] ?? 0;

/** `plaintext=3 TLSv1.3=20 first=1767225600000 …`: what is not 0. */
export function formatNumbers(numbers: Numbers): string {
  let text = '';
  for (const [i, name] of NAMES.entries()) {
    const value = numbers[i] ?? 0;
    if (value !== 0) text += `${text === '' ? '' : ' '}${name}=${value}`;
  }
  return text;
}

/** The last moment that a Date can have, in milliseconds since the epoch. */
const LAST_MOMENT = 8.64e15;

/** Whether this is a moment that can be told: milliseconds since the epoch. */
export function isMoment(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= LAST_MOMENT;
}

/** Reads {@link formatNumbers}; a counter of a later version is passed by. undefined: it is no such text. */
export function parseNumbers(text: string): Numbers | undefined {
  const numbers = noNumbers();
  for (const part of text.split(' ')) {
    const equals = part.indexOf('=');
    const value = Number(part.slice(equals + 1));
    if (equals < 1 || !/^\d{1,16}$/u.test(part.slice(equals + 1)) || !Number.isSafeInteger(value)) return undefined;
    const place = PLACES.get(part.slice(0, equals));
    if (place === undefined) continue;
    if (place >= FIRST && !isMoment(value)) return undefined;
    numbers[place] = value;
  }
  return numbers;
}
