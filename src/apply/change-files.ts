/**
 * What applying and reverting have in common: they take turns, take back what was cut short, and work on a copy.
 */
import type { FragmentContext } from '../fragments/fragment.ts';
import { PostconfError } from '../postfix/postconf.ts';
import type { AppliedRecord } from './applied-record.ts';
import { ApplyDirectory } from './apply-directory.ts';
import { ApplyError, asApplyError } from './apply-error.ts';
import type { ConfigurationFiles } from './configuration-files.ts';
import type { Edits } from './edits.ts';
import { recover } from './put-in-force.ts';
import { StagedConfiguration } from './staged-configuration.ts';

/** Whose files are changed, and what they are to name. */
export interface ChangeOptions {
  readonly configDirectory: string;
  /** As Postfix calls it: `inet:127.0.0.1:10040`, `unix:/run/tlswarden/policy`. */
  readonly policyService: string;
  /** undefined: no tables. */
  readonly maps: FragmentContext['maps'];
  /** Compute and tell, and write nothing. */
  readonly dryRun: boolean;
  /** Called if another one is at work. */
  readonly waiting: () => void;
}

/** What was changed, or would be. */
export interface Changed {
  readonly edits: Edits;
  /** Whole sentences: what somebody has to look at. */
  readonly notes: readonly string[];
  /** Where the files from before are; undefined: nothing was changed. */
  readonly backup: string | undefined;
  /** Whether Postfix has not been told of the last change, as far as tlswarden knows. */
  readonly reloadDue: boolean;
}

/** What is at hand while files are changed. */
export interface Bench {
  readonly directory: ApplyDirectory;
  readonly record: AppliedRecord | undefined;
  /** main.cf and master.cf as they are. */
  readonly files: ConfigurationFiles;
  /** A copy of them. */
  readonly staged: StagedConfiguration;
}

/** Rejects with {@link ApplyError}. */
export async function changeFiles(
  { configDirectory, dryRun, waiting }: ChangeOptions,
  body: (bench: Bench) => Promise<Changed>,
): Promise<Changed> {
  const directory = new ApplyDirectory(configDirectory);
  const inTurn = async (): Promise<Changed> => {
    const { files, recovered } = await recover(configDirectory, directory, !dryRun);
    const record = await directory.record();
    // A dry run neither takes turns nor writes there.
    const place = dryRun ? undefined : directory.stagingPath;
    const changed = await StagedConfiguration.with(files, place, (staged) =>
      body({ directory, record, files, staged }),
    );
    const note = `A run that was cut short ${dryRun ? 'will be' : 'was'} taken back first.`;
    return recovered ? { ...changed, notes: [note, ...changed.notes] } : changed;
  };
  try {
    return dryRun ? await inTurn() : await directory.locked(waiting, inTurn);
  } catch (error) {
    if (error instanceof PostconfError) throw new ApplyError(`${configDirectory}: ${error.reason}`, { cause: error });
    throw asApplyError(error, configDirectory);
  }
}

/** Says that Postfix was told of the last change. */
export async function markReloaded(configDirectory: string): Promise<void> {
  const directory = new ApplyDirectory(configDirectory);
  await directory.locked(
    () => {},
    async () => {
      const record = await directory.record();
      if (record?.reloadDue === true) await directory.setRecord({ ...record, reloadDue: false });
    },
  );
}

/** The backup from before the first apply: it is not to be removed yet. */
export function pristineBackup(record: AppliedRecord | undefined): readonly string[] {
  return record === undefined || record.pristine === null ? [] : [record.pristine];
}
