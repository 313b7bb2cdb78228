/**
 * The compiled settings: the one structure that the service, the table writer and explain share. A look-up is one hash
 * look-up, whatever the number of domains. A version never changes: when its owner (settings-owner.ts) changes the data
 * below, the version keeps what was there before, and only that.
 */
import { type DomainName, foldDomain } from '../address/domain-name.ts';
import type { HostedDomain } from './hosted-domain.ts';
import type { NameIndex } from './name-index.ts';
import type { NextHop } from './next-hop.ts';
import { DEFAULT_TERMS, mergeTerms, type NextHopTerms } from './next-hop-terms.ts';

/** The data of the newest version, which its owner changes. */
export interface SettingsData {
  /** By names and aliases. */
  readonly names: Pick<NameIndex, 'get'>;
  /** Every domain at a number of its own; undefined where one has gone. */
  readonly slots: readonly (HostedDomain | undefined)[];
  /** By next hop; of domains by MX by their names, unless they are {@link DEFAULT_TERMS}. */
  readonly terms: ReadonlyMap<string, NextHopTerms>;
}

/** Where a version differed from the version after it: what it had. */
export interface Difference {
  readonly names: Map<DomainName, HostedDomain | undefined>;
  readonly slots: Map<number, HostedDomain | undefined>;
  readonly terms: Map<string, NextHopTerms | undefined>;
}

/** Made before data changes, and filled while it does. */
export function noDifference(): Difference {
  return { names: new Map(), slots: new Map(), terms: new Map() };
}

/** What can be said of all domains together. */
export interface SettingsTotals {
  /** Hosted domains, aliases not counted. */
  readonly size: number;
  /** Names that are hosted, but nobody knows with which settings: they are not among the domains. */
  readonly withheld: ReadonlySet<DomainName>;
  /** Where outgoing mail goes; '' is by MX. */
  readonly relayhost: NextHop;
  /** Twelve hexadecimal digits, the size and relayhost: equal for equal table contents. */
  readonly tableDigest: string;
}

/** How many domains there were in the settings of a {@link SettingsTotals.tableDigest}; 0 if it is none. */
export function sizeInDigest(tableDigest: string): number {
  return Number(/^[0-9a-f]{12}-(\d+)-/u.exec(tableDigest)?.[1] ?? 0);
}

let versions = 0;

/**
 * One version of the settings: what a decision, the tables and `explain` go by. Only a {@link SettingsOwner} makes one.
 */
export class Settings implements SettingsTotals {
  /** Another number for each version in this process, for whoever remembers what it has found without keeping the version. */
  readonly version: number;
  readonly #data: SettingsData;
  readonly #slotCount: number;
  #next: Settings | undefined;
  #difference: Difference | undefined;
  readonly size: number;
  readonly withheld: ReadonlySet<DomainName>;
  readonly relayhost: NextHop;
  readonly tableDigest: string;

  constructor(data: SettingsData, { size, withheld, relayhost, tableDigest }: SettingsTotals) {
    versions += 1;
    this.version = versions;
    this.#data = data;
    this.#slotCount = data.slots.length;
    this.size = size;
    this.withheld = withheld;
    this.relayhost = relayhost;
    this.tableDigest = tableDigest;
  }

  /** The hosted domain of this name or alias. */
  find(name: DomainName): HostedDomain | undefined {
    const { names } = this.#data;
    if (this.#next === undefined) return names.get(name);
    const before = this.#whatWasBefore();
    return before.names.has(name) ? before.names.get(name) : names.get(name);
  }

  /** Every hosted domain once. Settings may change meanwhile: these are the domains of this version all the same. */
  *domains(): IterableIterator<HostedDomain> {
    for (let slot = 0; slot < this.#slotCount; slot++) {
      const domain = this.#domainAt(slot);
      if (domain !== undefined) yield domain;
    }
  }

  /** What is asked at this next hop; `domain` counts where the next hop is by MX, and the key so the domain itself. */
  nextHopTerms(nexthop: NextHop, domain: HostedDomain | undefined): NextHopTerms {
    const key = nexthop === '' ? domain?.name : nexthop;
    return key === undefined ? DEFAULT_TERMS : this.termsAt(key);
  }

  /**
   * What smtp(8) finds at the next hop of this name; by MX that is the recipient's domain. An alias of a domain by MX asks what
   * the domain does, and what those ask besides who have the alias as their next hop.
   */
  termsAt(key: string): NextHopTerms {
    const own = this.#ownTermsAt(key);
    const holder = this.find(foldDomain(key));
    if (holder === undefined || holder.nexthop !== '' || holder.name === key) return own ?? DEFAULT_TERMS;
    const domainTerms = this.#ownTermsAt(holder.name);
    if (own === undefined) return domainTerms ?? DEFAULT_TERMS;
    const asksItself = holder.settings.incoming.delivery?.enforcement === 'enforce';
    return domainTerms === undefined && !asksItself ? own : mergeTerms(domainTerms ?? DEFAULT_TERMS, own);
  }

  #ownTermsAt(key: string): NextHopTerms | undefined {
    const { terms } = this.#data;
    if (this.#next === undefined) return terms.get(key);
    const before = this.#whatWasBefore();
    return before.terms.has(key) ? before.terms.get(key) : terms.get(key);
  }

  /** The next hops of which anything is asked, be it the defaults; by MX, the domains that ask more than those. Sorted. */
  nextHopsWithTerms(): readonly (readonly [key: string, terms: NextHopTerms])[] {
    const all = new Map(this.#data.terms);
    if (this.#next !== undefined) {
      for (const [key, terms] of this.#whatWasBefore().terms) {
        if (terms === undefined) all.delete(key);
        else all.set(key, terms);
      }
    }
    return [...all].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  /** For the owner of the data alone: another version follows, from which this one differs so. */
  precede(next: Settings, difference: Difference): void {
    this.#next = next;
    this.#difference = difference;
  }

  #domainAt(slot: number): HostedDomain | undefined {
    if (this.#next !== undefined) {
      const { slots } = this.#whatWasBefore();
      if (slots.has(slot)) return slots.get(slot);
    }
    return this.#data.slots[slot];
  }

  /**
   * Where this version differs from the data: what it has. Differences of later versions are taken over once, so that a version
   * that is kept long costs what changed and not a walk through all that came after it.
   */
  #whatWasBefore(): Difference {
    const mine = this.#difference ?? noDifference();
    let next = this.#next;
    while (next !== undefined) {
      const later = next.#difference;
      if (later === undefined) break;
      for (const [name, domain] of later.names) if (!mine.names.has(name)) mine.names.set(name, domain);
      for (const [slot, domain] of later.slots) if (!mine.slots.has(slot)) mine.slots.set(slot, domain);
      for (const [key, value] of later.terms) if (!mine.terms.has(key)) mine.terms.set(key, value);
      next = next.#next;
    }
    this.#next = next;
    return mine;
  }
}
