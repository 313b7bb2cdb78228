/**
 * Which domain a name or alias is of, for a million of them: mostly a table of bytes, so that a name that is not hosted is looked up
 * in memory that caches hold, and one that is touches few places besides. A Map takes twice the memory, and with a million names a
 * look-up in it was a fifth of all that a request costs.
 */
import type { DomainName } from '../address/domain-name.ts';
import { hashOfText } from '../text/hash-of-text.ts';
import type { HostedDomain } from './hosted-domain.ts';

/** In the place of a tag, of which there are so many: eight bits of a hash that are none of these. */
const [EMPTY, DELETED] = [0, 1];
const TAGS = 254;

const FIRST_ROOM = 16;
/** Of the room, deleted entries counted; with more, look-ups go by many others. */
const MAX_SHARE = 3 / 4;

export class NameIndex {
  /** Another one each time: whoever chooses names cannot choose those of one hash. */
  readonly #seed = Math.floor(Math.random() * 2 ** 32);
  #tags = new Uint8Array(FIRST_ROOM);
  #domains: (HostedDomain | undefined)[] = new Array(FIRST_ROOM).fill(undefined);
  /** Which of the domain's names: 0 for its own, then its aliases. */
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
    this.#add(domain, 0, slot);
    for (let i = 0; i < domain.aliases.length; i++) this.#add(domain, i + 1, slot);
  }

  /** Takes them out. */
  remove(domain: HostedDomain): void {
    this.#remove(domain.name);
    for (const alias of domain.aliases) this.#remove(alias);
  }

  #add(domain: HostedDomain, which: number, slot: number): void {
    if (this.#used >= (this.#mask + 1) * MAX_SHARE) this.#makeRoom();
    this.#put(hashOfText(nameOf(domain, which), this.#seed), domain, which, slot);
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
      if (tag === wanted && nameOf(this.#domains[place] as HostedDomain, this.#which[place] as number) === name) {
        return place;
      }
    }
  }

  /** Into the first empty place from where its hash leads. */
  #put(hash: number, domain: HostedDomain, which: number, slot: number): void {
    let place = hash & this.#mask;
    while (this.#tags[place] !== EMPTY) place = (place + 1) & this.#mask;
    this.#tags[place] = tagOf(hash);
    this.#domains[place] = domain;
    this.#which[place] = which;
    this.#slots[place] = slot;
    this.#hashes[place] = hash;
  }

  /** Twice as much as there are entries, and no deleted ones. */
  #makeRoom(): void {
    const [domains, which, slots, hashes] = [this.#domains, this.#which, this.#slots, this.#hashes];
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
      this.#put(hashes[place] as number, domain, which[place] as number, slots[place] as number);
    }
  }
}

function nameOf(domain: HostedDomain, which: number): DomainName {
  return which === 0 ? domain.name : (domain.aliases[which - 1] as DomainName);
}

/** Of the bits that do not choose the place first. */
function tagOf(hash: number): number {
  return DELETED + 1 + (((hash >>> 24) * TAGS) >>> 8);
}
