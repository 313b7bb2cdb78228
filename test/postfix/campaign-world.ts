// The servers around the campaign's gateway, each able or unable in its own way, and what that means for mail which must
// leave in this way or that. Never looks at what Postfix or the service did.

import { Authority, type Certificate, selfSignedCertificate } from '../harness/certificates.ts';
import { Destination } from '../harness/destination.ts';
import { NameServer } from '../harness/name-server.ts';
import type { Workspace } from '../harness/workspace.ts';
import {
  type Address,
  type Level,
  nexthopOf,
  normalDomain,
  type RawDelivery,
  type RawSettings,
  sharedAtNexthop,
  type Terms,
  type Version,
} from '../oracle/oracle.ts';
import type { Random } from '../oracle/prng.ts';
import type { World } from '../oracle/scenario.ts';

/** What a server is like. */
const kinds = [
  'plain',
  'plain',
  'plain',
  'best',
  'best',
  'old',
  'wrong name',
  'self-signed',
  'expired',
  'pinned in DNS',
  'wrongly pinned in DNS',
] as const;
type Kind = (typeof kinds)[number];

/** A server, with what the campaign knows of it. */
export interface Server {
  readonly host: string;
  readonly kind: Kind;
  readonly destination: Destination;
  readonly certificate: Certificate | undefined;
  readonly certificateNames: readonly string[];
  readonly version: Version;
}

const hosted = [
  'alpha.example',
  'sub.alpha.example',
  'beta.example',
  'xn--bcher-kva.example',
  'gamma.example',
  'mail.gamma.example',
  'delta.example',
];
const unhosted = ['bank.example', 'ceo.bank.example', 'partner.example', 'x.beta.example'];

/** How one recipient's mail ends. */
export type Ending =
  /** At the recipient's server, over TLS as required. */
  | { readonly kind: 'required TLS'; readonly minimum: Version }
  /** There, with TLS if the server has it. */
  | { readonly kind: 'arrives'; readonly tls: boolean }
  | { readonly kind: 'waits' | 'bounces' };

/** All servers of one campaign, and the name server that leads to them. */
export class CampaignWorld {
  readonly nameServer: NameServer;
  readonly authority: Authority;
  readonly servers: readonly Server[];
  readonly relayhost: string;
  readonly world: World;
  readonly #byDomain: ReadonlyMap<string, Server>;
  readonly #byNexthop: ReadonlyMap<string, Server>;
  /** Next hops without a host name. */
  readonly #literals: ReadonlySet<string>;

  private constructor(
    nameServer: NameServer,
    authority: Authority,
    byDomain: ReadonlyMap<string, Server>,
    byNexthop: ReadonlyMap<string, Server>,
    literals: ReadonlySet<string>,
    world: World,
  ) {
    this.nameServer = nameServer;
    this.authority = authority;
    this.#byDomain = byDomain;
    this.#byNexthop = byNexthop;
    this.#literals = literals;
    this.servers = [...byDomain.values(), ...byNexthop.values()];
    this.world = world;
    this.relayhost = world.relayhosts[0] ?? '';
  }

  /** Starts a server for each domain, one for each explicit next hop, and one for relayhost if there is to be one. */
  static async start(
    workspace: Workspace,
    random: Random,
    options: { readonly relayhost: boolean; readonly tables: boolean },
  ): Promise<CampaignWorld> {
    const nameServer = await NameServer.start(workspace);
    const authority = await Authority.create(workspace);
    const byDomain = new Map<string, Server>();
    for (const domain of [...hosted, ...unhosted]) {
      const server = await startServer(workspace, nameServer, authority, random, `mx.${domain}.test`, domain);
      nameServer.set(domain, { mx: [`10 ${server.host}`] });
      byDomain.set(domain, server);
    }
    const byNexthop = new Map<string, Server>();
    const literals = new Set<string>();
    for (const [host, nexthop] of [
      ['one.test', '[one.test]:25'],
      ['two.test', '[two.test]:25'],
      ['three.test', undefined],
      ['four.test', 'four.test'],
      ...(options.relayhost ? [['relay.test', '[relay.test]:25'] as const] : []),
    ] as const) {
      const server = await startServer(workspace, nameServer, authority, random, host);
      byNexthop.set(nexthop ?? server.destination.nexthop, server);
      if (nexthop === undefined) {
        literals.add(server.destination.nexthop);
      }
    }
    const certificates = new Map<string, Pick<RawDelivery, 'certificate_names' | 'fingerprints'>>();
    for (const [nexthop, server] of [...byNexthop, ['', byDomain.get('alpha.example')] as const]) {
      const other = random.pick([...byDomain.values()]).certificate;
      const fingerprints = [
        random.percent(75) ? server?.certificate?.publicKeyFingerprint : undefined,
        random.percent(75) ? byDomain.get('gamma.example')?.certificate?.certificateFingerprint : undefined,
        other?.certificateFingerprint,
      ].filter((fingerprint) => fingerprint !== undefined);
      const names = random.percent(60) ? undefined : [random.percent(60) ? (server?.host ?? '') : 'elsewhere.test'];
      certificates.set(`${nexthop} fingerprint`, {
        fingerprints: fingerprints.length > 0 ? fingerprints : [authorityFingerprint],
      });
      if (names !== undefined && nexthop !== '' && options.tables) {
        certificates.set(`${nexthop} verify`, { certificate_names: names });
        certificates.set(`${nexthop} secure`, { certificate_names: names });
      }
    }
    return new CampaignWorld(nameServer, authority, byDomain, byNexthop, literals, {
      hosted,
      unhosted,
      nexthops: [...byNexthop.keys()].filter((nexthop) => !nexthop.includes('relay')),
      relayhosts: [options.relayhost ? '[relay.test]:25' : ''],
      locals: ['ann', 'bob', 'payroll', 'ann+x', 'payroll+tax'],
      delimiters: ['+'],
      originIsHosted: 0,
      // What only a table can say of a next hop cannot be said without tables.
      levels: options.tables
        ? ['encrypt', 'encrypt', 'encrypt', 'fingerprint', 'dane-only', 'verify', 'secure']
        : ['encrypt', 'encrypt', 'dane-only', 'verify', 'secure'],
      outgoingLevels: ['encrypt', 'encrypt', 'encrypt', 'dane-only', 'verify', 'secure'],
      minimums: ['TLSv1.2', 'TLSv1.3'],
      outgoingMinimums: ['TLSv1.2', 'TLSv1.3'],
      certificates: (nexthop, level) => certificates.get(`${nexthop} ${level}`) ?? {},
      strangeAddresses: 4,
      strangeKinds: ['user%site', 'site!user'],
    });
  }

  /** Where mail for a recipient has to arrive. */
  serverFor(settings: RawSettings, recipient: Address): Server {
    const nexthop = nexthopOf(settings, recipient);
    const server = nexthop === '' ? this.#byDomain.get(recipient?.domain ?? '') : this.#byNexthop.get(nexthop);
    if (server === undefined) {
      throw new Error(`the campaign has no server for ${recipient?.local}@${recipient?.domain} at "${nexthop}"`);
    }
    return server;
  }

  /**
   * How mail for a recipient ends that must leave on these terms; undefined: it need not have TLS.
   *
   * @param entries - whether Postfix's tables say of the next hop what its domains together ask of it
   */
  ending(settings: RawSettings, recipient: Address, terms: Terms | undefined, entries: boolean): Ending {
    const server = this.serverFor(settings, recipient);
    if (terms === undefined) {
      return { kind: 'arrives', tls: server.certificate !== undefined };
    }
    const shared = entries ? sharedAtNexthop(settings, recipient).minimum : terms.minimum;
    const minimum = [terms.minimum, shared].includes('TLSv1.3') ? 'TLSv1.3' : 'TLSv1.2';
    if (this.#satisfies(settings, recipient, server, terms.level, minimum, entries)) {
      return { kind: 'required TLS', minimum };
    }
    // In a lane that it has joined a next hop may have no fingerprint to go by. That smtp(8) calls a trouble of its own, and
    // what is trouble of this host waits.
    const isTrouble = terms.level === 'fingerprint' && saidOf(settings, recipient).fingerprints.length === 0;
    return { kind: terms.bounce && !isTrouble ? 'bounces' : 'waits' };
  }

  #satisfies(
    settings: RawSettings,
    recipient: Address,
    server: Server,
    level: Level,
    minimum: Version,
    entries: boolean,
  ): boolean {
    if (server.certificate === undefined || (minimum === 'TLSv1.3' && server.version === 'TLSv1.2')) {
      return false;
    }
    const nexthop = nexthopOf(settings, recipient);
    const said = saidOf(settings, recipient);
    const isTrusted = ['best', 'old', 'wrong name', 'wrongly pinned in DNS'].includes(server.kind);
    switch (level) {
      case 'encrypt':
        return true;
      case 'fingerprint':
        return said.fingerprints.some(
          (fingerprint) =>
            fingerprint === server.certificate?.certificateFingerprint ||
            fingerprint === server.certificate?.publicKeyFingerprint,
        );
      case 'dane-only':
        // Without a host name there is nothing to look up.
        return !this.#literals.has(nexthop) && ['best', 'pinned in DNS'].includes(server.kind);
      case 'verify': {
        const names = namesInForce(said.certificateNames, this.#hostNames(nexthop, server), entries);
        return isTrusted && names.some((name) => server.certificateNames.includes(name));
      }
      case 'secure': {
        const names = namesInForce(said.certificateNames, this.#ownNames(nexthop, recipient), entries);
        return isTrusted && names.some((name) => server.certificateNames.includes(name));
      }
    }
  }

  /** Postfix's `hostname`. */
  #hostNames(nexthop: string, server: Server): readonly string[] {
    return this.#literals.has(nexthop) ? [] : [server.host];
  }

  /** Postfix's `nexthop`; no certificate here has a name below it. */
  #ownNames(nexthop: string, recipient: Address): readonly string[] {
    if (nexthop === '') {
      return [recipient?.domain ?? ''];
    }
    return this.#literals.has(nexthop) ? [] : [nexthop.replace(/^\[|\]?(:\d+)?$/g, '')];
  }
}

/** Names of which one will do. Without the entry that says them, it may be those of the level itself. */
function namesInForce(said: readonly string[], ofLevel: readonly string[], entries: boolean): readonly string[] {
  return said.length === 0 ? ofLevel : entries ? said : [...said, ...ofLevel];
}

const authorityFingerprint = Array.from({ length: 32 }, () => '00').join(':');

/** What the settings say of the certificate at this recipient's next hop. */
function saidOf(
  settings: RawSettings,
  recipient: Address,
): { readonly certificateNames: readonly string[]; readonly fingerprints: readonly string[] } {
  const nexthop = nexthopOf(settings, recipient) || (recipient?.domain ?? '');
  const sharers = Object.entries(settings.domains).filter(([key, domain]) =>
    domain.nexthop === undefined
      ? [key, ...(domain.aliases ?? [])].map(normalDomain).includes(nexthop)
      : domain.nexthop === nexthop,
  );
  const deliveries = sharers
    .map(([, domain]) => domain.incoming?.delivery ?? settings.defaults?.incoming?.delivery ?? {})
    .filter((setting) => (setting.require_tls ?? 'never') !== 'never' && setting.enforcement !== 'monitor');
  return {
    certificateNames: deliveries.flatMap((setting) => setting.certificate_names ?? []),
    fingerprints: deliveries.flatMap((setting) => setting.fingerprints ?? []),
  };
}

async function startServer(
  workspace: Workspace,
  nameServer: NameServer,
  authority: Authority,
  random: Random,
  host: string,
  domain?: string,
): Promise<Server> {
  const kind = random.pick(kinds);
  const certificateNames =
    kind === 'wrong name' ? ['elsewhere.test'] : [host, ...(domain === undefined ? [] : [domain])];
  const certificate =
    kind === 'plain'
      ? undefined
      : kind === 'expired'
        ? await authority.issueExpired(certificateNames)
        : kind === 'self-signed' || kind === 'pinned in DNS'
          ? await selfSignedCertificate(workspace, certificateNames, `self-signed-${host}`)
          : await authority.issue(certificateNames);
  const version = kind === 'old' ? 'TLSv1.2' : 'TLSv1.3';
  const destination = await Destination.start(workspace, {
    name: host,
    ...(certificate === undefined ? {} : { certificate }),
    maxVersion: version,
  });
  nameServer.set(host, { a: [destination.address] });
  if (certificate !== undefined && (kind === 'best' || kind === 'pinned in DNS')) {
    nameServer.set(`_25._tcp.${host}`, { tlsa: [certificate.tlsa] });
  } else if (kind === 'wrongly pinned in DNS') {
    nameServer.set(`_25._tcp.${host}`, { tlsa: [`3 1 1 ${'00'.repeat(32)}`] });
  }
  return { host, kind, destination, certificate, certificateNames, version };
}
