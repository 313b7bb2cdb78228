/**
 * The settings in Redis, for those who decide by them: loaded whole, then followed by the stream of changes, for as long
 * as the process lives. Redis may go and come back as it likes: what is in force stays in force until something newer is
 * here whole. It never writes to Redis.
 */
import type { EventLog } from '../log/event-log.ts';
import type { Settings } from '../settings/settings.ts';
import { Slice } from '../slice/slice.ts';
import { Burst } from '../source/burst.ts';
import type { Following, SettingsSource } from '../source/settings-in-force.ts';
import { ComplaintError, complaintFields } from '../toml/complaint.ts';
import { Backoff } from './backoff.ts';
import { type ChangeEntry, tellsOfRecord } from './layout.ts';
import { BrokenStream, beginReplica, takeAllRecords, takeEntry, takeWhatCameMeanwhile } from './load-replica.ts';
import type { RedisAddress } from './redis-address.ts';
import { RedisLink, RedisTrouble } from './redis-link.ts';
import { adoptedEpoch, entriesAfter, isInStream, lastEntry, recordCount } from './redis-reading.ts';
import { type ReplicaOptions, SettingsReplica } from './settings-replica.ts';
import { SnapshotKeeper } from './snapshot-keeper.ts';

/** How long Redis is asked to wait for a change before it says that there is none. */
const WAIT_MS = 2_000;
/** How long a start waits for Redis before it goes by the snapshot, or by nothing. */
const START_MS = 10_000;

/** Where Redis is, and what this host keeps for a start without it. */
export interface RedisSourceOptions extends ReplicaOptions {
  readonly address: RedisAddress;
  /** Its path; undefined: none. */
  readonly snapshot: string | undefined;
  /** Whether this process keeps the snapshot; others only start from it. */
  readonly keepsSnapshot: boolean;
  readonly log: EventLog;
  /** How long it must be quiet before changes are told: many in a burst become one. */
  readonly quietMs?: number;
}

/** A {@link SettingsSource} that is current by itself: only its first load waits, for Redis or the snapshot. */
export class RedisSource implements SettingsSource {
  readonly #options: RedisSourceOptions;
  readonly #snapshot: SnapshotKeeper | undefined;
  readonly #stopping = new AbortController();
  #replica: SettingsReplica | undefined;
  /** The newest version of the replica's settings that is of one moment: what may be decided by. */
  #whole: Settings | undefined;
  /** What the snapshot lacks of that moment, or of the next one. */
  #unsaved: (readonly [name: string, record: string | null])[] = [];
  /** The replica is amid the entries of one step. */
  #isAmidStep = false;
  /**
   * Records that no entry tells were read as they are now, so the replica is ahead of its place in the stream until it has
   * come to the entry that was the newest after that, which `untilId` names once it is known.
   */
  #ahead: { readonly untilId: string | undefined } | undefined;
  #running: Promise<void> | undefined;
  #link: RedisLink | undefined;
  #changed: (() => void) | undefined;
  /** undefined: every change is told at once. */
  readonly #quiet: Burst | undefined;
  /** What was told last, so that a state is told once and not with every attempt. */
  #told = '';
  /** The first session has come to something, be it a failure. */
  #firstIsOver: () => void = () => {};
  #loadAgain = false;
  /** The entry of the stream at which the records were seen to be lost. */
  #lostAt: string | undefined;
  #isFollowing = false;
  #heardAt: number | undefined;

  constructor(options: RedisSourceOptions) {
    this.#options = options;
    const { snapshot, log, quietMs = 0 } = options;
    // A burst that does not end is told of all the same.
    if (quietMs > 0) this.#quiet = new Burst(quietMs, 10 * quietMs, () => this.#changed?.());
    if (snapshot !== undefined) this.#snapshot = new SnapshotKeeper(snapshot, log, options.keepsSnapshot);
  }

  /** undefined: there are none yet, neither in Redis nor on disk; {@link watch} tells when there are. */
  async load(): Promise<Settings | undefined> {
    if (this.#running === undefined) await this.#start();
    return this.#whole;
  }

  watch(changed: () => void): () => void {
    this.#changed = changed;
    return () => this.#stop();
  }

  get following(): Following {
    return {
      isConnected: this.#link !== undefined,
      isFollowing: this.#isFollowing,
      heardAt: this.#link?.heardAt ?? this.#heardAt,
      position: this.#replica?.position.seq ?? 0,
      refusedRecords: this.#replica?.refusedCount ?? 0,
      snapshot: this.#snapshot?.state,
    };
  }

  /** Has everything loaded again, as it stands in Redis now. */
  refresh(): void {
    this.#loadAgain = true;
  }

  async #start(): Promise<void> {
    const first = new Promise<void>((resolve) => {
      this.#firstIsOver = resolve;
    });
    this.#replica = await this.#snapshot?.load((position) => new SettingsReplica(this.#options, position));
    this.#whole = this.#replica?.settings;
    this.#running = this.#run();
    const patience = new AbortController();
    const late = this.#replica === undefined ? first : Promise.race([first, pause(START_MS, patience.signal)]);
    await late.finally(() => patience.abort());
  }

  #stop(): void {
    this.#changed = undefined;
    this.#quiet?.stop();
    this.#stopping.abort();
    this.#link?.close();
    this.#snapshot?.stop();
  }

  get #isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }

  async #run(): Promise<void> {
    const backoff = new Backoff();
    while (!this.#isStopping) {
      try {
        this.#link = await RedisLink.open(this.#options.address);
        await this.#follow(this.#link, backoff);
      } catch (error) {
        if (this.#isStopping) return;
        this.#fail(error as Error);
      } finally {
        this.#heardAt = this.#link?.heardAt ?? this.#heardAt;
        this.#link?.close();
        this.#link = undefined;
        this.#isFollowing = false;
        this.#firstIsOver();
      }
      await pause(backoff.next(), this.#stopping.signal);
    }
  }

  /** Follows the stream until the link is lost. Throws why it was. */
  async #follow(link: RedisLink, backoff: Backoff): Promise<void> {
    while (!this.#isStopping) {
      const last = await lastEntry(link);
      const replica = this.#replica;
      const isOther = replica !== undefined && replica.position.epoch !== last?.epoch;
      const isDue = this.#loadAgain || this.#lostAt === last?.id || this.#snapshot?.isWanted === true;
      if (last === undefined) await this.#waitForBeginning(link);
      else if (isOther && (await adoptedEpoch(link)) !== last.epoch) await this.#refuseStranger(last.epoch);
      else if (replica === undefined || isOther || isDue) {
        if (await this.#areRecordsLost(link, last)) await this.#refuseLoss(last);
        else await this.#load(link, last);
      } else {
        try {
          await this.#catchUp(link, replica, last);
        } catch (error) {
          if (!(error instanceof BrokenStream)) throw error;
          this.#options.log.warn(
            { reason: error.message },
            'settings do not go on from here; loading all of them again',
          );
          this.#loadAgain = true;
        }
      }
      backoff.reset();
    }
  }

  /** Nobody ever wrote settings here, or they are lost: not what "there are none" looks like, which has a stream too. */
  async #waitForBeginning(link: RedisLink): Promise<void> {
    this.#isFollowing = false;
    const fields = { redis: this.#options.address.name };
    if (this.#replica === undefined) {
      this.#tell('warn', fields, 'Redis holds no settings yet: connections are closed without a reply until it does');
    } else {
      this.#tell(
        'error',
        fields,
        'Redis holds no settings any more; those in force stay. Bring its data back, or have "tlswarden domains adopt" say that it is meant to be so',
      );
    }
    this.#firstIsOver();
    await entriesAfter(link, '0-0', WAIT_MS);
  }

  /** Another data set than the one that the settings in force are from. */
  async #refuseStranger(epoch: string): Promise<void> {
    this.#isFollowing = false;
    this.#tell(
      'error',
      { redis: this.#options.address.name, epoch },
      'Redis holds settings that did not come from those in force, as after a loss of data; those in force stay. If Redis is right, run "tlswarden domains adopt"',
    );
    this.#firstIsOver();
    await pause(WAIT_MS, this.#stopping.signal);
  }

  /** Whether the records are gone though the stream, or what was read of them before, says that there are some. */
  async #areRecordsLost(link: RedisLink, last: ChangeEntry): Promise<boolean> {
    if ((await recordCount(link, last)) !== 0) return false;
    return tellsOfRecord(last) || (this.#replica?.position.id === last.id && this.#replica.recordCount > 0);
  }

  /** As after an eviction: nobody took these domains away. */
  async #refuseLoss({ id }: ChangeEntry): Promise<void> {
    this.#lostAt = id;
    this.#isFollowing = false;
    this.#tell(
      'error',
      { redis: this.#options.address.name },
      'in Redis the records of all domains are gone, and no change took them away; those in force stay. Bring its data back, or have "tlswarden domains adopt" say that it is meant to be so',
    );
    this.#firstIsOver();
    await pause(WAIT_MS, this.#stopping.signal);
  }

  /** Loads everything and swaps at the end, when all of it is of one moment. */
  async #load(link: RedisLink, last: ChangeEntry): Promise<void> {
    const began = performance.now();
    // Until it has come to its end: what the snapshot lacks of the settings in force is not known from here on.
    this.#loadAgain = true;
    const replica = beginReplica(this.#options, last, this.#whole);
    this.#unsaved = [];
    this.#isAmidStep = false;
    this.#ahead = undefined;
    const spool = await this.#snapshot?.begin();
    try {
      for await (const records of takeAllRecords(link, replica)) {
        if (spool !== undefined) {
          for (const [name, record] of records) if (!replica.isKept(name)) await spool.add(name, record);
        }
        if (this.#isStopping) throw new RedisTrouble('stopping');
      }
      await spool?.finish(replica.position, replica.keptNames);
    } catch (error) {
      await spool?.abandon();
      throw error;
    }
    await takeWhatCameMeanwhile(link, replica, (entries) => this.#takeAll(link, replica, entries));
    replica.loaded();
    this.#replica = replica;
    // All entries were taken until there were no more.
    this.#ahead = undefined;
    this.#isFollowing = true;
    this.#loadAgain = false;
    this.#lostAt = undefined;
    const ms = Math.round(performance.now() - began);
    this.#tell('info', { domains: replica.settings.size, ms }, 'settings loaded from Redis', replica.position.epoch);
    this.#complain(replica);
    this.#show(replica);
    this.#firstIsOver();
  }

  /** Goes on from where the settings stand. Returns when they have to be looked at anew. */
  async #catchUp(link: RedisLink, replica: SettingsReplica, last: ChangeEntry): Promise<void> {
    const { position } = replica;
    if (last.seq <= position.seq && last.id !== position.id) {
      throw new BrokenStream('Redis is behind what was read of it');
    }
    if (this.#ahead !== undefined) {
      this.#ahead = last.id === position.id ? undefined : { untilId: last.id };
      this.#show(replica);
    }
    if (last.id === position.id) {
      this.#isFollowing = true;
      this.#tell('info', { domains: replica.settings.size }, 'following changes in Redis', position.epoch);
      this.#firstIsOver();
    }
    const { recordCount: known } = replica;
    const entries = await entriesAfter(link, position.id, WAIT_MS);
    if (this.#isStopping) return;
    if (entries.length === 0) {
      const count = await recordCount(link, replica.position);
      if (count === 0 && known > 0) {
        this.#lostAt = position.id;
        return;
      }
      if (count !== undefined && count !== known) {
        throw new BrokenStream(`Redis holds ${count} records and not ${known}: somebody changed them by hand`);
      }
      return;
    }
    // An entry that goes on from ours by its number may go on from another one in its place.
    if (entries[0]?.seq === position.seq + 1 && !(await isInStream(link, position)))
      throw new BrokenStream('the stream does not hold the last change read of it');
    await this.#takeAll(link, replica, entries);
    this.#isFollowing = true;
    this.#show(replica);
  }

  async #takeAll(link: RedisLink, replica: SettingsReplica, entries: readonly ChangeEntry[]): Promise<void> {
    const slice = new Slice();
    for (const entry of entries) {
      const changes = await takeEntry(link, replica, entry);
      if (this.#snapshot !== undefined) this.#unsaved.push(...changes.filter(([name]) => !replica.isKept(name)));
      this.#isAmidStep = entry.isContinued;
      if (entry.records === undefined) this.#ahead = { untilId: undefined };
      else if (entry.id === this.#ahead?.untilId) this.#ahead = undefined;
      if (!slice.isOver) continue;
      if (replica === this.#replica) this.#show(replica);
      await slice.next();
    }
    if (replica === this.#replica) this.#complain(replica);
  }

  /** Has the replica's settings decided by, unless they are half of a change: an alias may be on its way to another domain. */
  #show(replica: SettingsReplica): void {
    if (this.#isAmidStep || this.#ahead !== undefined) return;
    this.#whole = replica.settings;
    if (this.#unsaved.length > 0) this.#snapshot?.changed(this.#unsaved, replica.position);
    this.#unsaved = [];
    if (this.#quiet === undefined) this.#changed?.();
    else this.#quiet.tell();
  }

  #complain(replica: SettingsReplica): void {
    const complaints = replica.takeComplaints();
    if (complaints.length === 0) return;
    this.#options.log.error(
      { ...complaintFields(new ComplaintError(complaints)), refused: replica.refusedCount },
      'records in Redis cannot be used; the last good settings of these domains stay, and where there are none, what concerns them gets no reply',
    );
  }

  #fail(error: Error): void {
    if (!(error instanceof RedisTrouble)) {
      this.#tell('error', { error: error.stack }, 'following Redis failed: a bug in tlswarden');
      return;
    }
    const consequence =
      this.#replica === undefined ? 'no settings: connections are closed without a reply' : 'those in force stay';
    this.#tell('warn', { error: error.message }, `settings cannot be read from Redis; ${consequence}`, error.message);
  }

  /** Logs what has changed since it was last logged: the message, or what `key` tells apart. */
  #tell(level: 'info' | 'warn' | 'error', fields: object, message: string, key = ''): void {
    if (this.#told === `${message} ${key}`) return;
    this.#told = `${message} ${key}`;
    this.#options.log[level](fields, message);
  }
}

/** Waits, unless told to stop. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end);
  });
}
