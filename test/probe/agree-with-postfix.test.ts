// The judgement against the judge: for servers of many kinds, a level works by probe just where the Postfix at hand
// delivers by it.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { parseDomain } from '../../src/address/domain-name.ts';
import { readAuthorities } from '../../src/probe/authorities.ts';
import { DnsClient } from '../../src/probe/dns-client.ts';
import { judgeDomain, NOTHING_ELSE } from '../../src/probe/judge.ts';
import { Prober } from '../../src/probe/probe-domain.ts';
import { readCertificate } from '../../src/probe/read-certificate.ts';
import { LEVELS } from '../../src/settings/level.ts';
import { BY_MX } from '../../src/settings/next-hop.ts';
import { Authority, type Certificate, selfSignedCertificate } from '../harness/certificates.ts';
import { run } from '../harness/command.ts';
import { Destination, type DestinationOptions } from '../harness/destination.ts';
import { NameServer } from '../harness/name-server.ts';
import { Postfix } from '../harness/postfix.ts';
import { sendMessage } from '../harness/send-message.ts';
import { Workspace } from '../harness/workspace.ts';

interface Kind {
  readonly name: string;
  readonly options: DestinationOptions;
  readonly tlsa?: readonly string[];
  /** Whose public key level fingerprint asks for; absent: nobody's. */
  readonly pinned?: Certificate;
}

const TIMEOUT_MS = 20_000;

test('a level works by probe just where Postfix delivers by it', { timeout: 120_000 }, async (t) => {
  const workspace = await Workspace.of(t);
  const authority = await Authority.create(workspace);
  const names = await NameServer.start(workspace);
  const ca = await readFile(authority.caFile, 'utf8');
  const anchor = new X509Certificate(ca).fingerprint256.replaceAll(':', '').toLowerCase();
  const issue = (...for_: readonly string[]): Promise<Certificate> => authority.issue(for_);
  const all = await issue('mx.all.example', '*.all.example');
  const host = await issue('mx.host.example');
  const expired = await authority.issueExpired(['mx.expired.example', '*.expired.example']);
  const own = await selfSignedCertificate(workspace, ['mx.own.example', '*.own.example']);
  const old = await issue('mx.old.example', '*.old.example');
  const anchored = await issue('mx.anchored.example');
  const stray = await issue('stray.example');
  // OpenSSL's security level 1, which Postfix asks for where it authenticates, has no use for such a key.
  const toy = await toyCertificate(workspace, 'mx.toy.example');
  const withChain = (certificate: Certificate): Certificate => ({ ...certificate, cert: certificate.cert + ca });
  const kinds: readonly Kind[] = [
    { name: 'all', options: { certificate: all }, pinned: all },
    { name: 'host', options: { certificate: host }, pinned: all },
    { name: 'expired', options: { certificate: expired }, pinned: expired, tlsa: [expired.tlsa] },
    { name: 'own', options: { certificate: own }, pinned: own, tlsa: [`3 1 1 ${'00'.repeat(32)}`] },
    { name: 'old', options: { certificate: old, minVersion: 'TLSv1', maxVersion: 'TLSv1' }, pinned: old },
    { name: 'anchored', options: { certificate: withChain(anchored) }, tlsa: [`2 0 1 ${anchor}`] },
    { name: 'stray', options: { certificate: withChain(stray) }, tlsa: [`2 0 1 ${anchor}`] },
    { name: 'toy', options: { certificate: toy }, pinned: toy, tlsa: [toy.tlsa] },
    { name: 'plain', options: {} },
  ];

  const policies: string[] = [];
  const domains: { readonly domain: string; readonly level: (typeof LEVELS)[number]; readonly kind: Kind }[] = [];
  for (const kind of kinds) {
    const destination = await Destination.start(workspace, { ...kind.options, name: `mx.${kind.name}.example` });
    names.set(`mx.${kind.name}.example`, { a: [destination.address] });
    if (kind.tlsa !== undefined) names.set(`_25._tcp.mx.${kind.name}.example`, { tlsa: kind.tlsa });
    for (const level of LEVELS) {
      const domain = `${level}.${kind.name}.example`;
      names.set(domain, { mx: [`10 mx.${kind.name}.example`] });
      const pin = kind.pinned?.publicKeyFingerprint ?? Array(32).fill('00').join(':');
      const match = level === 'fingerprint' ? ` match=${pin}` : '';
      policies.push(`${domain} ${level} protocols=>=TLSv1${match}`);
      domains.push({ domain, level, kind });
    }
  }

  const postfix = await Postfix.start(workspace, {
    nameServer: names.address,
    parameters: {
      smtp_dns_support_level: 'dnssec',
      smtp_tls_CAfile: authority.caFile,
      smtp_tls_fingerprint_digest: 'sha256',
    },
  });
  await postfix.set({ smtp_tls_policy_maps: await postfix.table('policy', `${policies.join('\n')}\n`) });
  await postfix.reload();
  await sendMessage(postfix, {
    from: 'someone@sender.example',
    to: domains.map(({ domain }) => `user@${domain}`),
    id: 'everywhere',
  });

  const prober = new Prober({
    resolver: new DnsClient([{ address: names.address, port: 53 }], TIMEOUT_MS),
    authorities: await readAuthorities(authority.caFile),
    manners: { helo: 'prober.example', timeoutMs: TIMEOUT_MS },
  });
  let agreed = 0;
  for (const { domain, level, kind } of domains) {
    const name = parseDomain(domain);
    assert.ok(name !== undefined);
    const { hosts, way, verdict } = await prober.probe({
      domain: name,
      owner: undefined,
      nexthop: BY_MX,
      from: 'mx',
      flow: 'incoming',
      setting: undefined,
    });

    const fingerprints = [kind.pinned?.publicKeyFingerprint ?? 'none'];
    const levels =
      level === 'fingerprint' ? judgeDomain(hosts, way, { ...NOTHING_ELSE, fingerprints }).levels : verdict.levels;
    const [line, status] = await postfix.waitForLog(
      new RegExp(`to=<user@${domain.replaceAll('.', '\\.')}>.* status=(\\w+) .*`),
    );
    assert.equal(status, levels?.[level].works ? 'sent' : 'deferred', `${JSON.stringify(levels?.[level])}\n${line}`);
    agreed += 1;
  }
  assert.equal(agreed, kinds.length * LEVELS.length);
});

/** Self-signed, with an RSA key that is far too short. */
async function toyCertificate(workspace: Workspace, name: string): Promise<Certificate> {
  const certificateFile = workspace.path('toy.pem');
  const keyFile = workspace.path('toy.key');
  await run('openssl', [
    ...['req', '-x509', '-newkey', 'rsa:768', '-nodes', '-batch', '-days', '7', '-subj', `/CN=${name}`],
    ...['-addext', `subjectAltName=DNS:${name}`, '-keyout', keyFile, '-out', certificateFile],
  ]);
  const cert = await readFile(certificateFile, 'utf8');
  const { fingerprint, publicKeyFingerprint } = readCertificate(new X509Certificate(cert), undefined);
  return {
    certificateFile,
    keyFile,
    cert,
    key: await readFile(keyFile, 'utf8'),
    certificateFingerprint: fingerprint,
    publicKeyFingerprint,
    tlsa: `3 1 1 ${publicKeyFingerprint.replaceAll(':', '').toLowerCase()}`,
  };
}
