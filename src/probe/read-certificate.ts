/**
 * From what OpenSSL holds of the server's certificate to what was seen of it. No I/O, no judgement but OpenSSL's own on
 * the chain, put into words.
 */
import { createHash, type KeyObject, type X509Certificate } from 'node:crypto';
import { printable } from '../text/printable.ts';
import type { CertificateSeen } from './sight.ts';

const MAX_NAMES = 1000;

/** `verifyError` is OpenSSL's verdict on the chain, by Node's name for it; undefined: trusted. */
export function readCertificate(certificate: X509Certificate, verifyError: string | undefined): CertificateSeen {
  const alternatives = splitAlternatives(certificate.subjectAltName ?? '');
  const publicKey = certificate.publicKey.export({ type: 'spki', format: 'der' });
  return {
    names: alternatives.filter(([kind]) => kind === 'DNS').map(([, name]) => name.toLowerCase()),
    addresses: alternatives.filter(([kind]) => kind === 'IP Address').map(([, address]) => address.toLowerCase()),
    commonNames: attributes(certificate.subject, ['CN']).map((name) => name.toLowerCase()),
    issuer: attributes(certificate.issuer, ['O', 'CN']).join(', ') || printable(certificate.issuer),
    notBefore: Date.parse(certificate.validFrom),
    notAfter: Date.parse(certificate.validTo),
    fingerprint: certificate.fingerprint256,
    publicKeyFingerprint: colonForm(createHash('sha256').update(publicKey).digest('hex')),
    weakKey: weakKey(certificate.publicKey),
    distrust: verifyError === undefined ? undefined : wordVerifyError(verifyError),
  };
}

/** 80 bits of security, as OpenSSL counts them (SSL_CTX_set_security_level(3)). */
const LEAST_MODULUS = 1024;
const WEAK_CURVES = /^(?:secp1[0-5]\d|sect1[0-5]\d|prime1[0-5]\d)/u;

function weakKey(key: KeyObject): string | undefined {
  const { modulusLength, namedCurve } = key.asymmetricKeyDetails ?? {};
  if (modulusLength !== undefined && modulusLength < LEAST_MODULUS) return `has a key of only ${modulusLength} bits`;
  if (namedCurve !== undefined && WEAK_CURVES.test(namedCurve)) return `has a key on the weak curve ${namedCurve}`;
  return undefined;
}

/** Postfix's form of a digest: `AB:CD:…`. */
function colonForm(hex: string): string {
  return (hex.toUpperCase().match(/../gu) ?? []).join(':');
}

/**
 * Node writes alternative names as `DNS:a, IP Address:b`, and with quotes those that hold a comma or worse: no host has
 * such a name, so they are left out.
 */
function splitAlternatives(text: string): readonly (readonly [kind: string, value: string])[] {
  return [...text.matchAll(/(?:^|, )(DNS|IP Address):(?!")([^,]+)/gu)]
    .slice(0, MAX_NAMES)
    .map(([, kind = '', value = '']) => [kind, printable(value)] as const);
}

/** Node writes distinguished names as lines `CN=…`. */
function attributes(distinguishedName: string, keys: readonly string[]): readonly string[] {
  const lines = distinguishedName.split('\n').map((line) => {
    const at = line.indexOf('=');
    return [line.slice(0, at), line.slice(at + 1)] as const;
  });
  return keys.flatMap((key) => lines.filter(([name]) => name === key).map(([, value]) => printable(value)));
}

/** OpenSSL's verdict in the words of a sentence that begins with "the certificate". */
function wordVerifyError(code: string): string {
  switch (code) {
    case 'CERT_HAS_EXPIRED':
      return 'has expired, or one in its chain has';
    case 'CERT_NOT_YET_VALID':
      return 'is not valid yet, or one in its chain is not';
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
      return 'is self-signed';
    case 'SELF_SIGNED_CERT_IN_CHAIN':
      return 'has a chain to an authority that is not trusted';
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
      return 'is of no trusted authority, or the server does not send the certificates in between';
    case 'INVALID_PURPOSE':
      return 'is not for servers';
    case 'CERT_REVOKED':
      return 'is revoked';
    default:
      return `is not trusted (${printable(code).toLowerCase().replaceAll('_', ' ')})`;
  }
}
