/**
 * A map that knows which of its entries was set least recently, for what is remembered within bounds. It drops nothing by
 * itself, and has no clock.
 *
 * A Map keeps the order too, but V8 rebuilds its table as entries come and go, and the old tables keep their entries alive until
 * a full garbage collection. Here an entry that is deleted is garbage at once.
 */
import { hashOfText } from '../text/hash-of-text.ts';

/** No place. */
const NONE = -1;
const FIRST_ROOM = 16;

/** Everything takes the same time, however many entries there are. A key that is a number is its own hash. */
export class RecentMap<Key extends string | number, Value> {
  /** Each entry's hash; a key is compared only where that is the same. */
  #hashes = new Int32Array(FIRST_ROOM);
  #keys: (Key | undefined)[] = new Array(FIRST_ROOM).fill(undefined);
  #values: (Value | undefined)[] = new Array(FIRST_ROOM).fill(undefined);
  /** By hash: the first place of a chain, which {@link #next} goes on with. As long as there are places. */
  #chains = new Int32Array(FIRST_ROOM).fill(NONE);
  /** Of a place in use: the next of its chain; of a free one: the next free one. */
  #next = new Int32Array(FIRST_ROOM);
  #older = new Int32Array(FIRST_ROOM);
  #newer = new Int32Array(FIRST_ROOM);
  #free = NONE;
  #used = 0;
  #oldest = NONE;
  #newest = NONE;
  #size = 0;
  #lastKey: Key | undefined;
  #lastHash = 0;

  get size(): number {
    return this.#size;
  }

  /** Leaves the order as it is. */
  get(key: Key): Value | undefined {
    const place = this.#find(key, this.#hashNew(key));
    return place === NONE ? undefined : this.#values[place];
  }

  /** The entry is the newest from now on. */
  set(key: Key, value: Value): void {
    const hash = this.#hashOf(key);
    let place = this.#find(key, hash);
    if (place === NONE) place = this.#add(key, hash);
    else this.#unlink(place);
    this.#values[place] = value;
    this.#older[place] = this.#newest;
    this.#newer[place] = NONE;
    if (this.#newest === NONE) this.#oldest = place;
    else this.#newer[this.#newest] = place;
    this.#newest = place;
  }

  delete(key: Key): void {
    const hash = this.#hashOf(key);
    const place = this.#find(key, hash);
    if (place === NONE) return;
    const chain = this.#chainOf(hash);
    let before = this.#chains[chain] as number;
    if (before === place) this.#chains[chain] = this.#next[place] as number;
    else {
      while (this.#next[before] !== place) before = this.#next[before] as number;
      this.#next[before] = this.#next[place] as number;
    }
    this.#unlink(place);
    this.#keys[place] = undefined;
    this.#values[place] = undefined;
    this.#next[place] = this.#free;
    this.#free = place;
    this.#size -= 1;
  }

  /** The entry that was set least recently. */
  get oldest(): readonly [Key, Value] | undefined {
    const place = this.#oldest;
    return place === NONE ? undefined : [this.#keys[place] as Key, this.#values[place] as Value];
  }

  #find(key: Key, hash: number): number {
    let place = this.#chains[this.#chainOf(hash)] as number;
    while (place !== NONE && (this.#hashes[place] !== hash || this.#keys[place] !== key)) {
      place = this.#next[place] as number;
    }
    return place;
  }

  /** Who asks for a key mostly sets or deletes it next. */
  #hashOf(key: Key): number {
    return key === this.#lastKey ? this.#lastHash : this.#hashNew(key);
  }

  #hashNew(key: Key): number {
    this.#lastKey = key;
    // A number is to be a hash already.
    this.#lastHash = typeof key === 'number' ? key | 0 : hashOfText(key, 0);
    return this.#lastHash;
  }

  #chainOf(hash: number): number {
    return hash & (this.#chains.length - 1);
  }

  #add(key: Key, hash: number): number {
    let place = this.#free;
    if (place !== NONE) this.#free = this.#next[place] as number;
    else {
      if (this.#used === this.#chains.length) this.#grow();
      place = this.#used++;
    }
    this.#size += 1;
    this.#keys[place] = key;
    this.#hashes[place] = hash;
    this.#chain(place);
    return place;
  }

  #chain(place: number): void {
    const chain = this.#chainOf(this.#hashes[place] as number);
    this.#next[place] = this.#chains[chain] as number;
    this.#chains[chain] = place;
  }

  #unlink(place: number): void {
    const older = this.#older[place] as number;
    const newer = this.#newer[place] as number;
    if (older === NONE) this.#oldest = newer;
    else this.#newer[older] = newer;
    if (newer === NONE) this.#newest = older;
    else this.#older[newer] = older;
  }

  /** Twice the room. All places are in use. */
  #grow(): void {
    const room = 2 * this.#chains.length;
    const longer = (places: Int32Array): Int32Array<ArrayBuffer> => {
      const all = new Int32Array(room);
      all.set(places);
      return all;
    };
    this.#hashes = longer(this.#hashes);
    this.#older = longer(this.#older);
    this.#newer = longer(this.#newer);
    this.#next = new Int32Array(room);
    this.#chains = new Int32Array(room).fill(NONE);
    const none = new Array<undefined>(room / 2).fill(undefined);
    this.#keys = this.#keys.concat(none);
    this.#values = this.#values.concat(none);
    for (let place = 0; place < this.#used; place++) this.#chain(place);
  }
}
