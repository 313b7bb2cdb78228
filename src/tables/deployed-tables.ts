/**
 * The tables in force, for the service: watches the maps directory and tells which domains they hold (contract section 7,
 * "No gap"). It only looks; what it cannot read holds nothing.
 */
import { type FSWatcher, watch } from 'node:fs';
import { open } from 'node:fs/promises';
import type { OtherTables, TablesInForce } from '../decision/delivery.ts';
import type { HostedDomain } from '../settings/hosted-domain.ts';
import type { Settings } from '../settings/settings.ts';
import { Slice } from '../slice/slice.ts';
import { HeldDomains, type Observation, SETTLE_MS } from './held-domains.ts';
import { contentOf, MapsDirectory } from './maps-directory.ts';
import { parseStamp, stampFile } from './stamp.ts';

/** Between two looks, where nothing tells of a change. */
const LOOK_MS = 1000;

/** How far the tables are, for the metrics. */
export interface TablesReading {
  /** When they were written, if they are whole: milliseconds since the epoch. */
  readonly writtenAt: number | undefined;
  /** Whether they were written from the settings in force. */
  readonly isCurrent: boolean;
  /** Domains with requirements that tables could hold, and that are answered by FILTER until these do. */
  readonly domainsNotHeld: number;
}

/** A clock and a waiting time for tests. */
export interface DeployedTablesOptions {
  /** Milliseconds since some fixed moment; absent: a clock that nobody sets. */
  readonly now?: () => number;
  /** Absent: {@link SETTLE_MS}. */
  readonly settleMs?: number;
}

/**
 * For one service. {@link holds} takes no time to speak of: looking goes on beside, from {@link start} until
 * {@link stop}.
 */
export class DeployedTables implements TablesInForce {
  readonly #directory: MapsDirectory;
  readonly #now: () => number;
  readonly #held: HeldDomains;
  /** The stamp's modification time, milliseconds since the epoch, and what that was by {@link #now} when it was first seen. */
  #stamped = { mtimeMs: Number.NaN, at: Number.NaN };
  #settings: Settings;
  #watcher: FSWatcher | undefined;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #counting: Promise<number> | undefined;
  #again = false;
  #stopped = false;

  /** Nothing is held until {@link start}. */
  constructor(directory: string, settings: Settings, options: DeployedTablesOptions = {}) {
    this.#settings = settings;
    this.#directory = new MapsDirectory(directory);
    this.#now = options.now ?? (() => performance.now());
    this.#held = new HeldDomains(settings, options.settleMs ?? SETTLE_MS);
  }

  /** Looks for the first time, and from then on. */
  async start(): Promise<void> {
    this.#timer = setInterval(() => void this.look(), LOOK_MS).unref();
    await this.look();
  }

  /** Looks no more; what was seen last goes on to hold. */
  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
    this.#watcher?.close();
  }

  /** To be told of other settings before the first decision by them. */
  update(settings: Settings): void {
    this.#settings = settings;
    this.#held.update(settings);
    void this.look();
  }

  holds(domain: HostedDomain): boolean {
    return this.#held.holds(domain, this.#now());
  }

  get stillUsed(): readonly OtherTables[] {
    return this.#held.stillUsed;
  }

  /** Looks at every domain if need be, a little at a time. */
  async read(): Promise<TablesReading> {
    this.#counting ??= this.#countNotHeld().finally(() => {
      this.#counting = undefined;
    });
    const domainsNotHeld = await this.#counting;
    const { isStamped, isCurrent } = this.#held;
    return { writtenAt: isStamped ? this.#stamped.mtimeMs : undefined, isCurrent, domainsNotHeld };
  }

  async #countNotHeld(): Promise<number> {
    if (this.#held.holdsAll(this.#now())) return 0;
    let count = 0;
    const slice = new Slice();
    for (const domain of this.#settings.domains()) {
      if (domain.tableDigest !== 0 && !this.holds(domain)) count += 1;
      if (slice.isOver) await slice.next();
    }
    return count;
  }

  /** Looks at the directory; resolves when what is there has been taken in. Never rejects. */
  look(): Promise<void> {
    this.#again = true;
    this.#looking ??= this.#lookWhileAsked().finally(() => {
      this.#looking = undefined;
      // It was asked for behind the last look, and before this.
      return this.#again && !this.#stopped ? this.look() : undefined;
    });
    return this.#looking;
  }

  async #lookWhileAsked(): Promise<void> {
    while (this.#again && !this.#stopped) {
      this.#again = false;
      this.#watch();
      this.#held.observe(await this.#observe(), this.#now());
      const { unread } = this.#held;
      if (unread !== undefined) await this.#readDomains(unread);
      const slice = new Slice();
      while (!this.#stopped && this.#held.compare(() => slice.isOver)) await slice.next();
    }
  }

  async #observe(): Promise<Observation> {
    const name = await this.#directory.current();
    const generation = name === undefined ? undefined : contentOf(name);
    try {
      // One open file: text and time of the same stamp.
      const file = await open(stampFile(this.#directory.path));
      try {
        const { mtimeMs } = await file.stat();
        const stamp = parseStamp(await file.readFile('utf8'));
        if (mtimeMs !== this.#stamped.mtimeMs) this.#stamped = { mtimeMs, at: this.#now() - (Date.now() - mtimeMs) };
        return { generation, stamp, stampedAt: this.#stamped.at };
      } finally {
        await file.close();
      }
    } catch {
      return { generation, stamp: undefined, stampedAt: Number.POSITIVE_INFINITY };
    }
  }

  async #readDomains(generation: string): Promise<void> {
    const name = await this.#directory.current();
    if (name === undefined || contentOf(name) !== generation) return;
    // If the generation is gone the next look finds the one that took its place.
    const digests = await this.#directory.digests(name).catch(() => undefined);
    if (digests !== undefined) this.#held.learn(generation, digests);
  }

  /** Changes are seen at once where the system tells of them; the timer sees them all the same. */
  #watch(): void {
    if (this.#watcher !== undefined || this.#stopped) return;
    try {
      const watcher = watch(this.#directory.path, { persistent: false }, () => void this.look());
      const close = (): void => {
        watcher.close();
        if (this.#watcher === watcher) this.#watcher = undefined;
      };
      watcher.on('error', close);
      this.#watcher = watcher;
    } catch {
      // Not there yet, or no watches left.
    }
  }
}
