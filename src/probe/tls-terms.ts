/**
 * On what terms Postfix's smtp(8) client shakes hands, said to Node: as it does when it authenticates, as it does at level
 * encrypt, and that for one protocol version alone (tls_client.c and smtp_tls_policy.c of Postfix 3.6 and later).
 */
import { createSecureContext, type SecureContext } from 'node:tls';
import { TLS_VERSIONS, type TlsVersion } from '../settings/level.ts';
import type { Authorities } from './authorities.ts';

/** tls_medium_cipherlist; what the levels exclude, and OpenSSL's security level, come behind it. */
const MEDIUM = 'aNULL:-aNULL:HIGH:MEDIUM:+RC4:@STRENGTH';
/** fingerprint, dane-only, verify, secure: a server without certificate, or with toy keys, is none. */
const AUTHENTICATING = `${MEDIUM}:!aNULL:!eNULL:@SECLEVEL=1`;
/** encrypt: whatever encrypts. */
const ENCRYPTING = `${MEDIUM}:!eNULL:@SECLEVEL=0`;

const OLDEST = TLS_VERSIONS[0];
const NEWEST = TLS_VERSIONS[TLS_VERSIONS.length - 1] ?? OLDEST;

/** Made once a run, for all its sessions. */
export class TlsTerms {
  /** As at levels fingerprint, dane-only, verify and secure. */
  readonly authenticating: SecureContext;
  /** As at level encrypt. */
  readonly encrypting: SecureContext;
  readonly #pinned = new Map<TlsVersion, SecureContext | undefined>();

  constructor(authorities: Authorities) {
    const any = { minVersion: OLDEST, maxVersion: NEWEST } as const;
    this.authenticating = createSecureContext({ ...any, ciphers: AUTHENTICATING, ca: authorities.certificates });
    this.encrypting = createSecureContext({ ...any, ciphers: ENCRYPTING, ca: authorities.certificates });
    for (const version of TLS_VERSIONS) this.#pinned.set(version, pin(version));
  }

  /** One version alone; undefined where this OpenSSL has it no more. */
  pinned(version: TlsVersion): SecureContext | undefined {
    return this.#pinned.get(version);
  }
}

function pin(version: TlsVersion): SecureContext | undefined {
  try {
    return createSecureContext({ minVersion: version, maxVersion: version, ciphers: ENCRYPTING, ca: [] });
  } catch {
    return undefined;
  }
}
