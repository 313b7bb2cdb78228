/**
 * `doctor --live`: hosts a few domains for a minute, sends messages of its own through the running Postfix to servers of its
 * own on loopback, sees what becomes of them, and takes everything out again. It touches no other domain and no other mail.
 */
import { hostname } from 'node:os';
import type { DomainName } from '../address/domain-name.ts';
import type { Host } from '../doctor/host.ts';
import { type RunName, runOf } from '../settings/trial-domain.ts';
import type { SettingsStore } from '../source/settings-store.ts';
import { doorsOf } from './door.ts';
import { deleteTrials, queuedTrials } from './queue.ts';
import { domainsLeft, isOver, thisRun } from './run-name.ts';
import type { Door } from './smtp-sender.ts';
import { CannotTry, Stage } from './stage.ts';
import type { Trial } from './trial.ts';
import { tryDelivery } from './try-delivery.ts';
import { tryReceipt } from './try-receipt.ts';
import { tryTable } from './try-table.ts';

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

/** Rejects with {@link CannotTry}, QueueError, or the signal's AbortError, in each case after it has tidied up. */
export async function runLive(options: LiveOptions): Promise<readonly Trial[]> {
  const { host, door } = options;
  const run = thisRun(hostname(), process.pid, Date.now());
  await tidy(options, domainsLeft(host.settings, run), (other) => isOver(other, run));
  const doors = door === undefined ? doorsOf(host) : [door];
  if (doors.length === 0) throw new CannotTry('no smtpd in master.cf takes mail from strangers');
  const stage = new Stage(options, run, doors);
  try {
    await stage.set();
    return [...(await tryReceipt(stage)), ...(await tryDelivery(stage)), await tryTable(stage)];
  } finally {
    options.progress('tidying up');
    stage.strike();
    await tidy(options, stage.names, (other) => other.pid === run.pid && other.began === run.began);
  }
}

/** Takes messages of these runs out of the queue, and the domains out of the settings. */
async function tidy(
  { host, store }: LiveOptions,
  names: readonly DomainName[],
  isMeant: (run: RunName) => boolean,
): Promise<void> {
  const { directory } = host.postfix;
  const queued = await queuedTrials(directory, (domain) => {
    const run = runOf(domain);
    return run !== undefined && isMeant(run);
  });
  await deleteTrials(
    directory,
    queued.map(({ id }) => id),
  );
  if (names.length === 0) return;
  await store.change((present) => new Map(names.filter((name) => present.has(name)).map((name) => [name, undefined])), {
    concerns: names,
    command: 'doctor --live',
  });
}
