/**
 * Keeps the tables what the newest settings ask for, one write at a time: many changes in a burst give one compile. What
 * fails (a full disk, a broken postmap) is logged and tried again; it never throws.
 */
import type { EventLog } from '../log/event-log.ts';
import type { Settings } from '../settings/settings.ts';
import type { TablesOptions } from './check-tables.ts';
import { TablesError } from './tables-error.ts';
import { writeTables } from './write-tables.ts';

/** How long it waits before it tries again. */
const RETRY_MS = 10_000;

/** For `maps --watch`: told of settings by {@link want}, it writes the newest that it knows of. */
export class TablesWriter {
  readonly #log: EventLog;
  readonly #options: TablesOptions;
  #wanted: Settings | undefined;
  #working: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(log: EventLog, options: TablesOptions) {
    this.#log = log;
    this.#options = options;
  }

  /** These settings are in force from now on. */
  want(settings: Settings): void {
    this.#wanted = settings;
    clearTimeout(this.#retry);
    this.#working ??= this.#work().finally(() => {
      this.#working = undefined;
      // These came behind its last look, and before this.
      if (this.#wanted !== undefined && !this.#stopped) this.want(this.#wanted);
    });
  }

  /** Writes no more; resolves when a write that is under way has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#retry);
    await this.#working;
  }

  async #work(): Promise<void> {
    while (this.#wanted !== undefined && !this.#stopped) {
      const settings = this.#wanted;
      this.#wanted = undefined;
      try {
        const { changed, tables } = await writeTables(settings, this.#options);
        if (changed) this.#log.info({ tables }, 'tables written');
      } catch (error) {
        this.#log.error({ error: (error as Error).message }, wordFailure(error));
        if (this.#wanted === undefined && !this.#stopped) this.#retry = setTimeout(() => this.want(settings), RETRY_MS);
      }
    }
  }
}

function wordFailure(error: unknown): string {
  if (error instanceof TablesError && error.kind === 'reload')
    return 'tables are written, but Postfix goes by the old ones';
  return 'tables cannot be written; those that there were are in force';
}
