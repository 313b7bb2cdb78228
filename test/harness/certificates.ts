// Throwaway certificates, made with the openssl program in a folder of the test. Never for anything but tests: keys have
// no passphrase, and the authority lives for days only.

import { createHash, X509Certificate } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './command.ts';
import type { Workspace } from './workspace.ts';

/** A certificate with its key, as files and as what Postfix and DNS say of it. */
export interface Certificate {
  readonly certificateFile: string;
  readonly keyFile: string;
  /** The PEM text of both, as node:tls wants it. */
  readonly cert: string;
  readonly key: string;
  /** SHA-256 of the certificate, as Postfix writes it: `AB:CD:…`. */
  readonly certificateFingerprint: string;
  /** SHA-256 of the public key, as Postfix writes it: `AB:CD:…`. */
  readonly publicKeyFingerprint: string;
  /** Data of a TLSA record that pins this public key: `3 1 1 abcd…`. */
  readonly tlsa: string;
}

/** What {@link Authority.issue} may be told besides the names. */
export interface CertificateOptions {
  /** From when to when it holds, relative to now, in hours. */
  readonly hours?: readonly [from: number, to: number];
}

/** A certificate authority of the test's own. */
export class Authority {
  /** The authority's certificate: a Postfix `CAfile`. */
  readonly caFile: string;
  readonly #directory: string;
  readonly #keyFile: string;
  #issued = 0;

  private constructor(directory: string) {
    this.#directory = directory;
    this.caFile = join(directory, 'ca.pem');
    this.#keyFile = join(directory, 'ca.key');
  }

  /** Makes an authority in the workspace's folder. */
  static async create(workspace: Workspace, name = 'authority'): Promise<Authority> {
    const directory = workspace.path(name);
    await mkdir(directory);
    const authority = new Authority(directory);
    await selfSign(authority.caFile, authority.#keyFile, `Test authority ${name}`, [
      'basicConstraints=critical,CA:TRUE',
      'keyUsage=critical,keyCertSign,cRLSign',
    ]);
    return authority;
  }

  /** Issues a server certificate for host names. */
  async issue(names: readonly string[], options: CertificateOptions = {}): Promise<Certificate> {
    this.#issued += 1;
    const directory = join(this.#directory, String(this.#issued));
    await mkdir(directory);
    const file = (name: string): string => join(directory, name);
    const [from, to] = options.hours ?? [-1, 24];
    await writeFile(
      file('openssl.cnf'),
      [
        '[req]',
        'distinguished_name = subject',
        'prompt = no',
        '[subject]',
        `CN = ${commonName(names)}`,
        '[ca]',
        'default_ca = authority',
        '[authority]',
        `database = ${file('index')}`,
        `new_certs_dir = ${directory}`,
        `certificate = ${this.caFile}`,
        `private_key = ${this.#keyFile}`,
        'rand_serial = yes',
        'default_md = sha256',
        'policy = anything',
        'x509_extensions = server',
        '[anything]',
        'commonName = supplied',
        '[server]',
        'basicConstraints = critical,CA:FALSE',
        'keyUsage = critical,digitalSignature',
        'extendedKeyUsage = serverAuth,clientAuth',
        `subjectAltName = ${alternativeNames(names)}`,
        '',
      ].join('\n'),
    );
    await writeFile(file('index'), '');
    await run('openssl', [
      ...['req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-batch'],
      ...['-config', file('openssl.cnf'), '-keyout', file('key.pem'), '-out', file('request.pem')],
    ]);
    await run('openssl', [
      ...['ca', '-batch', '-notext', '-config', file('openssl.cnf')],
      ...['-startdate', generalizedTime(from), '-enddate', generalizedTime(to)],
      ...['-in', file('request.pem'), '-out', file('certificate.pem')],
    ]);
    return await read(file('certificate.pem'), file('key.pem'));
  }

  /** Issues a certificate that has expired. */
  async issueExpired(names: readonly string[]): Promise<Certificate> {
    return await this.issue(names, { hours: [-48, -24] });
  }
}

/** Makes a certificate that nobody vouches for. */
export async function selfSignedCertificate(
  workspace: Workspace,
  names: readonly string[],
  name = 'self-signed',
): Promise<Certificate> {
  const directory = workspace.path(name);
  await mkdir(directory);
  const certificateFile = join(directory, 'certificate.pem');
  const keyFile = join(directory, 'key.pem');
  await selfSign(certificateFile, keyFile, commonName(names), [`subjectAltName=${alternativeNames(names)}`]);
  return await read(certificateFile, keyFile);
}

async function selfSign(
  certificateFile: string,
  keyFile: string,
  commonName: string,
  extensions: readonly string[],
): Promise<void> {
  await run('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-batch', '-days', '7'],
    ...['-subj', `/CN=${commonName}`, '-keyout', keyFile, '-out', certificateFile],
    ...extensions.flatMap((extension) => ['-addext', extension]),
  ]);
}

async function read(certificateFile: string, keyFile: string): Promise<Certificate> {
  const cert = await readFile(certificateFile, 'utf8');
  const key = await readFile(keyFile, 'utf8');
  const parsed = new X509Certificate(cert);
  const publicKey = createHash('sha256')
    .update(parsed.publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex');
  return {
    certificateFile,
    keyFile,
    cert,
    key,
    certificateFingerprint: parsed.fingerprint256,
    publicKeyFingerprint: (publicKey.match(/../g) ?? []).join(':').toUpperCase(),
    tlsa: `3 1 1 ${publicKey}`,
  };
}

function commonName(names: readonly string[]): string {
  const first = names[0];
  if (first === undefined) {
    throw new Error('a certificate needs a name');
  }
  return first;
}

function alternativeNames(names: readonly string[]): string {
  return names.map((name) => `${/^[0-9.]+$/.test(name) ? 'IP' : 'DNS'}:${name}`).join(',');
}

/** A moment so many hours from now, as `openssl ca` reads it: YYYYMMDDHHMMSSZ. */
function generalizedTime(hours: number): string {
  return new Date(Date.now() + hours * 3_600_000).toISOString().replace(/[-:T]|\.\d+/g, '');
}
