/**
 * From what was seen on the hosts to which levels work there, as Postfix 3.6 and later judges (TLS_README, tls_client.c,
 * smtp_tls_policy.c). Pure: no I/O, no clock. It says what would happen to mail, not what anybody ought to ask for.
 */
import { isIP } from 'node:net';
import { LEVELS, type Level, TLS_VERSIONS, type TlsVersion, versionRank } from '../settings/level.ts';
import { nameMatches, namesOf } from './certificate-name.ts';
import type { AddressSeen, AddressSight, CertificateSeen, HostSeen, Way } from './sight.ts';

/** `why` goes on from "does not work: ", and has no full stop. */
export type Verdict = { readonly works: true } | { readonly works: false; readonly why: string };
/** One for each level. */
export type Verdicts = Readonly<Record<Level, Verdict>>;

/** What a setting asks for besides the level. */
export interface Asked {
  /** The oldest version that would be allowed. */
  readonly minProtocol: TlsVersion;
  /** Empty: the level's own default. */
  readonly certificateNames: readonly string[];
  /** Empty: whichever was seen would be the one that is asked for. */
  readonly fingerprints: readonly string[];
}

/** A level by itself, whichever version it comes with. */
export const NOTHING_ELSE: Asked = { minProtocol: TLS_VERSIONS[0], certificateNames: [], fingerprints: [] };

/** The hosts of a domain taken together. */
export interface DomainVerdict {
  /** Every host was reached, and there is one. */
  readonly complete: boolean;
  /** Hosts that were not reached: what they would say is not known. */
  readonly unreached: readonly string[];
  /** What works on all hosts that were reached, or the first of them where it does not; undefined: none was reached. */
  readonly levels: Verdicts | undefined;
  /** Of those that work on all hosts that were reached; undefined: none does. */
  readonly strongest: Level | undefined;
  /** The newest version that every host has, or surpasses; undefined: one has no TLS. */
  readonly minimumVersion: TlsVersion | undefined;
  /** Of the public keys that were seen: what level fingerprint would be told. */
  readonly fingerprints: readonly string[];
}

const YES: Verdict = { works: true };
const no = (why: string): Verdict => ({ works: false, why });
const eachLevel = (of: (level: Level) => Verdict): Verdicts => ({
  encrypt: of('encrypt'),
  fingerprint: of('fingerprint'),
  'dane-only': of('dane-only'),
  verify: of('verify'),
  secure: of('secure'),
});
const everyLevel = (verdict: Verdict): Verdicts => eachLevel(() => verdict);

/** undefined: the address was not reached, so nothing is known. */
export function judgeAddress(seen: AddressSeen, host: HostSeen, way: Way, asked: Asked): Verdicts | undefined {
  const { sight } = seen;
  switch (sight.outcome) {
    case 'unreachable':
    case 'refused':
      return undefined;
    case 'plaintext':
      return everyLevel(no('it offers no STARTTLS'));
    case 'broken':
      return everyLevel(no(`it ${sight.reason}`));
    case 'tls':
      return judgeTls(sight, seen, host, way, asked);
  }
}

/** What holds on every address of the host that was reached; undefined: none was. */
export function judgeHost(host: HostSeen, way: Way, asked: Asked): Verdicts | undefined {
  return merge(host.addresses.map((seen) => ({ where: seen.address, verdicts: judgeAddress(seen, host, way, asked) })));
}

/** `asked` holds for all levels; without it each level is judged by itself. */
export function judgeDomain(hosts: readonly HostSeen[], way: Way, asked: Asked = NOTHING_ELSE): DomainVerdict {
  const judged = hosts.map((host) => ({ where: host.name, verdicts: judgeHost(host, way, asked) }));
  const unreached = judged.filter(({ verdicts }) => verdicts === undefined).map(({ where }) => where);
  const levels = merge(judged);
  const sights = hosts.flatMap(({ addresses }) => addresses).map(({ sight }) => sight);
  return {
    complete: way.problem === undefined && hosts.length > 0 && unreached.length === 0,
    unreached,
    levels,
    strongest: levels === undefined ? undefined : LEVELS.findLast((level) => levels[level].works),
    minimumVersion: minimumVersion(sights),
    fingerprints: [...new Set(sights.flatMap((sight) => certificateOf(sight)?.publicKeyFingerprint ?? []))],
  };
}

function judgeTls(
  sight: AddressSight & { readonly outcome: 'tls' },
  seen: AddressSeen,
  host: HostSeen,
  way: Way,
  asked: Asked,
): Verdicts {
  const newest = newestVersion(sight);
  if (newest === undefined || versionRank(newest) < versionRank(asked.minProtocol)) {
    return everyLevel(no(`it speaks ${newest ?? sight.tls.version} at most, and ${asked.minProtocol} is asked for`));
  }
  const { certificate } = sight.tls;
  if (certificate === undefined) return { ...everyLevel(no('it shows no certificate')), encrypt: YES };
  if (sight.weakness !== undefined) {
    const why = `its TLS is too weak to authenticate it: on Postfix's terms for that it ${sight.weakness}`;
    return { ...everyLevel(no(why)), encrypt: YES };
  }
  if (certificate.weakKey !== undefined) {
    return { ...everyLevel(no(`its certificate ${certificate.weakKey}`)), encrypt: YES };
  }
  return {
    encrypt: YES,
    fingerprint: judgeFingerprint(certificate, asked.fingerprints),
    'dane-only': judgeDane(seen, host, way),
    verify: judgeNames('verify', certificate, host, way, asked.certificateNames),
    secure: judgeNames('secure', certificate, host, way, asked.certificateNames),
  };
}

/** Neither names nor dates of the certificate count (postconf(5), smtp_tls_fingerprint_cert_match). */
function judgeFingerprint(certificate: CertificateSeen, fingerprints: readonly string[]): Verdict {
  if (fingerprints.length === 0) return YES;
  const own = [certificate.fingerprint, certificate.publicKeyFingerprint].map((text) => text.toLowerCase());
  return fingerprints.some((text) => own.includes(text.toLowerCase()))
    ? YES
    : no('neither its certificate nor its public key has a fingerprint that is asked for');
}

/** RFC 7672: MX records, addresses and TLSA records all vouched for by DNSSEC, and a certificate that fits. */
function judgeDane(seen: AddressSeen, { tlsa }: HostSeen, way: Way): Verdict {
  if (way.mxSecure === false)
    return no(`the resolver does not vouch (DNSSEC) for the MX records of ${way.destination}`);
  switch (tlsa.outcome) {
    case 'insecure':
      return no('the resolver does not vouch (DNSSEC) for its address');
    case 'failed':
      return no(`its TLSA records cannot be had: ${tlsa.reason}`);
    case 'none':
      return no('it has no TLSA records');
    case 'found':
      if (seen.dane === undefined) return no('its TLSA records were not held against its certificate');
      return seen.dane.matches ? YES : no(seen.dane.why);
  }
}

function judgeNames(
  level: 'verify' | 'secure',
  certificate: CertificateSeen,
  host: HostSeen,
  way: Way,
  certificateNames: readonly string[],
): Verdict {
  if (certificate.distrust !== undefined) return no(`its certificate ${certificate.distrust}`);
  const { destination } = way;
  if (level === 'secure' && certificateNames.length === 0 && isIP(destination) !== 0) {
    return no('its next hop is an address, and level secure wants a name: say certificate_names');
  }
  const defaults = level === 'verify' ? ['hostname'] : ['nexthop', 'dot-nexthop'];
  const wanted = (certificateNames.length > 0 ? certificateNames : defaults).map((name) => {
    if (name === 'hostname') return host.name;
    if (name === 'nexthop') return destination;
    return name === 'dot-nexthop' ? `.${destination}` : name;
  });
  if (wanted.some((name) => nameMatches(name, certificate))) return YES;
  const missing = `its certificate is for ${wordNames(certificate)}, not for ${wanted.join(' or ')}`;
  // A name that does not come from the DNS is as good as the next hop's.
  const wouldDo = level === 'secure' && certificateNames.length === 0 && nameMatches(host.name, certificate);
  return no(wouldDo ? `${missing}; certificate_names=${host.name} would make it work` : missing);
}

function wordNames(certificate: CertificateSeen): string {
  const names = [...namesOf(certificate), ...certificate.addresses];
  if (names.length === 0) return 'no name';
  return names.length > 4 ? `${names.slice(0, 4).join(', ')} and ${names.length - 4} more` : names.join(', ');
}

function newestVersion(sight: AddressSight): TlsVersion | undefined {
  if (sight.outcome !== 'tls') return undefined;
  return TLS_VERSIONS.findLast((version) => sight.versions[version].outcome === 'works');
}

function minimumVersion(sights: readonly AddressSight[]): TlsVersion | undefined {
  const reached = sights.filter(({ outcome }) => outcome !== 'unreachable' && outcome !== 'refused');
  const newest = reached.map(newestVersion);
  const worst = Math.min(...newest.map((version) => (version === undefined ? -1 : TLS_VERSIONS.indexOf(version))));
  return TLS_VERSIONS[worst];
}

const certificateOf = (sight: AddressSight): CertificateSeen | undefined =>
  sight.outcome === 'tls' ? sight.tls.certificate : undefined;

/** All have to agree: of several the first that fails, with its place where there are several. */
function merge(
  parts: readonly { readonly where: string; readonly verdicts: Verdicts | undefined }[],
): Verdicts | undefined {
  const known = parts.flatMap(({ where, verdicts }) => (verdicts === undefined ? [] : [{ where, verdicts }]));
  if (known.length === 0) return undefined;
  return eachLevel((level) => {
    for (const { where, verdicts } of known) {
      const verdict = verdicts[level];
      if (!verdict.works) return parts.length === 1 ? verdict : no(`${where}: ${verdict.why}`);
    }
    return YES;
  });
}
