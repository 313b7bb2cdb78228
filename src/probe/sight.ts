/**
 * What was seen, as data: of one certificate, one TLS session, one address, one host, one domain's way. Made by those who
 * connect, judged by those who do not; nothing here does either. Texts of strangers in it are already printable.
 */
import type { TlsVersion } from '../settings/level.ts';
import type { TlsaRecord } from './dns-message.ts';

/** A server's own certificate, names in lower case. */
export interface CertificateSeen {
  /** dNSName of the subject alternative names (RFC 5280 section 4.2.1.6). */
  readonly names: readonly string[];
  /** iPAddress of them. */
  readonly addresses: readonly string[];
  /** Count only where there is no dNSName. */
  readonly commonNames: readonly string[];
  /** Organisation and name, in one line. */
  readonly issuer: string;
  /** Milliseconds since 1970. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** SHA-256 in Postfix's colon form, of the certificate and of its public key. */
  readonly fingerprint: string;
  readonly publicKeyFingerprint: string;
  /** What is wrong with a key that OpenSSL's security level 1 refuses, half a sentence; undefined: nothing. */
  readonly weakKey: string | undefined;
  /** Why the chain is not trusted, half a sentence; undefined: it is. */
  readonly distrust: string | undefined;
}

/** One TLS session that came about, EHLO in it included. */
export interface TlsSeen {
  /** As OpenSSL names it: `TLSv1.3`. */
  readonly version: string;
  readonly cipher: string;
  /** undefined for a cipher that we do not know. */
  readonly bits: number | undefined;
  /** undefined where the server shows none (an anonymous cipher). */
  readonly certificate: CertificateSeen | undefined;
}

/** Whether one protocol version works; untested where the server or this OpenSSL let nobody find out. */
export type VersionSeen =
  | { readonly outcome: 'works'; readonly cipher: string; readonly bits: number | undefined }
  | { readonly outcome: 'fails' | 'untested'; readonly reason: string };

/** How DANE would judge the session of an address (RFC 7672), where the host has TLSA records. */
export type DaneMatch =
  | { readonly matches: true; readonly how: string }
  | { readonly matches: false; readonly why: string };

/** One address, most far-reaching outcome last. Reasons are sentences without a subject: "does not answer…". */
export type AddressSight =
  /** No connection. `ours`: this machine has no way to addresses of the kind, which is not the host's fault. */
  | { readonly outcome: 'unreachable'; readonly reason: string; readonly ours: boolean }
  /** A connection, but no server that takes mail from us now. */
  | { readonly outcome: 'refused'; readonly reason: string }
  /** No STARTTLS offered. */
  | { readonly outcome: 'plaintext' }
  /** STARTTLS offered, but no TLS comes about. */
  | { readonly outcome: 'broken'; readonly reason: string }
  | {
      readonly outcome: 'tls';
      readonly tls: TlsSeen;
      readonly versions: Readonly<Record<TlsVersion, VersionSeen>>;
      /**
       * Why no session comes about under the terms on which Postfix authenticates (OpenSSL's security level 1, no
       * anonymous ciphers); undefined: one does.
       */
      readonly weakness: string | undefined;
    };

/** What the DNS says about TLSA records of a host and port. */
export type TlsaSight =
  /** The address records are not vouched for by DNSSEC: TLSA records would not count, and are not looked up. */
  | { readonly outcome: 'insecure' }
  | { readonly outcome: 'failed'; readonly reason: string }
  | { readonly outcome: 'none' }
  /** `base` is the name that the records stand for (RFC 7672 section 2.2.3). */
  | { readonly outcome: 'found'; readonly base: string; readonly records: readonly TlsaRecord[] };

/** One address of a host; `address` without brackets. */
export interface AddressSeen {
  readonly address: string;
  readonly sight: AddressSight;
  /** undefined: no TLSA records, or no TLS to hold against them. */
  readonly dane: DaneMatch | undefined;
}

/** One host that takes mail, with all that is known of it. */
export interface HostSeen {
  /** The name by which Postfix knows it: of the MX record or in the brackets. An address for an address literal. */
  readonly name: string;
  /** Of the MX record; undefined: no MX record led here. */
  readonly preference: number | undefined;
  /** Why there are no addresses. */
  readonly problem: string | undefined;
  readonly tlsa: TlsaSight;
  readonly addresses: readonly AddressSeen[];
  /** Addresses beyond those that are probed. */
  readonly skipped: number;
}

/** Where a domain's mail goes. */
export interface Way {
  /** What a certificate of level secure must name: the next hop without brackets and port. */
  readonly destination: string;
  readonly port: number;
  /** Whether DNSSEC vouches for the MX records; undefined: none are asked for, or there are none. */
  readonly mxSecure: boolean | undefined;
  /** Why there is no host to go to. */
  readonly problem: string | undefined;
  /** Hosts beyond those that are probed. */
  readonly skipped: number;
}
