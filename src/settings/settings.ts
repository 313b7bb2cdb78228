/**
 * The compiled settings: the one immutable structure that the service, the table writer and explain share. A look-up is
 * one hash look-up, whatever the number of domains. It is built whole by {@link SettingsBuilder} or not at all.
 */
import type { DomainName } from '../address/domain-name.ts';
import type { Complaint } from '../toml/complaint.ts';
import type { HostedDomain } from './hosted-domain.ts';
import {
  type CipherGrade,
  DEFAULT_GRADE,
  DEFAULT_VERSION,
  strongerGrade,
  strongerVersion,
  type TlsVersion,
} from './level.ts';
import type { NextHop } from './next-hop.ts';
import type { DeliverySetting } from './setting.ts';

/**
 * What one next hop is asked for besides a level: smtp_tls_policy_maps knows next hops, not domains, so domains that
 * share one share these (contract section 7).
 */
export interface NextHopTerms {
  readonly minProtocol: TlsVersion;
  readonly ciphers: CipherGrade;
  readonly certificateNames: readonly string[];
  readonly fingerprints: readonly string[];
}

export const DEFAULT_TERMS: NextHopTerms = {
  minProtocol: DEFAULT_VERSION,
  ciphers: DEFAULT_GRADE,
  certificateNames: [],
  fingerprints: [],
};

export class Settings {
  readonly #domains: ReadonlyMap<DomainName, HostedDomain>;
  readonly #terms: ReadonlyMap<string, NextHopTerms>;
  /** Hosted domains, aliases not counted. */
  readonly size: number;
  /** Where outgoing mail goes; '' is by MX. */
  readonly relayhost: NextHop;
  /** Twelve hexadecimal digits and a count: equal for equal table contents. */
  readonly tableDigest: string;

  constructor(
    domains: ReadonlyMap<DomainName, HostedDomain>,
    terms: ReadonlyMap<string, NextHopTerms>,
    size: number,
    relayhost: NextHop,
    tableDigest: string,
  ) {
    this.#domains = domains;
    this.#terms = terms;
    this.size = size;
    this.relayhost = relayhost;
    this.tableDigest = tableDigest;
  }

  /** The hosted domain of this name or alias. */
  find(name: DomainName): HostedDomain | undefined {
    return this.#domains.get(name);
  }

  /** Every hosted domain once, in the order of loading. */
  *domains(): IterableIterator<HostedDomain> {
    for (const [name, domain] of this.#domains) if (name === domain.name) yield domain;
  }

  /** What is asked at this next hop; `domain` counts where the next hop is by MX, and the key so the domain itself. */
  nextHopTerms(nexthop: NextHop, domain: HostedDomain | undefined): NextHopTerms {
    const key = nexthop === '' ? domain?.name : nexthop;
    return (key === undefined ? undefined : this.#terms.get(key)) ?? DEFAULT_TERMS;
  }

  /** The next hops (for by-MX domains: the domain's name) whose terms are not the defaults, sorted. */
  nextHopsWithTerms(): readonly (readonly [key: string, terms: NextHopTerms])[] {
    return [...this.#terms].sort(([a], [b]) => (a < b ? -1 : 1));
  }
}

/** Collects domains into {@link Settings}. One builder, one load; complaints are collected, not thrown. */
export class SettingsBuilder {
  readonly #domains = new Map<DomainName, HostedDomain>();
  readonly #terms = new Map<string, NextHopTerms>();
  /** Who set certificate names or fingerprints at a next hop: the other party of a conflict. */
  readonly #setters = new Map<string, { certificateNames?: HostedDomain; fingerprints?: HostedDomain }>();
  readonly #complaints: Complaint[];
  readonly #relayhost: NextHop;
  #size = 0;
  #digestHigh = 0;
  #digestLow = 0;

  constructor(relayhost: NextHop, complaints: Complaint[]) {
    this.#relayhost = relayhost;
    this.#complaints = complaints;
  }

  add(domain: HostedDomain): void {
    if (!this.#claim(domain, domain.name, undefined)) return;
    for (const alias of domain.aliases) this.#claim(domain, alias, 'aliases');
    this.#size += 1;
    this.#digestHigh = (this.#digestHigh + Math.floor(domain.tableDigest / 0x1000000)) % 0x1000000;
    this.#digestLow = (this.#digestLow + (domain.tableDigest % 0x1000000)) % 0x1000000;
    const { incoming, outgoing } = domain.settings;
    if (incoming.delivery !== undefined) this.#addIncoming(domain, incoming.delivery);
    if (outgoing.delivery !== undefined && this.#relayhost !== '' && asksForCertificate(outgoing.delivery)) {
      // Of outgoing mail only the certificate is bound to the next hop; versions and ciphers go by transport.
      this.#addTerms(this.#relayhost, 'outgoing.delivery', domain, {
        ...DEFAULT_TERMS,
        certificateNames: outgoing.delivery.certificateNames,
        fingerprints: outgoing.delivery.fingerprints,
      });
    }
  }

  /** The settings, or undefined if there was any complaint. */
  finish(): Settings | undefined {
    if (this.#complaints.length > 0) return undefined;
    const hex = (part: number): string => part.toString(16).padStart(6, '0');
    const digest = `${hex(this.#digestHigh)}${hex(this.#digestLow)}-${this.#size}-${this.#relayhost}`;
    return new Settings(this.#domains, this.#terms, this.#size, this.#relayhost, digest);
  }

  #claim(domain: HostedDomain, name: DomainName, key: string | undefined): boolean {
    const other = this.#domains.get(name);
    if (other === undefined) {
      this.#domains.set(name, domain);
      return true;
    }
    const where = `${other.name === name ? '' : `as an alias of ${other.name} `}in ${other.file}`;
    this.#complaints.push({
      file: domain.file,
      domain: domain.name,
      ...(key === undefined ? {} : { key }),
      message: key === undefined ? `stands already ${where}` : `"${name}" stands already ${where}`,
    });
    return false;
  }

  #addIncoming(domain: HostedDomain, setting: DeliverySetting): void {
    if (setting.enforcement === 'monitor') return;
    const key = domain.nexthop === '' ? domain.name : domain.nexthop;
    this.#addTerms(key, 'incoming.delivery', domain, setting);
  }

  #addTerms(key: string, path: string, domain: HostedDomain, terms: NextHopTerms): void {
    const known = this.#terms.get(key) ?? this.#impliedTerms(key, domain);
    const certificateNames = this.#agree(key, path, domain, terms, 'certificateNames', known);
    const fingerprints = this.#agree(key, path, domain, terms, 'fingerprints', known);
    const merged: NextHopTerms = {
      minProtocol: known === undefined ? terms.minProtocol : strongerVersion(known.minProtocol, terms.minProtocol),
      ciphers: known === undefined ? terms.ciphers : strongerGrade(known.ciphers, terms.ciphers),
      certificateNames,
      fingerprints,
    };
    const present = this.#terms.get(key) ?? (key === domain.name ? DEFAULT_TERMS : undefined);
    if (present !== undefined && same(present, merged)) return;
    this.#terms.set(key, merged);
  }

  /** A by-MX domain with nothing but defaults is not in the map; whoever names it as a next hop shares them all the same. */
  #impliedTerms(key: string, domain: HostedDomain): NextHopTerms | undefined {
    const holder = this.#domains.get(key as DomainName);
    if (holder === undefined || holder === domain || holder.nexthop !== '') return undefined;
    const { delivery } = holder.settings.incoming;
    return delivery?.enforcement === 'enforce' ? DEFAULT_TERMS : undefined;
  }

  #agree(
    key: string,
    path: string,
    domain: HostedDomain,
    terms: NextHopTerms,
    what: 'certificateNames' | 'fingerprints',
    known: NextHopTerms | undefined,
  ): readonly string[] {
    const wanted = terms[what];
    const present = known?.[what] ?? [];
    if (wanted.length === 0) return present;
    const setters = this.#setters.get(key) ?? {};
    const other = setters[what];
    if (other !== undefined && present.join(' ') !== wanted.join(' ')) {
      const word = what === 'certificateNames' ? 'certificate_names' : 'fingerprints';
      this.#complaints.push({
        file: domain.file,
        domain: domain.name,
        key: `${path}.${word}`,
        message: `differs from that of ${other.name} in ${other.file}, which has the same next hop ${key}; they must agree`,
      });
      return present;
    }
    this.#setters.set(key, { ...setters, [what]: domain });
    return wanted;
  }
}

/** Requirements under monitor reach no table. */
function asksForCertificate(setting: DeliverySetting): boolean {
  return setting.enforcement === 'enforce' && setting.certificateNames.length + setting.fingerprints.length > 0;
}

function same(a: NextHopTerms, b: NextHopTerms): boolean {
  return (
    a.minProtocol === b.minProtocol &&
    a.ciphers === b.ciphers &&
    a.certificateNames.join(' ') === b.certificateNames.join(' ') &&
    a.fingerprints.join(' ') === b.fingerprints.join(' ')
  );
}
