/**
 * What a benchmark has found out: rows of one table and of one JSON document. It measures nothing and judges nothing but
 * whether a number is within its goal.
 */
import { writeFile } from 'node:fs/promises';
import { cpus, loadavg } from 'node:os';

export interface Goal {
  readonly atMost?: number;
  readonly atLeast?: number;
}

export interface Row {
  readonly part: string;
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  readonly goal?: Goal;
  /** What `value` is the median of. */
  readonly rounds?: readonly number[];
}

export class Results {
  readonly #rows: Row[] = [];
  readonly #startedAt = performance.now();
  readonly #loadAtStart = loadavg()[0] ?? 0;

  add(row: Row): void {
    this.#rows.push(row);
    progress(`${row.part}: ${row.what}: ${wordValue(row)}`);
  }

  /** A row with the median of these. */
  addMedian(row: Omit<Row, 'value'> & { readonly rounds: readonly number[] }): void {
    this.add({ ...row, value: median(row.rounds) });
  }

  get #seconds(): number {
    return (performance.now() - this.#startedAt) / 1000;
  }

  /** The table, a line a row; the last one says how long it took. */
  table(): string {
    const width = Math.max(0, ...this.#rows.map(({ part, what }) => part.length + what.length + 2));
    const lines = this.#rows.map((row) => {
      const goal = row.goal === undefined ? '' : `  goal ${wordGoal(row.goal)}: ${isMet(row) ? 'met' : 'MISSED'}`;
      return `${`${row.part}  ${row.what}`.padEnd(width)}  ${wordValue(row).padStart(22)}${goal}`.trimEnd();
    });
    return [...lines, `measured in ${wordDuration(this.#seconds)}`, ''].join('\n');
  }

  async write(path: string): Promise<void> {
    const machine = {
      node: process.version,
      cpu: cpus()[0]?.model,
      cores: cpus().length,
      // What else ran meanwhile; a quiet machine begins near 0.
      load_at_start: this.#loadAtStart,
    };
    const rows = this.#rows.map((row) => (row.goal === undefined ? row : { ...row, met: isMet(row) }));
    await writeFile(path, `${JSON.stringify({ machine, seconds: this.#seconds, rows }, null, 2)}\n`);
  }
}

export function progress(text: string): void {
  process.stderr.write(`${text}\n`);
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const high = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? high : (high + (sorted[middle - 1] ?? 0)) / 2;
}

function isMet({ value, goal }: Row): boolean {
  return value <= (goal?.atMost ?? Number.POSITIVE_INFINITY) && value >= (goal?.atLeast ?? Number.NEGATIVE_INFINITY);
}

function wordGoal({ atMost, atLeast }: Goal): string {
  return atMost === undefined ? `>= ${atLeast}` : `<= ${atMost}`;
}

function wordValue({ value, unit }: Row): string {
  const digits = value >= 1000 ? 0 : value >= 100 ? 1 : 2;
  return `${value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })} ${unit.padEnd(8)}`;
}

function wordDuration(seconds: number): string {
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}
