/**
 * Lists of restrictions as they should be, with what is there now kept: what `postfix apply` does for one list, also where
 * a site asks for one hop here and for the other elsewhere. Pure.
 */
import { type DATA_RESTRICTIONS, policyServiceCall, RECIPIENT_RESTRICTIONS } from '../fragments/main-parameters.ts';
import { readRestrictions, withOurs } from '../fragments/restrictions.ts';
import { isTableAt, splitValue } from '../fragments/value-list.ts';
import type { Hop } from '../settings/setting.ts';
import type { Entrance } from './entrance.ts';
import type { Host } from './host.ts';
import { readCall, wasOurs } from './service-call.ts';

/** smtpd_recipient_restrictions that ask about `hop`, or about both. */
export function recipientList(host: Host, present: string, hop: Hop | undefined): string {
  const { policyService, maps } = host.fragmentContext;
  const { receiptAccess } = host.names;
  const table =
    maps === undefined || hop === 'delivery' ? [] : [`check_recipient_access ${maps.type}:${receiptAccess ?? ''}`];
  return withOurs(present, [...table, policyServiceCall(policyService, hop)], (text) => isOurs(host, text));
}

/** smtpd_data_restrictions that ask about `hop`, or about both; tlswarden comes first. */
export function dataList(host: Host, present: string, hop: Hop | undefined): string {
  const call = policyServiceCall(host.fragmentContext.policyService, hop);
  return [call, withoutOurs(host, present)].filter((part) => part !== '').join(', ');
}

/** What stands there besides tlswarden. */
export function withoutOurs(host: Host, present: string): string {
  return withOurs(present, [], (text) => isOurs(host, text));
}

/** A list of one entrance set right: by `postfix apply`, where that does just this. */
export function mendList(
  host: Host,
  { service }: Pick<Entrance, 'service'>,
  parameter: typeof RECIPIENT_RESTRICTIONS | typeof DATA_RESTRICTIONS,
  hop?: Hop,
): readonly string[] {
  const { postfix, mending, fragments } = host;
  const make = parameter === RECIPIENT_RESTRICTIONS ? recipientList : dataList;
  const value = make(host, postfix.raw(parameter, service), hop);
  const applied = service.raw.has(parameter)
    ? fragments.overrides.find((one) => one.service === service.name && one.parameter === parameter)
    : fragments.parameters.find((one) => one.parameter === parameter);
  return applied?.value === value ? mending.apply : mending.setFor(service, parameter, value);
}

function isOurs({ postfix, names }: Host, restriction: string): boolean {
  const [found] = readRestrictions(restriction);
  const call = found === undefined ? undefined : readCall(found, postfix);
  if (call !== undefined) return names.addresses.has(call.address) || wasOurs(call);
  const [name, argument = ''] = splitValue(restriction);
  return (
    names.receiptAccess !== undefined &&
    name?.toLowerCase() === 'check_recipient_access' &&
    isTableAt(argument, names.receiptAccess)
  );
}
