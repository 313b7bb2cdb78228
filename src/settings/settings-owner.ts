/**
 * Owns the data of the compiled settings and changes it: one domain of a million without touching the others. Each change
 * gives a new version, between two decisions, so nobody sees half of one. It reads and writes nothing else.
 */

import type { DomainName } from '../address/domain-name.ts';
import { quoted } from '../text/printable.ts';
import type { Complaint } from '../toml/complaint.ts';
import type { HostedDomain } from './hosted-domain.ts';
import { NameIndex } from './name-index.ts';
import type { NextHop } from './next-hop.ts';
import {
  AGREED,
  AGREED_KEYS,
  type Agreed,
  DEFAULT_TERMS,
  disagree,
  mergeTerms,
  type NextHopTerms,
  type Share,
  sharesOf,
} from './next-hop-terms.ts';
import { type Difference, noDifference, Settings, type SettingsTotals } from './settings.ts';

/** One domain as it is to be; undefined: it goes. */
export interface DomainChange {
  /** Not an alias: that of `domain`, if there is one. */
  readonly name: DomainName;
  readonly domain: HostedDomain | undefined;
}

/** A change that cannot be, beside the domains that are there. */
export interface RefusedChange {
  readonly change: DomainChange;
  readonly complaints: readonly Complaint[];
}

/** Equal terms at one next hop, and how many settings ask for them. */
interface Counted {
  readonly terms: NextHopTerms;
  count: number;
}

/** The data of all hosted domains. It changes between two versions; versions that were given out stay as they are. */
export class SettingsOwner {
  readonly #slots: (HostedDomain | undefined)[] = [];
  readonly #names = new NameIndex();
  readonly #freeSlots: number[] = [];
  readonly #terms = new Map<string, NextHopTerms>();
  /** What the terms of a next hop are made of, unless that is one setting of one domain. */
  readonly #mixed = new Map<string, Counted[]>();
  readonly #relayhost: NextHop;
  #size = 0;
  #withheld: ReadonlySet<DomainName> = new Set();
  #digestHigh = 0;
  #digestLow = 0;
  #newest: Settings | undefined;
  /** Where the newest version differs from the data, while that is being changed: what it has. */
  #undo: Difference | undefined;

  /** `relayhost`: the next hop of outgoing mail, for as long as this lives. */
  constructor(relayhost: NextHop) {
    this.#relayhost = relayhost;
  }

  /** Hosted domains in the data, aliases not counted. */
  get size(): number {
    return this.#size;
  }

  /** The newest version. */
  get settings(): Settings {
    if (this.#newest === undefined || this.#undo !== undefined) {
      const before = this.#newest;
      this.#newest = new Settings({ names: this.#names, slots: this.#slots, terms: this.#terms }, this.#totals());
      if (this.#undo !== undefined) before?.precede(this.#newest, this.#undo);
      this.#undo = undefined;
    }
    return this.#newest;
  }

  /** The domain as the data has it now. */
  find(name: DomainName): HostedDomain | undefined {
    return this.#names.get(name);
  }

  /**
   * Makes all these changes, as one step: an alias may go from one of the domains to another. Those that cannot be are
   * given back, and their domains stay as they were; so do those that cannot be beside one that stays.
   */
  apply(changes: readonly DomainChange[]): readonly RefusedChange[] {
    const refused: RefusedChange[] = [];
    const possible = new Map(changes.map((change) => [change.name, change]));
    for (;;) {
      const failed = this.#make([...possible.values()]);
      if (failed.length === 0) break;
      refused.push(...failed);
      for (const { change } of failed) possible.delete(change.name);
    }
    // Seals the step: the version before keeps what it had.
    if (this.#newest !== undefined) void this.settings;
    return refused;
  }

  /** Makes all these changes, each of another domain, or none: then those that cannot be are given back. */
  #make(changes: readonly DomainChange[]): readonly RefusedChange[] {
    const before = changes.map(({ name }) => this.owned(name)).filter((domain) => domain !== undefined);
    for (const domain of before) this.#takeOut(domain);
    const made: HostedDomain[] = [];
    const failed: RefusedChange[] = [];
    for (const change of changes) {
      const { domain } = change;
      if (domain === undefined) continue;
      const complaints = this.add(domain);
      if (complaints.length === 0) made.push(domain);
      else failed.push({ change, complaints });
    }
    if (failed.length > 0) {
      for (const domain of made) this.#takeOut(domain);
      for (const domain of before) this.add(domain);
    }
    return failed;
  }

  /** The domain of this name, not of an alias. */
  owned(name: DomainName): HostedDomain | undefined {
    const domain = this.find(name);
    return domain?.name === name ? domain : undefined;
  }

  /** A domain that is there and beside which this one cannot be, if there is one. */
  rivalOf(domain: HostedDomain): HostedDomain | undefined {
    for (const name of [domain.name, ...domain.aliases]) {
      const other = this.find(name);
      if (other !== undefined) return other;
    }
    for (const { key, terms } of sharesOf(domain, this.#relayhost)) {
      const present = this.#terms.get(key);
      for (const what of AGREED) {
        if (present !== undefined && disagree(present, terms, what)) return this.#otherAt(key, terms, what);
      }
    }
    return undefined;
  }

  /** From the next version on these names are hosted, but nobody knows with which settings. */
  withhold(names: ReadonlySet<DomainName>): void {
    if (names.size === 0 && this.#withheld.size === 0) return;
    this.#begin();
    this.#withheld = names;
  }

  /** Adds a domain that is not there yet. What is given back says why it cannot be; then it was not added. */
  add(domain: HostedDomain): readonly Complaint[] {
    const shares = sharesOf(domain, this.#relayhost);
    const complaints = [...this.#claimed(domain), ...this.#disagreements(domain, shares)];
    if (complaints.length > 0) return complaints;
    this.#begin();
    const slot = this.#freeSlots.pop() ?? this.#slots.length;
    this.#keepNames(domain);
    this.#setSlot(slot, domain);
    this.#names.add(domain, slot);
    this.#count(domain, 1);
    for (const { key, terms } of shares) if (key !== domain.name || terms !== DEFAULT_TERMS) this.#share(key, terms, 1);
    this.#settleNames(domain);
    return complaints;
  }

  #takeOut(domain: HostedDomain): void {
    const slot = this.#names.slotOf(domain.name);
    if (slot === undefined) return;
    this.#begin();
    this.#keepNames(domain);
    this.#names.remove(domain);
    this.#setSlot(slot, undefined);
    this.#freeSlots.push(slot);
    this.#count(domain, -1);
    for (const { key, terms } of sharesOf(domain, this.#relayhost)) {
      if (key !== domain.name || terms !== DEFAULT_TERMS) this.#share(key, terms, -1);
    }
    this.#settleNames(domain);
  }

  *#claimed(domain: HostedDomain): IterableIterator<Complaint> {
    for (const name of [domain.name, ...domain.aliases]) {
      const other = this.find(name);
      if (other === undefined) continue;
      const where = `${other.name === name ? '' : `as an alias of ${other.name} `}in ${other.file}`;
      const place = { file: domain.file, domain: domain.name };
      if (name === domain.name) {
        yield { ...place, message: `stands already ${where}` };
        return;
      }
      yield { ...place, key: 'aliases', message: `${quoted(name)} stands already ${where}` };
    }
  }

  *#disagreements(domain: HostedDomain, shares: readonly Share[]): IterableIterator<Complaint> {
    for (const [i, { key, path, terms }] of shares.entries()) {
      const present = this.#terms.get(key);
      // Incoming and outgoing mail of one domain may have one next hop too.
      const own = shares.find((share, at) => at < i && share.key === key)?.terms;
      for (const what of AGREED) {
        const isOwn = own !== undefined && disagree(own, terms, what);
        if (!isOwn && (present === undefined || !disagree(present, terms, what))) continue;
        const other = isOwn ? domain : this.#otherAt(key, terms, what);
        const place = { file: domain.file, domain: domain.name, key: `${path}.${AGREED_KEYS[what]}` };
        const whose = other === undefined ? 'that of another domain' : `that of ${other.name} in ${other.file}`;
        yield { ...place, message: `differs from ${whose}, which has the same next hop ${key}; they must agree` };
      }
    }
  }

  /** Looked for only when there is something to complain of: who, is known for no next hop. */
  #otherAt(key: string, terms: NextHopTerms, what: Agreed): HostedDomain | undefined {
    return this.#slots.find(
      (other) =>
        other !== undefined &&
        sharesOf(other, this.#relayhost).some((share) => share.key === key && disagree(share.terms, terms, what)),
    );
  }

  /** Counts a setting in or out at a next hop. */
  #share(key: string, terms: NextHopTerms, by: 1 | -1): void {
    const mixed = this.#mixtureOf(key);
    const same = mixed.find((counted) => counted.terms === terms);
    if (same === undefined) mixed.push({ terms, count: by });
    else same.count += by;
    this.#settle(
      key,
      mixed.filter(({ count }) => count > 0),
    );
  }

  #mixtureOf(key: string): Counted[] {
    const only = this.#terms.get(key);
    return this.#mixed.get(key) ?? (only === undefined ? [] : [{ terms: only, count: 1 }]);
  }

  /** A domain by MX shares what is asked at its names by domains that have one of them as their next hop. */
  #settleNames(domain: HostedDomain): void {
    if (domain.nexthop !== '') return;
    for (const name of [domain.name, ...domain.aliases]) {
      if (this.#terms.has(name)) this.#settle(name, this.#mixtureOf(name));
    }
  }

  #settle(key: string, mixed: Counted[]): void {
    const [first, ...others] = mixed;
    if (first === undefined) {
      this.#mixed.delete(key);
      this.#setTerms(key, undefined);
      return;
    }
    let merged = others.reduce((terms, counted) => mergeTerms(terms, counted.terms), first.terms);
    if (this.#isImplied(key)) merged = mergeTerms(merged, DEFAULT_TERMS);
    if (mixed.length === 1 && first.count === 1 && merged === first.terms) this.#mixed.delete(key);
    else this.#mixed.set(key, mixed);
    this.#setTerms(key, merged);
  }

  /** Whether a by-MX domain of this name asks for the defaults, which are not counted. */
  #isImplied(key: string): boolean {
    const holder = this.find(key as DomainName);
    if (holder === undefined || holder.nexthop !== '') return false;
    const own = sharesOf(holder, this.#relayhost).find(({ path }) => path === 'incoming.delivery');
    return own !== undefined && (holder.name !== key || own.terms === DEFAULT_TERMS);
  }

  #count({ tableDigest }: HostedDomain, by: 1 | -1): void {
    this.#size += by;
    const add = (sum: number, part: number): number => (sum + by * part + 0x1000000) % 0x1000000;
    this.#digestHigh = add(this.#digestHigh, Math.floor(tableDigest / 0x1000000));
    this.#digestLow = add(this.#digestLow, tableDigest % 0x1000000);
  }

  #totals(): SettingsTotals {
    const hex = (part: number): string => part.toString(16).padStart(6, '0');
    const digest = `${hex(this.#digestHigh)}${hex(this.#digestLow)}-${this.#size}-${this.#relayhost}`;
    return { size: this.#size, withheld: this.#withheld, relayhost: this.#relayhost, tableDigest: digest };
  }

  #begin(): void {
    if (this.#newest !== undefined) this.#undo ??= noDifference();
  }

  /** Before they change: what the names of this domain lead to. */
  #keepNames({ name, aliases }: HostedDomain): void {
    if (this.#undo === undefined) return;
    keep(this.#undo.names, this.#names, name);
    for (const alias of aliases) keep(this.#undo.names, this.#names, alias);
  }

  #setSlot(slot: number, domain: HostedDomain | undefined): void {
    const slots = this.#undo?.slots;
    if (slots !== undefined && !slots.has(slot)) slots.set(slot, this.#slots[slot]);
    this.#slots[slot] = domain;
  }

  #setTerms(key: string, terms: NextHopTerms | undefined): void {
    keep(this.#undo?.terms, this.#terms, key);
    if (terms === undefined) this.#terms.delete(key);
    else this.#terms.set(key, terms);
  }
}

function keep<K, V>(undo: Map<K, V | undefined> | undefined, data: { get(key: K): V | undefined }, key: K): void {
  if (undo !== undefined && !undo.has(key)) undo.set(key, data.get(key));
}
