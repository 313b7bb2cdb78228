/**
 * What the domains of one next hop ask of it together. smtp_tls_policy_maps knows next hops, not domains, so domains that
 * share one share these (contract section 7). Pure; which domains share a next hop settings-owner.ts knows.
 */
import type { HostedDomain } from './hosted-domain.ts';
import { DEFAULT_GRADE, DEFAULT_VERSION, type Strength, strongerGrade, strongerVersion } from './level.ts';
import type { NextHop } from './next-hop.ts';
import type { DeliverySetting } from './setting.ts';

/** What one next hop is asked for besides a level. */
export interface NextHopTerms extends Strength {
  /** Empty: the level's own default. Domains agree only on the same names in the same order. */
  readonly certificateNames: readonly string[];
  readonly fingerprints: readonly string[];
}

/** Of a next hop of which nothing but a level is asked. Terms that equal it are this very object. */
export const DEFAULT_TERMS: NextHopTerms = {
  minProtocol: DEFAULT_VERSION,
  ciphers: DEFAULT_GRADE,
  certificateNames: [],
  fingerprints: [],
};

/** What must be the same for all domains of a next hop that say anything of it. */
export const AGREED = ['certificateNames', 'fingerprints'] as const;
/** A list of which an entry of smtp_tls_policy_maps has room for one. */
export type Agreed = (typeof AGREED)[number];
/** What the settings call them. */
export const AGREED_KEYS: Readonly<Record<Agreed, string>> = {
  certificateNames: 'certificate_names',
  fingerprints: 'fingerprints',
};

/** What one setting of a domain asks of one next hop. */
export interface Share {
  /** The next hop; by MX: the domain's name. */
  readonly key: string;
  readonly path: 'incoming.delivery' | 'outgoing.delivery';
  readonly terms: NextHopTerms;
}

/** Equal settings are one object, and so are their terms. */
const incomingTerms = new WeakMap<DeliverySetting, NextHopTerms>();
const outgoingTerms = new WeakMap<DeliverySetting, NextHopTerms>();

/** What a domain asks of next hops. Requirements under monitor reach no table. */
export function sharesOf(domain: HostedDomain, relayhost: NextHop): readonly Share[] {
  const shares: Share[] = [];
  const incoming = domain.settings.incoming.delivery;
  const outgoing = domain.settings.outgoing.delivery;
  if (incoming?.enforcement === 'enforce') {
    const key = domain.nexthop === '' ? domain.name : domain.nexthop;
    shares.push({ key, path: 'incoming.delivery', terms: termsOf(incoming) });
  }
  if (relayhost !== '' && outgoing?.enforcement === 'enforce' && asksForCertificate(outgoing)) {
    // Of outgoing mail only the certificate is bound to the next hop; versions and ciphers go by transport.
    let terms = outgoingTerms.get(outgoing);
    if (terms === undefined) {
      const { certificateNames, fingerprints } = outgoing;
      terms = { ...DEFAULT_TERMS, certificateNames, fingerprints };
      outgoingTerms.set(outgoing, terms);
    }
    shares.push({ key: relayhost, path: 'outgoing.delivery', terms });
  }
  return shares;
}

function termsOf(setting: DeliverySetting): NextHopTerms {
  let terms = incomingTerms.get(setting);
  if (terms === undefined) {
    const { minProtocol, ciphers, certificateNames, fingerprints } = setting;
    terms = { minProtocol, ciphers, certificateNames, fingerprints };
    if (sameTerms(terms, DEFAULT_TERMS)) terms = DEFAULT_TERMS;
    incomingTerms.set(setting, terms);
  }
  return terms;
}

/** Whether both say something of it, and not the same. */
export function disagree(a: NextHopTerms, b: NextHopTerms, what: Agreed): boolean {
  return a[what].length > 0 && b[what].length > 0 && a[what].join(' ') !== b[what].join(' ');
}

/** What holds where both are asked for: one of the two objects, where that says it all. */
export function mergeTerms(a: NextHopTerms, b: NextHopTerms): NextHopTerms {
  if (a === b) return a;
  const merged: NextHopTerms = {
    minProtocol: strongerVersion(a.minProtocol, b.minProtocol),
    ciphers: strongerGrade(a.ciphers, b.ciphers),
    certificateNames: a.certificateNames.length > 0 ? a.certificateNames : b.certificateNames,
    fingerprints: a.fingerprints.length > 0 ? a.fingerprints : b.fingerprints,
  };
  if (sameTerms(a, merged)) return a;
  return sameTerms(b, merged) ? b : merged;
}

/** Whether an entry of smtp_tls_policy_maps would say the same of both. */
export function sameTerms(a: NextHopTerms, b: NextHopTerms): boolean {
  return (
    a.minProtocol === b.minProtocol &&
    a.ciphers === b.ciphers &&
    a.certificateNames.join(' ') === b.certificateNames.join(' ') &&
    a.fingerprints.join(' ') === b.fingerprints.join(' ')
  );
}

function asksForCertificate(setting: DeliverySetting): boolean {
  return setting.certificateNames.length + setting.fingerprints.length > 0;
}
