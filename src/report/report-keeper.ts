/**
 * Brings what the service counts to where it is kept, some seconds after it was counted and once more at the end. Nobody
 * waits for it: where counts cannot be kept just now they stay in the tally, which is bounded, and that is told once.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { EventLog } from '../log/event-log.ts';
import { Slice } from '../slice/slice.ts';
import type { ReportStore } from './report-store.ts';
import type { Row } from './row.ts';
import { Tally, type TallyOptions } from './tally.ts';

/** How often it looks whether there is anything to keep. */
const LOOK_MS = 1_000;
/** The longest wait between two attempts. */
const MOST_MS = 60_000;
/** How long the end of the process waits. */
const STOP_MS = 1_500;
/** Remotes that were not seen for so long make room in the tally of what is still to be kept. */
const FORGET_MS = 3_600_000;

/** The service counts into {@link ReportKeeper.tally}; what is there is brought to the store from time to time. */
export class ReportKeeper {
  /** What is counted and not kept yet. */
  readonly tally: Tally;
  readonly #store: ReportStore;
  readonly #log: EventLog;
  #timer: NodeJS.Timeout | undefined;
  #keeping: Promise<boolean> | undefined;
  #failures = 0;
  #told = '';
  #triedAt = Number.NEGATIVE_INFINITY;

  constructor(store: ReportStore, options: TallyOptions, log: EventLog) {
    this.tally = new Tally(options);
    this.#store = store;
    this.#log = log;
  }

  /** Keeps what is counted from time to time, until {@link stop}. */
  start(): void {
    this.#timer = setInterval(() => {
      const { intervalMs, isSettled } = this.#store;
      const longer = 2 ** Math.min(Math.max(0, this.#failures - 1), 10);
      const wait = Math.max(intervalMs, Math.min(intervalMs * longer, MOST_MS));
      if ((this.tally.isEmpty && isSettled) || performance.now() - this.#triedAt < wait) return;
      void this.keep();
    }, LOOK_MS);
    this.#timer.unref();
  }

  /** Keeps what there is now; gives whether it is kept. */
  keep(): Promise<boolean> {
    this.#keeping ??= this.#keep().finally(() => {
      this.#keeping = undefined;
      this.#triedAt = performance.now();
    });
    return this.#keeping;
  }

  /** Keeps what there is, if that does not take long, and lets the store go. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    const late = new AbortController();
    const last = async (): Promise<boolean> => {
      await this.#keeping;
      // First what it still owes, then what was counted since.
      return ((await this.keep()) || this.#store.isSettled) && (await this.keep());
    };
    const isKept = await Promise.race([
      last(),
      pause(STOP_MS, false, { signal: late.signal }).catch(() => false),
    ]).finally(() => late.abort());
    this.#store.close();
    if (!isKept) {
      this.#log.warn(
        { place: this.#store.name },
        'what was counted last for the report is lost: it cannot be kept now',
      );
    }
  }

  async #keep(): Promise<boolean> {
    try {
      await this.#store.add(this.#store.isSettled ? await this.#take() : [], Date.now());
      if (this.#failures > 0) this.#log.info({ place: this.#store.name }, 'counts for the report are kept again');
      this.#failures = 0;
      this.#told = '';
      return true;
    } catch (error) {
      this.#failures += 1;
      const reason = (error as Error).message;
      if (reason !== this.#told) {
        this.#log.warn({ place: this.#store.name, reason }, 'counts for the report cannot be kept; trying again');
        this.#told = reason;
      }
      return false;
    }
  }

  async #take(): Promise<readonly Row[]> {
    const rows: Row[] = [];
    const slice = new Slice();
    for (const row of this.tally.take()) {
      rows.push(row);
      if (slice.isOver) await slice.next();
    }
    this.tally.sweep(Date.now() - FORGET_MS);
    return rows;
  }
}
