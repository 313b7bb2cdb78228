/**
 * Probes whole domains: finds the way, looks at every address, judges. What it gives back is data, for `probe` to word and
 * for whoever wants to know whether a setting would work before it is made. It sends no mail and changes nothing.
 */
import type { DomainName } from '../address/domain-name.ts';
import { LEVELS } from '../settings/level.ts';
import { BY_MX, type NextHop } from '../settings/next-hop.ts';
import type { DeliverySetting, Flow } from '../settings/setting.ts';
import type { Authorities } from './authorities.ts';
import type { Resolver } from './dns-client.ts';
import { findWay, type HostFound } from './find-way.ts';
import { type DomainVerdict, judgeDomain, NOTHING_ELSE, type Verdict } from './judge.ts';
import { Limiter } from './limiter.ts';
import { probeAddress, probeDane } from './probe-address.ts';
import type { AddressSeen, AddressSight, HostSeen, Way } from './sight.ts';
import type { Endpoint, SessionManners } from './smtp-session.ts';
import { type Suggestion, suggest } from './suggest.ts';
import { TlsTerms } from './tls-terms.ts';

/** At how many addresses, and for how many domains, we are at once. */
const MAX_CONNECTIONS = 8;
const MAX_DOMAINS = 8;

/** What is to be probed, and what for. */
export interface ProbeTarget {
  /** The domain that mail is for: a hosted one, an alias, or any other. */
  readonly domain: DomainName;
  /** The hosted domain of which it is the name or an alias, if it is one: under that name settings are made. */
  readonly owner: DomainName | undefined;
  /** {@link BY_MX}: the domain's own MX records. */
  readonly nexthop: NextHop;
  /** Who said where the mail goes. */
  readonly from: 'mx' | 'settings' | 'option' | 'relayhost';
  /** The domain's delivery as it stands, or as it is about to be. */
  readonly setting: DeliverySetting | undefined;
  /** Of which flow that is; incoming delivery is what is suggested. */
  readonly flow: Flow;
}

/** What was seen of one target, and what follows. */
export interface DomainProbe {
  readonly target: ProbeTarget;
  readonly way: Way;
  readonly hosts: readonly HostSeen[];
  /** Of each level by itself. */
  readonly verdict: DomainVerdict;
  /** Whether the target's setting works as it is, with all that it asks for; undefined: no setting, or nothing reached. */
  readonly settingVerdict: Verdict | undefined;
  /** undefined: for outgoing mail, or where no level works. */
  readonly suggestion: Suggestion | undefined;
}

/** What all probes of one run share. */
export interface ProberOptions {
  readonly resolver: Resolver;
  readonly authorities: Authorities;
  readonly manners: SessionManners;
  /** Called when an address has been looked at; `all` grows while names are looked up. */
  progress?(done: number, all: number): void;
}

/** Whether TLS could be required of mail to the domain: every host was reached and can do it. */
export function couldRequire({ verdict }: DomainProbe): boolean {
  return verdict.complete && verdict.levels?.encrypt.works === true;
}

/** With the certificate_names that stand there, unless more works without them. */
function suggestionFor(
  { domain, owner, nexthop, from, setting }: ProbeTarget,
  hosts: readonly HostSeen[],
  way: Way,
  verdict: DomainVerdict,
): Suggestion | undefined {
  const certificateNames = setting?.certificateNames ?? [];
  const named = judgeDomain(hosts, way, { ...NOTHING_ELSE, certificateNames });
  const keepsNames = strengthOf(named) >= strengthOf(verdict);
  return suggest(keepsNames ? named : verdict, {
    domain: owner ?? domain,
    nexthop: from === 'option' ? nexthop : undefined,
    setting,
    keepsNames,
  });
}

const strengthOf = ({ strongest }: DomainVerdict): number => (strongest === undefined ? -1 : LEVELS.indexOf(strongest));

/** One run: addresses that domains share are looked at once. */
export class Prober {
  readonly #options: ProberOptions;
  readonly #terms: TlsTerms;
  readonly #connections = new Limiter(MAX_CONNECTIONS);
  readonly #domains = new Limiter(MAX_DOMAINS);
  #done = 0;
  readonly #sights = new Map<string, Promise<AddressSight>>();

  constructor(options: ProberOptions) {
    this.#options = options;
    this.#terms = new TlsTerms(options.authorities);
  }

  /** Rejects for nothing that servers or the DNS do. Calls may overlap: what is too much at once waits. */
  probe(target: ProbeTarget): Promise<DomainProbe> {
    return this.#domains.run(() => this.#probe(target));
  }

  async #probe(target: ProbeTarget): Promise<DomainProbe> {
    const { domain, nexthop, setting, flow } = target;
    const byMx = domain as string as NextHop;
    const { way, hosts: found } = await findWay(nexthop === BY_MX ? byMx : nexthop, this.#options.resolver);
    const hosts = await Promise.all(found.map((host) => this.#look(host, way)));
    const verdict = judgeDomain(hosts, way);
    return {
      target,
      way,
      hosts,
      verdict,
      settingVerdict: setting === undefined ? undefined : judgeDomain(hosts, way, setting).levels?.[setting.level],
      suggestion: flow === 'incoming' ? suggestionFor(target, hosts, way, verdict) : undefined,
    };
  }

  async #look(host: HostFound, way: Way): Promise<HostSeen> {
    const addresses = await Promise.all(host.addresses.map((address) => this.#lookAt(address, host, way)));
    return { ...host, addresses };
  }

  async #lookAt(address: string, host: HostFound, way: Way): Promise<AddressSeen> {
    const endpoint = { address, port: way.port };
    const sight = await this.#sight(endpoint);
    const { tlsa } = host;
    if (tlsa.outcome !== 'found' || sight.outcome !== 'tls') return { address, sight, dane: undefined };
    const names = way.mxSecure === undefined ? [] : [way.destination];
    const dane = await this.#connections.run(() =>
      probeDane(endpoint, tlsa, names, this.#terms, this.#options.manners),
    );
    return { address, sight, dane };
  }

  #sight(endpoint: Endpoint): Promise<AddressSight> {
    const key = `${endpoint.address} ${endpoint.port}`;
    const known = this.#sights.get(key);
    if (known !== undefined) return known;
    const sight = this.#connections.run(async () => {
      const seen = await probeAddress(endpoint, this.#terms, this.#options.manners);
      this.#done += 1;
      this.#options.progress?.(this.#done, this.#sights.size);
      return seen;
    });
    this.#sights.set(key, sight);
    return sight;
  }
}
