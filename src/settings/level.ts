/**
 * How strong TLS has to be: Postfix's security levels, protocol versions and cipher grades, each in one order from weak
 * to strong. It only compares; what is asked of whom stands in the settings.
 */

/**
 * Postfix's TLS security levels (TLS_README), weakest first.
 * - encrypt: TLS, with whatever certificate.
 * - fingerprint: TLS, with a certificate of one of the fingerprints given.
 * - dane-only: TLS, authenticated by DANE (RFC 7672), never without.
 * - verify: TLS, with a trusted certificate of the host's name, as the (insecure) DNS tells it.
 * - secure: TLS, with a trusted certificate of the next hop's name.
 */
export const LEVELS = ['encrypt', 'fingerprint', 'dane-only', 'verify', 'secure'] as const;
/** A value of `level`. */
export type Level = (typeof LEVELS)[number];

/** Protocol versions by the names that OpenSSL, and so Postfix, gives them. */
export const TLS_VERSIONS = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const;
/** A value of `min_protocol`; of `protocols` behind `>=`. */
export type TlsVersion = (typeof TLS_VERSIONS)[number];
/** What is asked where the setting says nothing of it. */
export const DEFAULT_VERSION: TlsVersion = 'TLSv1.2';

/** Postfix's cipher grades (smtp_tls_mandatory_ciphers) that are worth compelling. */
export const CIPHER_GRADES = ['medium', 'high'] as const;
/** A value of `ciphers`. */
export type CipherGrade = (typeof CIPHER_GRADES)[number];
/** What is asked where the setting has no `ciphers`. */
export const DEFAULT_GRADE: CipherGrade = 'medium';

function stronger<T>(order: readonly T[], a: T, b: T): T {
  return order.indexOf(a) >= order.indexOf(b) ? a : b;
}

function weaker<T>(order: readonly T[], a: T, b: T): T {
  return stronger(order, a, b) === a ? b : a;
}

/** By the order of {@link LEVELS}. */
export const strongerLevel = (a: Level, b: Level): Level => stronger(LEVELS, a, b);
/** By the order of {@link TLS_VERSIONS}. */
export const strongerVersion = (a: TlsVersion, b: TlsVersion): TlsVersion => stronger(TLS_VERSIONS, a, b);
/** By the order of {@link CIPHER_GRADES}. */
export const strongerGrade = (a: CipherGrade, b: CipherGrade): CipherGrade => stronger(CIPHER_GRADES, a, b);

/** How strong a session has to be, whoever answers. */
export interface Strength {
  readonly minProtocol: TlsVersion;
  readonly ciphers: CipherGrade;
}

/** What either of the two asks for at least: one of the two objects, where that says it all. */
export function weakerStrength(a: Strength, b: Strength): Strength {
  if (a === b) return a;
  const minProtocol = weaker(TLS_VERSIONS, a.minProtocol, b.minProtocol);
  const ciphers = weaker(CIPHER_GRADES, a.ciphers, b.ciphers);
  const weakest = [a, b].find((one) => one.minProtocol === minProtocol && one.ciphers === ciphers);
  return weakest ?? { minProtocol, ciphers };
}

/** Whether `a` is at least as strong as `b`. */
export const levelSatisfies = (a: Level, b: Level): boolean => strongerLevel(a, b) === a;

/**
 * A session's `encryption_protocol` as a number that grows with the version: TLSv1.2 is 1002. SSL, and a name that is
 * none, is 0, which satisfies no minimum; a version newer than those known satisfies all.
 */
export function versionRank(protocol: string): number {
  switch (protocol) {
    case 'TLSv1.3':
      return 1003;
    case 'TLSv1.2':
      return 1002;
    case 'TLSv1.1':
      return 1001;
    case 'TLSv1':
      return 1000;
    default: {
      const match = /^TLSv(\d)(?:\.(\d))?$/u.exec(protocol);
      return match === null ? 0 : Number(match[1]) * 1000 + Number(match[2] ?? 0);
    }
  }
}
