/**
 * Lists of restrictions as they should be, with what is there now kept: what `postfix apply` does for one list, also where
 * a site asks for one hop here and for the other elsewhere. Pure.
 */
import {
  DATA_RESTRICTIONS,
  dataRestrictions,
  RECIPIENT_RESTRICTIONS,
  recipientRestrictions,
  withoutOurs,
} from '../fragments/main-parameters.ts';
import { isTableAt, splitValue } from '../fragments/value-list.ts';
import type { Hop } from '../settings/setting.ts';
import type { Entrance } from './entrance.ts';
import type { Host } from './host.ts';
import type { MasterService } from './postfix-configuration.ts';
import { readCall, wasOurs } from './service-call.ts';

/** smtpd_recipient_restrictions that ask about `hop`, or about both. */
export function recipientList(host: Host, present: string, hop: Hop | undefined): string {
  return recipientRestrictions(present, hop, host.fragmentContext, (text) => isOurs(host, text));
}

/** smtpd_data_restrictions that ask about `hop`, or about both; tlswarden comes first. */
export function dataList(host: Host, present: string, hop: Hop | undefined): string {
  return dataRestrictions(present, hop, host.fragmentContext, (text) => isOurs(host, text));
}

/** What stands there besides tlswarden. */
export function listWithoutOurs(host: Host, present: string): string {
  return withoutOurs(present, (text) => isOurs(host, text));
}

type ListName = typeof RECIPIENT_RESTRICTIONS | typeof DATA_RESTRICTIONS;

/** Lists of one entrance set right, both unless one is named: by `postfix apply`, where that does just this. */
export function mendLists(
  host: Host,
  { service }: Pick<Entrance, 'service'>,
  hop: Hop | undefined,
  names: readonly ListName[] = [RECIPIENT_RESTRICTIONS, DATA_RESTRICTIONS],
): readonly string[] {
  const values = Object.fromEntries(names.map((name) => [name, listFor(host, service, name, hop)]));
  const isApplied = names.every((name) => appliedValue(host, service, name) === values[name]);
  return isApplied ? host.mending.apply : host.mending.setFor(service, values);
}

/** A list as it should be at a service. */
export function listFor(host: Host, service: MasterService, name: ListName, hop: Hop | undefined): string {
  const present = host.postfix.raw(name, service);
  return name === RECIPIENT_RESTRICTIONS ? recipientList(host, present, hop) : dataList(host, present, hop);
}

function appliedValue({ fragments }: Host, service: MasterService, name: ListName): string | undefined {
  const found = service.raw.has(name)
    ? fragments.overrides.find((one) => one.service === service.name && one.parameter === name)
    : fragments.parameters.find((one) => one.parameter === name);
  return found?.value;
}

function isOurs({ postfix, names }: Host, restriction: string): boolean {
  const call = readCall(restriction, postfix);
  if (call !== undefined) return names.addresses.has(call.address) || wasOurs(call);
  const [name, argument = ''] = splitValue(restriction);
  return (
    names.receiptAccess !== undefined &&
    name?.toLowerCase() === 'check_recipient_access' &&
    isTableAt(argument, names.receiptAccess)
  );
}
