// Random choices that a seed repeats exactly: a failure found once is found again. Never for anything secret.

/** A small generator of pseudo-random numbers (mulberry32), with the choices that scenarios are made of. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** At least 0, less than 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  }

  /** An integer from low to high, both possible. */
  integer(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  /** True so often of a hundred times. */
  percent(often: number): boolean {
    return this.next() * 100 < often;
  }

  /** One of several. */
  pick<T>(choices: readonly T[]): T {
    if (choices.length === 0) {
      throw new Error('nothing to choose from');
    }
    return choices[this.integer(0, choices.length - 1)] as T;
  }

  /** The same things in another order. */
  shuffled<T>(things: readonly T[]): T[] {
    const result = [...things];
    for (let at = result.length - 1; at > 0; at -= 1) {
      const other = this.integer(0, at);
      const thing = result[at] as T;
      result[at] = result[other] as T;
      result[other] = thing;
    }
    return result;
  }

  /** A seed for a generator of its own, so that one part of a scenario does not shift all the others. */
  seed(): number {
    return Math.floor(this.next() * 0x1_0000_0000);
  }
}

/** The seed of this run: `SEED` of the environment, or any; printed by the test that uses it. */
export function seedOfThisRun(): number {
  const given = process.env['SEED'];
  return given === undefined || given === '' ? Math.floor(Math.random() * 0x1_0000_0000) : Number(given) >>> 0;
}

/** How many cases this run tries: a variable of the environment, or the number that suits `npm test`. */
export function casesOfThisRun(variable: string, usual: number): number {
  const given = process.env[variable];
  return given === undefined || given === '' ? usual : Number(given);
}
