/**
 * `postfix apply` and `postfix revert`: the steps of each, in order. What is to be changed others compute, and how it comes
 * into force others know.
 */
import { join } from 'node:path';
import type { FragmentContext } from '../fragments/fragment.ts';
import { makeFragments } from '../fragments/make-fragments.ts';
import { oursOf, transportOfService } from '../fragments/ours.ts';
import { PostconfError } from '../fragments/postconf.ts';
import { readPresentConfiguration } from '../fragments/present-configuration.ts';
import type { Settings } from '../settings/settings.ts';
import { RECEIPT_CLASS } from '../tables/table.ts';
import { type AppliedRecord, recordApply } from './applied-record.ts';
import { ApplyDirectory } from './apply-directory.ts';
import { ApplyError, asApplyError } from './apply-error.ts';
import { type ConfigurationFiles, digestsOf, isSameFiles } from './configuration-files.ts';
import { type Edits, isNothing, planApply } from './edits.ts';
import { planRevert } from './plan-revert.ts';
import { putInForce, recover } from './put-in-force.ts';
import { StagedConfiguration } from './staged-configuration.ts';
import type { StandingConfiguration } from './standing-configuration.ts';

export interface ApplyOptions {
  readonly configDirectory: string;
  readonly policyService: string;
  /** undefined: no tables. */
  readonly maps: FragmentContext['maps'];
  /** Compute and tell, and write nothing. */
  readonly dryRun: boolean;
  /** Called if another one is at work. */
  readonly waiting: () => void;
}

export interface Applied {
  readonly edits: Edits;
  /** Whole sentences: what somebody has to look at. */
  readonly notes: readonly string[];
  /** Where the files from before are; undefined: nothing was changed. */
  readonly backup: string | undefined;
  /** Whether Postfix has not been told of the last change, as far as tlswarden knows. */
  readonly reloadDue: boolean;
}

/** Sets the fragments in main.cf and master.cf. Rejects with {@link ApplyError}: then both are as they were. */
export async function applyFragments(settings: Settings, options: ApplyOptions): Promise<Applied> {
  return await changing(options, async (directory, files, staged) => {
    const standing = await staged.read();
    const { edits, notes } = await plannedApply(settings, options, staged, standing);
    const record = await directory.record();
    if (isNothing(edits) || options.dryRun) {
      return { edits, notes, backup: undefined, reloadDue: record?.reloadDue === true };
    }
    await staged.edit(standing, edits);
    const left = await plannedApply(settings, options, staged, await staged.read());
    if (!isNothing(left.edits)) throw new ApplyError(wordUnset(options.configDirectory, left.edits));
    const after = await staged.files();
    const backup = await putInForce(options.configDirectory, directory, {
      before: files,
      after,
      record: (name) => recordApply(record, edits, { backup: name, before: digestsOf(files), after: digestsOf(after) }),
      keep: keptBackups(record),
    });
    return { edits, notes, backup, reloadDue: true };
  });
}

/** Takes out what apply has put in. Rejects with {@link ApplyError}: then both files are as they were. */
export async function revertFragments(options: ApplyOptions): Promise<Applied> {
  return await changing(options, async (directory, files, staged) => {
    const standing = await staged.read();
    const record = await directory.record();
    const ours = (found: StandingConfiguration) =>
      oursOf(options.policyService, options.maps?.directory, found.parameters.get(RECEIPT_CLASS) ?? '');
    const { edits, kept } = planRevert(standing, record, ours(standing));
    const notes = [
      ...kept.map((value) => `Changed since apply has set it, so it stays: ${value}`),
      ...(record === undefined && !isNothing(edits)
        ? ["There is no record of what apply has changed: what is plainly tlswarden's is taken out, all else stays."]
        : []),
    ];
    if (isNothing(edits) || options.dryRun) {
      if (!options.dryRun) await directory.forget();
      return { edits, notes, backup: undefined, reloadDue: false };
    }
    await staged.edit(standing, edits);
    const edited = await staged.files();
    const isRid = async (): Promise<boolean> =>
      isNothing(planRevert(await staged.read(), undefined, ours(standing)).edits);
    const pristine = await pristineFiles(directory, record, files, edited);
    if (!isSameFiles(pristine, edited)) await staged.write(pristine);
    let after = pristine;
    if (!(await isRid())) {
      await staged.write(edited);
      after = edited;
      if (!(await isRid())) {
        throw new ApplyError(`${options.configDirectory}: postconf could not take all of it out; nothing was changed`);
      }
    }
    const backup = await putInForce(options.configDirectory, directory, {
      before: files,
      after,
      record: () => undefined,
      keep: keptBackups(record),
    });
    return { edits, notes, backup, reloadDue: true };
  });
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

/** Takes the lock, takes back what was cut short, and stages the files. */
async function changing<T>(
  options: ApplyOptions,
  body: (directory: ApplyDirectory, files: ConfigurationFiles, staged: StagedConfiguration) => Promise<T>,
): Promise<T> {
  const { configDirectory, dryRun } = options;
  const directory = new ApplyDirectory(configDirectory);
  const inTurn = async (): Promise<T> => {
    const { files } = await recover(configDirectory, directory, !dryRun);
    return await StagedConfiguration.with(files, (staged) => body(directory, files, staged));
  };
  try {
    return dryRun ? await inTurn() : await directory.locked(options.waiting, inTurn);
  } catch (error) {
    if (error instanceof PostconfError) throw new ApplyError(`${configDirectory}: ${error.reason}`, { cause: error });
    throw asApplyError(error, configDirectory);
  }
}

async function plannedApply(
  settings: Settings,
  { policyService, maps }: ApplyOptions,
  staged: StagedConfiguration,
  standing: StandingConfiguration,
): Promise<{ readonly edits: Edits; readonly notes: readonly string[] }> {
  const present = await readPresentConfiguration(staged.directory);
  const kept = [...standing.services.keys()].map(transportOfService).filter((transport) => transport !== undefined);
  const fragments = makeFragments(settings, { policyService, maps, present }, kept);
  return { edits: planApply(standing, fragments), notes: fragments.notes };
}

/** The files from before the first apply, each where nobody else has changed it since; else what was edited. */
async function pristineFiles(
  directory: ApplyDirectory,
  record: AppliedRecord | undefined,
  files: ConfigurationFiles,
  edited: ConfigurationFiles,
): Promise<ConfigurationFiles> {
  if (record === undefined || record.pristine === null) return edited;
  const before = await directory.backup(record.pristine);
  if (before === undefined) return edited;
  const now = digestsOf(files);
  const pick = (name: 'main.cf' | 'master.cf'): Buffer => (now[name] === record.digests[name] ? before : edited)[name];
  return { 'master.cf': pick('master.cf'), 'main.cf': pick('main.cf') };
}

function keptBackups(record: AppliedRecord | undefined): readonly string[] {
  return record === undefined || record.pristine === null ? [] : [record.pristine];
}

function wordUnset(configDirectory: string, { parameters, services, overrides }: Edits): string {
  const names = [
    ...parameters.map(({ parameter }) => parameter),
    ...services.map(({ service }) => service),
    ...overrides.map(({ service, parameter }) => `${parameter} of ${service}`),
  ];
  return `${join(configDirectory, 'main.cf')}: postconf has set ${names.join(', ')}, and does not give it back; nothing was changed`;
}
