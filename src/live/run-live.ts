/**
 * `doctor --live`: hosts a few domains for a minute, sends messages of its own through the running Postfix to servers of its
 * own on loopback, sees what becomes of them, and takes everything out again. It touches no other domain and no other mail.
 */
import type { DomainName } from '../address/domain-name.ts';
import type { Host } from '../doctor/host.ts';
import { domainsLeft, isOver, thisRun } from '../doctor/run-name.ts';
import { deleteMessages } from '../postfix/postsuper.ts';
import { type RunName, runOf } from '../settings/trial-domain.ts';
import type { SettingsStore } from '../source/settings-store.ts';
import { doorsOf } from './door.ts';
import { queuedTrials } from './queue.ts';
import type { Door } from './smtp-sender.ts';
import { CannotTry, Stage } from './stage.ts';
import type { Trial } from './trial.ts';
import { tryDelivery } from './try-delivery.ts';
import { tryReceipt } from './try-receipt.ts';
import { tryTable } from './try-table.ts';

/** What one run needs. Aborting `signal` ends it as soon as it can be tidied up. */
export interface LiveOptions {
  readonly host: Host;
  readonly store: SettingsStore;
  /** Below which domain the trial domains are. */
  readonly base: string;
  /** Which smtpd(8), where the one for strangers is not meant. */
  readonly door: Door | undefined;
  readonly signal: AbortSignal;
  /** What is being done now. */
  progress(what: string): void;
}

/** Not all that was put in could be taken out again: the message is the reason. `first` is why the run ended, if not well. */
export class LeftBehind extends Error {
  readonly first: unknown;

  constructor(trouble: unknown, first: unknown) {
    super(trouble instanceof Error ? trouble.message : String(trouble), { cause: trouble });
    this.first = first;
  }
}

/**
 * Rejects with {@link CannotTry}, QueueError, or the signal's AbortError, in each case after it has tidied up; with
 * {@link LeftBehind} if that went wrong, after it has tidied up what it could.
 */
export async function runLive(options: LiveOptions): Promise<readonly Trial[]> {
  const { host, door } = options;
  const run = thisRun();
  await tidy(options, domainsLeft(host.settings, run), (other) => isOver(other, run));
  const doors = door === undefined ? doorsOf(host) : [door];
  if (doors.length === 0) throw new CannotTry('no smtpd in master.cf takes mail from strangers');
  const stage = new Stage(options, run, doors);
  const clear = async (first?: unknown): Promise<void> => {
    options.progress('tidying up');
    stage.strike();
    await tidy(options, stage.names, (other) => other.pid === run.pid && other.began === run.began).catch((trouble) => {
      throw new LeftBehind(trouble, first);
    });
  };
  let trials: readonly Trial[];
  try {
    await stage.set();
    trials = [...(await tryReceipt(stage)), ...(await tryDelivery(stage)), await tryTable(stage)];
  } catch (error) {
    await clear(error);
    throw error;
  }
  await clear();
  return trials;
}

/** Takes messages of these runs out of the queue, and the domains out of the settings, be it that one of both fails. */
async function tidy(
  { host, store }: LiveOptions,
  names: readonly DomainName[],
  isMeant: (run: RunName) => boolean,
): Promise<void> {
  const errors: unknown[] = [];
  await deleteTrials(host.postfix.directory, isMeant).catch((error) => errors.push(error));
  if (names.length > 0) {
    const without = (present: ReadonlyMap<DomainName, unknown>): ReadonlyMap<DomainName, undefined> =>
      new Map(names.filter((name) => present.has(name)).map((name) => [name, undefined]));
    await store.change(without, { concerns: names, command: 'doctor --live' }).catch((error) => errors.push(error));
  }
  if (errors.length > 0) throw errors[0];
}

async function deleteTrials(configDirectory: string, isMeant: (run: RunName) => boolean): Promise<void> {
  const queued = await queuedTrials(configDirectory, (domain) => {
    const run = runOf(domain);
    return run !== undefined && isMeant(run);
  });
  await deleteMessages(
    configDirectory,
    queued.map(({ queue_id: id }) => id),
  );
}
