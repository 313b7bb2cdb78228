/**
 * What is to be changed in main.cf and master.cf, as a value: computed here from what stands there and what tlswarden asks
 * for, shown by --dry-run, carried out by others. Pure.
 */
import type { Fragments } from '../fragments/fragment.ts';
import { TRANSPORT_OPTIONS } from '../fragments/master-services.ts';
import { isSameValue } from '../fragments/value-list.ts';
import { normalEntry, withOptions, withOurs } from './master-entry.ts';
import type { StandingConfiguration } from './standing-configuration.ts';

/** undefined: it does not stand there, or is taken out. */
type Text = string | undefined;

/** Of a parameter of main.cf. */
export interface ParameterEdit {
  readonly parameter: string;
  readonly from: Text;
  readonly to: Text;
  readonly reason: string;
}

/** Of an entry of master.cf. */
export interface ServiceEdit {
  /** `name/type` */
  readonly service: string;
  readonly from: Text;
  readonly to: Text;
  readonly reason: string;
}

/** Of a parameter that an entry of master.cf sets for itself. */
export interface OverrideEdit {
  readonly service: string;
  readonly parameter: string;
  readonly from: string;
  readonly to: string;
  readonly reason: string;
}

/** All changes of one run, each of another entry; in the order of the fragments. */
export interface Edits {
  readonly parameters: readonly ParameterEdit[];
  readonly services: readonly ServiceEdit[];
  readonly overrides: readonly OverrideEdit[];
}

/** Whether everything stands there already. */
export function isNothing({ parameters, services, overrides }: Edits): boolean {
  return parameters.length + services.length + overrides.length === 0;
}

/** What it takes for Postfix to have all of the fragments, and to keep all else. */
export function planApply(standing: StandingConfiguration, fragments: Fragments): Edits {
  const parameters = fragments.parameters.flatMap(({ parameter, value, reason }): ParameterEdit[] => {
    const from = standing.parameters.get(parameter);
    if (isSameValue(from ?? '', value)) return [];
    return [{ parameter, from, to: value === '' ? undefined : value, reason }];
  });
  const services = fragments.services.flatMap(({ service, line, reason }): ServiceEdit[] => {
    const from = standing.services.get(service);
    const to = from === undefined ? normalEntry(line) : withOurs(from, line, TRANSPORT_OPTIONS);
    return from !== undefined && normalEntry(from) === to ? [] : [{ service, from, to, reason }];
  });
  const overrides = fragments.overrides.flatMap(({ service, parameter, value, reason }): OverrideEdit[] => {
    const from = standing.overrides.get(`${service}/${parameter}`) ?? '';
    return isSameValue(from, value) ? [] : [{ service, parameter, from, to: value, reason }];
  });
  return { parameters, services, overrides };
}

/** Those edits that the standing configuration does not have yet. */
export function leftOf({ parameters, services, overrides }: Edits, standing: StandingConfiguration): Edits {
  const isSet = (now: Text, to: Text): boolean =>
    now === undefined || to === undefined ? now === to : isSameValue(now, to);
  return {
    parameters: parameters.filter(({ parameter, to }) => !isSet(standing.parameters.get(parameter), to)),
    services: services.filter(({ service, to }) => {
      const now = standing.services.get(service);
      return now === undefined || to === undefined ? now !== to : normalEntry(now) !== normalEntry(to);
    }),
    overrides: overrides.filter(
      ({ service, parameter, to }) => !isSet(standing.overrides.get(`${service}/${parameter}`), to),
    ),
  };
}

/** The entries of master.cf that these edits leave, where they differ from the standing ones; undefined: none. */
export function entriesAfter(
  standing: StandingConfiguration,
  { services, overrides }: Edits,
): ReadonlyMap<string, Text> {
  const entries = new Map<string, Text>(services.map(({ service, to }) => [service, to]));
  for (const { service, parameter, to } of overrides) {
    const entry = entries.get(service) ?? standing.services.get(service);
    if (entry !== undefined) entries.set(service, withOptions(entry, new Map([[parameter, to]])));
  }
  return entries;
}
