// Domains probed for real: name server, mail servers and TLS on loopback.

import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { type DomainName, parseDomain } from '../../src/address/domain-name.ts';
import { readAuthorities } from '../../src/probe/authorities.ts';
import { DnsClient } from '../../src/probe/dns-client.ts';
import type { Verdict } from '../../src/probe/judge.ts';
import { couldRequire, type DomainProbe, Prober, type ProbeTarget } from '../../src/probe/probe-domain.ts';
import type { AddressSight, HostSeen } from '../../src/probe/sight.ts';
import { LEVELS, type Level } from '../../src/settings/level.ts';
import { BY_MX, parseNextHop } from '../../src/settings/next-hop.ts';
import { compile } from '../decision/core.ts';
import { Authority, type Certificate, selfSignedCertificate } from '../harness/certificates.ts';
import { Destination } from '../harness/destination.ts';
import { onFreeLoopbackAddress } from '../harness/loopback.ts';
import { NameServer } from '../harness/name-server.ts';
import { Workspace } from '../harness/workspace.ts';
import { scripted, startScriptedServer, upgrading } from './scripted-server.ts';

/** Long enough for a busy machine; short, for a server that is meant to hang. */
const PATIENT_MS = 20_000;
const IMPATIENT_MS = 1_000;

/** A test's own internet: one authority, one name server. */
class Internet {
  readonly workspace: Workspace;
  readonly authority: Authority;
  readonly names: NameServer;

  private constructor(workspace: Workspace, authority: Authority, names: NameServer) {
    this.workspace = workspace;
    this.authority = authority;
    this.names = names;
  }

  static async of(t: TestContext): Promise<Internet> {
    const workspace = await Workspace.of(t);
    return new Internet(workspace, await Authority.create(workspace), await NameServer.start(workspace));
  }

  /** example.com has these hosts, mx1.example.com and so on, in this order. */
  hosts(...addresses: readonly string[]): void {
    this.names.set('example.com', { mx: addresses.map((_, i) => `${(i + 1) * 10} mx${i + 1}.example.com`) });
    for (const [i, address] of addresses.entries()) this.names.set(`mx${i + 1}.example.com`, { a: [address] });
  }

  async serve(certificate: Certificate | undefined, options: Partial<Parameters<typeof Destination.start>[1]> = {}) {
    return await Destination.start(this.workspace, {
      ...options,
      ...(certificate === undefined ? {} : { certificate }),
    });
  }

  async prober(timeoutMs = PATIENT_MS): Promise<Prober> {
    return new Prober({
      resolver: new DnsClient([{ address: this.names.address, port: 53 }], PATIENT_MS),
      authorities: await readAuthorities(this.authority.caFile),
      manners: { helo: 'prober.example', timeoutMs },
    });
  }

  async probe(target: Partial<ProbeTarget> = {}, timeoutMs = PATIENT_MS): Promise<DomainProbe> {
    return await (await this.prober(timeoutMs)).probe({ ...byMx('example.com'), ...target });
  }
}

function byMx(text: string): ProbeTarget {
  return { domain: name(text), owner: undefined, nexthop: BY_MX, from: 'mx', setting: undefined, flow: 'incoming' };
}

function name(text: string): DomainName {
  const domain = parseDomain(text);
  assert.ok(domain !== undefined);
  return domain;
}

const nextHop = (text: string): Pick<ProbeTarget, 'nexthop' | 'from'> => {
  const nexthop = parseNextHop(text);
  assert.ok(nexthop !== undefined);
  return { nexthop, from: 'option' };
};

const working = ({ verdict }: DomainProbe): readonly Level[] =>
  LEVELS.filter((level) => verdict.levels?.[level].works === true);

function whyNot({ verdict }: DomainProbe, level: Level): string {
  const found: Verdict | undefined = verdict.levels?.[level];
  assert.ok(found !== undefined && !found.works, `${level} works`);
  return found.why;
}

function onlyHost({ hosts }: DomainProbe): HostSeen {
  assert.equal(hosts.length, 1);
  return hosts[0] as HostSeen;
}

const onlySight = (probe: DomainProbe): AddressSight => onlyHost(probe).addresses[0]?.sight as AddressSight;

function reasonOf(sight: AddressSight): string {
  assert.ok('reason' in sight, sight.outcome);
  return sight.reason;
}

describe('one host', () => {
  test('with a good certificate is seen whole, and gets no mail', async (t) => {
    const net = await Internet.of(t);
    const certificate = await net.authority.issue(['mx1.example.com', 'example.com']);
    const server = await net.serve(certificate);
    net.hosts(server.address);
    const probe = await net.probe();
    const sight = onlySight(probe);
    assert.ok(sight.outcome === 'tls');
    assert.equal(sight.tls.version, 'TLSv1.3');
    assert.equal(sight.tls.bits, 256);
    assert.deepEqual(
      Object.values(sight.versions).map(({ outcome }) => outcome),
      ['works', 'works', 'fails', 'fails'],
    );
    const { certificate: seen } = sight.tls;
    assert.deepEqual(seen?.names, ['mx1.example.com', 'example.com']);
    assert.equal(seen?.issuer, 'Test authority authority');
    assert.equal(seen?.fingerprint, certificate.certificateFingerprint);
    assert.equal(seen?.publicKeyFingerprint, certificate.publicKeyFingerprint);
    assert.equal(seen?.distrust, undefined);
    assert.deepEqual(working(probe), ['encrypt', 'fingerprint', 'verify', 'secure']);
    assert.ok(couldRequire(probe));
    assert.equal(
      probe.suggestion?.command,
      'tlswarden domains set example.com incoming.delivery require_tls=always level=secure',
    );
    assert.deepEqual(server.messages, []);
  });

  test('keeps the certificate names that are asked for where they fit, and else is to be asked for without', async (t) => {
    const net = await Internet.of(t);
    net.hosts((await net.serve(await net.authority.issue(['mx1.example.com']))).address);
    const suggested = async (name: string): Promise<string | undefined> => {
      const delivery = { require_tls: 'always', level: 'secure', certificate_names: [name] } as const;
      const domain = compile({ domains: { 'example.com': { incoming: { delivery } } } }).settings.find(
        'example.com' as DomainName,
      );
      const setting = domain?.settings.incoming.delivery;
      return (await net.probe({ setting })).suggestion?.command;
    };
    const command = 'tlswarden domains set example.com incoming.delivery require_tls=always';
    assert.equal(await suggested('mx1.example.com'), `${command} level=secure`);
    assert.equal(await suggested('old.example'), `${command} level=secure certificate_names=`);
  });

  test('without STARTTLS lets no level work', async (t) => {
    const net = await Internet.of(t);
    net.hosts((await net.serve(undefined)).address);
    const probe = await net.probe();
    assert.equal(onlySight(probe).outcome, 'plaintext');
    assert.deepEqual(working(probe), []);
    assert.equal(whyNot(probe, 'encrypt'), 'it offers no STARTTLS');
    assert.ok(!couldRequire(probe));
    assert.equal(probe.suggestion, undefined);
  });

  test('with an expired certificate works for encrypt and fingerprint', async (t) => {
    const net = await Internet.of(t);
    const certificate = await net.authority.issueExpired(['mx1.example.com']);
    net.hosts((await net.serve(certificate)).address);
    const probe = await net.probe();
    assert.deepEqual(working(probe), ['encrypt', 'fingerprint']);
    assert.match(whyNot(probe, 'verify'), /^its certificate has expired/);
    assert.equal(
      probe.suggestion?.command,
      'tlswarden domains set example.com incoming.delivery require_tls=always level=fingerprint ' +
        `fingerprints=${certificate.publicKeyFingerprint}`,
    );
  });

  test('with a certificate of another name works for encrypt and fingerprint', async (t) => {
    const net = await Internet.of(t);
    net.hosts((await net.serve(await net.authority.issue(['other.example']))).address);
    const probe = await net.probe();
    assert.deepEqual(working(probe), ['encrypt', 'fingerprint']);
    assert.equal(whyNot(probe, 'verify'), 'its certificate is for other.example, not for mx1.example.com');
  });

  test('with a self-signed certificate works for encrypt and fingerprint', async (t) => {
    const net = await Internet.of(t);
    net.hosts((await net.serve(await selfSignedCertificate(net.workspace, ['mx1.example.com']))).address);
    const probe = await net.probe();
    assert.deepEqual(working(probe), ['encrypt', 'fingerprint']);
    assert.equal(whyNot(probe, 'secure'), 'its certificate is self-signed');
  });

  test('of TLSv1.2 only is asked for no more than that', async (t) => {
    const net = await Internet.of(t);
    const certificate = await net.authority.issue(['mx1.example.com']);
    net.hosts((await net.serve(certificate, { maxVersion: 'TLSv1.2' })).address);
    const probe = await net.probe();
    const sight = onlySight(probe);
    assert.ok(sight.outcome === 'tls');
    assert.deepEqual([sight.tls.version, sight.versions['TLSv1.3'].outcome], ['TLSv1.2', 'fails']);
    assert.equal(probe.verdict.minimumVersion, 'TLSv1.2');
    assert.equal(probe.suggestion?.minProtocol, undefined);
  });

  test('of TLSv1 only works for encrypt, with a minimum that says so', async (t) => {
    const net = await Internet.of(t);
    const certificate = await net.authority.issue(['mx1.example.com']);
    net.hosts((await net.serve(certificate, { minVersion: 'TLSv1', maxVersion: 'TLSv1' })).address);
    const probe = await net.probe();
    assert.deepEqual(working(probe), ['encrypt']);
    assert.match(whyNot(probe, 'verify'), /too weak to authenticate/);
    assert.equal(
      probe.suggestion?.command,
      "tlswarden domains set example.com incoming.delivery require_tls=always level=encrypt 'protocols=>=TLSv1'",
    );
  });
});

describe('a server that', () => {
  const wayward: readonly (readonly [
    what: string,
    serve: (socket: Socket) => void,
    outcome: string,
    reason: RegExp,
  ])[] = [
    ['says nothing after the connection', () => {}, 'refused', /^says nothing within .* after the connection$/],
    ['closes the connection at once', (socket) => socket.destroy(), 'refused', /^closes the connection$/],
    [
      'turns us away',
      scripted({ connect: '554 no\u001b[2J mail\r\n' }),
      'refused',
      /^greets with "554 no\\x1b\[2J mail"$/,
    ],
    ['sends garbage', scripted({ connect: '\u0000\u0001\u001b]0;x\u0007\r\n' }), 'refused', /which is no SMTP reply$/],
    [
      'sends a line without end',
      (socket) => flood(socket, '220 ', 'x'.repeat(1_000)),
      'refused',
      /^sends a line without end$/,
    ],
    [
      'sends a reply without end',
      (socket) => flood(socket, '', '220-x\r\n'.repeat(100)),
      'refused',
      /^sends a reply without end$/,
    ],
    [
      'does not know EHLO',
      scripted({ connect: '220 x\r\n', EHLO: '502 no\r\n' }),
      'refused',
      /^answers EHLO with "502 no"$/,
    ],
    [
      'offers STARTTLS and then has none',
      scripted({ connect: '220 x\r\n', EHLO: '250-x\r\n250 STARTTLS\r\n', STARTTLS: '454 4.7.0 not now\r\n' }),
      'broken',
      /^offers STARTTLS, but answers it with "454 4\.7\.0 not now"$/,
    ],
    [
      'says nothing after STARTTLS',
      scripted({ connect: '220 x\r\n', EHLO: '250-x\r\n250 STARTTLS\r\n', STARTTLS: '' }),
      'broken',
      /^offers STARTTLS, but then says nothing within .* after STARTTLS$/,
    ],
    [
      'says nothing in the handshake',
      scripted({ connect: '220 x\r\n', EHLO: '250-x\r\n250 STARTTLS\r\n', STARTTLS: '220 go on\r\n' }),
      'broken',
      /does not shake hands within/,
    ],
    [
      'closes the connection after STARTTLS',
      (socket) => {
        scripted({ connect: '220 x\r\n', EHLO: '250-x\r\n250 STARTTLS\r\n', STARTTLS: '220 go on\r\n' })(socket);
        socket.on('data', (piece: Buffer) => {
          if (piece.toString('latin1').startsWith('STARTTLS')) socket.end();
        });
      },
      'broken',
      /^offers STARTTLS, but closes the connection in the TLS handshake$/,
    ],
    [
      'answers the handshake in plaintext',
      (socket) => {
        scripted({ connect: '220 x\r\n', EHLO: '250-x\r\n250 STARTTLS\r\n', STARTTLS: '220 go on\r\n' })(socket);
        socket.on('data', (piece: Buffer) => {
          if (piece[0] === 0x16) socket.write('500 what?\r\n');
        });
      },
      'broken',
      /fails in the TLS handshake: /,
    ],
  ];
  for (const [what, serve, outcome, reason] of wayward) {
    test(`${what} is said to do so, and nothing hangs`, async (t) => {
      const net = await Internet.of(t);
      net.hosts((await startScriptedServer(net.workspace, serve)).address);
      // Deadlines of a server that is meant to hang are short; the others never come to theirs.
      const probe = await net.probe({}, /nothing/.test(what) ? IMPATIENT_MS : PATIENT_MS);
      const sight = onlySight(probe);
      assert.equal(sight.outcome, outcome, JSON.stringify(sight));
      assert.match(reasonOf(sight), reason);
      assert.ok(!couldRequire(probe));
      assert.equal(probe.verdict.complete, outcome === 'broken');
    });
  }

  test('says nothing once TLS is spoken is said to do so', async (t) => {
    const net = await Internet.of(t);
    const { cert, key } = await net.authority.issue(['mx1.example.com']);
    net.hosts(
      (
        await startScriptedServer(
          net.workspace,
          upgrading({ cert, key }, () => {}),
        )
      ).address,
    );
    const sight = onlySight(await net.probe({}, IMPATIENT_MS));
    assert.equal(sight.outcome, 'broken');
    assert.match(reasonOf(sight), /^shakes hands, but over TLS says nothing within .* after EHLO$/);
  });

  test('shows no certificate works for encrypt alone', async (t) => {
    const net = await Internet.of(t);
    const anonymous = { ciphers: 'aNULL:@SECLEVEL=0', maxVersion: 'TLSv1.2' } as const;
    const serve = upgrading(anonymous, scripted({ connect: '', EHLO: '250 x\r\n', QUIT: '221 bye\r\n' }));
    net.hosts((await startScriptedServer(net.workspace, serve)).address);
    const probe = await net.probe();
    assert.deepEqual(working(probe), ['encrypt']);
    assert.equal(whyNot(probe, 'verify'), 'it shows no certificate');
  });

  test('says in plaintext what belongs into TLS is not heard', async (t) => {
    const net = await Internet.of(t);
    const { cert, key } = await net.authority.issue(['mx1.example.com']);
    const inside = scripted({ connect: '', EHLO: '250 x\r\n', QUIT: '221 bye\r\n' });
    const serve = upgrading({ cert, key }, inside, '220 go on\r\n554 go away\r\n');
    net.hosts((await startScriptedServer(net.workspace, serve)).address);
    assert.deepEqual(working(await net.probe()), ['encrypt', 'fingerprint', 'verify', 'secure']);
  });

  test('nobody runs is said to refuse the connection', async (t) => {
    const net = await Internet.of(t);
    net.hosts(await onFreeLoopbackAddress(async (address) => address));
    const probe = await net.probe();
    assert.deepEqual(onlySight(probe), { outcome: 'unreachable', reason: 'refuses the connection', ours: false });
    assert.deepEqual([probe.verdict.complete, probe.verdict.levels], [false, undefined]);
  });
});

function flood(socket: Socket, start: string, piece: string): void {
  socket.write(start);
  const more = (): void => {
    while (!socket.destroyed && socket.write(piece)) {}
  };
  socket.on('drain', more);
  more();
}

describe('a domain', () => {
  test('with two MX hosts is as strong as the weaker one', async (t) => {
    const net = await Internet.of(t);
    const strong = await net.serve(await net.authority.issue(['mx1.example.com', 'example.com']));
    const weak = await net.serve(await net.authority.issue(['elsewhere.example']), { maxVersion: 'TLSv1.2' });
    net.hosts(strong.address, weak.address);
    const probe = await net.probe();
    assert.deepEqual(working(probe), ['encrypt', 'fingerprint']);
    assert.match(whyNot(probe, 'secure'), /^mx2\.example\.com: its certificate is for elsewhere\.example/);
    assert.equal(probe.verdict.minimumVersion, 'TLSv1.2');
    assert.equal(probe.verdict.fingerprints.length, 2);
  });

  test('with a null MX takes no mail', async (t) => {
    const net = await Internet.of(t);
    net.names.set('example.com', { mx: ['0 .'], a: ['127.0.0.1'] });
    const { way, hosts, verdict } = await net.probe();
    assert.equal(way.problem, 'takes no mail: it has a null MX record (RFC 7505)');
    assert.deepEqual([hosts, verdict.complete], [[], false]);
  });

  test('without MX records is its own host', async (t) => {
    const net = await Internet.of(t);
    const server = await net.serve(await net.authority.issue(['example.com']));
    net.names.set('example.com', { a: [server.address] });
    const probe = await net.probe();
    assert.deepEqual(
      [onlyHost(probe).name, onlyHost(probe).preference, working(probe)],
      ['example.com', undefined, ['encrypt', 'fingerprint', 'verify', 'secure']],
    );
  });

  test('that is not there, or whose name servers fail, is said to be so', async (t) => {
    const net = await Internet.of(t);
    assert.match((await net.probe()).way.problem ?? '', /no such domain/);
    net.names.set('example.com', { broken: true });
    assert.match((await net.probe()).way.problem ?? '', /SERVFAIL/);
    net.names.set('example.com', { txt: ['x'] });
    assert.match((await net.probe()).way.problem ?? '', /neither MX records nor an address/);
  });

  test('whose MX host has no address, or is one, has a host that is not reached', async (t) => {
    const net = await Internet.of(t);
    net.names.set('example.com', { mx: ['10 mx1.example.com', '20 192.0.2.1'] });
    const probe = await net.probe();
    assert.deepEqual(
      probe.hosts.map(({ problem }) => problem),
      ['has no address in the DNS', 'is an address, and MX records must name hosts'],
    );
    assert.ok(!couldRequire(probe));
  });

  test('goes to its next hop, by address, by host or by the MX records of another domain', async (t) => {
    const net = await Internet.of(t);
    const server = await net.serve(await net.authority.issue(['mx.other.example', 'other.example']), { port: 2525 });
    net.names.set('other.example', { mx: ['10 mx.other.example'] });
    net.names.set('mx.other.example', { a: [server.address] });
    const direct = await net.probe(nextHop(`[${server.address}]:2525`));
    assert.deepEqual(working(direct), ['encrypt', 'fingerprint']);
    assert.match(whyNot(direct, 'secure'), /next hop is an address/);
    const host = await net.probe(nextHop('[mx.other.example]:2525'));
    assert.deepEqual(working(host), ['encrypt', 'fingerprint', 'verify', 'secure']);
    assert.equal(onlyHost(host).preference, undefined);
    const other = await net.probe(nextHop('other.example:2525'));
    assert.deepEqual([onlyHost(other).preference, working(other).at(-1)], [10, 'secure']);
    assert.equal(
      host.suggestion?.command,
      "tlswarden domains set example.com 'nexthop=[mx.other.example]:2525' incoming.delivery require_tls=always level=secure",
    );
  });

  test('of an international name is looked up by its A-labels', async (t) => {
    const net = await Internet.of(t);
    const server = await net.serve(await net.authority.issue(['xn--bcher-kva.example']));
    net.names.set('xn--bcher-kva.example', { a: [server.address] });
    assert.deepEqual(working(await net.probe({ domain: name('Bücher.example') })).at(-1), 'secure');
  });

  test('shares with others what was seen of an address that they share', async (t) => {
    const net = await Internet.of(t);
    const server = await startScriptedServer(
      net.workspace,
      scripted({ connect: '220 x\r\n', EHLO: '250 x\r\n', QUIT: '221 bye\r\n' }),
    );
    net.hosts(server.address);
    net.names.set('example.net', { mx: ['10 mx1.example.com'] });
    const prober = await net.prober();
    const probes = await Promise.all(['example.com', 'example.net'].map((text) => prober.probe(byMx(text))));
    assert.deepEqual(
      probes.map((probe) => onlySight(probe).outcome),
      ['plaintext', 'plaintext'],
    );
    assert.equal(server.connections, 1);
  });
});

describe('DANE', () => {
  const serve = async (t: TestContext, tlsa: (certificate: Certificate) => readonly string[]) => {
    const net = await Internet.of(t);
    const certificate = await selfSignedCertificate(net.workspace, ['anything.example']);
    net.hosts((await net.serve(certificate)).address);
    net.names.set('_25._tcp.mx1.example.com', { tlsa: tlsa(certificate) });
    return net;
  };

  test('works where a TLSA record pins the key, whatever the certificate says', async (t) => {
    const net = await serve(t, ({ tlsa }) => [tlsa]);
    const probe = await net.probe();
    assert.deepEqual(working(probe), ['encrypt', 'fingerprint', 'dane-only']);
    assert.equal(probe.suggestion?.level, 'dane-only');
  });

  test('does not work where the record pins another', async (t) => {
    const net = await serve(t, () => [`3 1 1 ${'00'.repeat(32)}`]);
    assert.equal(whyNot(await net.probe(), 'dane-only'), 'no TLSA record fits the certificate');
  });

  test('does not work with records that mean nothing for SMTP', async (t) => {
    const net = await serve(t, ({ tlsa }) => [`1${tlsa.slice(1)}`]);
    assert.match(whyNot(await net.probe(), 'dane-only'), /of a kind that counts for SMTP/);
  });

  test('does not work where DNSSEC does not vouch for the MX records', async (t) => {
    const net = await serve(t, ({ tlsa }) => [tlsa]);
    net.names.set('example.com', { mx: ['10 mx1.example.com'], insecure: true });
    assert.match(
      whyNot(await net.probe(), 'dane-only'),
      /does not vouch \(DNSSEC\) for the MX records of example\.com/,
    );
  });

  test('does not work where DNSSEC does not vouch for the host, nor where the look-up fails', async (t) => {
    const net = await serve(t, ({ tlsa }) => [tlsa]);
    net.names.set('_25._tcp.mx1.example.com', { broken: true });
    assert.match(whyNot(await net.probe(), 'dane-only'), /TLSA records cannot be had: .*SERVFAIL/);
    const address = onlyHost(await net.probe()).addresses[0]?.address ?? '';
    net.names.set('mx1.example.com', { a: [address], insecure: true });
    assert.match(whyNot(await net.probe(), 'dane-only'), /does not vouch \(DNSSEC\) for its address/);
  });
});
