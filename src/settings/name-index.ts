/**
 * Which domain a name or alias is of, for a million of them: mostly a table of bytes, so that a name that is not hosted is looked up
 * in memory that caches hold, and one that is touches few places besides. A Map takes twice the memory, and with a million names a
 * look-up in it was a fifth of all that a request costs.
 */
import type { DomainName } from '../address/domain-name.ts';
import { hashOfText } from '../text/hash-of-text.ts';
import type { HostedDomain } from './hosted-domain.ts';

/** In the place of a tag. */
const [EMPTY, DELETED] = [0, 1];
/** Tags are even numbers above those, made of a hash; of an alias, one more. */
const FIRST_TAG = 2;
const TAGS = 127;
const ALIAS = 1;

const FIRST_ROOM = 16;
/** Of the room, deleted entries counted; with more, look-ups go by many others. */
const MAX_SHARE = 3 / 4;

export class NameIndex {
  /** Another one each time: whoever chooses names cannot choose those of one hash. */
  readonly #seed = Math.floor(Math.random() * 2 ** 32);
  #tags = new Uint8Array(FIRST_ROOM);
  #domains: (HostedDomain | undefined)[] = new Array(FIRST_ROOM).fill(undefined);
  /** Of an alias, which of the domain's. */
  #which = new Int32Array(FIRST_ROOM);
  #slots = new Int32Array(FIRST_ROOM);
  /** For growing alone: the names are all over the memory. */
  #hashes = new Int32Array(FIRST_ROOM);
  #mask = FIRST_ROOM - 1;
  #size = 0;
  /** With deleted ones. */
  #used = 0;

  /** The domain of this name or alias. */
  get(name: DomainName): HostedDomain | undefined {
    const place = this.#find(name);
    return place < 0 ? undefined : this.#domains[place];
  }

  /** What was given with the domain of this name or alias when it was added. */
  slotOf(name: DomainName): number | undefined {
    const place = this.#find(name);
    return place < 0 ? undefined : this.#slots[place];
  }

  /** Adds all names of the domain. None of them is there yet. `slot`: a number of the caller's. */
  add(domain: HostedDomain, slot: number): void {
    this.#add(domain.name, domain, undefined, slot);
    for (const [i, alias] of domain.aliases.entries()) this.#add(alias, domain, i, slot);
  }

  /** Takes them out. */
  remove(domain: HostedDomain): void {
    this.#remove(domain.name);
    for (const alias of domain.aliases) this.#remove(alias);
  }

  #add(name: DomainName, domain: HostedDomain, alias: number | undefined, slot: number): void {
    if (this.#used >= (this.#mask + 1) * MAX_SHARE) this.#makeRoom();
    const hash = hashOfText(name, this.#seed);
    this.#put(hash, tagOf(hash) + (alias === undefined ? 0 : ALIAS), domain, alias ?? 0, slot);
    this.#size += 1;
    this.#used += 1;
  }

  #remove(name: DomainName): void {
    const place = this.#find(name);
    if (place < 0) return;
    this.#tags[place] = DELETED;
    this.#domains[place] = undefined;
    this.#size -= 1;
  }

  /** The place of its entry; below 0 if there is none. */
  #find(name: DomainName): number {
    const tags = this.#tags;
    const mask = this.#mask;
    const hash = hashOfText(name, this.#seed);
    const wanted = tagOf(hash);
    for (let place = hash & mask; ; place = (place + 1) & mask) {
      const tag = tags[place] as number;
      if (tag === EMPTY) return -1;
      if ((tag & ~ALIAS) === wanted && this.#nameAt(place, tag) === name) return place;
    }
  }

  #nameAt(place: number, tag: number): DomainName | undefined {
    const domain = this.#domains[place];
    return (tag & ALIAS) === 0 ? domain?.name : domain?.aliases[this.#which[place] as number];
  }

  /** Into the first empty place from where its hash leads. */
  #put(hash: number, tag: number, domain: HostedDomain, which: number, slot: number): void {
    let place = hash & this.#mask;
    while (this.#tags[place] !== EMPTY) place = (place + 1) & this.#mask;
    this.#tags[place] = tag;
    this.#domains[place] = domain;
    this.#which[place] = which;
    this.#slots[place] = slot;
    this.#hashes[place] = hash;
  }

  /** Twice as much as there are entries, and no deleted ones. */
  #makeRoom(): void {
    const [tags, domains, which, slots, hashes] = [this.#tags, this.#domains, this.#which, this.#slots, this.#hashes];
    const room = 2 ** Math.ceil(Math.log2(Math.max(FIRST_ROOM, 2 * this.#size)));
    this.#tags = new Uint8Array(room);
    this.#domains = new Array(room).fill(undefined);
    this.#which = new Int32Array(room);
    this.#slots = new Int32Array(room);
    this.#hashes = new Int32Array(room);
    this.#mask = room - 1;
    this.#used = this.#size;
    for (const [place, domain] of domains.entries()) {
      if (domain === undefined) continue;
      const [hash, tag] = [hashes[place] as number, tags[place] as number];
      this.#put(hash, tag, domain, which[place] as number, slots[place] as number);
    }
  }
}

/** Of the bits that do not choose the place first. */
function tagOf(hash: number): number {
  return FIRST_TAG + 2 * (((hash >>> 25) * TAGS) >>> 7);
}
