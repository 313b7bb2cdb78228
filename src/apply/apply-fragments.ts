/**
 * `postfix apply`, step by step. What is to be changed others compute, and how it comes into force others know.
 */
import type { Fragments } from '../fragments/fragment.ts';
import { makeFragments } from '../fragments/make-fragments.ts';
import { type Ours, oursOf, transportOfService } from '../fragments/ours.ts';
import { readPresentConfiguration } from '../fragments/present-configuration.ts';
import type { Settings } from '../settings/settings.ts';
import { RECEIPT_CLASS } from '../tables/table.ts';
import { recordApply } from './applied-record.ts';
import { ApplyError } from './apply-error.ts';
import { type Changed, type ChangeOptions, changeFiles, pristineBackup } from './change-files.ts';
import { digestsOf } from './configuration-files.ts';
import { type Edits, isNothing, planApply } from './edits.ts';
import { missingTables } from './missing-tables.ts';
import { valueWithoutApply } from './plan-revert.ts';
import { putInForce } from './put-in-force.ts';
import type { StagedConfiguration } from './staged-configuration.ts';

/** Sets the fragments in main.cf and master.cf. Rejects with {@link ApplyError}: then both are as they were. */
export async function applyFragments(settings: Settings, options: ChangeOptions): Promise<Changed> {
  const { configDirectory, maps, dryRun } = options;
  return await changeFiles(options, async ({ directory, record, files, staged }) => {
    const { edits, notes, fragments, ours } = await plan(settings, options, staged);
    const missing = await missingTables(fragments, maps);
    if (missing.length > 0) {
      const what = `there is no ${missing[0]}${missing.length > 1 ? `, nor ${missing.length - 1} more` : ''}`;
      if (!dryRun) throw new ApplyError(`${what}: write the tables first, by "tlswarden maps"; nothing was changed`);
      notes.push(`The tables are not there yet (${what}): run "tlswarden maps" first.`);
    }
    const reloadDue = record?.reloadDue === true;
    if (isNothing(edits)) return { edits, notes, backup: undefined, reloadDue };
    await staged.edit(edits);
    const { edits: left } = await plan(settings, options, staged);
    if (!isNothing(left)) throw new ApplyError(wordUnset(configDirectory, left));
    if (dryRun) return { edits, notes, backup: undefined, reloadDue };
    const after = await staged.files();
    const digests = { before: digestsOf(files), after: digestsOf(after) };
    const backup = await putInForce(configDirectory, directory, {
      before: files,
      after,
      record: (name) =>
        recordApply(record, edits, { backup: name, ...digests }, (value, from, known) =>
          valueWithoutApply(value, from, known, ours),
        ),
      keep: pristineBackup(record),
    });
    return { edits, notes, backup, reloadDue: true };
  });
}

async function plan(
  settings: Settings,
  { policyService, maps }: ChangeOptions,
  staged: StagedConfiguration,
): Promise<{
  readonly edits: Edits;
  readonly notes: string[];
  readonly fragments: Fragments;
  readonly ours: Ours;
}> {
  const [standing, present] = await Promise.all([staged.read(), readPresentConfiguration(staged.directory)]);
  const kept = [...standing.services.keys()].map(transportOfService).filter((transport) => transport !== undefined);
  const fragments = makeFragments(settings, { policyService, maps, present }, kept);
  const ours = oursOf(policyService, maps?.directory, standing.parameters.get(RECEIPT_CLASS) ?? '');
  return { edits: planApply(standing, fragments), notes: [...fragments.notes], fragments, ours };
}

function wordUnset(configDirectory: string, { parameters, services, overrides }: Edits): string {
  const names = [
    ...parameters.map(({ parameter }) => parameter),
    ...services.map(({ service }) => service),
    ...overrides.map(({ service, parameter }) => `${parameter} of ${service}`),
  ];
  return `${configDirectory}: postconf was told to set ${names.join(', ')}, and gives something else back; nothing was changed`;
}
