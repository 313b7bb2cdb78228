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
  withoutTable,
} from '../fragments/main-parameters.ts';
import { isOurAccess, isOurCall, isWrittenCall, type Ours, transportOfService } from '../fragments/ours.ts';
import { splitRestrictions } from '../fragments/restrictions.ts';
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

/** A value without what apply has put into it; `known` is what is on record of it. */
type Strip = (value: string, known: ValueRecord | undefined) => string;

/** Lists of main.cf, each with how tlswarden's part is taken out of it. */
function listParameters(ours: Ours): ReadonlyMap<string, Strip> {
  const restrictions: Strip = (value, known) => withoutApplied(value, known, ours);
  return new Map([
    ...[...TABLE_PARAMETERS].map(([parameter, table]): [string, Strip] => [
      parameter,
      (value) => withoutTable(value, table, ours),
    ]),
    [RESTRICTION_CLASSES, withoutClass],
    [RECIPIENT_RESTRICTIONS, restrictions],
    [DATA_RESTRICTIONS, restrictions],
  ]);
}

/**
 * Restrictions without those that apply has put in. In place of a call of the service that somebody had written before, apply
 * has put its own: that one comes back.
 */
function withoutApplied(value: string, known: ValueRecord | undefined, ours: Ours): string {
  const isPutIn = (text: string): boolean => isWrittenCall(text) || isOurAccess(text, ours);
  const before = splitRestrictions(known?.before ?? '');
  // As apply has left it, all else is in its place too.
  if (known?.before && isSameValue(value, known.after ?? '')) return before.filter((text) => !isPutIn(text)).join(', ');
  const present = splitRestrictions(value);
  const after = splitRestrictions(known?.after ?? '');
  // What apply has taken out is calls of the service, wherever that was then.
  const own = before.filter((text) => !isPutIn(text) && !after.includes(text));
  const back = own.filter((text) => !present.includes(text));
  // Apply leaves a call as it writes it: where there is none such, the one of the service is that, and somebody has changed it.
  const isChanged = known !== undefined && !present.some(isWrittenCall);
  const isCall = (text: string): boolean =>
    isWrittenCall(text) || (isChanged && isOurCall(text, ours) && !own.includes(text));
  const at = present.findIndex(isCall);
  const rest = present.flatMap((text, i) => (i === at ? back : isCall(text) || isOurAccess(text, ours) ? [] : [text]));
  return rest.join(', ');
}

/** The value without ours; where that is what stood there before, as it was written then. undefined: take it out. */
function restored(from: string, strip: Strip, known: ValueRecord | undefined): string | undefined {
  const rest = strip(from, known);
  if (isSameValue(rest, from)) return from;
  const before = known?.before ?? undefined;
  if (before !== undefined) return isSameValue(rest, before) ? before : rest;
  return rest === '' ? undefined : rest;
}

/**
 * What would stand there if apply had never been: for a value that somebody has changed since apply left it, and apply is
 * about to set again. `name` is as on record; null: nothing.
 */
export function valueWithoutApply(name: string, from: string, known: ValueRecord, ours: Ours): string | null {
  const strip = listParameters(ours).get(name.slice(name.lastIndexOf('/') + 1));
  return strip === undefined ? from : (restored(from, strip, known) ?? null);
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
    const to = restored(from, (value, known) => withoutApplied(value, known, ours), record?.overrides[name]) ?? '';
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
