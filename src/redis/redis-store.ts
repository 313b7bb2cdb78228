/**
 * Changes the settings in Redis: validates first, writes records and the entry in the stream in one step, and begins
 * again if somebody else was faster. It keeps no connection and follows nothing.
 */

import { createHash, randomBytes } from 'node:crypto';
import { hostname, userInfo } from 'node:os';
import { type DomainName, parseDomain } from '../address/domain-name.ts';
import { aliasesIn, normalRecord, sameValue } from '../settings/domain-record.ts';
import { type DomainContext, type HostedDomain, parseHostedDomain } from '../settings/hosted-domain.ts';
import type { NextHop } from '../settings/next-hop.ts';
import { AGREED, AGREED_KEYS, sharesOf } from '../settings/next-hop-terms.ts';
import { recordDifference } from '../settings/record-difference.ts';
import { SettingsOwner } from '../settings/settings-owner.ts';
import {
  type ChangeOptions,
  type DomainChanges,
  PartlyChanged,
  RejectedChange,
  type Replaced,
  type ReplaceOptions,
  type SettingsStore,
  type StoreContents,
  type StoredDomain,
  type StoredDomains,
} from '../source/settings-store.ts';
import { quoted } from '../text/printable.ts';
import { type Complaint, ComplaintError, MAX_COMPLAINTS } from '../toml/complaint.ts';
import type { Table } from '../toml/table-reader.ts';
import {
  ADOPTED_KEY,
  ALIASES_KEY,
  CERTIFICATES_KEY,
  CHANGES_KEPT,
  CHANGES_KEY,
  type ChangeEntry,
  certificateMember,
  DOMAINS_KEY,
  formatRecordJson,
  MAX_RECORD,
  parseEntries,
  parseRecordJson,
} from './layout.ts';
import type { RedisAddress } from './redis-address.ts';
import { RedisLink, RedisTrouble, withRedisLink } from './redis-link.ts';
import { allRecords, recordsOf } from './redis-reading.ts';
import { type ScriptChange, type ScriptChunk, type ScriptReply, WRITE_SCRIPT } from './write-script.ts';

/** Domains that are read or written at once. */
const AT_ONCE = 500;
/** Writes under way at the same time. */
const IN_FLIGHT = 4;
/** A stream entry tells the records of so much text, and leaves longer ones to the hash. */
const ENTRY_TEXT = 64 * 1024;
/** How often a change begins again before it is given up. */
const ATTEMPTS = 50;
/** How long Redis may take for a step of any size. */
const PATIENCE_MS = 600_000;

/** Where Redis is, and what of the main file the meaning of settings depends on: the same on all hosts. */
export interface RedisStoreOptions {
  readonly address: RedisAddress;
  readonly relayhost: NextHop;
  readonly context: DomainContext;
}

/** One domain's change with what stood there before. */
interface Change {
  readonly name: DomainName;
  readonly before: string | null;
  readonly after: Table | undefined;
}

/** Of some domains, those that are other than they are to be, and how many were looked at. */
interface Differing {
  readonly changes: readonly Change[];
  readonly looked: number;
}

/** Somebody else changed a domain between reading and writing. */
class Overtaken extends Error {}

/** The change cannot be beside what is there. */
class Conflict extends Error {
  readonly complaint: Complaint;

  constructor(complaint: Complaint) {
    super(complaint.message);
    this.complaint = complaint;
  }
}

/**
 * A {@link SettingsStore}. Rejects with {@link RedisTrouble} where Redis is away, refuses, or is too busy with others'
 * changes.
 */
export class RedisStore implements SettingsStore {
  readonly #options: RedisStoreOptions;

  constructor(options: RedisStoreOptions) {
    this.#options = options;
  }

  async read(names?: readonly DomainName[]): Promise<StoreContents> {
    return await this.#with(async (link) => {
      if (names !== undefined) return this.#contents([...(await this.#recordsBehind(link, names)).values()]);
      const records: [string, string | null][] = [];
      for await (const some of allRecords(link)) for (const [name, record] of some) records.push([name, record]);
      return this.#contents(records);
    });
  }

  async *all(): AsyncIterable<readonly StoredDomain[]> {
    const link = await RedisLink.open(this.#options.address);
    try {
      const names = new Set<string>();
      for await (const some of allRecords(link)) for (const [name] of some) names.add(name);
      const sorted = [...names].sort();
      for (let i = 0; i < sorted.length; i += AT_ONCE) {
        const some = sorted.slice(i, i + AT_ONCE);
        const records = await recordsOf(link, some);
        const { domains, complaints } = this.#contents(some.map((name, at) => [name, records[at] ?? null]));
        if (complaints.length > 0) throw new ComplaintError(complaints);
        yield [...domains.values()];
      }
    } finally {
      link.close();
    }
  }

  async change(plan: (present: StoredDomains) => DomainChanges, options: ChangeOptions = {}): Promise<number> {
    return await this.#with(async (link) => {
      for (let attempt = 1; ; attempt += 1) {
        const records = await this.#recordsBehind(link, options.concerns ?? []);
        const { domains, complaints } = this.#contents([...records.values()]);
        if (complaints.length > 0) throw new ComplaintError(complaints);
        const changes: Change[] = [];
        for (const [name, after] of plan(domains)) {
          const before = records.get(name)?.[1] ?? null;
          if (!isSame(domains.get(name), after)) changes.push({ name, before, after });
        }
        this.#validate(changes, options.origin);
        try {
          if (changes.length > 0) await this.#write(link, [changes], options, false);
          return changes.length;
        } catch (error) {
          if (error instanceof Conflict) throw new RejectedChange([error.complaint]);
          if (!(error instanceof Overtaken) || attempt === ATTEMPTS) throw error;
        }
      }
    });
  }

  async replace(domains: ReadonlyMap<DomainName, Table>, options: ReplaceOptions = {}): Promise<Replaced> {
    this.#validate(
      (function* () {
        for (const [name, after] of domains) yield { name, before: null, after };
      })(),
      options.origin ?? this.#options.address.name,
    );
    return await this.#with(async (link) => {
      const result = { added: 0, replaced: 0, unchanged: 0 };
      let done = 0;
      const finished = ({ changes, looked }: Differing): void => {
        for (const { before } of changes) result[before === null ? 'added' : 'replaced'] += 1;
        result.unchanged += looked - changes.length;
        done += looked;
        options.progress?.(done, domains.size);
      };
      const differing = this.#differing(link, domains);
      if (options.allOrNothing === true) {
        const chunks: (readonly Change[])[] = [];
        for await (const some of differing) {
          chunks.push(some.changes);
          finished(some);
        }
        await this.#insist(link, chunks, options);
      } else await this.#writeEach(link, differing, options, finished);
      return result;
    });
  }

  /** The domains that are to be other than they are, some at a time. */
  async *#differing(link: RedisLink, domains: ReadonlyMap<DomainName, Table>): AsyncIterable<Differing> {
    const wanted = [...domains].map(([name, after]) => ({ name, after }));
    for (let i = 0; i < wanted.length; i += AT_ONCE) {
      const some = await withBefore(link, wanted.slice(i, i + AT_ONCE));
      const changes = some.filter(({ name, before, after }) => {
        const table = before === null ? undefined : parseRecordJson(name, before);
        return typeof table !== 'object' || !sameValue(normalRecord(table), normalRecord(after));
      });
      yield { changes, looked: some.length };
    }
  }

  /** Writes some domains at a time; of those that something is in the way of, all together at the end. */
  async #writeEach(
    link: RedisLink,
    differing: AsyncIterable<Differing>,
    options: ReplaceOptions,
    finished: (some: Differing) => void,
  ): Promise<void> {
    const writing = new Set<Promise<void>>();
    const postponed: Change[] = [];
    let written = 0;
    let failure: Error | undefined;
    const write = async (some: Differing): Promise<void> => {
      try {
        await this.#write(link, [some.changes], options, true);
        written += some.changes.length;
      } catch (error) {
        // An alias may belong to a domain further down, or somebody else is at work.
        if (error instanceof Conflict || error instanceof Overtaken) postponed.push(...some.changes);
        else failure ??= error as Error;
      }
      finished(some);
    };
    for await (const some of differing) {
      const one = write(some).finally(() => writing.delete(one));
      writing.add(one);
      if (writing.size >= IN_FLIGHT) await Promise.race(writing);
      if (failure !== undefined) break;
    }
    await Promise.all(writing);
    if (failure !== undefined) throw failure;
    if (postponed.length === 0) return;
    await this.#insist(link, [postponed], options).catch((error: Error) => {
      throw error instanceof RejectedChange && written > 0 ? partlyChanged(error, written) : error;
    });
  }

  /** The newest changes first, those of one domain if it is named. */
  async *log(name: DomainName | undefined): AsyncIterable<ChangeEntry> {
    const link = await RedisLink.open(this.#options.address);
    try {
      let end = '+';
      for (;;) {
        const reply = await link.command('XREVRANGE', CHANGES_KEY, end, '-', 'COUNT', AT_ONCE);
        const entries = parseEntries(reply);
        for (const entry of entries) {
          if (entry === undefined) continue;
          end = `(${entry.id}`;
          if (name === undefined || entry.names.includes(name)) yield entry;
        }
        if (entries.length < AT_ONCE) return;
      }
    } finally {
      link.close();
    }
  }

  /** Has all hosts go by what stands here, also those that went by other settings before. Gives the number of domains. */
  async adopt(): Promise<number> {
    return await this.#with(async (link) => {
      const chunk: ScriptChunk = { entry: entryOf([], 'domains adopt', []), changes: [] };
      await this.#run(link, [chunk], true);
      return Number(await link.command('HLEN', DOMAINS_KEY));
    });
  }

  /** Writes what was in the way before, with the records as they stand now. */
  async #insist(link: RedisLink, chunks: readonly (readonly Change[])[], options: ReplaceOptions): Promise<void> {
    let wanted = chunks;
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.#write(link, wanted, options, true);
        return;
      } catch (error) {
        if (error instanceof Conflict) throw new RejectedChange([error.complaint]);
        if (!(error instanceof Overtaken) || attempt === ATTEMPTS) throw error;
      }
      const all = wanted.flat();
      const fresh: (readonly Change[])[] = [];
      for (let i = 0; i < all.length; i += AT_ONCE) fresh.push(await withBefore(link, all.slice(i, i + AT_ONCE)));
      wanted = fresh;
    }
  }

  async #write(
    link: RedisLink,
    chunks: readonly (readonly Change[])[],
    options: ChangeOptions,
    isBulk: boolean,
  ): Promise<void> {
    const command = options.command ?? 'tlswarden';
    const all: ScriptChunk[] = [];
    for (const changes of chunks) {
      for (let i = 0; i < changes.length; i += AT_ONCE) {
        const some = changes.slice(i, i + AT_ONCE);
        const scripted = some.map((change) => this.#scriptChange(change));
        all.push({ entry: entryOf(scripted, command, isBulk && some.length > 10 ? [] : some), changes: scripted });
      }
    }
    if (all.length === 0) return;
    const reply = await this.#run(link, all, false);
    const name = reply[1];
    const place = { file: options.origin ?? this.#options.address.name, domain: name };
    switch (reply[0]) {
      case 'written':
        return;
      case 'changed':
        throw new Overtaken(`${name} is being changed by others, again and again; nothing was written`);
      case 'name': {
        const [, , wanted, holder] = reply;
        const where = `${holder === wanted ? '' : `as an alias of ${holder} `}in ${this.#options.address.name}`;
        throw new Conflict(
          wanted === name
            ? { ...place, message: `stands already ${where}` }
            : { ...place, key: 'aliases', message: `${quoted(wanted)} stands already ${where}` },
        );
      }
      case 'certificate': {
        const [key = '', what = ''] = reply[2].split('\t');
        const message = `differs from that of ${reply[3]} in ${this.#options.address.name}, which has the same next hop ${key}; they must agree`;
        throw new Conflict({ ...place, key: what, message });
      }
    }
  }

  async #run(link: RedisLink, chunks: readonly ScriptChunk[], isAdopted: boolean): Promise<ScriptReply> {
    const epoch = randomBytes(8).toString('hex');
    const keys = [DOMAINS_KEY, ALIASES_KEY, CERTIFICATES_KEY, CHANGES_KEY, ADOPTED_KEY];
    const texts = chunks.map((chunk) => JSON.stringify(chunk));
    const args = [...keys, epoch, CHANGES_KEPT, isAdopted ? '1' : '', ...texts];
    return (await link.patientCommand(PATIENCE_MS, 'EVAL', WRITE_SCRIPT, keys.length, ...args)) as ScriptReply;
  }

  #scriptChange({ name, before, after }: Change): ScriptChange {
    const table = before === null ? undefined : parseRecordJson(name, before);
    const old = typeof table === 'object' ? this.#hosted(name, table, []) : undefined;
    const now = after === undefined ? undefined : this.#hosted(name, after, []);
    return {
      name,
      before: before === null ? '' : createHash('sha1').update(before).digest('hex'),
      after: after === undefined ? '' : formatRecordJson(name, after),
      oldAliases: old?.aliases ?? (typeof table === 'object' ? aliasesIn(table) : []),
      newAliases: now?.aliases ?? [],
      oldCertificates: before === null ? [] : old === undefined ? null : this.#certificates(old),
      newCertificates: now === undefined ? [] : this.#certificates(now),
    };
  }

  #certificates(domain: HostedDomain): readonly string[] {
    return sharesOf(domain, this.#options.relayhost).flatMap(({ key, terms }) =>
      AGREED.filter((what) => terms[what].length > 0).map((what) =>
        certificateMember(key, AGREED_KEYS[what], terms[what].join(' '), domain.name),
      ),
    );
  }

  #hosted(name: DomainName, table: Table, complaints: Complaint[], origin?: string): HostedDomain | undefined {
    return parseHostedDomain(name, table, origin ?? this.#options.address.name, this.#options.context, complaints);
  }

  /** What the changes say must be well by itself, and beside one another. */
  #validate(changes: Iterable<Change>, origin: string | undefined): void {
    const complaints: Complaint[] = [];
    const owner = new SettingsOwner(this.#options.relayhost);
    for (const { name, after } of changes) {
      if (after === undefined) continue;
      if (complaints.length > MAX_COMPLAINTS) break;
      const domain = this.#hosted(name, after, complaints, origin);
      if (domain === undefined) continue;
      complaints.push(...owner.add(domain));
      const file = origin ?? this.#options.address.name;
      if (formatRecordJson(name, after).length > MAX_RECORD) {
        complaints.push({ file, domain: name, message: `is longer than ${MAX_RECORD} characters as a record` });
      }
    }
    if (complaints.length > 0) throw new RejectedChange(complaints);
  }

  /** The records that these names stand for, by the domains' names. */
  async #recordsBehind(
    link: RedisLink,
    names: readonly DomainName[],
  ): Promise<ReadonlyMap<string, readonly [string, string | null]>> {
    if (names.length === 0) return new Map();
    const holders = (await link.command('HMGET', ALIASES_KEY, ...names)) as readonly (string | null)[];
    const wanted = [...new Set(names.map((name, i) => holders[i] ?? name))];
    const records = await recordsOf(link, wanted);
    return new Map(wanted.map((name, i) => [name, [name, records[i] ?? null]]));
  }

  #contents(records: readonly (readonly [name: string, record: string | null])[]): StoreContents {
    const place = this.#options.address.name;
    const domains = new Map<DomainName, StoredDomain>();
    const complaints: Complaint[] = [];
    for (const [written, record] of records) {
      if (record === null) continue;
      const name = parseDomain(written);
      const table = parseRecordJson(written, record);
      if (name !== written)
        complaints.push({ file: place, domain: written, message: 'is no domain name in normal form' });
      else if (typeof table === 'string') complaints.push({ file: place, domain: written, message: table });
      else domains.set(name, { name, place, table });
    }
    return { domains, complaints };
  }

  async #with<T>(body: (link: RedisLink) => Promise<T>): Promise<T> {
    try {
      return await withRedisLink(this.#options.address, body);
    } catch (error) {
      throw error instanceof Overtaken ? new RedisTrouble(error.message) : error;
    }
  }
}

/** The changes with the records as they stand now. */
async function withBefore<After extends Table | undefined>(
  link: RedisLink,
  changes: readonly { readonly name: DomainName; readonly after: After }[],
): Promise<readonly { readonly name: DomainName; readonly before: string | null; readonly after: After }[]> {
  const records = await recordsOf(
    link,
    changes.map(({ name }) => name),
  );
  return changes.map(({ name, after }, i) => ({ name, before: records[i] ?? null, after }));
}

function partlyChanged({ complaints }: RejectedChange, written: number): PartlyChanged {
  const message = `${written} ${written === 1 ? 'domain was' : 'domains were'} written before that; mend it, and import all again`;
  return new PartlyChanged([...complaints, { message }]);
}

function isSame(stored: StoredDomain | undefined, after: Table | undefined): boolean {
  if (stored === undefined || after === undefined) return stored === undefined && after === undefined;
  return sameValue(normalRecord(stored.table), normalRecord(after));
}

/** `told`: the changes that the log tells in words. */
function entryOf(changes: readonly ScriptChange[], command: string, told: readonly Change[]): ScriptChunk['entry'] {
  const records = changes.map(({ after }) => (after === '' ? 'null' : after));
  const length = records.reduce((sum, record) => sum + record.length, 0);
  const differences = told.flatMap(({ name, before, after }) => {
    const table = before === null ? undefined : parseRecordJson(name, before);
    return recordDifference(typeof table === 'object' ? table : undefined, after).map((line) => `${name}: ${line}`);
  });
  return {
    by: userName(),
    host: hostname(),
    command,
    domains: JSON.stringify(changes.map(({ name }) => name)),
    records: length > ENTRY_TEXT ? '' : `[${records.join(',')}]`,
    differences: differences.length === 0 ? '' : JSON.stringify(differences),
  };
}

/** Who it really is, under sudo; a user may be without a name in a container. */
function userName(): string {
  const { SUDO_USER } = process.env;
  if (SUDO_USER) return SUDO_USER;
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? '');
  }
}
