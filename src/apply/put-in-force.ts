/**
 * Puts changed files in the place of main.cf and master.cf, has `postfix check` look at them, and puts the old ones back,
 * byte for byte, if anything goes wrong. A process that is killed on the way leaves word, and the next one does that.
 */

import { checkPostfix, failsCheck } from '../postfix/postfix-check.ts';
import type { AppliedRecord } from './applied-record.ts';
import type { ApplyDirectory, Pending } from './apply-directory.ts';
import { ApplyError, asApplyError } from './apply-error.ts';
import {
  type ConfigurationFiles,
  digestsOf,
  type FileName,
  isSameFiles,
  readConfigurationFiles,
  removeLeftovers,
  replaceConfigurationFiles,
  takenBack,
} from './configuration-files.ts';

/** New files, finished, and what is to be remembered of them. */
export interface Change {
  readonly before: ConfigurationFiles;
  readonly after: ConfigurationFiles;
  /** What is on record afterwards; undefined: nothing. Gets the name of the backup. */
  readonly record: (backup: string) => AppliedRecord | undefined;
  /** Backups that are not removed yet, however old. */
  readonly keep: readonly string[];
}

/** Brings the change about, or throws {@link ApplyError} and leaves all as it was. Gives the path of the backup. */
export async function putInForce(configDirectory: string, directory: ApplyDirectory, change: Change): Promise<string> {
  const { before, after } = change;
  const backup = await directory.backUp(before, change.keep);
  const pending: Pending = { backup, after: digestsOf(after), record: change.record(backup) };
  return await withoutInterruption(async (interrupted) => {
    await directory.begin(pending);
    try {
      if (!isSameFiles(await readConfigurationFiles(configDirectory), before)) {
        throw new ApplyError(`somebody else is changing the files in ${configDirectory}; nothing was changed`);
      }
      await replaceConfigurationFiles(configDirectory, before, after, orderOf(pending));
      const trouble = interrupted() ? undefined : await checkPostfix(configDirectory);
      if (interrupted()) throw new ApplyError('interrupted; main.cf and master.cf are as they were');
      if (trouble !== undefined) throw new CheckFailed(trouble);
    } catch (error) {
      await undo(configDirectory, directory, pending, before, asApplyError(error, configDirectory));
      throw await worded(error, configDirectory);
    }
    await directory.finish();
    return directory.backupPath(backup);
  });
}

/**
 * Takes back what a run that was cut short has begun, and gives the files as they are then. `write` false: says only how
 * they will be.
 */
export async function recover(
  configDirectory: string,
  directory: ApplyDirectory,
  write: boolean,
): Promise<{ readonly files: ConfigurationFiles; readonly recovered: boolean }> {
  const files = await readConfigurationFiles(configDirectory);
  if (write) await removeLeftovers(configDirectory);
  const pending = await directory.pending();
  if (pending === undefined) return { files, recovered: false };
  const backup = await directory.backup(pending.backup);
  const before = backup === undefined ? files : takenBack(files, pending.after, backup, files);
  if (write) {
    await replaceConfigurationFiles(configDirectory, files, before, backwards(pending));
    await directory.cancel();
  }
  return { files: before, recovered: !isSameFiles(files, before) };
}

/** main.cf never names a transport that master.cf lacks: those come first, and go last. */
function orderOf({ record }: Pending): readonly FileName[] {
  return record === undefined ? ['main.cf', 'master.cf'] : ['master.cf', 'main.cf'];
}

function backwards(pending: Pending): readonly FileName[] {
  return [...orderOf(pending)].reverse();
}

class CheckFailed extends Error {}

async function worded(error: unknown, configDirectory: string): Promise<unknown> {
  if (!(error instanceof CheckFailed)) return asApplyError(error, configDirectory);
  // The reason may have been there before: then it is for somebody else to mend, and before anything.
  const alsoBefore = await failsCheck(configDirectory);
  return new ApplyError(
    `postfix check failed; main.cf and master.cf are as they were${
      alsoBefore ? ', and it fails with these too: mend that first' : ''
    }\n${error.message}`,
  );
}

async function undo(
  configDirectory: string,
  directory: ApplyDirectory,
  pending: Pending,
  before: ConfigurationFiles,
  cause: unknown,
): Promise<void> {
  try {
    const now = await readConfigurationFiles(configDirectory);
    await replaceConfigurationFiles(
      configDirectory,
      now,
      takenBack(now, pending.after, before, now),
      backwards(pending),
    );
    await directory.cancel();
  } catch (error) {
    const [first, second] = [cause, asApplyError(error, configDirectory)].map((part) => (part as Error).message);
    throw new ApplyError(
      `${first}\nThe old files could not be put back either (${second}): they are in ${directory.backupPath(pending.backup)}`,
    );
  }
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** A signal that would end this process half-way is heard when `body` asks for it. */
async function withoutInterruption<T>(body: (interrupted: () => boolean) => Promise<T>): Promise<T> {
  let isInterrupted = false;
  const note = (): void => {
    isInterrupted = true;
  };
  for (const signal of SIGNALS) process.on(signal, note);
  try {
    return await body(() => isInterrupted);
  } finally {
    for (const signal of SIGNALS) process.off(signal, note);
  }
}
