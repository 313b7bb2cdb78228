/**
 * What was probed as one JSON document, for programs: its shape is a promise. Absent is null, levels and protocols go by
 * their names in the settings, moments are ISO 8601. Pure.
 */
import { LEVELS, TLS_VERSIONS } from '../settings/level.ts';
import { judgeAddress, judgeHost, NOTHING_ELSE, type Verdict, type Verdicts } from './judge.ts';
import { writeTlsa } from './match-dane.ts';
import { couldRequire, type DomainProbe } from './probe-domain.ts';
import type { AddressSeen, CertificateSeen, HostSeen, TlsaSight, Way } from './sight.ts';
import type { Suggestion } from './suggest.ts';

const DAY_MS = 86_400_000;

/** Whole days until then; negative: it is past. */
export const daysUntil = (moment: number, now: number): number => Math.floor((moment - now) / DAY_MS);

/**
 * `authorities`: in words, whose certificates were trusted. `now`: milliseconds since the epoch, for the days that are
 * left.
 */
export function probeDocument(probes: readonly DomainProbe[], authorities: string, now: number): unknown {
  return { authorities, domains: probes.map((probe) => domainDocument(probe, now)) };
}

function domainDocument(probe: DomainProbe, now: number): unknown {
  const { target, way, hosts, verdict, settingVerdict, suggestion } = probe;
  return {
    domain: target.domain,
    nexthop: target.nexthop === '' ? null : target.nexthop,
    nexthop_from: target.from,
    could_require: couldRequire(probe),
    problem: way.problem ?? null,
    mx_authenticated: way.mxSecure ?? null,
    hosts: hosts.map((host) => hostDocument(host, way, now)),
    hosts_skipped: way.skipped,
    all_hosts: {
      complete: verdict.complete,
      unreached: verdict.unreached,
      levels: levelsDocument(verdict.levels),
      strongest_level: verdict.strongest ?? null,
      minimum_protocol: verdict.minimumVersion ?? null,
    },
    setting:
      target.setting === undefined
        ? null
        : {
            level: target.setting.level,
            ...(settingVerdict === undefined ? UNKNOWN : verdictDocument(settingVerdict)),
          },
    suggestion: suggestion === undefined ? null : suggestionDocument(suggestion),
  };
}

function suggestionDocument({ level, minProtocol, fingerprints, command }: Suggestion): unknown {
  return { level, protocols: minProtocol === undefined ? null : `>=${minProtocol}`, fingerprints, command };
}

function hostDocument(host: HostSeen, way: Way, now: number): unknown {
  return {
    host: host.name,
    preference: host.preference ?? null,
    problem: host.problem ?? null,
    tlsa: tlsaDocument(host.tlsa),
    addresses: host.addresses.map((seen) => addressDocument(seen, host, way, now)),
    addresses_skipped: host.skipped,
    levels: levelsDocument(judgeHost(host, way, NOTHING_ELSE)),
  };
}

function tlsaDocument(tlsa: TlsaSight): unknown {
  return {
    outcome: tlsa.outcome,
    reason: tlsa.outcome === 'failed' ? tlsa.reason : null,
    base: tlsa.outcome === 'found' ? tlsa.base : null,
    records: tlsa.outcome === 'found' ? tlsa.records.map(writeTlsa) : [],
  };
}

function addressDocument(seen: AddressSeen, host: HostSeen, way: Way, now: number): unknown {
  const { address, sight } = seen;
  const reached = sight.outcome !== 'unreachable' && sight.outcome !== 'refused';
  const tls = sight.outcome === 'tls' ? sight.tls : undefined;
  return {
    address,
    port: way.port,
    outcome: sight.outcome,
    reason: 'reason' in sight ? sight.reason : null,
    starttls: reached ? sight.outcome !== 'plaintext' : null,
    protocol: tls?.version ?? null,
    cipher: tls?.cipher ?? null,
    bits: tls?.bits ?? null,
    protocols:
      sight.outcome !== 'tls'
        ? null
        : Object.fromEntries(
            TLS_VERSIONS.toReversed().map((version) => {
              const one = sight.versions[version];
              return [version, { outcome: one.outcome, reason: 'reason' in one ? one.reason : null }];
            }),
          ),
    certificate: tls?.certificate === undefined ? null : certificateDocument(tls.certificate, now),
    levels: levelsDocument(judgeAddress(seen, host, way, NOTHING_ELSE)),
  };
}

function certificateDocument(certificate: CertificateSeen, now: number): unknown {
  return {
    names: certificate.names,
    addresses: certificate.addresses,
    common_names: certificate.commonNames,
    issuer: certificate.issuer,
    trusted: certificate.distrust === undefined,
    distrust: certificate.distrust ?? null,
    weak_key: certificate.weakKey ?? null,
    not_before: isoMoment(certificate.notBefore),
    not_after: isoMoment(certificate.notAfter),
    days_left: Number.isNaN(certificate.notAfter) ? null : daysUntil(certificate.notAfter, now),
    fingerprint: certificate.fingerprint,
    public_key_fingerprint: certificate.publicKeyFingerprint,
  };
}

/** A certificate may give a moment that no calendar has. */
export const isoMoment = (moment: number): string | null =>
  Number.isNaN(moment) ? null : new Date(moment).toISOString();

const UNKNOWN = { works: null, reason: null };

function verdictDocument(verdict: Verdict): { readonly works: boolean; readonly reason: string | null } {
  return { works: verdict.works, reason: verdict.works ? null : verdict.why };
}

function levelsDocument(verdicts: Verdicts | undefined): unknown {
  if (verdicts === undefined) return null;
  return Object.fromEntries(LEVELS.map((level) => [level, verdictDocument(verdicts[level])]));
}
