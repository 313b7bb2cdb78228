/**
 * What was probed in words, for a terminal: a block a domain, in it one for each host and address, then what holds on all
 * of them and the command that would ask for it. Pure; it judges nothing itself.
 */
import { domainToUnicode } from 'node:url';
import { LEVELS, TLS_VERSIONS, type TlsVersion } from '../settings/level.ts';
import { BY_MX } from '../settings/next-hop.ts';
import { printable } from '../text/printable.ts';
import { namesOf } from './certificate-name.ts';
import { judgeAddress, NOTHING_ELSE, type Verdicts } from './judge.ts';
import { daysUntil, isoMoment } from './probe-document.ts';
import type { DomainProbe, ProbeTarget } from './probe-domain.ts';
import type { AddressSeen, CertificateSeen, HostSeen, TlsSeen, VersionSeen, Way } from './sight.ts';

const INDENT = '  ';
const LABEL = 13;
const MAX_NAMES = 8;

/** Many lines, without a newline at the end; `now` in milliseconds since the epoch, for the days that are left. */
export function wordProbe(probe: DomainProbe, now: number): string {
  const { way, hosts } = probe;
  const lines = [wordTarget(probe)];
  for (const host of hosts) lines.push(...wordHost(host, way, now).map((line) => INDENT + line));
  if (way.skipped > 0) lines.push(`${INDENT}(${way.skipped} more MX hosts were not looked at)`);
  lines.push(...wordVerdict(probe).map((line) => (line === '' ? '' : INDENT + line)));
  return lines.join('\n');
}

const WAYS: Readonly<Record<ProbeTarget['from'], string>> = {
  mx: 'its MX records',
  settings: 'the next hop of its settings',
  option: '--nexthop',
  relayhost: 'the relayhost',
};

function wordTarget({ target, way }: DomainProbe): string {
  const { domain, nexthop, from } = target;
  const unicode = domain.includes('xn--') ? domainToUnicode(domain) : domain;
  const name = unicode === domain || unicode === '' ? domain : `${printable(unicode)} (${domain})`;
  if (nexthop !== BY_MX) return `${name}, by ${WAYS[from]} ${nexthop}`;
  return way.mxSecure === undefined ? name : `${name}, by its MX records`;
}

function wordHost(host: HostSeen, way: Way, now: number): readonly string[] {
  const preference = host.preference === undefined ? '' : ` (MX ${host.preference})`;
  if (host.problem !== undefined) return [`${host.name}${preference}: ${host.problem}`];
  const lines = [`${host.name}${preference}`];
  for (const seen of host.addresses) {
    lines.push(...wordAddress(seen, host, way, now).map((line) => INDENT + line));
  }
  if (host.skipped > 0) lines.push(`${INDENT}(${host.skipped} more addresses were not looked at)`);
  return lines;
}

function wordAddress(seen: AddressSeen, host: HostSeen, way: Way, now: number): readonly string[] {
  const { address, sight } = seen;
  const where = way.port === 25 ? address : `${address} port ${way.port}`;
  switch (sight.outcome) {
    case 'unreachable':
    case 'refused':
    case 'broken':
      return [`${where} ${sight.reason}`];
    case 'plaintext':
      return [`${where} offers no STARTTLS`];
    case 'tls': {
      const lines = [
        `${where} offers STARTTLS: ${wordTls(sight.tls)}`,
        row('protocols', wordVersions(sight.versions)),
        ...(sight.tls.certificate === undefined
          ? [row('certificate', 'none')]
          : wordCertificate(sight.tls.certificate, now)),
        row('TLSA', wordTlsa(host)),
        ...wordLevels(judgeAddress(seen, host, way, NOTHING_ELSE)),
      ];
      return lines.map((line, i) => (i === 0 ? line : INDENT + line));
    }
  }
}

const row = (label: string, text: string): string => label.padEnd(LABEL) + text;

function wordTls({ version, cipher, bits }: TlsSeen): string {
  return `${version}, ${cipher}${bits === undefined ? '' : `, ${bits} bits`}`;
}

function wordVersions(versions: Readonly<Record<TlsVersion, VersionSeen>>): string {
  const names = (outcome: VersionSeen['outcome']): string =>
    TLS_VERSIONS.toReversed()
      .filter((version) => versions[version].outcome === outcome)
      .join(' ');
  const [works, fails, untested] = [names('works'), names('fails'), names('untested')];
  return [
    works === '' ? 'none' : works,
    ...(fails === '' ? [] : [`not ${fails}`]),
    ...(untested === '' ? [] : [`not known: ${untested}`]),
  ].join('; ');
}

function wordCertificate(certificate: CertificateSeen, now: number): readonly string[] {
  const names = [...namesOf(certificate), ...certificate.addresses];
  const more = names.length > MAX_NAMES ? ` and ${names.length - MAX_NAMES} more` : '';
  const trust = certificate.distrust === undefined ? 'trusted' : `not trusted: it ${certificate.distrust}`;
  return [
    row('certificate', names.length === 0 ? 'for no name' : `for ${names.slice(0, MAX_NAMES).join(', ')}${more}`),
    row('', `issued by ${certificate.issuer}; ${trust}`),
    row('', wordExpiry(certificate.notAfter, now)),
    row('SHA-256', certificate.fingerprint),
    row('public key', certificate.publicKeyFingerprint),
  ];
}

function wordExpiry(notAfter: number, now: number): string {
  const date = isoMoment(notAfter)?.slice(0, 10);
  if (date === undefined) return 'expires at no moment that can be read';
  const days = daysUntil(notAfter, now);
  const many = (n: number): string => (n === 1 ? '1 day' : `${n} days`);
  return days < 0 ? `expired ${many(-days)} ago (${date})` : `expires in ${many(days)} (${date})`;
}

function wordTlsa({ tlsa }: HostSeen): string {
  switch (tlsa.outcome) {
    case 'insecure':
      return 'not looked for: the resolver does not vouch (DNSSEC) for the address';
    case 'failed':
      return `cannot be had: ${tlsa.reason}`;
    case 'none':
      return 'none';
    case 'found': {
      const records = tlsa.records.map(({ usage, selector, matching }) => `${usage} ${selector} ${matching}`);
      return `${records.slice(0, MAX_NAMES).join(', ')} at ${printable(tlsa.base)}`;
    }
  }
}

function wordLevels(verdicts: Verdicts | undefined): readonly string[] {
  if (verdicts === undefined) return [];
  return LEVELS.map((level) => {
    const verdict = verdicts[level];
    return row(level, verdict.works ? 'works' : `does not work: ${verdict.why}`);
  });
}

function wordVerdict({ target, way, hosts, verdict, settingVerdict, suggestion }: DomainProbe): readonly string[] {
  if (way.problem !== undefined) return [`${way.problem}; nothing was probed.`];
  const { setting } = target;
  const lines: string[] = [];
  if (verdict.levels === undefined) {
    lines.push('No host was reached, so nothing is known of its TLS; to require it would be a guess.');
  } else {
    const seen = verdict.unreached.length === 0 ? 'On all hosts' : 'On the hosts that were reached';
    const versions = verdict.minimumVersion === undefined ? '' : `, ${verdict.minimumVersion} or newer`;
    lines.push(
      verdict.strongest === undefined
        ? `TLS cannot be required: ${verdict.levels.encrypt.works ? '' : verdict.levels.encrypt.why}`
        : `${hosts.length === 1 && verdict.unreached.length === 0 ? 'Strongest that works' : `${seen} works`}: level ${verdict.strongest}${versions}`,
    );
    if (verdict.unreached.length > 0) lines.push(`Not reached, and so not known: ${verdict.unreached.join(', ')}`);
  }
  if (setting !== undefined && settingVerdict !== undefined) {
    lines.push(
      settingVerdict.works
        ? `Its incoming.delivery as it is set, level ${setting.level}, works.`
        : `Its incoming.delivery as it is set, level ${setting.level}, does not work: ${settingVerdict.why}`,
    );
  }
  if (suggestion !== undefined) {
    if (suggestion.level === 'fingerprint') {
      lines.push('The fingerprint is that of the public key, and holds until the key changes.');
    }
    lines.push('', suggestion.command);
  }
  return lines;
}
