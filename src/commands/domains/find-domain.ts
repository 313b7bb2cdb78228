/**
 * The domain that a command names: by its own name or by an alias, in any form. It reads nothing and complains like the
 * command that asked.
 */
import { type DomainName, parseDomain } from '../../address/domain-name.ts';
import { aliasesIn } from '../../settings/domain-record.ts';
import type { StoredDomain, StoredDomains } from '../../source/settings-store.ts';
import { CommandFailure, UsageError } from '../command-context.ts';

/** The name in normal form; throws {@link UsageError}. */
export function domainArgument(text: string): DomainName {
  const name = parseDomain(text);
  if (name === undefined) throw new UsageError(`"${text}" is no valid domain name`);
  return name;
}

/** The hosted domain of which this is the name or an alias. */
export function findDomain(domains: StoredDomains, name: DomainName): StoredDomain | undefined {
  const found = domains.get(name);
  if (found !== undefined) return found;
  for (const domain of domains.values()) if (aliasesIn(domain.table).includes(name)) return domain;
  return undefined;
}

/** Like {@link findDomain}; a domain that is not hosted is the command's failure. */
export function hostedDomain(domains: StoredDomains, name: DomainName): StoredDomain {
  const found = findDomain(domains, name);
  if (found === undefined) throw new CommandFailure(`${name} is not hosted here: it has no settings`);
  return found;
}
