/**
 * What stands in Redis, and where (README, "Settings in Redis"): the keys, a domain's record, an entry of the stream of
 * changes. All keys share one hash tag, and so one slot of a Cluster. It sends no commands.
 */
import type { DomainName } from '../address/domain-name.ts';
import { normalRecord } from '../settings/domain-record.ts';
import { isTable, type Table } from '../toml/table-reader.ts';

/** Hash: domain name → its record, as `domains export --format jsonl` prints it. */
export const DOMAINS_KEY = '{tlswarden}:domains';
/** Hash: alias → domain name. */
export const ALIASES_KEY = '{tlswarden}:aliases';
/** Sorted set, all scores 0: who sets what of a next hop's certificate ({@link certificateMember}). */
export const CERTIFICATES_KEY = '{tlswarden}:certificates';
/** Stream: an entry for each change, written together with it. */
export const CHANGES_KEY = '{tlswarden}:changes';
/** String: the epoch that hosts are to go over to, though they went by another before. */
export const ADOPTED_KEY = '{tlswarden}:adopted';

/** Hash: what all hosts counted, by hosted domain, flow and remote (src/redis/report-script.ts has it in full). */
export const REPORT_KEY = '{tlswarden}:report';
/** Hash: how many remotes each hosted domain and flow has there. */
export const REPORT_SIZES_KEY = '{tlswarden}:report-sizes';
/** Hash: since when, and who counts. */
export const REPORT_ABOUT_KEY = '{tlswarden}:report-about';

/** Entries of the stream that are kept, about. */
export const CHANGES_KEPT = 10_000;

/** A place in the stream. `epoch` is the life of one data set; `seq` counts its entries without a gap. */
export interface Position {
  readonly epoch: string;
  /** Redis's own, `milliseconds-number`. */
  readonly id: string;
  readonly seq: number;
}

/** One entry of the stream. */
export interface ChangeEntry extends Position {
  /** The user at the host who made it. */
  readonly by: string;
  readonly host: string;
  /** The command. */
  readonly command: string;
  readonly names: readonly string[];
  /** The new records of these names, null for one that is gone; undefined: too long for an entry, they stand in the hash. */
  readonly records: readonly (string | null)[] | undefined;
  /** Whether the next entry tells of the same step: of one of them alone no host may decide. */
  readonly isContinued: boolean;
  /** What changed, a line each, in words; empty where there is too much of it. */
  readonly differences: readonly string[];
}

/** Characters of a record, beyond which no host takes it in: more than all that a domain may say in its lists. */
export const MAX_RECORD = 16 * 1024 * 1024;
/** Domains of one entry that are read one by one; tlswarden writes no entry of as many. */
export const MAX_NAMES = 10_000;

/** A domain's record, in its one form. */
export function formatRecordJson(name: DomainName, table: Table): string {
  return JSON.stringify({ domain: name, ...normalRecord(table) });
}

/** The domain's table in a record; or what is wrong with that, in words. */
export function parseRecordJson(name: string, text: string): Table | string {
  if (text.length > MAX_RECORD) return `its record in Redis is longer than ${MAX_RECORD} characters`;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return 'its record in Redis is not JSON';
  }
  if (!isTable(value)) return 'its record in Redis is no JSON object';
  const { domain, ...table } = value;
  return domain === name ? table : 'its record in Redis has another name under "domain"';
}

/** Whether the entry tells of a domain that stands in the hash: then the hash is not empty, unless it was lost. */
export function tellsOfRecord({ records }: ChangeEntry): boolean {
  return records === undefined || records.some((record) => record !== null);
}

/** The name in a record of {@link formatRecordJson}, without reading the rest. */
export function nameInRecord(text: string): string | undefined {
  return /^\{"domain":"([^"\\]+)"/u.exec(text)?.[1];
}

/** Members sort by next hop, then by what is set, then by its value: that two differ shows in one look at a range. */
export function certificateMember(key: string, what: string, value: string, name: DomainName): string {
  return [key, what, value, name].join('\t');
}

/** Reads the reply to XRANGE, XREVRANGE, or to XREAD of one stream. What is no entry of ours is undefined. */
export function parseEntries(reply: unknown): readonly (ChangeEntry | undefined)[] {
  if (!Array.isArray(reply)) return [];
  return reply.map((entry: unknown) => (Array.isArray(entry) ? parseEntry(entry) : undefined));
}

function parseEntry([id, flat]: readonly unknown[]): ChangeEntry | undefined {
  if (typeof id !== 'string' || !Array.isArray(flat)) return undefined;
  const fields = new Map<unknown, unknown>();
  for (let i = 0; i + 1 < flat.length; i += 2) fields.set(flat[i], flat[i + 1]);
  const text = (name: string): string => String(fields.get(name) ?? '');
  const names = parseList(text('domains'));
  const seq = Number(text('seq'));
  if (names === undefined || !names.every((name) => typeof name === 'string') || !Number.isSafeInteger(seq)) {
    return undefined;
  }
  const records = parseList(text('records'));
  return {
    id,
    epoch: text('epoch'),
    seq,
    by: text('by'),
    host: text('host'),
    command: text('command'),
    names,
    records:
      records?.length === names.length
        ? records.map((record) => (record === null ? null : JSON.stringify(record)))
        : undefined,
    isContinued: text('more') === '1',
    differences: (parseList(text('differences')) ?? []).map(String),
  };
}

function parseList(text: string): readonly unknown[] | undefined {
  if (text === '') return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
