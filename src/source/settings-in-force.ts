/**
 * The settings in force: the last that were loaded without a mistake. Changes are loaded one after the other; one that
 * fails leaves everything as it is and is told. Nobody ever sees half a change.
 */
import type { Settings } from '../settings/settings.ts';
import { ComplaintError } from '../toml/complaint.ts';

/** Where settings come from, as far as the service and the table writer need to know. */
export interface SettingsSource {
  /**
   * All settings as they stand now, the same object if nothing changed; throws {@link ComplaintError} if they cannot be
   * used. undefined: there are none yet, and {@link watch} tells when there are.
   */
  load(): Promise<Settings | undefined>;
  /** Calls back when they may have changed, until the returned function is called; called before the first load. */
  watch(changed: () => void): () => void;
  /** Has a source that follows changes load everything again, if it ever went by something else. */
  refresh?(): void;
  /** How following gets on, where another program is followed. */
  readonly following?: Following;
}

/** How a source that follows another program gets on. Times are milliseconds since the epoch. */
export interface Following {
  /** Whether there is a connection. */
  readonly isConnected: boolean;
  /** Whether changes there come into force here. */
  readonly isFollowing: boolean;
  /** When it last answered; undefined: never. */
  readonly heardAt: number | undefined;
  /** Counts the changes, on all hosts alike. */
  readonly position: number;
  /** Records that cannot be used. */
  readonly refusedRecords: number;
  /** What is kept for a start without it; undefined: nothing. */
  readonly snapshot: SnapshotState | undefined;
}

/** The snapshot on this host's disk (contract section 9). */
export interface SnapshotState {
  /** When it was last written; undefined: there is none. */
  readonly writtenAt: number | undefined;
  /** Whether it holds the settings in force. */
  readonly isCurrent: boolean;
}

/** Who goes by the settings: the service, the table writer. */
export interface SettingsEvents {
  /** New settings are in force from now on. Called synchronously, before anything is decided by them. */
  changed(settings: Settings, generation: number): void;
  /** A load failed; the settings in force stay. */
  failed(error: ComplaintError): void;
}

/** One for each process that stays. Of loads there is one at a time, however many ask for one. */
export class SettingsInForce {
  readonly #source: SettingsSource;
  readonly #events: SettingsEvents;
  #settings: Settings | undefined;
  #generation = 0;
  #failing = false;
  #loading: Promise<boolean> | undefined;
  #again: Promise<boolean> | undefined;
  #stopWatching: (() => void) | undefined;
  #changedAt: number | undefined;
  #loadedAt: number | undefined;
  /** Loads after the first that ended well, whether or not anything had changed. */
  reloads = 0;
  /** Loads after the first that failed. */
  reloadErrors = 0;

  constructor(source: SettingsSource, events: SettingsEvents) {
    this.#source = source;
    this.#events = events;
  }

  /** undefined until the first load succeeded. */
  get settings(): Settings | undefined {
    return this.#settings;
  }

  /** How often settings came into force here; 0: never yet. */
  get generation(): number {
    return this.#generation;
  }

  /** When they came into force: milliseconds since the epoch. */
  get changedAt(): number | undefined {
    return this.#changedAt;
  }

  /** When they were last loaded without a mistake, changed or not: milliseconds since the epoch. */
  get loadedAt(): number | undefined {
    return this.#loadedAt;
  }

  /** Whether the last load failed. */
  get isFailing(): boolean {
    return this.#failing;
  }

  /** undefined: the settings are in a directory. */
  get following(): Following | undefined {
    return this.#source.following;
  }

  /** Loads for the first time; throws what is wrong. Then follows changes until {@link stop}. */
  async start(): Promise<Settings | undefined> {
    let isLoaded = false;
    let isChanged = false;
    // From the beginning: what changes during the load may have been read already.
    this.#stopWatching = this.#source.watch(() => {
      isChanged = true;
      if (isLoaded) void this.reload();
    });
    try {
      this.#adopt(await this.#source.load());
    } catch (error) {
      this.stop();
      throw error;
    }
    isLoaded = true;
    if (isChanged) void this.reload();
    return this.#settings;
  }

  /** Loads again at somebody's wish, also what has been followed change by change. */
  async refresh(): Promise<boolean> {
    this.#source.refresh?.();
    return await this.reload();
  }

  /** Changes are not followed any more; the settings in force stay. */
  stop(): void {
    this.#stopWatching?.();
    this.#stopWatching = undefined;
  }

  /**
   * Loads again; false if that failed, which {@link SettingsEvents.failed} has told. A call during a load waits for one
   * more load, since the running one may have passed by what changed.
   */
  reload(): Promise<boolean> {
    if (this.#loading === undefined) {
      this.#loading = this.#load().finally(() => {
        this.#loading = undefined;
      });
      return this.#loading;
    }
    this.#again ??= this.#loading.then(() => {
      this.#again = undefined;
      return this.reload();
    });
    return this.#again;
  }

  async #load(): Promise<boolean> {
    try {
      this.#adopt(await this.#source.load());
      this.reloads += 1;
      return true;
    } catch (error) {
      this.reloadErrors += 1;
      this.#failing = true;
      this.#events.failed(
        error instanceof ComplaintError ? error : new ComplaintError([{ message: (error as Error).message }]),
      );
      return false;
    }
  }

  #adopt(settings: Settings | undefined): void {
    if (settings === undefined) return;
    this.#loadedAt = Date.now();
    if (settings === this.#settings && !this.#failing) return;
    this.#failing = false;
    if (settings !== this.#settings) this.#changedAt = this.#loadedAt;
    this.#settings = settings;
    this.#generation += 1;
    this.#events.changed(settings, this.#generation);
  }
}
