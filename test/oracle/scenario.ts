// Random settings and random mail: few domains and few people, so that requirements often match, and more often almost.
// Makes only settings that are valid. Never decides anything: that is the oracle's.

import { domainToASCII, domainToUnicode } from 'node:url';
import type { Level, RawDelivery, RawDomain, RawFlow, RawFlows, RawReceipt, RawSettings, Version } from './oracle.ts';
import type { Random } from './prng.ts';

/** Ways to write an address that ordinary mail programs do not use. */
export type StrangeKind = 'user%site' | 'site!user' | 'user%site@elsewhere' | 'user';

/** The names that scenarios are made of. */
export interface World {
  /** Names that may be hosted, as domains of their own or as aliases; those that are not are just other domains. */
  readonly hosted: readonly string[];
  /** Names that are never hosted. */
  readonly unhosted: readonly string[];
  /** Explicit next hops of hosted domains. */
  readonly nexthops: readonly string[];
  readonly relayhosts: readonly string[];
  readonly locals: readonly string[];
  readonly delimiters: readonly string[];
  /** How often, of a hundred settings, Postfix appends a hosted domain to an address without one. */
  readonly originIsHosted: number;
  /** Levels of incoming delivery. */
  readonly levels: readonly Level[];
  /** Levels of outgoing delivery. */
  readonly outgoingLevels: readonly Level[];
  /** Of `protocols`, incoming. */
  readonly minimums: readonly Version[];
  /** Of `protocols`, outgoing. */
  readonly outgoingMinimums: readonly Version[];
  /** Attributes that domains behind a next hop ('' is by MX) must agree on. */
  readonly certificates: (nexthop: string, level: Level) => Pick<RawDelivery, 'certificate_names' | 'fingerprints'>;
  /** Of a hundred addresses, so many are written without @, or routed by the sender. */
  readonly strangeAddresses: number;
  readonly strangeKinds: readonly StrangeKind[];
}

const someFingerprint = Array.from({ length: 32 }, (_, at) => (at + 160).toString(16).toUpperCase()).join(':');

/** A world for tests without any server. */
export const paperWorld: World = {
  hosted: [
    'alpha.example',
    'sub.alpha.example',
    'beta.example',
    'bücher.example',
    'post.bücher.example',
    'gamma.example',
    'a.b.gamma.example',
    'delta.example',
  ],
  unhosted: [
    'bank.example',
    'ceo.bank.example',
    'partner.example',
    'näher.example',
    'beta.example.org',
    'x.beta.example',
  ],
  nexthops: ['[mx1.example]:25', '[mx2.example]:2525', 'mx3.example', '[192.0.2.7]'],
  relayhosts: ['', '', '[relay.example]:587', '[mx1.example]:25'],
  locals: ['ann', 'bob', 'payroll', 'ann+x', 'payroll+tax'],
  delimiters: ['+', '+', '+', '-', '', '+-'],
  originIsHosted: 40,
  levels: ['encrypt', 'encrypt', 'fingerprint', 'dane-only', 'verify', 'secure'],
  outgoingLevels: ['encrypt', 'encrypt', 'dane-only', 'verify', 'secure'],
  minimums: ['TLSv1', 'TLSv1.2', 'TLSv1.3', 'TLSv1.3'],
  outgoingMinimums: ['TLSv1.2', 'TLSv1.3'],
  certificates: (_nexthop, level) => (level === 'fingerprint' ? { fingerprints: [someFingerprint] } : {}),
  strangeAddresses: 6,
  strangeKinds: ['user%site', 'site!user', 'user%site@elsewhere', 'user'],
};

// ---------------------------------------------------------------------------------------------------------------------
// Settings

/** Random settings: one to five hosted domains, some with aliases, several behind one next hop. */
export function randomSettings(random: Random, world: World): RawSettings {
  const names = random.shuffled(world.hosted);
  const domains: Record<string, RawDomain> = {};
  const mains = names.splice(0, random.integer(1, Math.min(5, names.length)));
  const favourite = world.nexthops.length > 0 ? random.pick(world.nexthops) : undefined;
  for (const main of mains) {
    const aliases = random.percent(50) ? names.splice(0, random.integer(1, 2)) : [];
    const nexthop =
      favourite === undefined || random.percent(35)
        ? undefined
        : random.percent(65)
          ? favourite
          : random.pick(world.nexthops);
    domains[spelledDomain(random, main)] = {
      ...(aliases.length > 0 ? { aliases: aliases.map((alias) => spelledDomain(random, alias)) } : {}),
      ...(nexthop === undefined ? {} : { nexthop }),
      ...randomFlows(random, world, [main, ...aliases], nexthop ?? '', 70),
    };
  }
  const relayhost = random.pick(world.relayhosts);
  return {
    ...(random.percent(30) ? { defaults: randomFlows(random, world, undefined, undefined, 35) } : {}),
    addresses: {
      recipient_delimiter: random.pick(world.delimiters),
      ...(random.percent(world.originIsHosted) ? { myorigin: spelledDomain(random, random.pick(world.hosted)) } : {}),
    },
    ...(relayhost === '' ? {} : { postfix: { relayhost } }),
    domains,
  };
}

/** The settings with one of their domains said anew, added or taken away. */
export function changedSettings(random: Random, world: World, settings: RawSettings): RawSettings {
  const keys = Object.keys(settings.domains);
  const domains: Record<string, RawDomain> = { ...settings.domains };
  const key = random.pick(keys);
  const domain = settings.domains[key] ?? {};
  if (keys.length > 1 && random.percent(10)) {
    delete domains[key];
  } else {
    const { aliases, nexthop } = domain;
    const moved = nexthop !== undefined && random.percent(15) ? random.pick(world.nexthops) : nexthop;
    domains[key] = {
      ...(aliases === undefined ? {} : { aliases }),
      ...(moved === undefined ? {} : { nexthop: moved }),
      ...randomFlows(random, world, [key, ...(aliases ?? [])].map(plainName), moved ?? '', 70),
    };
  }
  return { ...settings, domains };
}

/** The flows of a domain with these names; names absent: of defaults, in which no name of a domain can stand. */
function randomFlows(
  random: Random,
  world: World,
  names: readonly string[] | undefined,
  nexthop: string | undefined,
  often: number,
): RawFlows {
  const flow = (name: 'incoming' | 'outgoing'): RawFlow => ({
    ...(random.percent(often) ? { receipt: randomReceipt(random, world, name, names) } : {}),
    ...(random.percent(often) ? { delivery: randomDelivery(random, world, name, names, nexthop) } : {}),
  });
  return {
    ...(random.percent(85) ? { incoming: flow('incoming') } : {}),
    ...(random.percent(85) ? { outgoing: flow('outgoing') } : {}),
  };
}

function randomReceipt(
  random: Random,
  world: World,
  flow: 'incoming' | 'outgoing',
  names: readonly string[] | undefined,
): RawReceipt {
  return {
    ...randomWho(random, world, flow, names),
    ...(random.percent(25) ? { enforcement: 'monitor' as const } : {}),
    ...(random.percent(35) ? { min_protocol: random.pick(['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const) } : {}),
    ...(random.percent(25) ? { min_cipher_bits: random.pick([112, 128, 256]) } : {}),
    ...(random.percent(30) ? { on_failure: random.pick(['reject', 'defer'] as const) } : {}),
  };
}

function randomDelivery(
  random: Random,
  world: World,
  flow: 'incoming' | 'outgoing',
  names: readonly string[] | undefined,
  nexthop: string | undefined,
): RawDelivery {
  const levels = (flow === 'incoming' ? world.levels : world.outgoingLevels).filter(
    // What a certificate must look like is said for a next hop; defaults have none.
    (level) => nexthop !== undefined || level === 'encrypt' || level === 'dane-only',
  );
  const level = random.pick(levels);
  return {
    ...randomWho(random, world, flow, names),
    ...(level === 'encrypt' && random.percent(50) ? {} : { level }),
    ...(flow === 'incoming' ? world.certificates(nexthop ?? '', level) : {}),
    ...(random.percent(30)
      ? { protocols: `>=${random.pick(flow === 'incoming' ? world.minimums : world.outgoingMinimums)}` }
      : {}),
    ...(random.percent(20) ? { ciphers: random.pick(['medium', 'high'] as const) } : {}),
    ...(random.percent(20) ? { enforcement: 'monitor' as const } : {}),
    ...(random.percent(30) ? { on_failure: random.pick(['defer', 'bounce'] as const) } : {}),
  };
}

type Who = Pick<RawReceipt, 'require_tls' | 'senders' | 'recipients' | 'when'>;

function randomWho(
  random: Random,
  world: World,
  flow: 'incoming' | 'outgoing',
  names: readonly string[] | undefined,
): Who {
  const kind = random.integer(1, 100);
  if (kind <= 12) {
    return random.percent(50) ? {} : { require_tls: 'never' };
  }
  if (kind <= 35) {
    return { require_tls: 'always' };
  }
  const list = (own: boolean): string | string[] | undefined => {
    const length = random.pick([0, 1, 1, 1, 2, 2, 3]);
    const entries = Array.from({ length }, () => (own ? ownEntry(random, world, names) : farEntry(random, world)));
    if (entries.length === 0) {
      return undefined;
    }
    return random.percent(50) ? entries : entries.join(random.pick([' ', ',', ', ', '\n', ' ,\n ']));
  };
  let senders = list(flow === 'outgoing');
  const recipients = list(flow === 'incoming');
  if (senders === undefined && recipients === undefined) {
    senders = ['*'];
  }
  return {
    require_tls: 'specific',
    ...(senders === undefined ? {} : { senders }),
    ...(recipients === undefined ? {} : { recipients }),
    ...(random.percent(40) ? { when: random.pick(['both', 'both', 'either'] as const) } : {}),
  };
}

/** An entry of the domain's own side: a local part, an address of the domain, its names, `*`. */
function ownEntry(random: Random, world: World, names: readonly string[] | undefined): string {
  const local = spelledCase(random, random.pick(world.locals));
  const kind = random.integer(1, 100);
  if (names === undefined) {
    return kind <= 92 ? local : '*';
  }
  const name = random.pick(names);
  if (kind <= 45) {
    return local;
  }
  if (kind <= 70) {
    return `${local}@${spelledDomain(random, name)}`;
  }
  if (kind <= 85) {
    return `${random.pick(['*@', '@'])}${spelledDomain(random, name)}`;
  }
  return kind <= 94 ? `*@*.${spelledDomain(random, name.slice(name.indexOf('.') + 1))}` : '*';
}

/** An entry of the far side: an address, a domain in each of its forms, `<>`, `*`. */
function farEntry(random: Random, world: World): string {
  const name = random.pick([...world.hosted, ...world.unhosted, ...world.unhosted]);
  const kind = random.integer(1, 100);
  if (kind <= 45) {
    return `${spelledCase(random, random.pick(world.locals))}@${spelledDomain(random, name)}`;
  }
  if (kind <= 72) {
    return `${random.pick(['*@', '@', ''])}${spelledDomain(random, name)}`;
  }
  if (kind <= 84) {
    return `*@*.${spelledDomain(random, random.percent(50) ? name : parentOf(name))}`;
  }
  return kind <= 93 ? '<>' : '*';
}

/** The domain above, unless that is a top-level domain. */
function parentOf(name: string): string {
  const above = name.slice(name.indexOf('.') + 1);
  return above.includes('.') ? above : name;
}

// ---------------------------------------------------------------------------------------------------------------------
// Spelling

/** A domain in one of the ways in which it may be written. */
export function spelledDomain(random: Random, name: string): string {
  const written = random.percent(50) ? domainToASCII(name) : domainToUnicode(name);
  return spelledCase(random, written) + (random.percent(8) ? '.' : '');
}

/** Text in lower case, upper case, or both. */
export function spelledCase(random: Random, text: string): string {
  switch (random.integer(1, 6)) {
    case 1:
      return text.toUpperCase();
    case 2:
      return [...text].map((letter) => (random.percent(40) ? letter.toUpperCase() : letter)).join('');
    default:
      return text;
  }
}

/** Any address, in any spelling; now and then one that stands in a list. */
export function randomAddress(random: Random, world: World, settings: RawSettings, hosted: boolean): string {
  const listed = random.percent(35) ? listedAddresses(settings, hosted) : [];
  const [pureLocal, pureDomain] =
    listed.length > 0
      ? random.pick(listed)
      : [random.pick(world.locals), random.pick(hosted ? hostedNames(settings) : [...world.unhosted, ...world.hosted])];
  const delimiter = settings.addresses?.recipient_delimiter ?? '+';
  const extended = random.percent(15) && delimiter !== '' ? `${pureLocal}${random.pick([...delimiter])}tag` : pureLocal;
  const local = spelledCase(random, extended);
  const domain = spelledDomain(random, random.percent(4) ? `mail.${pureDomain}` : pureDomain);
  if (random.percent(world.strangeAddresses)) {
    switch (random.pick(world.strangeKinds)) {
      case 'user%site':
        // With a trailing dot Postfix takes it for a mailbox of its own.
        return `${local}%${domain.replace(/\.$/, '')}`;
      case 'site!user':
        return `${domain.replace(/\.$/, '')}!${local}`;
      case 'user%site@elsewhere':
        return `${local}%${domain}@${random.pick(world.unhosted)}`;
      case 'user':
        return local;
    }
  }
  return `${local}@${domain}`;
}

/** All names that are hosted with these settings, in lower case and without trailing dots. */
export function hostedNames(settings: RawSettings): readonly string[] {
  return Object.entries(settings.domains)
    .flatMap(([key, domain]) => [key, ...(domain.aliases ?? [])])
    .map((name) => plainName(name));
}

/** A name in lower case, as U-labels, without trailing dot. */
function plainName(name: string): string {
  return domainToUnicode(name.toLowerCase().replace(/\.$/, ''));
}

/** Local parts and domains of the lists' entries, hosted ones or others. */
function listedAddresses(settings: RawSettings, hosted: boolean): readonly (readonly [string, string])[] {
  const result: [string, string][] = [];
  for (const [key, domain] of Object.entries(settings.domains)) {
    const own = plainName(key);
    for (const setting of [
      domain.incoming?.receipt,
      domain.incoming?.delivery,
      domain.outgoing?.receipt,
      domain.outgoing?.delivery,
    ]) {
      for (const list of [setting?.senders, setting?.recipients]) {
        for (const entry of typeof list === 'string' ? list.split(/[\s,]+/) : (list ?? [])) {
          const at = entry.lastIndexOf('@');
          const local = at < 0 ? entry : entry.slice(0, at);
          const domain = at < 0 ? own : entry.slice(at + 1);
          if (local !== '' && local !== '*' && local !== '<>' && !local.includes('.')) {
            result.push([local, plainName(domain)]);
          }
        }
      }
    }
  }
  const names = hostedNames(settings);
  return result.filter(([, domain]) => names.includes(domain) === hosted);
}

// ---------------------------------------------------------------------------------------------------------------------
// TOML

/** A table of settings as TOML: `[defaults.incoming.receipt]` and so on. */
export function toToml(table: Readonly<Record<string, unknown>>, path: readonly string[] = []): string {
  const lines: string[] = path.length > 0 ? [`[${path.map(tomlKey).join('.')}]`] : [];
  const tables: string[] = [];
  for (const [key, value] of Object.entries(table)) {
    if (value !== null && typeof value === 'object' && !Array.isArray(value)) {
      tables.push(toToml(value as Record<string, unknown>, [...path, key]));
    } else if (value !== undefined) {
      lines.push(`${tomlKey(key)} = ${JSON.stringify(value)}`);
    }
  }
  return [lines.map((line) => `${line}\n`).join(''), ...tables].join('\n');
}

function tomlKey(key: string): string {
  return /^[a-z_]+$/.test(key) ? key : JSON.stringify(key);
}
