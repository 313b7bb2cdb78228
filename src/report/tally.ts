/**
 * What has been counted, by hosted domain, flow and remote, within a bound that holds whatever strangers invent: they
 * choose the remotes. It has no clock, no files and no logger; moments come with what is counted.
 *
 * A remote that finds no room any more is counted under {@link OTHERS} of its hosted domain, a hosted domain under
 * OTHERS of all. Who has a row keeps it: room comes only from {@link Tally.sweep}, which folds into OTHERS those that
 * were seen least, and not for a while.
 */
import type { Address } from '../address/address.ts';
import type { DomainName } from '../address/domain-name.ts';
import { FLOWS, type Flow } from '../settings/setting.ts';
import { addNumbers, FIRST, LAST, type Numbers, noNumbers, WIDTH } from './counters.ts';
import { OTHERS, remoteKey, remoteToKeep } from './remote.ts';
import type { Row } from './row.ts';

/** Rows that there are at the most, unless told otherwise: what they take of memory is bounded, however long the names are. */
export const DEFAULT_MAX_ROWS = 50_000;
/** The share of them that the remotes of one hosted domain and flow may have, and all remotes together. */
const SHARE_OF_ONE = 1 / 10;
const SHARE_OF_ALL = 9 / 10;
/** Above the first share of its room a sweep begins, to the second it goes. */
const FULL = 3 / 4;
const ROOMY = 1 / 2;
const FIRST_ROWS = 64;

/** Behind a row's numbers: how often it was counted since it is here, whatever was taken of it meanwhile. */
const WEIGHT = WIDTH;
const STRIDE = WIDTH + 1;

/** The rows of one hosted domain and flow: their numbers' places. */
interface Remotes {
  readonly named: Map<string, number>;
  /** -1: none yet; room for it is kept. */
  others: number;
}

/** How the rows are shared out: the most of all, of one hosted domain and flow, and for all remotes together. */
export interface Bounds {
  readonly maxRows: number;
  readonly maxRemotes: number;
  readonly roomForRemotes: number;
}

/** Whole numbers; at least one remote for each hosted domain and flow. */
export function boundsOf(maxRows: number): Bounds {
  return {
    maxRows,
    maxRemotes: Math.max(1, Math.floor(maxRows * SHARE_OF_ONE)),
    roomForRemotes: Math.floor(maxRows * SHARE_OF_ALL),
  };
}

interface Entry {
  readonly remotes: Remotes;
  readonly remote: string;
  readonly weight: number;
  readonly last: number;
}

/** Which rows there are to be. */
export interface TallyOptions {
  readonly maxRows?: number;
  /** Whether remotes are told apart by their local parts too. */
  readonly localParts?: boolean;
}

/** Counts within `maxRows`. A place that {@link Tally.at} gives is good until the next {@link Tally.sweep}. */
export class Tally {
  readonly #bounds: Bounds;
  readonly #localParts: boolean;
  readonly #domains: Readonly<Record<Flow, Map<DomainName | typeof OTHERS, Remotes>>> = {
    incoming: new Map(),
    outgoing: new Map(),
  };
  #numbers = new Float64Array(FIRST_ROWS * STRIDE);
  #free: number[] = [];
  #hasCounts = false;
  #next = 0;
  /** Rows of remotes, and room for an OTHERS of each hosted domain and flow, and of all. */
  #spoken: number = FLOWS.length;

  constructor({ maxRows = DEFAULT_MAX_ROWS, localParts = false }: TallyOptions = {}) {
    this.#bounds = boundsOf(maxRows);
    this.#localParts = localParts;
  }

  /** Whether nothing was counted since all was taken. */
  get isEmpty(): boolean {
    return !this.#hasCounts;
  }

  /** Rows that take memory. */
  get size(): number {
    return this.#next / STRIDE - this.#free.length;
  }

  /** The place of the row for mail between these two; `now` in milliseconds since the epoch. */
  at(flow: Flow, domain: DomainName, far: Address, now: number): number {
    const key = remoteKey(far, this.#localParts);
    const place = this.#domains[flow].get(domain)?.named.get(key) ?? this.#make(flow, domain, key);
    this.#hasCounts = true;
    const numbers = this.#numbers;
    if (numbers[place + FIRST] === 0) numbers[place + FIRST] = now;
    numbers[place + LAST] = now;
    numbers[place + WEIGHT] = (numbers[place + WEIGHT] ?? 0) + 1;
    return place;
  }

  /** One more of a counter of the row at this place. */
  count(place: number, counter: number): void {
    this.#numbers[place + counter] = (this.#numbers[place + counter] ?? 0) + 1;
  }

  /** Notes a moment of the row at this place. */
  note(place: number, moment: number, now: number): void {
    this.#numbers[place + moment] = now;
  }

  /** Takes over what was counted elsewhere. */
  absorb(row: Row): void {
    const { flow, domain, remote, numbers } = row;
    const known = domain === OTHERS ? undefined : this.#domains[flow].get(domain)?.named.get(remote);
    const place = known ?? (domain === OTHERS ? this.#othersOfAll(flow) : this.#make(flow, domain, remote));
    addNumbers(this.#numbers, numbers, place);
    let weight = 0;
    for (let i = 0; i < FIRST; i++) weight += numbers[i] ?? 0;
    this.#numbers[place + WEIGHT] = (this.#numbers[place + WEIGHT] ?? 0) + weight;
  }

  /** Every row that counts anything, as it is. May be read in pieces: a row is whole, and no row comes twice. */
  *rows(): IterableIterator<Row> {
    for (const [flow, domain, remote, place] of this.#places()) {
      if (this.#isEmpty(place)) continue;
      yield { flow, domain, remote, numbers: this.#numbersAt(place) };
    }
  }

  /** The same, and what is given away is no longer counted here. */
  *take(): IterableIterator<Row> {
    this.#hasCounts = false;
    for (const [flow, domain, remote, place] of this.#places()) {
      if (this.#isEmpty(place)) continue;
      const numbers = this.#numbersAt(place);
      const last = numbers[LAST] ?? 0;
      this.#numbers.fill(0, place, place + WIDTH);
      // Of no use to the next who takes, but to the sweep.
      this.#numbers[place + LAST] = last;
      yield { flow, domain, remote, numbers };
    }
  }

  /**
   * Makes room where there is little left: of those not seen since `before` (milliseconds since the epoch) the ones that
   * were counted least are folded into OTHERS of their hosted domain, hosted domains without any other row into OTHERS
   * of all.
   */
  sweep(before: number): void {
    for (const flow of FLOWS) {
      for (const remotes of this.#domains[flow].values()) {
        const { size } = remotes.named;
        if (size <= this.#bounds.maxRemotes * FULL) continue;
        this.#fold(this.#idle(remotes, before), size - Math.floor(this.#bounds.maxRemotes * ROOMY));
      }
    }
    if (this.#spoken <= this.#bounds.maxRows * FULL) return;
    for (const flow of FLOWS) {
      const idle = [...this.#domains[flow].values()].flatMap((remotes) => this.#idle(remotes, before));
      this.#fold(idle, this.#spoken - Math.floor(this.#bounds.maxRows * ROOMY));
      this.#foldDomains(flow, before, this.#spoken - Math.floor(this.#bounds.maxRows * ROOMY));
    }
  }

  #idle(remotes: Remotes, before: number): Entry[] {
    const idle: Entry[] = [];
    for (const [remote, place] of remotes.named) {
      const last = this.#numbers[place + LAST] ?? 0;
      if (last < before) idle.push({ remotes, remote, weight: this.#numbers[place + WEIGHT] ?? 0, last });
    }
    return idle;
  }

  #fold(entries: Entry[], count: number): void {
    entries.sort((a, b) => a.weight - b.weight || a.last - b.last);
    for (const { remotes, remote } of entries.slice(0, Math.max(0, count))) {
      const place = remotes.named.get(remote);
      if (place === undefined) continue;
      this.#move(place, this.#othersOf(remotes));
      remotes.named.delete(remote);
      this.#spoken -= 1;
    }
  }

  /** Hosted domains of which only OTHERS is left, and that idle, give up their row and the room that was kept. */
  #foldDomains(flow: Flow, before: number, count: number): void {
    let left = count;
    for (const [domain, remotes] of this.#domains[flow]) {
      if (left <= 0) return;
      if (domain === OTHERS || remotes.named.size > 0) continue;
      if (remotes.others >= 0) {
        if ((this.#numbers[remotes.others + LAST] ?? 0) >= before) continue;
        this.#move(remotes.others, this.#othersOfAll(flow));
      }
      this.#domains[flow].delete(domain);
      this.#spoken -= 1;
      left -= 1;
    }
  }

  /** Adds one row to another, and gives its place away. */
  #move(from: number, to: number): void {
    const numbers = this.#numbers;
    const weight = (numbers[to + WEIGHT] ?? 0) + (numbers[from + WEIGHT] ?? 0);
    // A row of which all was taken tells no moment of what is still to be taken of the other.
    if (!this.#isEmpty(from)) addNumbers(numbers, this.#numbersAt(from), to);
    numbers[to + WEIGHT] = weight;
    numbers.fill(0, from, from + STRIDE);
    this.#free.push(from);
  }

  #numbersAt(place: number): Numbers {
    const numbers = noNumbers();
    for (let i = 0; i < WIDTH; i++) numbers[i] = this.#numbers[place + i] ?? 0;
    return numbers;
  }

  #isEmpty(place: number): boolean {
    for (let i = place; i < place + FIRST; i++) if (this.#numbers[i] !== 0) return false;
    return true;
  }

  *#places(): IterableIterator<readonly [Flow, DomainName | typeof OTHERS, remote: string, place: number]> {
    for (const flow of FLOWS) {
      for (const [domain, { named, others }] of this.#domains[flow]) {
        for (const [remote, place] of named) yield [flow, domain, remote, place];
        if (others >= 0) yield [flow, domain, OTHERS, others];
      }
    }
  }

  /** A row for a remote that has none: its own if there is room and it has a name, or that of the others. */
  #make(flow: Flow, domain: DomainName, key: string): number {
    const domains = this.#domains[flow];
    let remotes = domains.get(domain);
    if (remotes === undefined) {
      if (this.#spoken >= this.#bounds.maxRows) return this.#othersOfAll(flow);
      remotes = { named: new Map(), others: -1 };
      domains.set(domain, remotes);
      this.#spoken += 1;
    }
    const isFull = remotes.named.size >= this.#bounds.maxRemotes || this.#spoken >= this.#bounds.roomForRemotes;
    if (isFull && !this.#localParts) return this.#othersOf(remotes);
    const remote = remoteToKeep(key);
    // It may be known by its domain alone: not every local part is kept.
    const known = this.#localParts ? remotes.named.get(remote) : undefined;
    if (known !== undefined) return known;
    if (isFull || remote === OTHERS) return this.#othersOf(remotes);
    const place = this.#place();
    remotes.named.set(remote, place);
    this.#spoken += 1;
    return place;
  }

  #othersOf(remotes: Remotes): number {
    if (remotes.others < 0) remotes.others = this.#place();
    return remotes.others;
  }

  #othersOfAll(flow: Flow): number {
    let remotes = this.#domains[flow].get(OTHERS);
    if (remotes === undefined) {
      remotes = { named: new Map(), others: -1 };
      this.#domains[flow].set(OTHERS, remotes);
    }
    return this.#othersOf(remotes);
  }

  /** The place of an empty row. */
  #place(): number {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    const place = this.#next;
    this.#next += STRIDE;
    if (this.#next > this.#numbers.length) {
      const most = this.#bounds.maxRows * STRIDE;
      const numbers = new Float64Array(Math.max(this.#next, Math.min(most, 2 * this.#numbers.length)));
      numbers.set(this.#numbers);
      this.#numbers = numbers;
    }
    return place;
  }
}
