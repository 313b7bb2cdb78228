/**
 * Whose certificates are trusted: a file of PEM certificates, that of the system or one given, as smtp_tls_CAfile would
 * be. It reads that file and nothing else; whether Postfix is told of the same authorities is not for it to say.
 */
import { X509Certificate } from 'node:crypto';
import { constants } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import { rootCertificates } from 'node:tls';

/** Certificates to trust, and where they are from. */
export interface Authorities {
  /** In words: the file, or who brought them. */
  readonly source: string;
  /** PEM, any number of certificates in one text. */
  readonly certificates: string;
}

/** Where Linux distributions and BSDs keep the authorities that they trust, all in one file. */
const DEBIAN_FILE = '/etc/ssl/certs/ca-certificates.crt';
const SYSTEM_FILES = [
  DEBIAN_FILE,
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
  '/usr/local/share/certs/ca-root-nss.crt',
];

const CERTIFICATE = /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]+-----END (?:TRUSTED |X509 )?CERTIFICATE-----/gu;

/** The authorities of a file; throws an Error with a sentence if there are none to be had. */
export async function readAuthorities(file: string): Promise<Authorities> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new Error(`${file} cannot be read: ${error.message}`);
  });
  const certificates = text.match(CERTIFICATE) ?? [];
  if (certificates.length === 0) throw new Error(`${file} holds no certificate in PEM form`);
  for (const certificate of certificates) {
    try {
      new X509Certificate(certificate);
    } catch {
      throw new Error(`${file} holds a certificate that cannot be read`);
    }
  }
  return { source: file, certificates: certificates.join('\n') };
}

/** Where this system keeps them, or, if it has none yet, where Debian would. */
export async function systemAuthoritiesFile(): Promise<string> {
  for (const file of SYSTEM_FILES) {
    const isThere = await access(file, constants.R_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return file;
  }
  return DEBIAN_FILE;
}

/** The system's, or, on a system that has none where they are looked for, those that came with Node. */
export async function systemAuthorities(): Promise<Authorities> {
  for (const file of SYSTEM_FILES) {
    const certificates = (await readFile(file, 'utf8').catch(() => '')).match(CERTIFICATE) ?? [];
    if (certificates.length > 0) return { source: file, certificates: certificates.join('\n') };
  }
  return { source: 'the list that comes with Node.js', certificates: rootCertificates.join('\n') };
}
