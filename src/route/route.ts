/**
 * Where a delivery requirement has mail go: by which transport, to which next hop. What the tables say of it stands here for
 * those who write them and for those who decide by them. Pure.
 */
import type { HostedDomain } from '../settings/hosted-domain.ts';
import { type Strength, weakerStrength } from '../settings/level.ts';
import type { NextHop } from '../settings/next-hop.ts';
import { DEFAULT_TERMS } from '../settings/next-hop-terms.ts';
import type { Settings } from '../settings/settings.ts';
import { type Transport, transportFor, transportName } from './transport.ts';

/** A transport and the next hop that it is sent to; by MX if that is ''. */
export interface Route {
  readonly transport: Transport;
  readonly nexthop: NextHop;
  /** `tlswarden-encrypt:[mx1.example.com]:25`: equal for equal routes. */
  readonly text: string;
}

/** The route by this transport to this next hop. */
export function makeRoute(transport: Transport, nexthop: NextHop): Route {
  return { transport, nexthop, text: `${transportName(transport)}:${nexthop}` };
}

/** The route that the tables give for a setting of the domain that they go by; undefined: it has no such setting. */
export function staticRoute(
  settings: Settings,
  domain: HostedDomain,
  flow: 'incoming' | 'outgoing',
): Route | undefined {
  const setting = domain.settings[flow].delivery;
  if (setting === undefined) return undefined;
  if (flow === 'incoming') {
    const atNextHop = settings.nextHopTerms(domain.nexthop, domain);
    return makeRoute(transportFor(setting, atNextHop), domain.nexthop);
  }
  return makeRoute(transportFor(setting, atRelayhost(settings)), settings.relayhost);
}

/** What sender_transport counts on at relayhost: no more than the defaults, and less where the domains behind it ask for less. */
export function atRelayhost(settings: Settings): Strength {
  return settings.relayhost === ''
    ? DEFAULT_TERMS
    : weakerStrength(DEFAULT_TERMS, settings.termsAt(settings.relayhost));
}
