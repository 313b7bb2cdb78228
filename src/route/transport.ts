/**
 * The smtp(8) clients that tlswarden adds to master.cf (contract section 7), by what they compel. A name says all of
 * it, and equal terms have equal names. Nothing here knows who is mailing whom.
 */
import {
  type CipherGrade,
  DEFAULT_GRADE,
  DEFAULT_VERSION,
  type Level,
  levelSatisfies,
  type Strength,
  strongerGrade,
  strongerLevel,
  strongerVersion,
  type TlsVersion,
} from '../settings/level.ts';

/** What a delivery is asked for, all requirements of one sender and recipient together. */
export interface DeliveryTerms extends Strength {
  readonly level: Level;
  /** What becomes of mail that cannot have its TLS. */
  readonly onFailure: 'defer' | 'bounce';
}

/**
 * One transport. `minProtocol` and `ciphers` are present only where the terms ask for more than the next hop's own
 * entry in tls_policy_required gives: an outgoing requirement that raises them, or tables that do not hold them yet.
 */
export interface Transport {
  readonly level: Level;
  readonly minProtocol: TlsVersion | undefined;
  readonly ciphers: CipherGrade | undefined;
  readonly bounce: boolean;
}

/** The strongest of both; a bounce holds before a defer, as a reject does on receipt. */
export function mergeDeliveryTerms(a: DeliveryTerms, b: DeliveryTerms): DeliveryTerms {
  return {
    level: strongerLevel(a.level, b.level),
    minProtocol: strongerVersion(a.minProtocol, b.minProtocol),
    ciphers: strongerGrade(a.ciphers, b.ciphers),
    onFailure: a.onFailure === 'bounce' || b.onFailure === 'bounce' ? 'bounce' : 'defer',
  };
}

/** The transport for these terms at a next hop that is asked for `atNextHop` anyway. */
export function transportFor(terms: DeliveryTerms, atNextHop: Strength): Transport {
  const { minProtocol, ciphers } = atNextHop;
  return {
    level: terms.level,
    minProtocol: strongerVersion(terms.minProtocol, minProtocol) === minProtocol ? undefined : terms.minProtocol,
    ciphers: strongerGrade(terms.ciphers, ciphers) === ciphers ? undefined : terms.ciphers,
    bounce: terms.onFailure === 'bounce',
  };
}

const VERSION_SUFFIX: Readonly<Record<TlsVersion, string>> = {
  TLSv1: '-tls10',
  'TLSv1.1': '-tls11',
  'TLSv1.2': '-tls12',
  'TLSv1.3': '-tls13',
};

/** `encrypt`, `secure-tls13-high`: what its table of next hops is named by. */
export function policyName(transport: Transport): string {
  const version = transport.minProtocol === undefined ? '' : VERSION_SUFFIX[transport.minProtocol];
  const grade = transport.ciphers === undefined ? '' : `-${transport.ciphers}`;
  return `${transport.level}${version}${grade}`;
}

/** `tlswarden-encrypt`, `tlswarden-secure-bounce`: the service name in master.cf. */
export function transportName(transport: Transport): string {
  return `tlswarden-${policyName(transport)}${transport.bounce ? '-bounce' : ''}`;
}

/** Whether whatever this transport delivers at a next hop satisfies the terms there. */
export function transportSatisfies(transport: Transport, terms: DeliveryTerms, atNextHop: Strength): boolean {
  const version = strongerVersion(transport.minProtocol ?? DEFAULT_VERSION, atNextHop.minProtocol);
  const given = transport.minProtocol === undefined ? atNextHop.minProtocol : version;
  const grade = strongerGrade(transport.ciphers ?? DEFAULT_GRADE, atNextHop.ciphers);
  return (
    levelSatisfies(transport.level, terms.level) &&
    strongerVersion(given, terms.minProtocol) === given &&
    strongerGrade(grade, terms.ciphers) === grade
  );
}
