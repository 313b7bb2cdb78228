// What the soak prints at its end: one table, and what the memory of a process was in its course. Pure.

import { median } from '../bench/results.ts';
import type { Life, Sample } from './soaked-service.ts';

export class SoakTable {
  readonly #rows: (readonly [what: string, value: string])[] = [];

  row(what: string, value: string | number): void {
    this.#rows.push([what, typeof value === 'number' ? Math.round(value).toLocaleString('en') : value]);
  }

  /** The memory of a service that was killed again and again: in some of its lives, and in the first and last at one age. */
  lives(all: readonly Life[]): void {
    const lives = all.filter(({ samples }) => samples.length > 1);
    const [first, last] = [lives[0]?.samples ?? [], lives.at(-1)?.samples ?? []];
    for (const [name, samples] of [
      ['first', first],
      ['middle', lives[Math.floor((lives.length - 1) / 2)]?.samples ?? []],
      ['last', last],
    ] as const) {
      const value = wordMegabytes(startMiddleEnd(samples));
      this.row(`resident, ${name} life of the killed service: start, middle, end`, value);
    }
    const age = Math.min(first.at(-1)?.age ?? 0, last.at(-1)?.age ?? 0);
    const at = (samples: readonly Sample[]): number =>
      samples.findLast((sample) => sample.age <= age)?.megabytes ?? Number.NaN;
    this.row(`resident, first and last life at the age of ${age.toFixed(0)} s`, wordMegabytes([at(first), at(last)]));
  }

  get text(): string {
    const width = Math.max(...this.#rows.map(([what]) => what.length));
    const breadth = Math.max(...this.#rows.map(([, value]) => value.length));
    return this.#rows.map(([what, value]) => `${what.padEnd(width)}  ${value.padStart(breadth)}\n`).join('');
  }
}

/** The medians of the first, the middle and the last tenth, in MB. */
export function startMiddleEnd(samples: readonly Sample[]): readonly [start: number, middle: number, end: number] {
  const values = samples.map(({ megabytes }) => megabytes);
  const size = Math.max(1, Math.floor(values.length / 10));
  const middle = Math.floor((values.length - size) / 2);
  return [median(values.slice(0, size)), median(values.slice(middle, middle + size)), median(values.slice(-size))];
}

export function wordMegabytes(values: readonly number[]): string {
  return `${values.map((value) => value.toFixed(0)).join(', ')} MB`;
}
