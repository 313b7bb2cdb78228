/**
 * Whose an address in a table of Postfix's is. Pure.
 */
import { parseDomain } from '../address/domain-name.ts';
import type { HostedDomain } from '../settings/hosted-domain.ts';
import type { Settings } from '../settings/settings.ts';

/** The hosted domain of `user@domain` or `@domain`; undefined: it is no address, or at no domain that is hosted here. */
export function hostedAt(settings: Settings, address: string): HostedDomain | undefined {
  const at = address.lastIndexOf('@');
  const name = at < 0 ? undefined : parseDomain(address.slice(at + 1));
  return name === undefined ? undefined : settings.find(name);
}

/** Whether an address is none of the domain's. */
export function leadsElsewhere(settings: Settings, domain: HostedDomain, target: string): boolean {
  return hostedAt(settings, target) !== domain;
}
