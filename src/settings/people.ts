/**
 * One list of a setting, `senders` or `recipients`, compiled: who is listed is a few hash look-ups, however long the
 * list is. It never sees the list's text again.
 */

import type { Address, LocalPart } from '../address/address.ts';
import { type DomainName, firstParentDot } from '../address/domain-name.ts';
import { type Pattern, parsePattern, type Side } from '../address/pattern.ts';
import { quoted } from '../text/printable.ts';

const NOBODY: ReadonlySet<never> = new Set<never>();

/** Local parts that a Postfix table holds as they are: dot-atoms of plain ASCII, without comment or routing signs. */
const TABLE_LOCAL_PART = /^[a-z0-9_=&'~+-]+(?:\.[a-z0-9_=&'~+-]+)*$/u;

/** What a list says, while it is compiled. */
interface Listed {
  everyone: boolean;
  nullSender: boolean;
  readonly addresses: Set<string>;
  readonly domains: Set<DomainName>;
  readonly parents: Set<DomainName>;
}

function nobody(): Listed {
  return { everyone: false, nullSender: false, addresses: new Set(), domains: new Set(), parents: new Set() };
}

/** Whom a list means. That an address is at the hosted domain the caller of an own side has found out. */
export class People {
  readonly side: Side;
  /** `*`, or an empty list under `when = "both"`. */
  readonly everyone: boolean;
  /** `<>` is listed. */
  readonly nullSender: boolean;
  /** Own side: local parts. Far side: `local@domain`. */
  readonly addresses: ReadonlySet<string>;
  /** Domains of which everyone is listed, not those below them. */
  readonly domains: ReadonlySet<DomainName>;
  /** Domains whose subdomains are listed. */
  readonly parents: ReadonlySet<DomainName>;

  private constructor(side: Side, parts: Listed) {
    this.side = side;
    this.everyone = parts.everyone;
    this.nullSender = parts.nullSender;
    this.addresses = parts.addresses.size === 0 ? NOBODY : parts.addresses;
    this.domains = parts.domains.size === 0 ? NOBODY : parts.domains;
    this.parents = parts.parents.size === 0 ? NOBODY : parts.parents;
  }

  /** The list `*`, and an empty one under `when = "both"`. */
  static everyone(side: Side): People {
    return new People(side, { ...nobody(), everyone: true });
  }

  /**
   * Compiles a list. `names` are the hosted domain and its aliases, undefined in a default, which holds for all domains.
   * An own local part or address holds under all of these names; a pattern with a domain under the names that it matches.
   * Each bad entry goes to `complain` as one sentence.
   */
  static compile(
    entries: readonly string[],
    side: Side,
    names: readonly DomainName[] | undefined,
    complain: (message: string) => void,
  ): People {
    const parts = nobody();
    const own = names === undefined ? undefined : new OwnNames(names);
    for (const entry of entries) {
      const pattern = parsePattern(entry, side);
      if (typeof pattern === 'string') complain(pattern);
      else if (side === 'own') addOwn(parts, entry, pattern, own, complain);
      else addFar(parts, pattern);
    }
    return new People(side, parts);
  }

  /** The entry that lists this address, as one would write it, or undefined. Own side: the caller has checked the domain. */
  match(address: Address): string | undefined {
    if (this.everyone) return '*';
    if (address.isNull) return this.nullSender ? '<>' : undefined;
    if (this.domains.size > 0 && this.domains.has(address.domain)) return `*@${address.domain}`;
    if (this.addresses.size > 0) {
      const found = this.#matchAddress(address);
      if (found !== undefined) return found;
    }
    return this.parents.size > 0 ? this.#matchParent(address.domain) : undefined;
  }

  #matchAddress(address: Address): string | undefined {
    const isOwn = this.side === 'own';
    const whole = isOwn ? address.local : address.whole;
    if (this.addresses.has(whole)) return whole;
    if (address.base === undefined) return undefined;
    const base = isOwn ? address.base : `${address.base}@${address.domain}`;
    return this.addresses.has(base) ? base : undefined;
  }

  #matchParent(domain: DomainName): string | undefined {
    for (let dot = firstParentDot(domain); dot >= 0; dot = domain.indexOf('.', dot + 1)) {
      const parent = domain.slice(dot + 1) as DomainName;
      if (this.parents.has(parent)) return `*@*.${parent}`;
    }
    return undefined;
  }

  /** What a Postfix table can hold of an own side that is listed. */
  get tableKeys(): TableKeys {
    return {
      everyone: this.everyone,
      domains: [...this.domains].sort(),
      localParts: [...this.addresses].filter((local) => TABLE_LOCAL_PART.test(local)).sort() as LocalPart[],
    };
  }

  /** The same text for the same people, whatever the order and spelling they were written in. */
  get canonical(): string {
    const sets = [this.addresses, this.domains, this.parents].map((set) => [...set].sort());
    return JSON.stringify([this.everyone, this.nullSender, ...sets]);
  }
}

/** Who of a domain's own side is always meant, in the terms of a Postfix table. */
export interface TableKeys {
  /** Everyone, at the domain and all its aliases. */
  readonly everyone: boolean;
  /** Everyone at these of the domain's names. */
  readonly domains: readonly DomainName[];
  /** These local parts, at the domain and all its aliases. */
  readonly localParts: readonly LocalPart[];
}

/** A setting of which no table can hold anything: compared as an object. */
export const NO_TABLE_KEYS: TableKeys = { everyone: false, domains: [], localParts: [] };
/** A setting that asks for the whole domain. */
export const ALL_TABLE_KEYS: TableKeys = { everyone: true, domains: [], localParts: [] };

/** Whether the tables hold this own address, looked up as Postfix looks it up. */
export function tableHolds(keys: TableKeysIndex, address: Address): boolean {
  if (!address.isTableForm) return false;
  if (keys.everyone || keys.domains.has(address.domain)) return true;
  if (keys.localParts.size === 0) return false;
  return keys.localParts.has(address.local) || (address.base !== undefined && keys.localParts.has(address.base));
}

/** {@link TableKeys} ready for look-ups. */
export interface TableKeysIndex {
  readonly everyone: boolean;
  readonly domains: ReadonlySet<DomainName>;
  readonly localParts: ReadonlySet<LocalPart>;
}

/** Once for each setting: {@link tableHolds} is asked for each recipient. */
export function indexTableKeys(keys: TableKeys): TableKeysIndex {
  return {
    everyone: keys.everyone,
    domains: keys.domains.length === 0 ? NOBODY : new Set(keys.domains),
    localParts: keys.localParts.length === 0 ? NOBODY : new Set(keys.localParts),
  };
}

/** With so many names or fewer it is quicker to look at each. */
const FEW_NAMES = 8;

/** The names of a domain: its own and its aliases. However many there are, an entry costs a look-up. */
class OwnNames {
  readonly #names: readonly DomainName[];
  #set: ReadonlySet<DomainName> | undefined;
  #below: Map<string, DomainName[]> | undefined;

  constructor(names: readonly DomainName[]) {
    this.#names = names;
  }

  get first(): DomainName | undefined {
    return this.#names[0];
  }

  has(name: DomainName): boolean {
    if (this.#names.length <= FEW_NAMES) return this.#names.includes(name);
    this.#set ??= new Set(this.#names);
    return this.#set.has(name);
  }

  /** The name itself, if it is one of them. */
  named(name: DomainName): readonly DomainName[] {
    return this.has(name) ? [name] : [];
  }

  /** Those that are subdomains of this one. */
  below(parent: DomainName): readonly DomainName[] {
    if (this.#names.length <= FEW_NAMES) return this.#names.filter((name) => name.endsWith(`.${parent}`));
    this.#below ??= this.#byParent();
    return this.#below.get(parent) ?? [];
  }

  #byParent(): Map<string, DomainName[]> {
    const byParent = new Map<string, DomainName[]>();
    for (const name of this.#names) {
      for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
        const parent = name.slice(dot + 1);
        const names = byParent.get(parent);
        if (names === undefined) byParent.set(parent, [name]);
        else names.push(name);
      }
    }
    return byParent;
  }
}

function addFar(parts: Listed, pattern: Pattern): void {
  switch (pattern.kind) {
    case 'everyone':
      parts.everyone = true;
      break;
    case 'null sender':
      parts.nullSender = true;
      break;
    case 'domain':
      parts.domains.add(pattern.domain);
      break;
    case 'subdomains':
      parts.parents.add(pattern.domain);
      break;
    case 'address':
      parts.addresses.add(`${pattern.local}@${pattern.domain}`);
      break;
    case 'local part':
      throw new TypeError('a far side has no local parts');
  }
}

function addOwn(
  parts: Listed,
  entry: string,
  pattern: Pattern,
  names: OwnNames | undefined,
  complain: (message: string) => void,
): void {
  switch (pattern.kind) {
    case 'everyone':
      parts.everyone = true;
      return;
    case 'null sender':
      // The null sender is at no domain, so this lists nobody; the contract allows it to be written.
      parts.nullSender = true;
      return;
    case 'local part':
      if (names?.has(pattern.local as string as DomainName)) {
        complain(`${quoted(entry)} is the domain itself; for everyone at it write "*@${entry}" or "*"`);
      }
      parts.addresses.add(pattern.local);
      return;
    case 'address':
    case 'domain':
    case 'subdomains': {
      if (names === undefined) {
        complain(`${quoted(entry)} names a domain, but a default holds for all of them: write a local part or "*"`);
        return;
      }
      const meant = pattern.kind === 'subdomains' ? names.below(pattern.domain) : names.named(pattern.domain);
      if (meant.length === 0) complain(`${quoted(entry)} is at neither ${names.first} nor one of its aliases`);
      else if (pattern.kind === 'address') parts.addresses.add(pattern.local);
      else for (const name of meant) parts.domains.add(name);
    }
  }
}
