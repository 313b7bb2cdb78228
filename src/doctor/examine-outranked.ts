/**
 * Entries of other tables that Postfix comes to before ours, though ours stand first: it looks for the whole address in all
 * tables, and only then for its domain (transport(5); sender_dependent_default_transport_maps in postconf(5)). So an entry
 * for a single address comes before ours for its domain, and so does a pattern.
 */
import { transportOfService } from '../fragments/ours.ts';
import { isTableAt } from '../fragments/value-list.ts';
import { staticRoute } from '../route/route.ts';
import { transportName } from '../route/transport.ts';
import type { HostedDomain } from '../settings/hosted-domain.ts';
import { LEVELS } from '../settings/level.ts';
import type { TableKeys } from '../settings/people.ts';
import type { Flow } from '../settings/setting.ts';
import { policySetting } from '../tables/render.ts';
import { tablePath } from '../tables/stamp.ts';
import { SENDER_TRANSPORT } from '../tables/table.ts';
import type { Finding } from './finding.ts';
import type { Host } from './host.ts';
import { hostedAt } from './hosted-at.ts';
import { otherTransportMaps } from './own-routes.ts';
import { namesOf, type Sample } from './sample.ts';
import { anyoneAt, isAnyone, type TableLookups } from './table-lookups.ts';

const SENDER_MAPS = 'sender_dependent_default_transport_maps';

/** An entry for a whole address, or what a table says of any address of a domain. */
interface Entry {
  readonly table: string;
  readonly key: string;
  readonly value: string;
}

/** Tables that cannot be listed are asked for any address of the sample's domains. Nothing without tables of ours. */
export async function examineOutranked(host: Host, lookups: TableLookups, sample: Sample): Promise<readonly Finding[]> {
  const { postfix, fragmentContext } = host;
  const { maps } = fragmentContext;
  if (maps === undefined) return [];
  const ours = tablePath(maps.directory, SENDER_TRANSPORT);
  const service = postfix.running('trivial-rewrite')[0];
  const senderMaps = postfix.list(SENDER_MAPS, service).filter((table) => !isTableAt(table, ours));
  return [
    ...(await examine(host, lookups, sample, 'incoming', otherTransportMaps(host))),
    ...(await examine(host, lookups, sample, 'outgoing', senderMaps)),
  ];
}

async function examine(
  host: Host,
  lookups: TableLookups,
  { domains }: Sample,
  flow: Flow,
  tables: readonly string[],
): Promise<readonly Finding[]> {
  const probes = domains
    .filter((domain) => isHeld(keysOf(domain, flow)))
    .flatMap(namesOf)
    .map(anyoneAt);
  if (probes.length === 0) return [];
  const found: Finding[] = [];
  for (const table of tables) {
    const entries = await lookups.entries(table, probes);
    const outranking = [...entries].flatMap(([key, value]) => {
      // `@domain` is no whole address.
      const domain = key.lastIndexOf('@') > 0 ? hostedAt(host.settings, key) : undefined;
      if (domain === undefined || !isOutranked(host, domain, flow, key, value)) return [];
      return [{ domain, entry: { table, key, value } }];
    });
    found.push(...outranking.map(({ domain, entry }) => finding(host, domain, flow, entry)));
  }
  return found;
}

function keysOf({ settings }: HostedDomain, flow: Flow): TableKeys | undefined {
  return settings[flow].delivery?.tableKeys;
}

function isHeld(keys: TableKeys | undefined): boolean {
  return keys !== undefined && (keys.everyone || keys.domains.length + keys.localParts.length > 0);
}

/** Whether mail that our entry would send with its TLS is sent without by this one. */
function isOutranked(host: Host, domain: HostedDomain, flow: Flow, key: string, value: string): boolean {
  const keys = keysOf(domain, flow);
  if (keys === undefined || /^dunno$/iu.test(value)) return false;
  const name = key.slice(key.lastIndexOf('@') + 1).toLowerCase();
  const isWhole = keys.everyone || keys.domains.some((one) => one === name);
  // Where ours are for single addresses they are found first, but not for address extensions, which a pattern may match.
  if (!isWhole && !(isAnyone(key) && keys.localParts.length > 0)) return false;
  const [transport, nexthop] = parts(value);
  const wanted = staticRoute(host.settings, domain, flow)?.transport;
  const given = transportOfService(`${transport}/unix`);
  if (wanted !== undefined && given !== undefined) return LEVELS.indexOf(given.level) < LEVELS.indexOf(wanted.level);
  if (transport !== '' && host.postfix.agent(transport)?.program !== 'smtp') return false;
  // Such a domain goes by tls_policy, whatever the transport, as long as it goes by MX.
  const goesByPolicy = flow === 'incoming' && policySetting(host.settings, domain) !== undefined;
  return !(goesByPolicy && (nexthop === '' || nexthop === name));
}

/** Transport and next hop of an entry (transport(5), "RESULT FORMAT"). */
function parts(value: string): readonly [transport: string, nexthop: string] {
  const colon = value.indexOf(':');
  return colon < 0 ? [value, ''] : [value.slice(0, colon), value.slice(colon + 1).toLowerCase()];
}

function finding(host: Host, domain: HostedDomain, flow: Flow, { table, key, value }: Entry): Finding {
  const { mending, settings } = host;
  const isPattern = isAnyone(key);
  const name = key.slice(key.lastIndexOf('@') + 1);
  const route = staticRoute(settings, domain, flow);
  const whose = flow === 'incoming' ? 'to' : 'from';
  const removal = mending.withoutEntry(table, key);
  const compelled = `${route === undefined ? '' : transportName(route.transport)}:${parts(value)[1]}`;
  const commands = [...removal, ...mending.withEntries(table, [key], compelled)];
  // Compiled once, at the end.
  const mend = isPattern || removal.length === 0 ? [] : [...new Set(commands.reverse())].reverse();
  return {
    id: 'table-outranked',
    severity: 'breach',
    where: `${table}: ${isPattern ? name : key}`,
    what: `It sends ${isPattern ? `whatever is ${whose} an address at ${name}` : `mail ${whose} ${key}`} by ${value}, and ${domain.name} requires TLS of it.`,
    why: 'Postfix looks for the whole address in all tables before it looks for the domain: it comes to this before the table of tlswarden.',
    mend,
    note: isPattern
      ? `Have the table leave out ${name}${flow === 'incoming' ? ', or give it entries by domain in a table that is looked up by domain, in place of this one' : ''}.`
      : mend.length > 0
        ? 'This keeps the way that it goes, and compels TLS. What FILTER moves goes to the next hop of the domain all the same.'
        : 'Take that entry out where the table is kept.',
  };
}
