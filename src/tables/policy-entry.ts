/**
 * Entries for smtp_tls_policy_maps (postconf(5)): what a next hop is asked for, in Postfix's words. Pure; it knows neither
 * files nor which domain leads to which next hop's entry beyond their shared keys.
 */
import { foldDomain, tableForms } from '../address/domain-name.ts';
import type { Transport } from '../route/transport.ts';
import type { HostedDomain } from '../settings/hosted-domain.ts';
import { DEFAULT_GRADE, DEFAULT_VERSION, type Level, strongerGrade, strongerVersion } from '../settings/level.ts';
import { BY_MX } from '../settings/next-hop.ts';
import { DEFAULT_TERMS, mergeTerms, type NextHopTerms } from '../settings/next-hop-terms.ts';
import type { Settings } from '../settings/settings.ts';

/** `secure match=mx.example.com protocols=>=TLSv1.2 ciphers=medium`: level and terms, nothing left to main.cf. */
export function policyEntry(level: Level, terms: NextHopTerms): string {
  return `${level}${matchAttribute(level, terms)} protocols=>=${terms.minProtocol} ciphers=${terms.ciphers}`;
}

/** smtp(8) refuses to deliver where a match= stands at a level that has no use for it. */
function matchAttribute(level: Level, { certificateNames, fingerprints }: NextHopTerms): string {
  switch (level) {
    case 'verify':
    case 'secure':
      return certificateNames.length === 0 ? '' : ` match=${certificateNames.join(':')}`;
    case 'fingerprint':
      return fingerprints.length === 0 ? '' : ` match=${fingerprints.join('|')}`;
    case 'encrypt':
    case 'dane-only':
      return '';
  }
}

/**
 * The entry of one next hop for one transport, or undefined where the transport's own options say the same. An entry
 * replaces the options whole, so it repeats the level and never falls below what the transport itself raises.
 */
export function requiredEntry(transport: Transport, terms: NextHopTerms): string | undefined {
  const { level, minProtocol, ciphers } = transport;
  const raised: NextHopTerms = {
    ...terms,
    minProtocol: minProtocol === undefined ? terms.minProtocol : strongerVersion(minProtocol, terms.minProtocol),
    ciphers: ciphers === undefined ? terms.ciphers : strongerGrade(ciphers, terms.ciphers),
  };
  const entry = policyEntry(level, raised);
  return entry === policyEntry(level, ownTerms(transport)) ? undefined : entry;
}

/** What the options of a transport ask of every next hop. */
export function ownTerms({ minProtocol, ciphers }: Transport): NextHopTerms {
  return { ...DEFAULT_TERMS, minProtocol: minProtocol ?? DEFAULT_VERSION, ciphers: ciphers ?? DEFAULT_GRADE };
}

/**
 * The terms by the keys that smtp(8) looks up: explicit next hops as they are written; for domains by MX all their names
 * in all their forms, since then the next hop is the recipient's domain. Next hops may have the defaults; keys are sorted.
 */
export function termsByKey(settings: Settings): ReadonlyMap<string, NextHopTerms> {
  const found = new Map<string, NextHopTerms>();
  const add = (key: string, terms: NextHopTerms): void => {
    const other = found.get(key);
    found.set(key, other === undefined ? terms : mergeTerms(other, terms));
  };
  for (const [key, terms] of settings.nextHopsWithTerms()) {
    const holder = settings.find(foldDomain(key));
    if (holder?.nexthop !== BY_MX) add(key, terms);
    else if (holder.name === key) for (const form of tableKeysOf(holder)) add(form, terms);
    // An alias that stands as somebody's next hop: its own domain, by MX, is looked up under the same key.
    else add(key, asksByMx(holder) ? mergeTerms(settings.nextHopTerms(BY_MX, holder), terms) : terms);
  }
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function asksByMx(domain: HostedDomain): boolean {
  return domain.settings.incoming.delivery?.enforcement === 'enforce';
}

function tableKeysOf(domain: HostedDomain): readonly string[] {
  return [domain.name, ...domain.aliases].flatMap(tableForms);
}
