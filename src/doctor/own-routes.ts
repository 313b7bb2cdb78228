/**
 * Where Postfix sends a domain's mail by itself, without our tables: as trivial-rewrite(8) resolves an address (transport(5),
 * ADDRESS_CLASS_README). What a table says of any address of a domain counts; entries for single addresses are not looked at.
 */
import { isTableAt } from '../fragments/value-list.ts';
import { tablePath } from '../tables/stamp.ts';
import { TRANSPORT } from '../tables/table.ts';
import { DomainList, parentsOf } from './domain-list.ts';
import type { Host } from './host.ts';
import { anyoneAt, hasPatterns, isAnyone, type TableLookups } from './table-lookups.ts';

/** A route that Postfix has of itself. */
export interface OwnRoute {
  /** A service of master.cf. */
  readonly transport: string;
  /** As Postfix has it, in lower case; '' is by MX of the domain. */
  readonly nexthop: string;
  /** The table or the parameter that says so. */
  readonly by: string;
  /** Whether Postfix accepts mail for the domain: it is in one of its lists of domains. */
  readonly isAccepted: boolean;
  /** Whether a table says it of whole addresses: Postfix comes to that before it looks for a domain in any table. */
  readonly isByAddress: boolean;
  /** The entry that says so, if a table does. */
  readonly entry?: { readonly table: string; readonly key: string };
}

/** By what a domain goes that is in no address class. */
const UNLISTED = 'default_transport';

/** Address classes in the order in which trivial-rewrite(8) looks for them. */
const CLASSES = [
  { list: 'mydestination', transport: 'local_transport', isRemote: false },
  { list: 'virtual_alias_domains', transport: 'error', isRemote: false },
  { list: 'virtual_mailbox_domains', transport: 'virtual_transport', isRemote: false },
  { list: 'relay_domains', transport: 'relay_transport', isRemote: true },
] as const;

/** A route for each of `domains`. A table that cannot be read counts as empty ({@link TableLookups.troubles}). */
export async function ownRoutes(
  host: Host,
  lookups: TableLookups,
  domains: readonly string[],
): Promise<ReadonlyMap<string, OwnRoute>> {
  const byClass = await classRoutes(host, lookups, domains);
  const dot = host.postfix.list('parent_domain_matches_subdomains').includes('transport_maps') ? '' : '.';
  const keysOf = (domain: string): readonly string[] => [
    anyoneAt(domain),
    domain,
    ...parentsOf(domain).map((parent) => `${dot}${parent}`),
    '*',
  ];
  const isAsked = (table: string, key: string): boolean => key === '*' || isAnyone(key) || !hasPatterns(table);
  const keys = [...new Set(domains.flatMap(keysOf))];
  const tables: (readonly [string, ReadonlyMap<string, string>])[] = [];
  for (const table of otherTransportMaps(host)) tables.push([table, await lookups.find(table, keys)]);
  return new Map(
    domains.map((domain): [string, OwnRoute] => {
      const own = byClass.get(domain) ?? { transport: '', nexthop: '', by: '', isAccepted: false, isByAddress: false };
      for (const key of keysOf(domain)) {
        for (const [table, values] of tables) {
          const value = isAsked(table, key) ? values.get(key) : undefined;
          if (value === undefined) continue;
          const entry = { table, key: isAnyone(key) ? domain : key };
          return [domain, { ...override(own, value, domain, entry), isByAddress: isAnyone(key) }];
        }
      }
      return [domain, own];
    }),
  );
}

/** transport_maps as trivial-rewrite(8) has it, without ours. */
export function otherTransportMaps({ postfix, fragmentContext }: Host): readonly string[] {
  const { maps } = fragmentContext;
  const path = maps === undefined ? '' : tablePath(maps.directory, TRANSPORT);
  return postfix
    .list('transport_maps', postfix.running('trivial-rewrite')[0])
    .filter((element) => maps === undefined || !isTableAt(element, path));
}

/** The same without any table: what the address class of each of `domains` has. */
export async function classRoutes(
  { postfix }: Host,
  lookups: TableLookups,
  domains: readonly string[],
): Promise<ReadonlyMap<string, OwnRoute>> {
  const found = new Map<string, OwnRoute>();
  const matchParents = postfix.list('parent_domain_matches_subdomains');
  const route = (parameter: string, isRemote: boolean): OwnRoute => {
    const [transport, nexthop] = splitRoute(parameter === 'error' ? 'error' : postfix.value(parameter));
    return {
      transport,
      nexthop: (nexthop || (isRemote ? postfix.value('relayhost') : '')).toLowerCase(),
      by: parameter,
      isAccepted: parameter !== UNLISTED,
      isByAddress: false,
    };
  };
  for (const { list, transport, isRemote } of CLASSES) {
    const members = await DomainList.read(postfix.list(list), lookups);
    const rest = domains.filter((domain) => !found.has(domain));
    for (const domain of await members.having(rest, matchParents.includes(list)))
      found.set(domain, route(transport, isRemote));
  }
  for (const domain of domains) if (!found.has(domain)) found.set(domain, route(UNLISTED, true));
  return found;
}

/** Transport and next hop of `relay:[MX.example.com]:25`, the latter in lower case; either may be '' (transport(5), "RESULT FORMAT"). */
export function splitRoute(value: string): readonly [transport: string, nexthop: string] {
  const colon = value.indexOf(':');
  return colon < 0 ? [value, ''] : [value.slice(0, colon), value.slice(colon + 1).toLowerCase()];
}

/** An entry of transport_maps over what holds without it. */
function override(own: OwnRoute, value: string, domain: string, entry: NonNullable<OwnRoute['entry']>): OwnRoute {
  const by = `${entry.table} (${entry.key})`;
  const [transport, nexthop] = splitRoute(value);
  if (transport === '') return nexthop === '' ? own : { ...own, nexthop, by, entry };
  return { ...own, transport, nexthop: nexthop === domain ? '' : nexthop, by, entry };
}
