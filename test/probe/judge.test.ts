// The judgement by examples: what was seen on hosts, and which levels work there. Nothing is connected to.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Asked, judgeDomain, NOTHING_ELSE, type Verdicts } from '../../src/probe/judge.ts';
import type { AddressSight, CertificateSeen, HostSeen, VersionSeen, Way } from '../../src/probe/sight.ts';
import { LEVELS, type TlsVersion } from '../../src/settings/level.ts';

const certificate: CertificateSeen = {
  names: ['mx1.example.com'],
  addresses: [],
  commonNames: ['mx1.example.com'],
  issuer: 'Authority',
  notBefore: 0,
  notAfter: 4_000_000_000_000,
  fingerprint: 'AB:CD',
  publicKeyFingerprint: 'EF:01',
  weakKey: undefined,
  distrust: undefined,
};
const works: VersionSeen = { outcome: 'works', cipher: 'CIPHER', bits: 256 };
const fails: VersionSeen = { outcome: 'fails', reason: 'fails' };
const versions = (...working: readonly TlsVersion[]): Readonly<Record<TlsVersion, VersionSeen>> => ({
  'TLSv1.3': working.includes('TLSv1.3') ? works : fails,
  'TLSv1.2': working.includes('TLSv1.2') ? works : fails,
  'TLSv1.1': working.includes('TLSv1.1') ? works : fails,
  TLSv1: working.includes('TLSv1') ? works : fails,
});

type TlsSight = AddressSight & { readonly outcome: 'tls' };
const tls = (change: Partial<CertificateSeen> = {}, more: Partial<TlsSight> = {}): TlsSight => ({
  outcome: 'tls',
  tls: { version: 'TLSv1.3', cipher: 'CIPHER', bits: 256, certificate: { ...certificate, ...change } },
  versions: versions('TLSv1.3', 'TLSv1.2'),
  weakness: undefined,
  ...more,
});
const host = (sight: AddressSight, more: Partial<HostSeen> = {}): HostSeen => ({
  name: 'mx1.example.com',
  preference: 10,
  problem: undefined,
  tlsa: { outcome: 'none' },
  addresses: [{ address: '192.0.2.1', sight, dane: undefined }],
  skipped: 0,
  ...more,
});
const way: Way = { destination: 'example.com', port: 25, mxSecure: true, problem: undefined, skipped: 0 };

const working = (levels: Verdicts | undefined): readonly string[] =>
  LEVELS.filter((level) => levels?.[level].works === true);
const levelsOf = (sight: AddressSight, asked: Asked = NOTHING_ELSE): readonly string[] =>
  working(judgeDomain([host(sight)], way, asked).levels);
const why = (levels: Verdicts | undefined, level: keyof Verdicts): string => {
  const verdict = levels?.[level];
  assert.ok(verdict !== undefined && !verdict.works);
  return verdict.why;
};

describe('which levels would work', () => {
  test('without STARTTLS none', () => {
    const { levels, complete, strongest, minimumVersion } = judgeDomain([host({ outcome: 'plaintext' })], way);
    assert.deepEqual(working(levels), []);
    assert.deepEqual([complete, strongest, minimumVersion], [true, undefined, undefined]);
  });

  test('a trusted certificate of an MX host of another domain works for verify, and not for secure', () => {
    const { levels, strongest } = judgeDomain([host(tls())], { ...way, destination: 'customer.example' });
    assert.deepEqual(working(levels), ['encrypt', 'fingerprint', 'verify']);
    assert.equal(strongest, 'verify');
  });

  test('a self-signed certificate works for encrypt and fingerprint', () => {
    assert.deepEqual(levelsOf(tls({ distrust: 'is self-signed' })), ['encrypt', 'fingerprint']);
  });

  test('an anonymous cipher works for encrypt alone', () => {
    const sight = tls();
    assert.deepEqual(levelsOf({ ...sight, tls: { ...sight.tls, certificate: undefined } }), ['encrypt']);
  });

  test('TLS that is too weak to authenticate by works for encrypt alone', () => {
    assert.deepEqual(levelsOf(tls({}, { weakness: 'fails' })), ['encrypt']);
  });

  test('a certificate with a toy key works for encrypt alone', () => {
    assert.deepEqual(levelsOf(tls({ weakKey: 'has a key of only 768 bits' })), ['encrypt']);
  });

  test('a minimum version that the host does not reach lets nothing work', () => {
    const old = tls({}, { versions: versions('TLSv1.2', 'TLSv1.1') });
    assert.deepEqual(levelsOf(old, { ...NOTHING_ELSE, minProtocol: 'TLSv1.3' }), []);
    assert.deepEqual(levelsOf(old, { ...NOTHING_ELSE, minProtocol: 'TLSv1.2' }), [
      'encrypt',
      'fingerprint',
      'verify',
      'secure',
    ]);
  });

  test('certificate_names take the place of what verify and secure look for', () => {
    const asked = (...certificateNames: readonly string[]): Asked => ({ ...NOTHING_ELSE, certificateNames });
    assert.deepEqual(levelsOf(tls(), asked('hostname')), ['encrypt', 'fingerprint', 'verify', 'secure']);
    assert.deepEqual(levelsOf(tls(), asked('.example.com')), ['encrypt', 'fingerprint', 'verify', 'secure']);
    assert.deepEqual(levelsOf(tls(), asked('other.example')), ['encrypt', 'fingerprint']);
  });

  test('a fingerprint that is asked for may be that of the certificate or of its public key, in either case', () => {
    const asked = (fingerprint: string): Asked => ({ ...NOTHING_ELSE, fingerprints: [fingerprint] });
    assert.ok(levelsOf(tls(), asked('ab:cd')).includes('fingerprint'));
    assert.ok(levelsOf(tls(), asked('ef:01')).includes('fingerprint'));
    assert.ok(!levelsOf(tls(), asked('ff:ff')).includes('fingerprint'));
  });

  test('secure takes the name of the next hop, or one below it', () => {
    const provider: Way = { ...way, destination: 'example.net' };
    const other = host(tls({ names: ['mx.provider.example'] }), { name: 'mx.provider.example' });
    const { levels } = judgeDomain([other], provider);
    assert.equal(
      why(levels, 'secure'),
      'its certificate is for mx.provider.example, not for example.net or .example.net; ' +
        'certificate_names=mx.provider.example would make it work',
    );
    assert.ok(judgeDomain([host(tls())], { ...way, destination: 'mx1.example.com' }).levels?.secure.works);
    assert.ok(judgeDomain([host(tls())], way).levels?.secure.works);
  });

  test('secure has nothing to compare with where the next hop is an address, and verify has the address', () => {
    const byAddress: Way = { ...way, destination: '192.0.2.1', mxSecure: undefined };
    const named = host(tls({ addresses: ['192.0.2.1'] }), { name: '192.0.2.1' });
    assert.deepEqual(working(judgeDomain([named], byAddress).levels), ['encrypt', 'fingerprint', 'verify']);
  });
});

describe('dane-only', () => {
  const found = { outcome: 'found', base: 'mx1.example.com', records: [] } as const;
  const seen = (matches: boolean): HostSeen => {
    const dane = matches ? ({ matches, how: 'TLSA 3 1 1' } as const) : ({ matches: false, why: 'no fit' } as const);
    return host(tls({ distrust: 'is self-signed' }), {
      tlsa: found,
      addresses: [{ address: '192.0.2.1', sight: tls({ distrust: 'is self-signed' }), dane }],
    });
  };

  test('works with a record that fits, whoever issued the certificate', () => {
    assert.deepEqual(working(judgeDomain([seen(true)], way).levels), ['encrypt', 'fingerprint', 'dane-only']);
  });

  test('does not work with a record that does not fit', () => {
    assert.equal(why(judgeDomain([seen(false)], way).levels, 'dane-only'), 'no fit');
  });

  test('does not work by MX records that DNSSEC does not vouch for', () => {
    assert.match(why(judgeDomain([seen(true)], { ...way, mxSecure: false }).levels, 'dane-only'), /MX records of/);
  });

  test('works without MX records where the next hop is a host', () => {
    assert.ok(judgeDomain([seen(true)], { ...way, mxSecure: undefined }).levels?.['dane-only'].works);
  });

  test('does not work without records, nor where they cannot be had', () => {
    const of = (tlsa: HostSeen['tlsa']): string => why(judgeDomain([host(tls(), { tlsa })], way).levels, 'dane-only');
    assert.equal(of({ outcome: 'none' }), 'it has no TLSA records');
    assert.equal(of({ outcome: 'failed', reason: 'SERVFAIL' }), 'its TLSA records cannot be had: SERVFAIL');
    assert.match(of({ outcome: 'insecure' }), /does not vouch/);
  });
});

describe('several hosts', () => {
  const named = (name: string, sight: AddressSight): HostSeen => host(sight, { name });

  test('what works on all of them counts, and the first that cannot is named', () => {
    const weak = tls({ distrust: 'is self-signed', publicKeyFingerprint: 'FF:FF' }, { versions: versions('TLSv1.2') });
    const verdict = judgeDomain([named('mx1.example.com', tls()), named('mx2.example.com', weak)], way);
    assert.deepEqual(working(verdict.levels), ['encrypt', 'fingerprint']);
    assert.equal(why(verdict.levels, 'verify'), 'mx2.example.com: its certificate is self-signed');
    assert.deepEqual(
      [verdict.complete, verdict.strongest, verdict.minimumVersion, verdict.fingerprints],
      [true, 'fingerprint', 'TLSv1.2', ['EF:01', 'FF:FF']],
    );
  });

  test('one in plaintext spoils all', () => {
    const verdict = judgeDomain([named('mx1', tls()), named('mx2', { outcome: 'plaintext' })], way);
    assert.deepEqual(working(verdict.levels), []);
    assert.equal(verdict.minimumVersion, undefined);
  });

  test('one that is not reached leaves the verdict open', () => {
    const gone: AddressSight = { outcome: 'unreachable', reason: 'does not answer', ours: false };
    const verdict = judgeDomain([named('mx1.example.com', tls()), named('mx2.example.com', gone)], way);
    assert.deepEqual([verdict.complete, verdict.unreached], [false, ['mx2.example.com']]);
    assert.equal(verdict.strongest, 'secure');
    assert.equal(judgeDomain([named('mx2', gone)], way).levels, undefined);
  });

  test('an address that is not reached does not count where another of the host is', () => {
    const two = host(tls(), {
      addresses: [
        { address: '2001:db8::1', sight: { outcome: 'unreachable', reason: 'x', ours: true }, dane: undefined },
        { address: '192.0.2.1', sight: tls(), dane: undefined },
      ],
    });
    assert.deepEqual([judgeDomain([two], way).complete, judgeDomain([two], way).strongest], [true, 'secure']);
  });

  test('no host at all is no verdict', () => {
    const verdict = judgeDomain([], { ...way, problem: 'takes no mail' });
    assert.deepEqual([verdict.complete, verdict.levels, verdict.minimumVersion], [false, undefined, undefined]);
  });
});
