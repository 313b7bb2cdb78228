/**
 * Counts durations by how long they were, in buckets that never change. To observe allocates nothing. It reads no clock.
 */
import { formatValue, type Sample } from './exposition.ts';

/** One histogram without labels. It counts from 0 for as long as it lives. */
export class Histogram {
  readonly #bounds: readonly number[];
  /** One for each bound, and one for what is above them all. */
  readonly #counts: Float64Array;
  #sum = 0;

  /** `bounds`: the buckets' upper ends in seconds, ascending; each belongs to its bucket. */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = new Float64Array(bounds.length + 1);
  }

  /** Counts so many durations of so many seconds. */
  observe(seconds: number, times: number): void {
    const bounds = this.#bounds;
    let bucket = 0;
    // From below: what is usual is short.
    while (bucket < bounds.length && seconds > (bounds[bucket] as number)) bucket += 1;
    this.#counts[bucket] = (this.#counts[bucket] as number) + times;
    this.#sum += seconds * times;
  }

  /** The lines of a family of type histogram. */
  samples(): readonly Sample[] {
    const samples: Sample[] = [];
    let count = 0;
    for (const [bucket, counted] of this.#counts.entries()) {
      count += counted;
      const le = formatValue(this.#bounds[bucket] ?? Number.POSITIVE_INFINITY);
      samples.push({ suffix: '_bucket', labels: { le }, value: count });
    }
    return [...samples, { suffix: '_sum', value: this.#sum }, { suffix: '_count', value: count }];
  }
}
