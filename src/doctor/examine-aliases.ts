/**
 * Aliases and canonical maps that lead a recipient elsewhere after tlswarden has decided about it: what the recipient's
 * domain asks of delivery then holds for a server that is none of the address that the mail goes to.
 */
import { splitValue } from '../fragments/value-list.ts';
import type { HostedDomain } from '../settings/hosted-domain.ts';
import { type Finding, limited } from './finding.ts';
import type { Host } from './host.ts';
import { hostedAt, leadsElsewhere } from './hosted-at.ts';
import { namesOf, type Sample } from './sample.ts';
import type { TableLookups } from './table-lookups.ts';
import { decidesBeforeRewriting, twoPasses } from './two-passes.ts';

/** By what cleanup(8) rewrites recipients when the client has named them. */
const REWRITING = ['recipient_canonical_maps', 'canonical_maps', 'virtual_alias_maps'];
/** Local parts that are asked for where a table cannot be listed; there are lists with thousands. */
const MOST_LOCAL_PARTS = 50;

/**
 * The first findings, and one that says how many more there are. Tables that cannot be listed are asked for the names and
 * listed local parts of the sample.
 */
export async function examineAliases(host: Host, lookups: TableLookups, sample: Sample): Promise<readonly Finding[]> {
  const { postfix, settings } = host;
  const concerned = sample.domains.filter(isFiltered);
  if (!decidesBeforeRewriting(host) || concerned.length === 0) return [];
  const keys = keysOf(concerned);
  const found: Finding[] = [];
  for (const table of REWRITING.flatMap((parameter) => postfix.list(parameter))) {
    for (const [key, value] of await lookups.entries(table, keys)) {
      const domain = hostedAt(settings, key);
      if (domain === undefined || !isFiltered(domain)) continue;
      const elsewhere = splitValue(value).find((target) => leadsElsewhere(settings, domain, target));
      if (elsewhere !== undefined) found.push(finding(host, table, key, elsewhere, domain));
    }
  }
  return limited('entries', found);
}

/** Whether the service or a table moves mail for it to a transport. */
function isFiltered({ settings }: HostedDomain): boolean {
  return settings.incoming.delivery?.enforcement === 'enforce';
}

function keysOf(domains: readonly HostedDomain[]): readonly string[] {
  return domains.flatMap((domain) => {
    const locals = [...(domain.settings.incoming.delivery?.tableIndex.localParts ?? [])].slice(0, MOST_LOCAL_PARTS);
    return namesOf(domain).flatMap((name) => [`@${name}`, ...locals.map((local) => `${local}@${name}`)]);
  });
}

function finding(host: Host, table: string, key: string, target: string, domain: HostedDomain): Finding {
  return {
    id: 'alias-elsewhere',
    severity: 'breach',
    where: `${table}: ${key}`,
    what: `It leads ${key.startsWith('@') ? `mail for ${key.slice(1)}` : key} to ${target}, and ${domain.name} asks for TLS on delivery.`,
    why: 'tlswarden decides by the address that the client named. Moved by FILTER, the message goes to a server that is none of the new address; by a table it goes without the TLS that was asked for.',
    ...twoPasses(host, 'addresses', 'rewritten'),
  };
}
