/**
 * Whether Postfix sends each hosted domain's mail where the settings say that it does: tlswarden repeats the next hop when
 * it moves a message, and Postfix's own table decides for all other mail.
 */
import { type DomainName, parseDomain } from '../address/domain-name.ts';
import { requiresOutgoing } from '../fragments/make-fragments.ts';
import { parseNextHop } from '../settings/next-hop.ts';
import { isRoutedWhole, policySetting } from '../tables/render.ts';
import { DomainList } from './domain-list.ts';
import { examineAcceptance } from './examine-acceptance.ts';
import { examineOutranked } from './examine-outranked.ts';
import { examinePolicyClients } from './examine-transports.ts';
import { type Finding, limited, MOST_OF_A_KIND } from './finding.ts';
import type { Host } from './host.ts';
import { type Differing, nextHopFinding, ONE_NEXT_HOP } from './next-hop-finding.ts';
import { type OwnRoute, otherTransportMaps, ownRoutes, splitRoute } from './own-routes.ts';
import { namesOf, type Sample } from './sample.ts';
import type { TableLookups } from './table-lookups.ts';

const DEFAULT_TRANSPORT = 'default_transport';

/** Asks tables by postmap(1). The first findings of each kind, and one that says how many more there are. */
export async function examineRoutes(host: Host, lookups: TableLookups, sample: Sample): Promise<readonly Finding[]> {
  const routes = await ownRoutes(host, lookups, sample.domains.flatMap(namesOf));
  const isOutgoingRequired = requiresOutgoing(host.settings);
  const found: Finding[] = [];
  const transports = new Set<string>();
  for (const domain of sample.domains) {
    if (policySetting(host.settings, domain) !== undefined) transports.add(routes.get(domain.name)?.transport ?? '');
    const isHeld = (name: DomainName): boolean =>
      host.fragmentContext.maps !== undefined &&
      isRoutedWhole(host.settings, domain, name) &&
      routes.get(name)?.isByAddress !== true;
    const goesAlong = (alias: DomainName): boolean =>
      isSameRoute(routes.get(alias), routes.get(domain.name)) && isHeld(alias) === isHeld(domain.name);
    const hasEntry = (name: DomainName): boolean => routes.get(name)?.entry?.key === name;
    const alone = domain.aliases.filter((alias) => !goesAlong(alias));
    for (const name of [domain.name, ...alone]) {
      const route = routes.get(name);
      if (route === undefined) continue;
      // An alias that goes where its domain goes is mended with it.
      const along = name === domain.name ? domain.aliases.filter((alias) => goesAlong(alias) && !hasEntry(alias)) : [];
      const at = { domain, names: [name, ...along.slice(0, MOST_OF_A_KIND)] as const, route, isHeld: isHeld(name) };
      const finding = examineRoute(host, at, isOutgoingRequired);
      if (finding !== undefined) found.push(finding);
    }
  }
  return [
    ...limited('domains', found),
    ...limited('entries', await examineOutranked(host, lookups, sample)),
    ...examineAcceptance(host, sample, routes),
    ...(host.fragmentContext.maps === undefined ? [] : examinePolicyClients(host, transports)),
    ...(isOutgoingRequired ? await outgoingPassedBy(host, lookups) : []),
    ...(isOutgoingRequired ? await senderRelayhosts(host, lookups, sample) : []),
    ...(isOutgoingRequired ? defaultNextHop(host, routes) : []),
  ];
}

function isSameRoute(a: OwnRoute | undefined, b: OwnRoute | undefined): boolean {
  return a?.transport === b?.transport && a?.nexthop === b?.nexthop;
}

function examineRoute(host: Host, at: Omit<Differing, 'matters'>, isOutgoingRequired: boolean): Finding | undefined {
  const { domain, names, route } = at;
  const program = host.postfix.agent(route.transport)?.program;
  const isRequired = domain.settings.incoming.delivery?.enforcement === 'enforce';
  if (program === 'smtp') {
    if (route.nexthop === domain.nexthop) return undefined;
    return nextHopFinding(host, { ...at, matters: isRequired || isOutgoingRequired });
  }
  if (program === undefined || program === 'error' || program === 'discard') return undefined;
  if (!isRequired && !isOutgoingRequired) return undefined;
  // What it asks of delivery cannot be had in any case; without anything else there is no reason for it to be in the settings.
  const { incoming, outgoing } = domain.settings;
  const isNeeded = [incoming.receipt, outgoing.receipt, outgoing.delivery].some((setting) => setting !== undefined);
  const { mending } = host;
  return {
    id: 'delivered-here',
    severity: 'breach',
    where: names[0],
    what: `Postfix hands its mail to ${route.transport} (${program}), by ${route.by}; ${isRequired ? 'its settings ask for TLS on delivery' : 'some domain asks for TLS for mail that it sends'}.`,
    why: 'TLS can be compelled of mail to an SMTP server only: such mail is handed over as it is, or is moved to a server that is none of its.',
    mend: !isNeeded
      ? [mending.tlswarden('domains', 'unset', domain.name)]
      : isRequired
        ? [mending.tlswarden('domains', 'set', domain.name, 'incoming.delivery', 'require_tls=never')]
        : [],
    ...(isNeeded && isOutgoingRequired
      ? { note: 'Mail from a domain that requires TLS of what it sends cannot reach mailboxes on this host.' }
      : {}),
  };
}

const PASSED_BY =
  'sender_transport is not asked for it: mail to it may leave without the TLS that a domain here requires of mail that it sends.';

/** Domains that Postfix routes itself and that are not in the settings: sender_transport is not asked for them. */
async function outgoingPassedBy(host: Host, lookups: TableLookups): Promise<readonly Finding[]> {
  const { postfix, settings, mending } = host;
  const found: Finding[] = [];
  const names = new Set(await (await DomainList.read(postfix.list('relay_domains'), lookups)).names());
  for (const table of otherTransportMaps(host)) {
    for (const key of (await lookups.list(table))?.entries.keys() ?? []) names.add(key.toLowerCase());
    const wildcard = (await lookups.find(table, ['*'])).get('*');
    if (wildcard !== undefined) found.push(wildcardFinding(host, table, wildcard));
  }
  const unknown: string[] = [];
  for (const name of names) {
    const domain = parseDomain(name);
    if (domain !== undefined && settings.find(domain) === undefined) unknown.push(domain);
  }
  const routes = await ownRoutes(host, lookups, unknown);
  const remote = unknown.filter((name) => postfix.agent(routes.get(name)?.transport ?? '')?.program === 'smtp').sort();
  for (const name of remote) {
    const nexthop = routes.get(name)?.nexthop ?? '';
    const isSettable = parseNextHop(nexthop) !== undefined;
    found.push({
      id: 'outgoing-passed-by',
      severity: 'breach',
      where: name,
      what: 'Postfix routes it itself, and it is not in the settings.',
      why: PASSED_BY,
      mend: isSettable ? [mending.tlswarden('domains', 'set', name, `nexthop=${nexthop}`)] : [],
      ...(isSettable ? {} : { note: ONE_NEXT_HOP }),
    });
  }
  return limited('domains', found);
}

/** `*` is every domain. relayhost or nothing says the same, and leaves sender_transport its turn. */
function wildcardFinding({ postfix, mending }: Host, table: string, value: string): Finding {
  const [transport, nexthop] = splitRoute(value);
  const removal = mending.withoutEntry(table, '*');
  const isDefault = transport === '' || transport === postfix.value('default_transport');
  const relayhost =
    nexthop === ''
      ? mending.reload
      : [...mending.set({ relayhost: nexthop }), ...mending.setInMainFile('postfix', 'relayhost', nexthop)];
  const instead = nexthop !== '' ? 'relayhost' : isDefault ? 'No entry at all' : 'default_transport';
  return {
    id: 'outgoing-passed-by',
    severity: 'breach',
    where: `${table}: *`,
    what: `It sends all mail to ${value}.`,
    why: PASSED_BY,
    mend: isDefault && removal.length > 0 ? [...removal, ...relayhost] : [],
    note: `${instead} says the same, and leaves sender_transport its turn.`,
  };
}

/** Relayhosts that depend on the sender: FILTER goes to the one of the settings. */
async function senderRelayhosts(host: Host, lookups: TableLookups, { domains }: Sample): Promise<readonly Finding[]> {
  const { postfix, settings, mending } = host;
  const senders = domains
    .filter(({ settings: of }) => of.outgoing.delivery?.enforcement === 'enforce')
    .flatMap(namesOf)
    .map((name) => `@${name}`);
  const found: Finding[] = [];
  for (const table of postfix.list('sender_dependent_relayhost_maps')) {
    for (const [sender, relayhost] of await lookups.find(table, senders)) {
      if (relayhost.toLowerCase() === settings.relayhost) continue;
      const mend = mending.withoutEntry(table, sender);
      found.push({
        id: 'sender-relayhost',
        severity: 'breach',
        where: `${table}: ${sender}`,
        what: `Postfix sends mail from ${sender} to ${relayhost}, and it requires TLS of mail that it sends.`,
        why: `What tlswarden moves to a transport of its own goes ${settings.relayhost === '' ? 'by MX' : `to ${settings.relayhost}`} instead: there is one relayhost for it.`,
        mend,
        ...(mend.length > 0 ? {} : { note: 'Take that entry out where the table is kept.' }),
      });
    }
  }
  return limited('domains', found);
}

/** A server that default_transport names: sender_transport takes the place of both, and has no server to name but relayhost. */
function defaultNextHop(
  { postfix, settings, mending }: Host,
  routes: ReadonlyMap<string, OwnRoute>,
): readonly Finding[] {
  const [transport, nexthop] = splitRoute(postfix.value(DEFAULT_TRANSPORT));
  if (nexthop === '' || postfix.agent(transport)?.program !== 'smtp') return [];
  // relayhost is asked for those too.
  const goesByMx = [...routes.values()].some(
    (route) => route.nexthop === '' && route.entry === undefined && postfix.agent(route.transport)?.program === 'smtp',
  );
  const isNamed = settings.relayhost === nexthop;
  return [
    {
      id: 'relayhost',
      severity: 'breach',
      where: `main.cf: ${DEFAULT_TRANSPORT}`,
      what: `Postfix sends outgoing mail to ${nexthop} by it, and some domain requires TLS of mail that it sends.`,
      why: `What tlswarden moves to a transport of its own goes ${settings.relayhost === '' ? 'by MX' : `to ${settings.relayhost}`} instead: it knows relayhost only.`,
      mend: goesByMx
        ? []
        : [
            ...mending.set({ [DEFAULT_TRANSPORT]: transport, relayhost: nexthop }),
            ...(isNamed ? [] : mending.setInMainFile('postfix', 'relayhost', nexthop)),
          ],
      note: goesByMx
        ? `Set relayhost to ${nexthop}, here and in the main file, and ${DEFAULT_TRANSPORT} to ${transport}. Domains that go by MX need entries in transport_maps before, or go there too.`
        : 'relayhost says the same, and holds for tlswarden too.',
    },
  ];
}
