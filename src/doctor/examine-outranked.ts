/**
 * Entries of other tables that Postfix comes to before ours, though ours stand first: it looks for the whole address in all
 * tables, and only then for its domain (transport(5); sender_dependent_default_transport_maps in postconf(5)). So an entry
 * for a single address comes before ours for its domain, and so does a pattern. Those by a client that compels as much TLS by
 * itself do no harm.
 */
import { isTableAt } from '../fragments/value-list.ts';
import { staticRoute } from '../route/route.ts';
import { type Transport, transportName } from '../route/transport.ts';
import type { HostedDomain } from '../settings/hosted-domain.ts';
import { DEFAULT_TERMS } from '../settings/next-hop-terms.ts';
import type { TableKeys } from '../settings/people.ts';
import type { DeliverySetting, Flow } from '../settings/setting.ts';
import { ownTerms, policyEntry, requiredEntry } from '../tables/policy-entry.ts';
import { policySetting } from '../tables/render.ts';
import { tablePath } from '../tables/stamp.ts';
import { SENDER_TRANSPORT } from '../tables/table.ts';
import { clientLack, lacksOnWays, type Way } from './client-tls.ts';
import { eachOnce, type Finding } from './finding.ts';
import type { Host } from './host.ts';
import { hostedAt } from './hosted-at.ts';
import { classRoutes, otherTransportMaps, splitRoute } from './own-routes.ts';
import { namesOf, type Sample } from './sample.ts';
import { anyoneAt, isAnyone, type TableLookups } from './table-lookups.ts';

const SENDER_MAPS = 'sender_dependent_default_transport_maps';

/** An entry for a whole address, or what a table says of any address of a domain, that comes before ours. */
interface Entry {
  readonly table: string;
  readonly key: string;
  readonly value: string;
  /** Whose address it is, and what that requires of it. */
  readonly domain: HostedDomain;
  readonly setting: DeliverySetting;
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
  const entries: Entry[] = [];
  for (const table of tables) {
    for (const [key, value] of await lookups.entries(table, probes)) {
      // `@domain` is no whole address.
      const domain = key.lastIndexOf('@') > 0 ? hostedAt(host.settings, key) : undefined;
      const setting = domain?.settings[flow].delivery;
      if (domain === undefined || setting === undefined || !comesFirst(setting, key, value)) continue;
      entries.push({ table, key, value, domain, setting });
    }
  }
  const ways = await waysOf(host, lookups, flow, entries);
  const lacks = await lacksOnWays(
    host,
    lookups,
    ways.map(([{ setting }, way]) => [way, setting]),
  );
  return ways.flatMap(([entry, way]) => {
    const lack = lacks.get(way);
    return lack === undefined ? [] : [finding(host, flow, entry, way, lack)];
  });
}

function keysOf({ settings }: HostedDomain, flow: Flow): TableKeys | undefined {
  return settings[flow].delivery?.tableKeys;
}

function isHeld(keys: TableKeys | undefined): boolean {
  return keys !== undefined && (keys.everyone || keys.domains.length + keys.localParts.length > 0);
}

/** Whether Postfix comes to this entry before it comes to ours for the same mail. */
function comesFirst({ tableKeys: keys }: DeliverySetting, key: string, value: string): boolean {
  if (/^dunno$/iu.test(value)) return false;
  const name = nameOf(key);
  const isWhole = keys.everyone || keys.domains.some((one) => one === name);
  // Where ours are for single addresses they are found first, but not for address extensions, which a pattern may match.
  return isWhole || (isAnyone(key) && keys.localParts.length > 0);
}

/** By which smtp(8) client, and where to, mail goes by each entry; those of other programs are left out. */
async function waysOf(
  host: Host,
  lookups: TableLookups,
  flow: Flow,
  entries: readonly Entry[],
): Promise<readonly (readonly [entry: Entry, way: Way])[]> {
  const { postfix } = host;
  // An entry without a transport keeps the one that there is without any entry (transport(5), "RESULT FORMAT").
  const keeping = entries.filter(({ value }) => splitRoute(value)[0] === '').map(({ key }) => nameOf(key));
  const kept = flow === 'incoming' ? await classRoutes(host, lookups, [...new Set(keeping)]) : undefined;
  const outgoing = splitRoute(postfix.value('default_transport'));
  return entries.flatMap((entry): readonly (readonly [Entry, Way])[] => {
    const { key, value, domain } = entry;
    const name = nameOf(key);
    const [given, to] = splitRoute(value);
    const own = kept?.get(name);
    const [present, presentTo] = own === undefined ? outgoing : [own.transport, own.nexthop];
    const service = postfix.agent(given || present);
    if (service?.program !== 'smtp') return [];
    const rest = flow === 'incoming' ? name : postfix.value('relayhost').toLowerCase();
    const nexthop = to || (given === '' ? presentTo : '') || rest || undefined;
    // Such a domain goes by tls_policy, whatever the client; that main.cf names the table is looked at elsewhere.
    const goesByPolicy = flow === 'incoming' && nexthop === name && policySetting(host.settings, domain) !== undefined;
    return goesByPolicy && !service.raw.has('smtp_tls_policy_maps') ? [] : [[entry, { service, nexthop }]];
  });
}

function nameOf(key: string): string {
  return key.slice(key.lastIndexOf('@') + 1).toLowerCase();
}

function finding(
  host: Host,
  flow: Flow,
  { table, key, value, domain, setting }: Entry,
  way: Way,
  lack: string,
): Finding {
  const { mending } = host;
  const isPattern = isAnyone(key);
  const name = nameOf(key);
  const whose = flow === 'incoming' ? 'to' : 'from';
  const removal = mending.withoutEntry(table, key);
  const transport = ownTransport(host, flow, domain, setting, way);
  const commands =
    transport === undefined
      ? []
      : mending.withEntries(table, [key], `${transportName(transport)}:${splitRoute(value)[1]}`);
  const mend = isPattern || commands.length === 0 ? [] : eachOnce([...removal, ...commands]);
  return {
    id: 'table-outranked',
    severity: 'breach',
    where: `${table}: ${isPattern ? name : key}`,
    what: `It sends ${isPattern ? `whatever is ${whose} an address at ${name}` : `mail ${whose} ${key}`} by ${value}, and ${domain.name} requires TLS of it: ${transportOf(way)} may go with less (${lack}).`,
    why: 'Postfix looks for the whole address in all tables before it looks for the domain: it comes to this before the table of tlswarden.',
    mend,
    note: isPattern
      ? `Have the table leave out ${name}${flow === 'incoming' ? ', or give it entries by domain in a table that is looked up by domain, in place of this one' : ''}.`
      : mend.length > 0
        ? 'This keeps the way that it goes, and compels TLS. What FILTER moves goes to the next hop of the domain all the same.'
        : 'Take that entry out where the table is kept.',
  };
}

const transportOf = ({ service }: Way): string => service.name.slice(0, service.name.lastIndexOf('/'));

/** The transport of our own entry, if it compels where this entry leads to what it does where ours would. */
function ownTransport(
  { settings, postfix }: Host,
  flow: Flow,
  domain: HostedDomain,
  setting: DeliverySetting,
  { nexthop }: Way,
): Transport | undefined {
  const transport = staticRoute(settings, domain, flow)?.transport;
  if (transport === undefined) return undefined;
  const terms = nexthop === undefined ? DEFAULT_TERMS : settings.termsAt(nexthop);
  const policy = requiredEntry(transport, terms) ?? policyEntry(transport.level, ownTerms(transport));
  return clientLack(postfix, undefined, policy, setting) === undefined ? transport : undefined;
}
