/**
 * Everything that is to be seen at one address: one session on the terms on which Postfix authenticates, another at level
 * encrypt's if that fails, then one for every other protocol version. One connection at a time: a mail server counts them.
 */
import type { TlsVersion } from '../settings/level.ts';
import { matchDane } from './match-dane.ts';
import type { AddressSight, DaneMatch, TlsaSight, VersionSeen } from './sight.ts';
import { type Endpoint, runSession, type SessionManners, type SessionResult } from './smtp-session.ts';
import type { TlsTerms } from './tls-terms.ts';

/** Several connections, one after another. Whatever the server does, it never rejects. */
export async function probeAddress(
  endpoint: Endpoint,
  terms: TlsTerms,
  manners: SessionManners,
): Promise<AddressSight> {
  let result = await runSession(endpoint, { context: terms.authenticating }, manners);
  let weakness: string | undefined;
  if (result.outcome === 'handshake') {
    weakness = result.reason;
    result = await runSession(endpoint, { context: terms.encrypting }, manners);
  }
  switch (result.outcome) {
    case 'tls':
      break;
    case 'handshake':
      return { outcome: 'broken', reason: `offers STARTTLS, but ${result.reason}` };
    default:
      return result;
  }
  const { tls } = result;
  const works: VersionSeen = { outcome: 'works', cipher: tls.cipher, bits: tls.bits };
  const seen = async (version: TlsVersion): Promise<VersionSeen> =>
    version === tls.version ? works : await probeVersion(endpoint, version, terms, manners);
  return {
    outcome: 'tls',
    tls,
    weakness,
    versions: {
      'TLSv1.3': await seen('TLSv1.3'),
      'TLSv1.2': await seen('TLSv1.2'),
      'TLSv1.1': await seen('TLSv1.1'),
      TLSv1: await seen('TLSv1'),
    },
  };
}

async function probeVersion(
  endpoint: Endpoint,
  version: TlsVersion,
  terms: TlsTerms,
  manners: SessionManners,
): Promise<VersionSeen> {
  const context = terms.pinned(version);
  if (context === undefined) return { outcome: 'untested', reason: 'this OpenSSL has it no more' };
  const result = await runSession(endpoint, { context }, manners);
  switch (result.outcome) {
    case 'tls':
      return { outcome: 'works', cipher: result.tls.cipher, bits: result.tls.bits };
    case 'handshake':
      return { outcome: 'fails', reason: result.reason };
    default:
      return { outcome: 'untested', reason: result.outcome === 'plaintext' ? 'offers no STARTTLS now' : result.reason };
  }
}

/**
 * Holds the address against its host's TLSA records, in a session that names the TLSA base domain (RFC 7672 section
 * 8.1). `names` are what a chain to a trust anchor must carry besides.
 */
export async function probeDane(
  endpoint: Endpoint,
  tlsa: TlsaSight & { readonly outcome: 'found' },
  names: readonly string[],
  terms: TlsTerms,
  manners: SessionManners,
): Promise<DaneMatch> {
  const session = { context: terms.authenticating, servername: tlsa.base };
  const result: SessionResult = await runSession(endpoint, session, manners);
  if (result.outcome !== 'tls') {
    const reason = result.outcome === 'plaintext' ? 'offers no STARTTLS now' : result.reason;
    return { matches: false, why: `asked for ${tlsa.base}, the server ${reason}` };
  }
  try {
    return matchDane(tlsa.records, result.chain, [tlsa.base, ...names], Date.now());
  } catch {
    return { matches: false, why: 'its certificates cannot be read' };
  }
}
