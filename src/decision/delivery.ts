/**
 * Delivery (contract section 7): the route that the requirements of one sender and recipient ask for, the route that the
 * tables in force give, and the lane that makes up the difference. This is the one place that tells static requirements
 * from dynamic ones; the table writer uses the same {@link DeliverySetting.tableKeys} and the same {@link staticRoute}.
 */
import { type DomainName, firstParentDot } from '../address/domain-name.ts';
import { atRelayhost, makeRoute, type Route, staticRoute } from '../route/route.ts';
import { type DeliveryTerms, mergeDeliveryTerms, transportFor, transportSatisfies } from '../route/transport.ts';
import type { HostedDomain } from '../settings/hosted-domain.ts';
import { type Strength, weakerStrength } from '../settings/level.ts';
import type { NextHop } from '../settings/next-hop.ts';
import { DEFAULT_TERMS } from '../settings/next-hop-terms.ts';
import { tableHolds } from '../settings/people.ts';
import type { DeliverySetting } from '../settings/setting.ts';
import type { Settings } from '../settings/settings.ts';
import { type Parties, requirement } from './parties.ts';

/** Which domains' static requirements Postfix's tables hold as the settings in force have them. */
export interface TablesInForce {
  /** Means nothing for a domain that asks nothing of the tables ({@link HostedDomain.tableDigest} 0). */
  holds(domain: HostedDomain): boolean;
  /** Tables of other settings than those in force, which some part of Postfix may still be using; as far as they are known. */
  readonly stillUsed: readonly OtherTables[];
}

/** What tables of other settings say. */
export interface OtherTables {
  /** What they ask at the next hop of this name at least; by MX that is the recipient's domain. */
  termsAt(key: string): Strength;
  /** Whether they know this domain or alias. */
  hosts(name: DomainName): boolean;
}

/** No maps directory, or nothing known of it: every requirement is answered by FILTER. */
export const NO_TABLES: TablesInForce = { holds: () => false, stillUsed: [] };

/** As if the tables held all that they can. */
const ALL_TABLES: TablesInForce = { holds: () => true, stillUsed: [] };

/** What a whole message is told: nothing, or one FILTER. */
export type Lane = Route | undefined;

/** Where mail for this recipient goes anyway. */
function nextHopOf(settings: Settings, parties: Parties): NextHop {
  return parties.recipientDomain === undefined ? settings.relayhost : parties.recipientDomain.nexthop;
}

/**
 * What the next hop of this recipient is asked for anyway, by whichever tables Postfix may be using. More than a transport asks by
 * itself is counted on only while they hold the recipient's domain; until then the transport's name says it all. So it is
 * for a recipient not hosted here: sender_transport, which says the same, depends on the sender's domain alone.
 */
function termsAtNextHop(settings: Settings, parties: Parties, tables: TablesInForce): Strength {
  const { recipientDomain } = parties;
  // By MX smtp(8) looks for the recipient's domain as it is written, which as an alias may be another domain's next hop.
  const nexthop = nextHopOf(settings, parties);
  const key = nexthop || parties.recipient.domain;
  const now = settings.termsAt(key);
  let sure: Strength =
    recipientDomain !== undefined && tables.holds(recipientDomain) ? now : weakerStrength(DEFAULT_TERMS, now);
  for (const other of tables.stillUsed) sure = weakerStrength(sure, other.termsAt(key));
  return sure;
}

/** The requirement of this flow on delivery, if it is to be enforced. */
export function enforced(parties: Parties, flow: 'incoming' | 'outgoing'): DeliverySetting | undefined {
  const setting = requirement(parties, flow, 'delivery');
  return setting?.enforcement === 'enforce' ? setting : undefined;
}

/** All that the requirements of this sender and recipient ask together, or undefined if there is none. */
function requiredTerms(parties: Parties): DeliveryTerms | undefined {
  const { otherwise } = parties;
  if (parties.recipientDomain === undefined && parties.senderDomain === undefined) return undefined;
  const terms = together(enforced(parties, 'incoming'), enforced(parties, 'outgoing'));
  return otherwise === undefined ? terms : together(terms, requiredTerms(otherwise));
}

function together(a: DeliveryTerms | undefined, b: DeliveryTerms | undefined): DeliveryTerms | undefined {
  return a === undefined || b === undefined ? (a ?? b) : mergeDeliveryTerms(a, b);
}

/** Where the tables in force see to it by themselves: by whose setting. */
interface Given {
  readonly domain: HostedDomain;
  readonly flow: 'incoming' | 'outgoing';
  readonly setting: DeliverySetting;
}

/**
 * By which setting the tables in force give a route: the recipient's, or, for a recipient not hosted here, the sender's
 * (sender_dependent_default_transport_maps is not asked for others). undefined: Postfix's own route, without our TLS.
 */
function givenByTables(settings: Settings, parties: Parties, tables: TablesInForce): Given | undefined {
  const incoming = parties.recipientDomain !== undefined;
  const domain = parties.recipientDomain ?? parties.senderDomain;
  const flow = incoming ? 'incoming' : 'outgoing';
  const setting = domain?.settings[flow].delivery;
  if (domain === undefined || setting === undefined) return undefined;
  const own = incoming ? parties.recipient : parties.sender;
  if (!tableHolds(setting.tableIndex, own) || !tables.holds(domain)) return undefined;
  if (!incoming && isRoutedOtherwise(settings, parties, tables)) return undefined;
  return { domain, flow, setting };
}

/** Whether sender_transport, which has the sender's domain, is not asked for this recipient, or says less than it is to. */
function isRoutedOtherwise(settings: Settings, parties: Parties, tables: TablesInForce): boolean {
  const { domain } = parties.recipient;
  if (parties.senderIsRouted || isBelowHosted(settings, domain)) return true;
  // They have the recipient in transport_maps.
  if (tables.stillUsed.some((other) => other.hosts(domain))) return true;
  const counted = atRelayhost(settings);
  return weakerStrength(counted, termsAtNextHop(settings, parties, tables)) !== counted;
}

/**
 * Whether a name that is not hosted is below one that is. Where that stands in relay_domains, Postfix relays such names
 * as its own (parent_domain_matches_subdomains), and asks sender_dependent_default_transport_maps for none of them.
 */
function isBelowHosted(settings: Settings, name: DomainName): boolean {
  for (let dot = firstParentDot(name); dot >= 0; dot = name.indexOf('.', dot + 1)) {
    if (settings.find(name.slice(dot + 1) as DomainName) !== undefined) return true;
  }
  return false;
}

/** The route that is asked for, whoever sees to it. */
export function wantedRoute(settings: Settings, parties: Parties, tables: TablesInForce): Route | undefined {
  const terms = requiredTerms(parties);
  return terms === undefined ? undefined : routeFor(terms, settings, parties, tables);
}

function routeFor(terms: DeliveryTerms, settings: Settings, parties: Parties, tables: TablesInForce): Route {
  return makeRoute(transportFor(terms, termsAtNextHop(settings, parties, tables)), nextHopOf(settings, parties));
}

/** The lane of this sender and recipient by themselves: no FILTER where the tables in force give what is wanted. */
export function ownLane(settings: Settings, parties: Parties, tables: TablesInForce): Lane {
  const terms = requiredTerms(parties);
  if (terms === undefined) return undefined;
  const { otherwise } = parties;
  if (otherwise !== undefined) {
    const isHeld = [{ ...parties, otherwise: undefined }, otherwise].every(
      (either) => ownLane(settings, either, tables) === undefined,
    );
    return isHeld ? undefined : routeFor(terms, settings, parties, tables);
  }
  const given = givenByTables(settings, parties, tables);
  // Mostly one setting asks, and it is the one that the tables hold: then there are no routes to compare.
  if (given?.setting === terms) return undefined;
  const wanted = routeFor(terms, settings, parties, tables);
  if (given === undefined) return wanted;
  return staticRoute(settings, given.domain, given.flow)?.text === wanted.text ? undefined : wanted;
}

/**
 * Why a recipient is given a FILTER.
 * - dynamic: no table can say what is required between these two.
 * - no-tables, tables-behind: tables could, but there are none, or not all of Postfix uses them yet.
 * - same-message: it needs none by itself, and goes where the message's first recipient goes.
 */
export type FilterReason = 'dynamic' | 'no-tables' | 'tables-behind' | 'same-message';

/** Of a recipient that is given a FILTER with these tables in force. */
export function filterReason(settings: Settings, parties: Parties, tables: TablesInForce): FilterReason {
  if (ownLane(settings, parties, tables) === undefined) return 'same-message';
  if (ownLane(settings, parties, ALL_TABLES) !== undefined) return 'dynamic';
  return tables === NO_TABLES ? 'no-tables' : 'tables-behind';
}

/**
 * Whether a recipient that cannot come separately may go by a lane that is not its own: its requirement, if any, is
 * satisfied there, and the lane's next hop is right for it.
 */
export function mayJoin(settings: Settings, parties: Parties, lane: Route, tables: TablesInForce): boolean {
  if (lane.nexthop !== nextHopOf(settings, parties)) return false;
  const terms = requiredTerms(parties);
  return terms === undefined || transportSatisfies(lane.transport, terms, termsAtNextHop(settings, parties, tables));
}
