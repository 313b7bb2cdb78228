/**
 * Where counts are kept beyond the life of a process: the seam between the service, which adds, and `report`, which
 * reads. A state file or Redis stands behind it; it decides nothing.
 */
import { FIRST, numberAt } from './counters.ts';
import type { Row } from './row.ts';

/** All that was counted, by all hosts that count in one place. */
export interface Counted {
  /** When counting began, in milliseconds since the epoch. */
  readonly since: number;
  /** The hosts whose services counted. */
  readonly hosts: readonly string[];
  readonly rows: readonly Row[];
}

/** One place where counts are kept. */
export interface ReportStore {
  /** What to call it. */
  readonly name: string;
  /** How long to wait between two calls of {@link add}: what a crash may lose. */
  readonly intervalMs: number;
  /** Whether all rows that were handed over are where they belong. Until then it must not be handed more. */
  readonly isSettled: boolean;
  /**
   * Adds rows, and those of earlier calls that could not be added then. Throws why they cannot be added now; they are not
   * lost then, and the next call tries again. `now`: milliseconds since the epoch.
   */
  add(rows: readonly Row[], now: number): Promise<void>;
  /** undefined: nothing was ever counted there. */
  read(): Promise<Counted | undefined>;
  /** Begins anew: everything is 0, since `now`. */
  reset(now: number): Promise<void>;
  /** Lets go of what it holds open. */
  close(): void;
}

/** How many rows there may be, and of whom. */
export interface ReportBounds {
  readonly maxRows: number;
  /** Whether rows tell remotes apart by their local parts; if not, those that stand there already are folded. */
  readonly localParts: boolean;
}

/** Rows that are folded into (others) for want of room were not seen for so long. */
export const IDLE_MS = 24 * 3_600_000;

/** When the counting of these rows began: counting in a new place began with the first of them. */
export function beginningOf(rows: readonly Row[], now: number): number {
  return rows.reduce((earliest, { numbers }) => Math.min(earliest, numberAt(numbers, FIRST) || now), now);
}
