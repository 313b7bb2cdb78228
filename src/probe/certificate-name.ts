/**
 * Whether a certificate names what it should, as OpenSSL decides for Postfix (X509_check_host with
 * X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS; RFC 6125 section 6.4). Pure.
 */
import { isIP } from 'node:net';
import type { CertificateSeen } from './sight.ts';

type Names = Pick<CertificateSeen, 'names' | 'addresses' | 'commonNames'>;

/** `wanted` is a host name, an address, or `.domain` for every name below a domain. */
export function nameMatches(wanted: string, certificate: Names): boolean {
  if (isIP(wanted) !== 0) return certificate.addresses.some((address) => sameAddress(address, wanted));
  const name = wanted.toLowerCase();
  return namesOf(certificate).some((pattern) =>
    name.startsWith('.') ? pattern.length > name.length && pattern.endsWith(name) : matchesPattern(pattern, name),
  );
}

/** What counts: the alternative names, or, without any, the common names of old. */
export function namesOf({ names, commonNames }: Names): readonly string[] {
  return names.length > 0 ? names : commonNames;
}

function matchesPattern(pattern: string, name: string): boolean {
  if (pattern === name) return true;
  if (!pattern.startsWith('*.')) return false;
  const rest = pattern.slice(1);
  // A star stands for one whole label, and not for all of a top-level domain.
  if (rest.includes('*') || rest.indexOf('.', 1) < 0 || !name.endsWith(rest)) return false;
  return /^[a-z0-9-]+$/u.test(name.slice(0, name.length - rest.length));
}

function sameAddress(a: string, b: string): boolean {
  return a === b || (isIP(a) === 6 && isIP(b) === 6 && canonical(a) === canonical(b));
}

const canonical = (address: string): string => new URL(`http://[${address}]/`).hostname;
