/**
 * What the counts say, put together as somebody asks: by hosted domain, by remote, or by pair of both; those first whom
 * enforcing would hurt. Pure; it words nothing.
 */
import { FLOWS, type Flow } from '../settings/setting.ts';
import {
  addNumbers,
  deliveriesOf,
  mailOf,
  type Numbers,
  noNumbers,
  numberAt,
  type OpenNumbers,
  PLAINTEXT,
  refusedOf,
  wouldRefuseOf,
} from './counters.ts';
import type { Counted } from './report-store.ts';

/** By what rows are put together: hosted domain, remote, or each pair of both. */
export const GROUPINGS = ['domain', 'remote', 'pair'] as const;
/** One of {@link GROUPINGS}. */
export type Grouping = (typeof GROUPINGS)[number];

/** What somebody wants to know of what was counted. */
export interface Question {
  readonly by: Grouping;
  /** undefined: both. */
  readonly flow: Flow | undefined;
  /** Hosted domains; empty: all. */
  readonly domains: readonly string[];
  /** Only groups with mail in plaintext; they are whole, and so are totals. */
  readonly plaintext: boolean;
  /** Only groups of which something was refused, or would be if what is under monitor were enforced. */
  readonly refused: boolean;
}

/** Rows of one flow put together. */
export interface Group {
  readonly flow: Flow;
  /** undefined where it is not what rows are put together by. */
  readonly domain: string | undefined;
  readonly remote: string | undefined;
  readonly numbers: Numbers;
}

/** The answer; `since` in milliseconds since the epoch. */
export interface Summary {
  readonly question: Question;
  readonly since: number;
  /** The hosts whose services counted. */
  readonly hosts: readonly string[];
  /** All that the question is about, by flow. */
  readonly totals: Readonly<Record<Flow, Numbers>>;
  /** Sorted: whom enforcing would refuse most, then who sends most in plaintext, then who sends most. */
  readonly groups: readonly Group[];
  /** Remotes, and hosted domains, of which recipients would be refused if what is under monitor were enforced. */
  readonly wouldRefuse: { readonly domains: readonly string[]; readonly remotes: readonly string[] };
}

/** Totals and `wouldRefuse` are of all rows in question, also of those whose groups are filtered out. */
export function summarize({ since, hosts, rows }: Counted, question: Question): Summary {
  const totals = { incoming: noNumbers(), outgoing: noNumbers() };
  const groups = new Map<string, Group & { readonly numbers: OpenNumbers }>();
  const domains = new Map<string, number>();
  const remotes = new Map<string, number>();
  for (const row of rows) {
    if (question.flow !== undefined && row.flow !== question.flow) continue;
    if (question.domains.length > 0 && !question.domains.includes(row.domain)) continue;
    addNumbers(totals[row.flow], row.numbers);
    const would = wouldRefuseOf(row.numbers);
    if (would > 0) {
      domains.set(row.domain, (domains.get(row.domain) ?? 0) + would);
      remotes.set(row.remote, (remotes.get(row.remote) ?? 0) + would);
    }
    const domain = question.by === 'remote' ? undefined : row.domain;
    const remote = question.by === 'domain' ? undefined : row.remote;
    const key = `${row.flow}\t${domain ?? ''}\t${remote ?? ''}`;
    const group = groups.get(key) ?? { flow: row.flow, domain, remote, numbers: noNumbers() };
    groups.set(key, group);
    addNumbers(group.numbers, row.numbers);
  }
  return {
    question,
    since,
    hosts,
    totals,
    groups: [...groups.values()].filter((group) => isAskedFor(group, question)).sort(compare),
    wouldRefuse: { domains: mostFirst(domains), remotes: mostFirst(remotes) },
  };
}

function isAskedFor({ numbers }: Group, { plaintext, refused }: Question): boolean {
  if (plaintext && numberAt(numbers, PLAINTEXT) === 0) return false;
  return !refused || wouldRefuseOf(numbers) > 0 || refusedOf(numbers) > 0;
}

function compare(a: Group, b: Group): number {
  return (
    FLOWS.indexOf(a.flow) - FLOWS.indexOf(b.flow) ||
    wouldRefuseOf(b.numbers) - wouldRefuseOf(a.numbers) ||
    numberAt(b.numbers, PLAINTEXT) - numberAt(a.numbers, PLAINTEXT) ||
    mailOf(b.numbers) - mailOf(a.numbers) ||
    deliveriesOf(b.numbers) - deliveriesOf(a.numbers) ||
    (nameOf(a) < nameOf(b) ? -1 : 1)
  );
}

const nameOf = ({ domain = '', remote = '' }: Group): string => `${domain}\t${remote}`;

function mostFirst(counts: ReadonlyMap<string, number>): readonly string[] {
  return [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)).map(([name]) => name);
}
