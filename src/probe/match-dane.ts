/**
 * Whether a certificate chain satisfies TLSA records as Postfix asks of SMTP servers (RFC 7672 section 3, RFC 7671 section
 * 9 for the strongest digest). Pure: the chain and the moment come as arguments; no record is looked up here.
 */
import { createHash, X509Certificate } from 'node:crypto';
import { nameMatches } from './certificate-name.ts';
import type { TlsaRecord } from './dns-message.ts';
import { readCertificate } from './read-certificate.ts';
import type { DaneMatch } from './sight.ts';

const DANE_TA = 2;
const DANE_EE = 3;
const FULL = 0;
/** Matching types by strength: SHA2-512 before SHA2-256. */
const DIGESTS: readonly (readonly [matching: number, algorithm: string])[] = [
  [2, 'sha512'],
  [1, 'sha256'],
];

/** As a zone file has it (RFC 6698 section 2.2): `3 1 1 ab12…`. */
export const writeTlsa = ({ usage, selector, matching, data }: TlsaRecord): string =>
  `${usage} ${selector} ${matching} ${data}`;

/** The records that mean anything for SMTP: usages 2 and 3 (RFC 7672 section 3.1.3), of the strongest digest each. */
function usableRecords(records: readonly TlsaRecord[]): readonly TlsaRecord[] {
  const known = records.filter(
    ({ usage, selector, matching }) =>
      (usage === DANE_TA || usage === DANE_EE) && selector <= 1 && matching <= DIGESTS.length,
  );
  return known.filter((record) => {
    const alike = known.filter(({ usage, selector }) => usage === record.usage && selector === record.selector);
    const strongest = DIGESTS.find(([matching]) => alike.some((other) => other.matching === matching))?.[0];
    return record.matching === FULL || record.matching === strongest;
  });
}

/** `names` are those that a chain to a trust anchor must carry: TLSA base domain, next hop (RFC 7672 section 3.2.2). */
export function matchDane(
  records: readonly TlsaRecord[],
  chain: readonly Buffer[],
  names: readonly string[],
  now: number,
): DaneMatch {
  const usable = usableRecords(records);
  if (usable.length === 0) return { matches: false, why: 'none of its TLSA records is of a kind that counts for SMTP' };
  const certificates = chain.map((raw) => new X509Certificate(raw));
  const [leaf] = certificates;
  if (leaf === undefined) return { matches: false, why: 'the server shows no certificate' };
  const pinned = usable.find((record) => record.usage === DANE_EE && pins(record, leaf));
  // Of a certificate that is pinned itself neither names nor dates count (RFC 7672 section 3.1.1).
  if (pinned !== undefined) return { matches: true, how: `TLSA ${kindOf(pinned)}` };
  return matchAnchor(usable, certificates, names, now);
}

function matchAnchor(
  usable: readonly TlsaRecord[],
  certificates: readonly X509Certificate[],
  names: readonly string[],
  now: number,
): DaneMatch {
  const anchors = usable.filter((record) => record.usage === DANE_TA);
  for (const [depth, certificate] of certificates.entries()) {
    const issuer = certificates[depth + 1];
    if (Date.parse(certificate.validFrom) > now || Date.parse(certificate.validTo) < now) {
      return { matches: false, why: 'a certificate of its chain has expired or is not valid yet' };
    }
    const anchor =
      anchors.find((record) => depth > 0 && pins(record, certificate)) ??
      anchors.find((record) => isIssuerOf(record, certificate));
    if (anchor !== undefined) {
      const seen = readCertificate(certificates[0] ?? certificate, undefined);
      return names.some((name) => nameMatches(name, seen))
        ? { matches: true, how: `TLSA ${kindOf(anchor)}` }
        : { matches: false, why: `the certificate does not name ${names.join(' or ')}` };
    }
    if (issuer === undefined || !certificate.checkIssued(issuer) || !certificate.verify(issuer.publicKey)) break;
  }
  return { matches: false, why: 'no TLSA record fits the certificate' };
}

/** A trust anchor that stands in the record whole need not be sent by the server. */
function isIssuerOf(record: TlsaRecord, certificate: X509Certificate): boolean {
  if (record.selector !== 0 || record.matching !== FULL) return false;
  try {
    const anchor = new X509Certificate(Buffer.from(record.data, 'hex'));
    return certificate.checkIssued(anchor) && certificate.verify(anchor.publicKey);
  } catch {
    return false;
  }
}

function pins({ selector, matching, data }: TlsaRecord, certificate: X509Certificate): boolean {
  const subject = selector === 0 ? certificate.raw : certificate.publicKey.export({ type: 'spki', format: 'der' });
  const algorithm = DIGESTS.find(([number]) => number === matching)?.[1];
  const value = algorithm === undefined ? subject.toString('hex') : createHash(algorithm).update(subject).digest('hex');
  return value === data;
}

function kindOf({ usage, selector, matching }: TlsaRecord): string {
  return `${usage} ${selector} ${matching}`;
}
