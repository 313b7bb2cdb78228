/**
 * What takes out of main.cf and master.cf what tlswarden has put in, and nothing else: what somebody has changed since
 * stays. Pure.
 */
import {
  DATA_RESTRICTIONS,
  RECIPIENT_RESTRICTIONS,
  RESTRICTION_CLASSES,
  TABLE_PARAMETERS,
  withoutClass,
  withoutRestrictions,
  withoutTable,
} from '../fragments/main-parameters.ts';
import { type Ours, transportOfService } from '../fragments/ours.ts';
import { isSameValue } from '../fragments/value-list.ts';
import { tablePath } from '../tables/stamp.ts';
import { RECEIPT_CLASS } from '../tables/table.ts';
import type { AppliedRecord, ValueRecord } from './applied-record.ts';
import type { Edits, OverrideEdit, ParameterEdit } from './edits.ts';
import type { StandingConfiguration } from './standing-configuration.ts';

/** What revert changes, and what it has to leave. */
export interface RevertPlan {
  readonly edits: Edits;
  /** What stays although apply has set it, since somebody has changed it afterwards: `name = value`. */
  readonly kept: readonly string[];
}

/** Without a record only what is plainly tlswarden's is taken out. */
export function planRevert(standing: StandingConfiguration, record: AppliedRecord | undefined, ours: Ours): RevertPlan {
  const lists = listParameters(ours);
  const parameters: ParameterEdit[] = [];
  for (const [parameter, strip] of lists) {
    const from = standing.parameters.get(parameter);
    if (from === undefined) continue;
    const to = restored(from, strip, record?.parameters[parameter]);
    if (to !== from) parameters.push({ parameter, from, to, reason: "without tlswarden's" });
  }
  const receiptClass = standing.parameters.get(RECEIPT_CLASS);
  if (receiptClass !== undefined) {
    parameters.push({ parameter: RECEIPT_CLASS, from: receiptClass, to: undefined, reason: "tlswarden's own" });
  }
  const kept: string[] = [];
  for (const [parameter, { before, after }] of Object.entries(record?.parameters ?? {})) {
    if (lists.has(parameter) || parameter === RECEIPT_CLASS) continue;
    const from = standing.parameters.get(parameter);
    const now = from ?? null;
    if (now === before) continue;
    if (now === after) parameters.push({ parameter, from, to: before ?? undefined, reason: 'as before tlswarden' });
    else kept.push(`${parameter} = ${now ?? ''}`);
  }
  return {
    edits: { parameters, services: ownServices(standing), overrides: ownOverrides(standing, record, ours) },
    kept,
  };
}

/** Lists of main.cf, each with how tlswarden's part is taken out of it. */
function listParameters(ours: Ours): ReadonlyMap<string, (value: string) => string> {
  return new Map([
    ...[...TABLE_PARAMETERS].map(([parameter, table]): [string, (value: string) => string] => [
      parameter,
      (value) => withoutTable(value, table, ours),
    ]),
    [RESTRICTION_CLASSES, withoutClass],
    [RECIPIENT_RESTRICTIONS, (value: string) => withoutRestrictions(value, ours)],
    [DATA_RESTRICTIONS, (value: string) => withoutRestrictions(value, ours)],
  ]);
}

/** The value without ours; where that is what stood there before, as it was written then. undefined: take it out. */
function restored(from: string, strip: (value: string) => string, known: ValueRecord | undefined): string | undefined {
  const rest = strip(from);
  if (isSameValue(rest, from)) return from;
  const before = known?.before ?? undefined;
  if (before !== undefined) return isSameValue(rest, before) ? before : rest;
  return rest === '' ? undefined : rest;
}

function ownServices(standing: StandingConfiguration): Edits['services'] {
  return [...standing.services]
    .filter(([service]) => transportOfService(service) !== undefined)
    .map(([service, from]) => ({ service, from, to: undefined, reason: "tlswarden's own" }));
}

function ownOverrides(
  standing: StandingConfiguration,
  record: AppliedRecord | undefined,
  ours: Ours,
): readonly OverrideEdit[] {
  return [...standing.overrides].flatMap(([name, from]): OverrideEdit[] => {
    const to = restored(from, (value) => withoutRestrictions(value, ours), record?.overrides[name]) ?? '';
    const slash = name.lastIndexOf('/');
    const [service, parameter] = [name.slice(0, slash), name.slice(slash + 1)];
    return to === from ? [] : [{ service, parameter, from, to, reason: "without tlswarden's" }];
  });
}

/**
 * What names tlswarden's service, tables, class or transports, though nothing of apply's is there any more: Postfix would
 * miss them. `transport_maps`, `smtp/unix`.
 */
export function mentions(standing: StandingConfiguration, { policyService, directories }: Ours): readonly string[] {
  const names = [RECEIPT_CLASS, policyService, ...directories.map((directory) => tablePath(directory, ''))];
  const isMentioned = (text: string): boolean =>
    names.some((name) => text.includes(name)) ||
    (text.match(/\btlswarden-[a-z0-9-]+/gu) ?? []).some((name) => transportOfService(`${name}/unix`) !== undefined);
  return [...standing.parameters, ...standing.services].flatMap(([name, text]) => (isMentioned(text) ? [name] : []));
}
