/**
 * Every transport that a decision or a table can name with these settings, without looking at pairs of domains: what
 * counts is which combinations of terms occur, and there are few of them however many domains there are.
 */
import {
  type DeliveryTerms,
  mergeDeliveryTerms,
  type Transport,
  transportFor,
  transportName,
} from '../route/transport.ts';
import {
  CIPHER_GRADES,
  LEVELS,
  type Level,
  type Strength,
  strongerVersion,
  TLS_VERSIONS,
  weakerStrength,
} from '../settings/level.ts';
import { DEFAULT_TERMS, type NextHopTerms } from '../settings/next-hop-terms.ts';
import type { DeliverySetting } from '../settings/setting.ts';
import type { Settings } from '../settings/settings.ts';

/** The transports that can occur, sorted by name. */
export function transportsInUse(settings: Settings): readonly Transport[] {
  const { incoming, outgoing, nextHops } = combinations(settings);
  const found = new Map<string, Transport>();
  const add = (terms: DeliveryTerms, atNextHop: Strength): void => {
    const transport = transportFor(terms, atNextHop);
    found.set(transportName(transport), transport);
  };
  for (const { terms, atNextHop } of incoming) {
    // The tables do not always hold what the next hop is asked for: then the transport says it.
    for (const given of [atNextHop, DEFAULT_TERMS, weakerStrength(DEFAULT_TERMS, atNextHop)]) {
      add(terms, given);
      for (const other of outgoing) add(mergeDeliveryTerms(terms, other), given);
    }
  }
  for (const terms of outgoing) for (const atNextHop of nextHops) add(terms, atNextHop);
  // Of a next hop that is asked for less than by default the tables may still say so when a domain there asks for more.
  for (const { terms } of incoming) {
    const more = { ...terms, minProtocol: strongerVersion(terms.minProtocol, DEFAULT_TERMS.minProtocol) };
    for (const atNextHop of nextHops)
      if (weakerStrength(DEFAULT_TERMS, atNextHop) !== DEFAULT_TERMS) add(more, atNextHop);
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, transport]) => transport);
}

interface Combinations {
  readonly incoming: readonly { readonly terms: DeliveryTerms; readonly atNextHop: NextHopTerms }[];
  readonly outgoing: readonly DeliveryTerms[];
  /** What a transport counts on there: with tables that hold the domain, and without. */
  readonly nextHops: readonly Strength[];
}

/** What occurs, each once: the one pass over all domains. */
function combinations(settings: Settings): Combinations {
  const incoming = new Map<number, { terms: DeliveryTerms; atNextHop: NextHopTerms }>();
  const outgoing = new Map<number, DeliveryTerms>();
  const nextHops = new Map<number, Strength>();
  const addNextHop = (terms: Strength): void => {
    for (const one of [terms, weakerStrength(DEFAULT_TERMS, terms)]) nextHops.set(codeOfStrength(one), one);
  };
  addNextHop(DEFAULT_TERMS);
  addNextHop(settings.nextHopTerms(settings.relayhost, undefined));
  for (const domain of settings.domains()) {
    const atNextHop = settings.nextHopTerms(domain.nexthop, domain);
    addNextHop(atNextHop);
    if (domain.nexthop === '') for (const alias of domain.aliases) addNextHop(settings.termsAt(alias));
    const asked = enforced(domain.settings.incoming.delivery);
    if (asked !== undefined) {
      incoming.set(codeOfTerms(asked) * 16 + codeOfStrength(atNextHop), { terms: asked, atNextHop });
    }
    const asking = enforced(domain.settings.outgoing.delivery);
    if (asking !== undefined) outgoing.set(codeOfTerms(asking), asking);
  }
  return { incoming: [...incoming.values()], outgoing: [...outgoing.values()], nextHops: [...nextHops.values()] };
}

function enforced(setting: DeliverySetting | undefined): DeliverySetting | undefined {
  return setting?.enforcement === 'enforce' ? setting : undefined;
}

function codeOfStrength({ minProtocol, ciphers }: Strength): number {
  return TLS_VERSIONS.indexOf(minProtocol) * 2 + CIPHER_GRADES.indexOf(ciphers);
}

function codeOfTerms(terms: DeliveryTerms): number {
  return (LEVELS.indexOf(terms.level) * 2 + (terms.onFailure === 'bounce' ? 1 : 0)) * 16 + codeOfStrength(terms);
}

/** The transport that goes by nothing but a level. */
export function plainTransport(level: Level): Transport {
  return { level, minProtocol: undefined, ciphers: undefined, bounce: false };
}
