// Names of certificates: ours and OpenSSL's answer are the same.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { nameMatches } from '../../src/probe/certificate-name.ts';
import { readCertificate } from '../../src/probe/read-certificate.ts';
import { Authority } from '../harness/certificates.ts';
import { Workspace } from '../harness/workspace.ts';

const certificates: readonly (readonly string[])[] = [
  ['mx.example.com'],
  ['*.example.com', 'example.org'],
  ['*.com'],
  ['m*.example.com', '*x.example.net'],
  ['*.*.example.com', 'MX.Example.NET'],
  ['192.0.2.1', 'mx.example.com'],
];
const names = [
  ...['mx.example.com', 'MX.example.com', 'a.mx.example.com', 'example.com', '.example.com', '.mx.example.com', '.com'],
  ...['example.org', 'mx.example.net', 'xn--mx-eka.example.com', 'my_host.example.com', '*.example.com', '192.0.2.1'],
];

test('a name matches a certificate just where OpenSSL says so', async (t) => {
  const authority = await Authority.create(await Workspace.of(t));
  for (const written of certificates) {
    const certificate = new X509Certificate((await authority.issue(written)).cert);
    const seen = readCertificate(certificate, undefined);
    for (const name of names) {
      const expected = /^[\d.]+$/u.test(name)
        ? certificate.checkIP(name) !== undefined
        : certificate.checkHost(name, { partialWildcards: false }) !== undefined;
      assert.equal(nameMatches(name, seen), expected, `${name} and a certificate for ${written.join(', ')}`);
    }
  }
});

test('a common name counts only where there is no alternative name', () => {
  const commonNames = ['mx.example.com'];
  assert.ok(nameMatches('mx.example.com', { names: [], addresses: [], commonNames }));
  assert.ok(!nameMatches('mx.example.com', { names: ['other.example.com'], addresses: [], commonNames }));
});
