/**
 * A name of a domain whose mail Postfix itself sends elsewhere than to the next hop of its settings: how much that matters, and
 * the commands after which both say the same. It looks which texts of tables are there, and changes nothing.
 */
import { existsSync } from 'node:fs';
import type { DomainName } from '../address/domain-name.ts';
import { isSameValue, splitValue } from '../fragments/value-list.ts';
import type { HostedDomain } from '../settings/hosted-domain.ts';
import { BY_MX, parseNextHop } from '../settings/next-hop.ts';
import { tablePath } from '../tables/stamp.ts';
import { TRANSPORT } from '../tables/table.ts';
import { eachOnce, type Finding } from './finding.ts';
import type { Host } from './host.ts';
import { textOf } from './mending.ts';
import { type OwnRoute, otherTransportMaps } from './own-routes.ts';

/** Where a Postfix without such a table of its own gets its entries. */
const NEW_TABLE = 'next_hops';
const TRANSPORT_MAPS = 'transport_maps';

/** A name of a domain where Postfix and the settings disagree on the next hop. */
export interface Differing {
  readonly domain: HostedDomain;
  /** The domain or an alias of it; behind it aliases with which all is as with it. */
  readonly names: readonly [DomainName, ...DomainName[]];
  readonly route: OwnRoute;
  /** Whether mail of these names, or to them, may have to have TLS. */
  readonly matters: boolean;
  /** Whether our own table, which comes first, has an entry for all their mail. */
  readonly isHeld: boolean;
}

/**
 * A breach only where mail that may need TLS goes by Postfix's own entry. `mend` is empty where no command can make
 * both agree.
 */
export function nextHopFinding(host: Host, differing: Differing): Finding {
  const { domain, names, route, matters, isHeld } = differing;
  const [name] = names;
  const word = (nexthop: string): string => (nexthop === '' ? 'by MX' : `to ${nexthop}`);
  const takeOver =
    parseNextHop(route.nexthop) !== undefined && name === domain.name
      ? host.mending.tlswarden('domains', 'set', domain.name, `nexthop=${route.nexthop}`)
      : undefined;
  const finding = {
    id: 'next-hop-differs',
    severity: matters && !isHeld ? 'breach' : 'advice',
    where: name,
    what: `Postfix itself sends its mail ${word(route.nexthop)} (${route.by}), the settings say ${word(domain.nexthop)}.`,
    why: isHeld
      ? 'The table of tlswarden has all of it go by the settings now. What they ask no TLS of any more would go the other way.'
      : 'Mail that has to have TLS goes to another server than the rest.',
  } as const;
  // Who names a next hop means it; a Postfix that has no entry has not been told.
  if (domain.nexthop !== BY_MX && route.entry?.key !== name) {
    const isKnown = route.nexthop !== '' && takeOver !== undefined;
    return {
      ...finding,
      mend: newEntries(host, names, route, domain.nexthop),
      ...(isKnown ? { note: `This has Postfix go by the settings. If Postfix is right: ${takeOver}` } : {}),
    };
  }
  const asSet = `If ${takeOver === undefined ? 'that is' : 'the settings are'} right: ${routedAsSet(host, differing)}`;
  return {
    ...finding,
    mend: takeOver === undefined ? [] : [takeOver],
    note:
      takeOver !== undefined
        ? `This takes over what Postfix does. ${asSet}`
        : name === domain.name
          ? ONE_NEXT_HOP
          : `It is an alias of ${domain.name}, and has its next hop. ${asSet}`,
  };
}

/** Said where Postfix's entry holds what `nexthop` cannot: no command takes it over. */
export const ONE_NEXT_HOP = 'The settings can name one next hop, and no list of them.';

/** What makes Postfix go by the settings, for somebody who prefers that. */
function routedAsSet(host: Host, { domain, names, route }: Differing): string {
  const { mending } = host;
  const [name] = names;
  const { entry } = route;
  if (entry?.key !== name) return newEntries(host, names, route, domain.nexthop).join(' && ');
  if (!hasText(entry.table)) return `change its entry in ${entry.table}.`;
  const value = `${route.transport}:${domain.nexthop}`;
  const commands = [...mending.withoutEntry(entry.table, name), ...mending.withEntries(entry.table, [name], value)];
  return eachOnce(commands).join(' && ');
}

/** Gives Postfix entries in a table of its own: in the first that it has, or in a new one, of which it is told. */
function newEntries(host: Host, names: readonly string[], route: OwnRoute, nexthop: string): readonly string[] {
  const { postfix, mending, fragments, fragmentContext } = host;
  const value = `${route.transport}:${nexthop}`;
  const others = otherTransportMaps(host);
  const own = others.find(hasText);
  if (own !== undefined) return mending.withEntries(own, names, value);
  const table = `${postfix.value('default_database_type')}:${postfix.directory}/${NEW_TABLE}`;
  const written = mending.withEntries(table, names, value);
  const [service] = postfix.running('trivial-rewrite');
  if (service?.raw.has(TRANSPORT_MAPS)) {
    const { maps } = fragmentContext;
    const ours = maps === undefined ? [] : [`${maps.type}:${tablePath(maps.directory, TRANSPORT)}`];
    const list = [...ours, ...others, table].join(',');
    return [...written, ...mending.override(service, { [TRANSPORT_MAPS]: list }), ...mending.reload];
  }
  // Ours has to be named first, and what is set here must not take it out again.
  const present = postfix.raw(TRANSPORT_MAPS);
  const wanted = fragments.parameters.find(({ parameter }) => parameter === TRANSPORT_MAPS)?.value ?? present;
  return [
    ...written,
    ...(isSameValue(present, wanted) ? [] : mending.apply),
    ...mending.set({ [TRANSPORT_MAPS]: [...splitValue(wanted), table].join(', ') }),
  ];
}

/** Whether somebody keeps it as a text here: what was compiled elsewhere must not be written over. */
function hasText(table: string): boolean {
  const file = textOf(table);
  return file !== undefined && existsSync(file);
}
