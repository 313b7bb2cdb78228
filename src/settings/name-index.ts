/**
 * Which domain a name or alias is of, for a million of them: mostly a table of bytes, so that a name that is not hosted is
 * looked up in memory that caches hold, and one that is touches few places besides. A Map takes more memory, and most of
 * its places are in no cache.
 */
import type { DomainName } from '../address/domain-name.ts';
import { hashOfText } from '../text/hash-of-text.ts';
import type { HostedDomain } from './hosted-domain.ts';

/** Reserved; the other 254 tags come from eight bits of the hash. */
const [EMPTY, DELETED] = [0, 1];
const TAGS = 254;

const FIRST_ROOM = 16;
/** Of the room, deleted entries counted; with more, look-ups go by many others. */
const MAX_SHARE = 3 / 4;

/** The names and aliases of all hosted domains. That no name is added twice its caller sees to. */
export class NameIndex {
  /** Another one each time: whoever chooses names cannot choose those of one hash. */
  readonly #seed = Math.floor(Math.random() * 2 ** 32);
  #tags = new Uint8Array(FIRST_ROOM);
  /** Of each place the name, and behind it its domain: one line of a cache holds both. */
  #entries: (DomainName | HostedDomain | undefined)[] = new Array(2 * FIRST_ROOM).fill(undefined);
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
    return place < 0 ? undefined : (this.#entries[2 * place + 1] as HostedDomain);
  }

  /** What was given with the domain of this name or alias when it was added. */
  slotOf(name: DomainName): number | undefined {
    const place = this.#find(name);
    return place < 0 ? undefined : this.#slots[place];
  }

  /** Adds all names of the domain. None of them is there yet. `slot`: a number of the caller's. */
  add(domain: HostedDomain, slot: number): void {
    this.#add(domain.name, domain, slot);
    for (const alias of domain.aliases) this.#add(alias, domain, slot);
  }

  /** Takes them out. */
  remove(domain: HostedDomain): void {
    this.#remove(domain.name);
    for (const alias of domain.aliases) this.#remove(alias);
  }

  #add(name: DomainName, domain: HostedDomain, slot: number): void {
    if (this.#used >= (this.#mask + 1) * MAX_SHARE) this.#makeRoom();
    this.#put(hashOfText(name, this.#seed), name, domain, slot);
    this.#size += 1;
    this.#used += 1;
  }

  #remove(name: DomainName): void {
    const place = this.#find(name);
    if (place < 0) return;
    this.#tags[place] = DELETED;
    this.#entries[2 * place] = undefined;
    this.#entries[2 * place + 1] = undefined;
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
      if (tag === wanted && this.#entries[2 * place] === name) return place;
    }
  }

  /** Into the first empty place from where its hash leads. */
  #put(hash: number, name: DomainName, domain: HostedDomain, slot: number): void {
    let place = hash & this.#mask;
    while (this.#tags[place] !== EMPTY) place = (place + 1) & this.#mask;
    this.#tags[place] = tagOf(hash);
    this.#entries[2 * place] = name;
    this.#entries[2 * place + 1] = domain;
    this.#slots[place] = slot;
    this.#hashes[place] = hash;
  }

  /** Twice as much as there are entries, and no deleted ones. */
  #makeRoom(): void {
    const [tags, entries, slots, hashes] = [this.#tags, this.#entries, this.#slots, this.#hashes];
    const room = 2 ** Math.ceil(Math.log2(Math.max(FIRST_ROOM, 2 * this.#size)));
    this.#tags = new Uint8Array(room);
    this.#entries = new Array(2 * room).fill(undefined);
    this.#slots = new Int32Array(room);
    this.#hashes = new Int32Array(room);
    this.#mask = room - 1;
    this.#used = this.#size;
    for (const [place, tag] of tags.entries()) {
      if (tag === EMPTY || tag === DELETED) continue;
      const name = entries[2 * place] as DomainName;
      const domain = entries[2 * place + 1] as HostedDomain;
      this.#put(hashes[place] as number, name, domain, slots[place] as number);
    }
  }
}

/** Of the bits that do not choose the place first. */
function tagOf(hash: number): number {
  return DELETED + 1 + (((hash >>> 24) * TAGS) >>> 8);
}
