/**
 * Which domain a name or alias is of, for a million of them: a table of numbers, so that a look-up touches few places in
 * memory, and a name that is not hosted mostly one. A Map takes twice the memory, and with a million names, which no cache
 * holds, a look-up in it was a fifth of all that a request costs. It holds no name: the domains do.
 */
import type { DomainName } from '../address/domain-name.ts';
import { hashOfText } from '../text/hash-of-text.ts';
import type { HostedDomain } from './hosted-domain.ts';

/** Numbers of one entry: the name's hash; the domain's slot, counted from 1; which of its names, 0 for its own. */
const WIDTH = 3;
const [SLOT, WHICH] = [1, 2];
/** In the place of a slot. */
const [EMPTY, DELETED] = [0, -1];

const FIRST_ROOM = 16;
/** Of the room, deleted entries counted; with more, look-ups go by many others. */
const MAX_SHARE = 3 / 4;

export class NameIndex {
  readonly #domains: readonly (HostedDomain | undefined)[];
  /** Another one each time: whoever chooses names cannot choose those of one hash. */
  readonly #seed = Math.floor(Math.random() * 2 ** 32);
  #entries = new Int32Array(FIRST_ROOM * WIDTH);
  #mask = FIRST_ROOM - 1;
  #size = 0;
  /** With deleted ones. */
  #used = 0;

  /** `domains` by slot. A name is in the index only as long as the domain of its slot has it. */
  constructor(domains: readonly (HostedDomain | undefined)[]) {
    this.#domains = domains;
  }

  /** The slot of the domain of this name or alias. */
  get(name: DomainName): number | undefined {
    const at = this.#find(name, this.#hashOf(name));
    return at < 0 ? undefined : (this.#entries[at + SLOT] as number) - 1;
  }

  /** Adds all names of the domain in this slot. None of them is there yet. */
  add(slot: number): void {
    const domain = this.#domains[slot];
    if (domain === undefined) return;
    this.#set(domain.name, slot, 0);
    for (const [i, alias] of domain.aliases.entries()) this.#set(alias, slot, i + 1);
  }

  /** Takes them out, while the domain is still in its slot. */
  remove(slot: number): void {
    const domain = this.#domains[slot];
    if (domain === undefined) return;
    this.#delete(domain.name);
    for (const alias of domain.aliases) this.#delete(alias);
  }

  #set(name: DomainName, slot: number, which: number): void {
    if (this.#used >= (this.#mask + 1) * MAX_SHARE) this.#makeRoom();
    this.#put(this.#hashOf(name), slot + 1, which);
    this.#size += 1;
    this.#used += 1;
  }

  #delete(name: DomainName): void {
    const at = this.#find(name, this.#hashOf(name));
    if (at < 0) return;
    this.#entries[at + SLOT] = DELETED;
    this.#size -= 1;
  }

  /** Where its entry begins; below 0 if there is none. */
  #find(name: DomainName, hash: number): number {
    const entries = this.#entries;
    for (let place = hash; ; place++) {
      const at = (place & this.#mask) * WIDTH;
      const slot = entries[at + SLOT] as number;
      if (slot === EMPTY) return -1;
      if (entries[at] !== hash || slot === DELETED) continue;
      const domain = this.#domains[slot - 1];
      const which = entries[at + WHICH] as number;
      if ((which === 0 ? domain?.name : domain?.aliases[which - 1]) === name) return at;
    }
  }

  /** Into the first empty place from where its hash leads. */
  #put(hash: number, slot: number, which: number): void {
    const entries = this.#entries;
    let place = hash;
    while (entries[(place & this.#mask) * WIDTH + SLOT] !== EMPTY) place++;
    const at = (place & this.#mask) * WIDTH;
    entries[at] = hash;
    entries[at + SLOT] = slot;
    entries[at + WHICH] = which;
  }

  /** Twice as much as there are entries, and no deleted ones. */
  #makeRoom(): void {
    const before = this.#entries;
    const room = 2 ** Math.ceil(Math.log2(Math.max(FIRST_ROOM, 2 * this.#size)));
    this.#entries = new Int32Array(room * WIDTH);
    this.#mask = room - 1;
    this.#used = this.#size;
    for (let at = 0; at < before.length; at += WIDTH) {
      const slot = before[at + SLOT] as number;
      if (slot > 0) this.#put(before[at] as number, slot, before[at + WHICH] as number);
    }
  }

  #hashOf(name: DomainName): number {
    return hashOfText(name, this.#seed);
  }
}
