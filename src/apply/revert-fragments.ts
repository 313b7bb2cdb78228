/**
 * `postfix revert`, step by step. What is to be taken out others compute, and how it comes into force others know.
 */
import { type Ours, oursOf } from '../fragments/ours.ts';
import { RECEIPT_CLASS } from '../tables/table.ts';
import type { AppliedRecord } from './applied-record.ts';
import type { ApplyDirectory } from './apply-directory.ts';
import { ApplyError } from './apply-error.ts';
import { type Bench, type Changed, type ChangeOptions, changeFiles, pristineBackup } from './change-files.ts';
import { type ConfigurationFiles, isSameFiles, takenBack } from './configuration-files.ts';
import { isNothing } from './edits.ts';
import { mentions, planRevert } from './plan-revert.ts';
import { putInForce } from './put-in-force.ts';
import type { StagedConfiguration } from './staged-configuration.ts';
import type { StandingConfiguration } from './standing-configuration.ts';

/** Takes out what apply has put in. Rejects with {@link ApplyError}: then both files are as they were. */
export async function revertFragments(options: ChangeOptions): Promise<Changed> {
  const { configDirectory, policyService, maps, dryRun } = options;
  return await changeFiles(options, async (bench) => {
    const { directory, record, files, staged } = bench;
    const standing = await staged.read();
    const ours = oursOf(policyService, maps?.directory, standing.parameters.get(RECEIPT_CLASS) ?? '');
    const { edits, kept } = planRevert(standing, record, ours);
    const notes = kept.map((value) => `Somebody has changed it since apply set it, so it stays: ${value}`);
    const stillNamed = (now: StandingConfiguration): readonly string[] =>
      mentions(now, ours).map((place) => `This still names what is tlswarden's: ${place}`);
    if (isNothing(edits)) {
      notes.push(...stillNamed(standing));
      if (!dryRun) await directory.forget();
      return { edits, notes, backup: undefined, reloadDue: false };
    }
    if (record === undefined) {
      notes.push(
        "There is no record of what apply has changed: what is plainly tlswarden's is taken out, all else stays.",
      );
    }
    await staged.edit(edits);
    const after = await reverted(bench, ours);
    if (after === undefined) {
      throw new ApplyError(
        `${configDirectory}: postconf was told to take it all out, and did not; nothing was changed`,
      );
    }
    notes.push(...stillNamed(await staged.read()));
    if (dryRun) return { edits, notes, backup: undefined, reloadDue: false };
    const backup = await putInForce(configDirectory, directory, {
      before: files,
      after,
      record: () => undefined,
      keep: pristineBackup(record),
    });
    return { edits, notes, backup, reloadDue: true };
  });
}

/**
 * The files without tlswarden: those from before the first apply where nobody else has changed them, else as they were
 * edited. `staged` has them then. undefined: something of tlswarden's is left.
 */
async function reverted(
  { directory, record, files, staged }: Bench,
  ours: Ours,
): Promise<ConfigurationFiles | undefined> {
  const edited = await staged.files();
  const pristine = await pristineFiles(directory, record, files, edited);
  for (const candidate of isSameFiles(pristine, edited) ? [edited] : [pristine, edited]) {
    await staged.write(candidate);
    if (await isWithout(staged, ours)) return candidate;
  }
  return undefined;
}

async function isWithout(staged: StagedConfiguration, ours: Ours): Promise<boolean> {
  return isNothing(planRevert(await staged.read(), undefined, ours).edits);
}

async function pristineFiles(
  directory: ApplyDirectory,
  record: AppliedRecord | undefined,
  files: ConfigurationFiles,
  edited: ConfigurationFiles,
): Promise<ConfigurationFiles> {
  if (record === undefined || record.pristine === null) return edited;
  const before = await directory.backup(record.pristine);
  return before === undefined ? edited : takenBack(files, record.digests, before, edited);
}
