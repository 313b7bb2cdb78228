/**
 * Keeps the snapshot on disk as new as is reasonable: written whole with a full load, renewed some seconds after changes.
 * A snapshot that cannot be written is told once and tried again; nobody waits for it.
 */
import type { EventLog } from '../log/event-log.ts';
import type { SnapshotState } from '../source/settings-in-force.ts';
import { ComplaintError, complaintFields } from '../toml/complaint.ts';
import { nameInRecord, type Position } from './layout.ts';
import { loadSnapshot } from './load-snapshot.ts';
import type { SettingsReplica } from './settings-replica.ts';
import { readSnapshot, renewSnapshot, SnapshotDamaged, SnapshotWriter } from './snapshot.ts';

/** The shortest time between two writes. */
const LEAST_MS = 3_000;
/** A write that takes long is made so much more rarely. */
const REST_FACTOR = 20;

/** How long after a failure a snapshot is begun anew. */
const RETRY_MS = 60_000;

/** A full load on its way to disk. */
export interface Spool {
  /** One record of the load. Never rejects: a snapshot that cannot be written is told and given up. */
  add(name: string, record: string): Promise<void>;
  /** `kept`: of which domains not these records are in force, but those that the snapshot before has. */
  finish(position: Position, kept: ReadonlySet<string>): Promise<void>;
  /** The load has failed: the old snapshot stays. */
  abandon(): Promise<void>;
}

/** The snapshot at one path, for one process: one that does not keep it reads it at its start, and no more. */
export class SnapshotKeeper {
  readonly #path: string;
  readonly #log: EventLog;
  readonly #isKept: boolean;
  #changes = new Map<string, string | null>();
  #position: Position | undefined;
  #writing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #restMs = LEAST_MS;
  #isOnDisk = false;
  #writtenAt: number | undefined;
  #failedAt: number | undefined;
  #isStopped = false;
  /** Why it cannot be written, as it was told last: a disk may be full for days. */
  #trouble: string | undefined;

  constructor(path: string, log: EventLog, isKept: boolean) {
    this.#path = path;
    this.#log = log;
    this.#isKept = isKept;
  }

  /** Whether it is time for a full load, since the snapshot on disk cannot be renewed. */
  get isWanted(): boolean {
    return this.#failedAt !== undefined && performance.now() - this.#failedAt > RETRY_MS;
  }

  /** undefined: this process keeps none. */
  get state(): SnapshotState | undefined {
    if (!this.#isKept) return undefined;
    const isCurrent = this.#isOnDisk && this.#changes.size === 0 && this.#writing === undefined;
    return { writtenAt: this.#writtenAt, isCurrent };
  }

  /** The settings in the snapshot; undefined if there is none that can be used. */
  async load(begin: (position: Position) => SettingsReplica): Promise<SettingsReplica | undefined> {
    const began = performance.now();
    try {
      const loaded = await loadSnapshot(this.#path, begin);
      if (loaded === undefined) return undefined;
      const { replica } = loaded;
      this.#isOnDisk = true;
      this.#writtenAt = loaded.writtenAt;
      const ms = Math.round(performance.now() - began);
      this.#log.info({ snapshot: this.#path, domains: replica.settings.size, ms }, 'settings loaded from the snapshot');
      const complaints = replica.takeComplaints();
      if (complaints.length > 0) {
        this.#log.error(complaintFields(new ComplaintError(complaints)), 'records in the snapshot cannot be used');
      }
      return replica;
    } catch (error) {
      const reason = (error as Error).message;
      if (error instanceof SnapshotDamaged) {
        this.#log.error({ snapshot: this.#path, reason }, 'the snapshot is damaged and is not used');
      } else if (!this.#isKept && (error as NodeJS.ErrnoException).code === 'EACCES') {
        // The service's state may be nobody else's: the table writer of the units has its tables, and waits for Redis.
        this.#log.info({ snapshot: this.#path, reason }, 'the snapshot is not for this process');
      } else this.#log.error({ snapshot: this.#path, reason }, 'the snapshot cannot be read and is not used');
      return undefined;
    }
  }

  /** Begins a snapshot of a full load. undefined: none is kept, or it cannot be written now. */
  async begin(): Promise<Spool | undefined> {
    if (!this.#isKept) return undefined;
    this.#isOnDisk = false;
    await this.#writing;
    // What a write that failed gave back is older than what is loaded now.
    this.#changes.clear();
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#failedAt = undefined;
    let writer: SnapshotWriter;
    try {
      writer = await SnapshotWriter.begin(this.#path);
    } catch (error) {
      this.#lose(error as Error);
      return undefined;
    }
    let failed = false;
    const attempt = async (body: () => Promise<void>): Promise<void> => {
      if (failed) return;
      try {
        await body();
      } catch (error) {
        failed = true;
        await writer.abandon();
        this.#lose(error as Error);
      }
    };
    return {
      add: (name, record) => attempt(async () => (nameInRecord(record) === name ? writer.add(record) : undefined)),
      finish: (position, kept) =>
        attempt(async () => {
          const before = kept.size === 0 ? undefined : await recordsInSnapshot(this.#path, kept);
          await writer.finish(position);
          if (before !== undefined) await renewSnapshot(this.#path, before, position);
          this.#isOnDisk = true;
          this.#succeed();
        }),
      abandon: () => writer.abandon(),
    };
  }

  /** These records changed, up to this place in the stream. */
  changed(changes: readonly (readonly [name: string, record: string | null])[], position: Position): void {
    if (!this.#isKept || !this.#isOnDisk) return;
    for (const [name, record] of changes) this.#changes.set(name, record);
    this.#position = position;
    this.#schedule();
  }

  /** Writes no more. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#writing !== undefined || this.#isStopped) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#writing = this.#write().finally(() => {
        this.#writing = undefined;
        if (this.#changes.size > 0) this.#schedule();
      });
    }, this.#restMs);
    this.#timer.unref();
  }

  async #write(): Promise<void> {
    if (this.#position === undefined || !this.#isOnDisk) return;
    const changes = this.#changes;
    this.#changes = new Map();
    const began = performance.now();
    try {
      await renewSnapshot(this.#path, changes, this.#position);
      this.#succeed();
    } catch (error) {
      // They are still to be written, beneath what has changed since.
      this.#changes = new Map([...changes, ...this.#changes]);
      if (error instanceof SnapshotDamaged) this.#lose(error);
      else this.#fail(error as Error);
    }
    this.#restMs = Math.max(LEAST_MS, REST_FACTOR * (performance.now() - began));
  }

  /** There is nothing on disk to go on from. */
  #lose(error: Error): void {
    this.#isOnDisk = false;
    this.#changes.clear();
    this.#failedAt = performance.now();
    this.#fail(error);
  }

  #fail({ message }: Error): void {
    if (this.#trouble === message) return;
    this.#trouble = message;
    this.#log.error({ snapshot: this.#path, reason: message }, 'the snapshot cannot be written');
  }

  #succeed(): void {
    this.#writtenAt = Date.now();
    if (this.#trouble !== undefined) this.#log.info({ snapshot: this.#path }, 'the snapshot is written again');
    this.#trouble = undefined;
  }
}

/** What the snapshot has under these names; null: nothing, or it cannot be used. */
async function recordsInSnapshot(path: string, names: ReadonlySet<string>): Promise<Map<string, string | null>> {
  const none = [...names].map((name) => [name, null] as const);
  const found = new Map<string, string | null>(none);
  try {
    const position = await readSnapshot(path, (record) => {
      const name = nameInRecord(record);
      if (name !== undefined && names.has(name)) found.set(name, record);
    });
    if (position !== undefined) return found;
  } catch (error) {
    if (!(error instanceof SnapshotDamaged)) throw error;
  }
  return new Map(none);
}
