/**
 * Which domains' static requirements Postfix's tables hold as the settings in force have them: a state machine without
 * files, clock or timers. Postfix goes on with replaced tables for a while, so what counts is every set of tables that it
 * may be using: a domain is held if all of them hold it. What is not known holds nothing.
 */
import type { DomainName } from '../address/domain-name.ts';
import type { OtherTables } from '../decision/delivery.ts';
import type { HostedDomain } from '../settings/hosted-domain.ts';
import { type Strength, weakerStrength } from '../settings/level.ts';
import type { Settings } from '../settings/settings.ts';
import type { Stamp } from './stamp.ts';

/**
 * How long after a stamp some part of Postfix may still go by the tables before:
 * - trivial-rewrite(8) looks for changed tables every 10 s (check_table_stats);
 * - qmgr(8) keeps its last resolved address for 30 s more (resolve_clnt.c);
 * - smtp(8) may go on with an open plaintext session to a next hop for smtp_connection_reuse_time_limit, 300 s, whatever
 *   tls_policy says by then (smtp_connect.c, "We don't use TLS level info for nexthop-based connection cache").
 */
export const SETTLE_MS = 345_000;

/** What lies in the maps directory at one moment. */
export interface Observation {
  /** The content of the generation that `current` leads to; undefined: there is none. */
  readonly generation: string | undefined;
  readonly stamp: Stamp | undefined;
  /** When the stamp was written, in milliseconds of the clock that {@link HeldDomains} is told; Infinity: there is none. */
  readonly stampedAt: number;
}

/** What a set of tables holds, by domain; 0: nothing of it. */
interface Digests {
  of(name: DomainName): number;
  all(): Iterable<readonly [DomainName, number]>;
}

/** One set of tables that Postfix is using or may still be using. */
interface TableSet {
  /** undefined: not known which. */
  readonly generation: string | undefined;
  /** Its stamp, while that stands beside it. */
  stamp: Stamp | undefined;
  /** What it holds; undefined: not known. */
  digests: Digests | undefined;
  /** What it was written from; undefined: not known. */
  settings: Settings | undefined;
  /** Instead of `settings`, once compared with a set that came after it: what it asks less, and whom it knows besides. */
  left: OtherTables | undefined;
  /** Instead of `digests`, once compared with a set that came after it: where the two differ. */
  changed: ReadonlySet<DomainName> | undefined;
  relayhost: string | undefined;
  since: number;
}

/** Settings that are remembered because tables of theirs may still come. */
const RECENT = 3;

/**
 * Told of settings by {@link update}, of what lies on the disk by {@link observe} and {@link learn}; asked by
 * {@link holds}.
 */
export class HeldDomains {
  readonly #settleMs: number;
  #settings: Settings;
  /** Settings that were in force before, newest first. */
  #recent: readonly Settings[] = [];
  /** Oldest first; the last is the one in force. */
  #sets: readonly TableSet[] = [];
  #comparison: Comparison | undefined;
  /** Sets of other settings than those in force that may still be in use, as far as they are known. */
  stillUsed: readonly OtherTables[] = [];

  constructor(settings: Settings, settleMs: number = SETTLE_MS) {
    this.#settings = settings;
    this.#settleMs = settleMs;
  }

  /** Other settings are in force from now on. */
  update(settings: Settings): void {
    if (settings === this.#settings) return;
    this.#recent = [this.#settings, ...this.#recent].slice(0, RECENT);
    this.#settings = settings;
    this.#resolve();
    this.#noteStillUsed();
  }

  /** What was seen in the directory. `now`: milliseconds since some fixed moment. */
  observe({ generation, stamp, stampedAt }: Observation, now: number): void {
    this.#forget(now);
    let newest = this.#sets.at(-1);
    if (newest?.generation !== generation || newest === undefined) {
      // Nobody knows what Postfix used before it was first looked at.
      if (newest === undefined) this.#sets = [unknownSet(undefined)];
      newest = unknownSet(generation);
      this.#sets = [...this.#sets, newest];
    }
    const proof = generation !== undefined && stamp?.generation === generation ? stamp : undefined;
    newest.stamp = proof;
    if (proof === undefined) {
      this.#noteStillUsed();
      return;
    }
    // The same content written again, or a stamp that was dated back, is no new set.
    newest.since = Math.min(newest.since, stampedAt, now);
    newest.relayhost = proof.relayhost;
    this.#resolve();
    this.#noteStillUsed();
    this.#forget(now);
  }

  /**
   * Whether Postfix's tables, whichever it may be using, hold this domain as the settings in force have it. Of a domain
   * that asks nothing of the tables (tableDigest 0) the answer means nothing.
   */
  holds(domain: HostedDomain, now: number): boolean {
    const { name, tableDigest } = domain;
    let after: TableSet | undefined;
    for (let i = this.#sets.length - 1; i >= 0; i--) {
      const set = this.#sets[i] as TableSet;
      if (after === undefined && set.stamp === undefined) return false;
      if (after !== undefined && this.#isPast(after, now)) return true;
      if (set.changed !== undefined) {
        if (set.changed.has(name)) return false;
      } else if (set.settings !== this.#settings) {
        if (set.digests?.of(name) !== tableDigest || set.relayhost !== this.#settings.relayhost) return false;
      }
      after = set;
    }
    return after !== undefined;
  }

  /** Whether the newest tables were written from the settings in force, be they in use already or not. */
  get isCurrent(): boolean {
    return this.#sets.at(-1)?.stamp?.settings === this.#settings.tableDigest;
  }

  /** Whether the newest tables are whole: their stamp stands beside them. */
  get isStamped(): boolean {
    return this.#sets.at(-1)?.stamp !== undefined;
  }

  /** Whether {@link holds} is true of every domain that asks something of the tables. */
  holdsAll(now: number): boolean {
    const newest = this.#sets.at(-1);
    return newest !== undefined && this.isCurrent && (this.#sets.length === 1 || this.#isPast(newest, now));
  }

  /** The generation whose list of domains has to be read, since none of the known settings are what it was written from. */
  get unread(): string | undefined {
    const newest = this.#sets.at(-1);
    return newest?.stamp !== undefined && newest.digests === undefined ? newest.generation : undefined;
  }

  /** What was read of a generation's list of domains. */
  learn(generation: string, digests: ReadonlyMap<DomainName, number>): void {
    const newest = this.#sets.at(-1);
    if (newest?.generation !== generation || newest.digests !== undefined) return;
    newest.digests = { of: (name) => digests.get(name) ?? 0, all: () => digests };
  }

  /**
   * Goes on comparing a set before with the one in force, so that only the difference has to be kept, until `isOver()`.
   * Returns whether anything is left to do.
   */
  compare(isOver: () => boolean): boolean {
    const newest = this.#sets.at(-1);
    const before = this.#sets.find((set) => set !== newest && set.digests !== undefined);
    if (before?.digests === undefined || newest?.digests === undefined) return false;
    if (this.#comparison?.before !== before || this.#comparison.newest !== newest) {
      this.#comparison = new Comparison(before, newest, before.digests, newest.digests);
    }
    if (!this.#comparison.goOn(isOver)) return true;
    before.changed = this.#comparison.changed;
    // Where relayhost changed, domains by MX moved from one table to another.
    if (before.relayhost !== newest.relayhost) before.changed = undefined;
    before.digests = undefined;
    before.left = this.#comparison.left;
    before.settings = undefined;
    this.#comparison = undefined;
    this.#noteStillUsed();
    return true;
  }

  /** Finds the settings that the newest set was written from. */
  #resolve(): void {
    const newest = this.#sets.at(-1);
    const { stamp } = newest ?? {};
    if (newest === undefined || stamp === undefined) return;
    if (stamp.settings === this.#settings.tableDigest) {
      newest.digests = digestsOf(this.#settings);
      newest.settings = this.#settings;
      this.#recent = [];
    } else if (newest.digests === undefined) {
      const written = this.#recent.find(({ tableDigest }) => tableDigest === stamp.settings);
      if (written !== undefined) newest.digests = digestsOf(written);
      newest.settings = written;
    }
  }

  #noteStillUsed(): void {
    this.stillUsed = this.#sets.flatMap(({ settings, left }) => {
      if (left !== undefined) return [left];
      return settings === undefined || settings === this.#settings ? [] : [tablesOf(settings)];
    });
  }

  /** Drops sets that no part of Postfix uses any more. */
  #forget(now: number): void {
    const first = this.#sets.findLastIndex((set, i) => i === 0 || this.#isPast(set, now));
    if (first === 0) return;
    this.#sets = this.#sets.slice(first);
    this.#noteStillUsed();
  }

  /** Whether what came before this set is out of use. */
  #isPast(set: TableSet, now: number): boolean {
    return now >= set.since + this.#settleMs;
  }
}

function unknownSet(generation: string | undefined): TableSet {
  return {
    generation,
    stamp: undefined,
    digests: undefined,
    settings: undefined,
    left: undefined,
    changed: undefined,
    relayhost: undefined,
    since: Number.POSITIVE_INFINITY,
  };
}

function digestsOf(settings: Settings): Digests {
  return {
    of(name) {
      const domain = settings.find(name);
      return domain?.name === name ? domain.tableDigest : 0;
    },
    *all() {
      for (const { name, tableDigest } of settings.domains()) yield [name, tableDigest];
    },
  };
}

function tablesOf(settings: Settings): OtherTables {
  return { termsAt: (key) => settings.termsAt(key), hosts: (name) => settings.find(name) !== undefined };
}

/** Nothing is weaker: what stands for "no less than another one asks". */
const STRONGEST: Strength = { minProtocol: 'TLSv1.3', ciphers: 'high' };

/** Domains looked at between two looks at the time. */
const STRIDE = 256;

/** Finds what differs between two sets, a little at a time. */
class Comparison {
  readonly before: TableSet;
  readonly newest: TableSet;
  readonly changed = new Set<DomainName>();
  readonly #old: Digests;
  readonly #rest: Iterator<readonly [DomainName, number]>;
  readonly #oldDomains: Iterator<HostedDomain> | undefined;
  readonly #weaker = new Map<string, Strength>();
  readonly #gone = new Set<DomainName>();

  constructor(before: TableSet, newest: TableSet, old: Digests, current: Digests) {
    this.before = before;
    this.newest = newest;
    this.#old = old;
    this.#rest = current.all()[Symbol.iterator]();
    this.#oldDomains = before.settings?.domains();
  }

  /** What the set before asks less than the newest one, and whom it knows besides; undefined: not known. */
  get left(): OtherTables | undefined {
    if (this.#oldDomains === undefined) return undefined;
    return { termsAt: (key) => this.#weaker.get(key) ?? STRONGEST, hosts: (name) => this.#gone.has(name) };
  }

  /** Whether it came to its end. */
  goOn(isOver: () => boolean): boolean {
    do {
      for (let i = 0; i < STRIDE; i++) if (!this.#compareNext()) return true;
    } while (!isOver());
    return false;
  }

  #compareNext(): boolean {
    const next = this.#rest.next();
    if (next.done !== true) {
      const [name, digest] = next.value;
      if (this.#old.of(name) !== digest) this.changed.add(name);
      return true;
    }
    const old = this.#oldDomains?.next();
    if (old === undefined || old.done === true) return false;
    this.#compareOld(old.value);
    return true;
  }

  #compareOld({ name, aliases, nexthop }: HostedDomain): void {
    const [before, newest] = [this.before.settings, this.newest.settings];
    if (before === undefined || newest === undefined) return;
    for (const key of nexthop === '' ? [name, ...aliases] : [nexthop]) {
      const [asked, now] = [before.termsAt(key), newest.termsAt(key)];
      if (weakerStrength(now, asked) !== now) this.#weaker.set(key, asked);
    }
    for (const one of [name, ...aliases]) if (newest.find(one) === undefined) this.#gone.add(one);
  }
}
