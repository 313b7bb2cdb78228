/**
 * The main file, tlswarden.toml (contract section 4): read once at the start of a command, checked whole, with the
 * defaults of what is absent. It starts nothing and touches no other file.
 */

import { isIP } from 'node:net';
import { dirname, resolve } from 'node:path';
import { type AddressRules, DEFAULT_ADDRESS_RULES } from '../address/address.ts';
import { type DomainName, NO_DOMAIN, parseDomain } from '../address/domain-name.ts';
import { pathProblem } from '../postfix/path-for-postfix.ts';
import { isRedisUrl, parseRedisUrl, type RedisAddress } from '../redis/redis-address.ts';
import { findUrlSecret, type UrlSecret } from '../redis/redis-url-secret.ts';
import { DEFAULT_MAX_ROWS } from '../report/tally.ts';
import { type Defaults, parseDefaults } from '../settings/hosted-domain.ts';
import { BY_MX, type NextHop, parseNextHop } from '../settings/next-hop.ts';
import { SettingPool } from '../settings/parse-setting.ts';
import { quoted } from '../text/printable.ts';
import { type Complaint, ComplaintError } from '../toml/complaint.ts';
import { readToml } from '../toml/read-toml.ts';
import { TableReader } from '../toml/table-reader.ts';

/** Without `--config`. */
export const DEFAULT_PATH = '/etc/tlswarden/tlswarden.toml';

/** Values of `log.level`, from few lines to many; `silent` is none. */
export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
/**
 * Values of `maps.type`: the types that `postmap` can write and that this program knows the file names of
 * (DATABASE_README).
 */
export const MAP_TYPES = ['lmdb', 'cdb', 'hash', 'btree', 'texthash'] as const;
/** A value of `maps.type`. */
export type MapType = (typeof MAP_TYPES)[number];

/** Where the settings live. */
export type SourceAddress =
  | { readonly kind: 'directory'; readonly path: string }
  | { readonly kind: 'redis'; readonly address: RedisAddress };

/** The main file, checked: what is absent has its default, paths are absolute. */
export interface MainFile {
  readonly path: string;
  readonly server: {
    readonly listen: readonly string[];
    readonly allowRemote: boolean;
    readonly maxConnections: number;
    /** host:port of /metrics; undefined: off. */
    readonly metrics: string | undefined;
  };
  readonly log: { readonly level: (typeof LOG_LEVELS)[number] };
  readonly settings: { readonly source: SourceAddress; readonly snapshot: string | undefined };
  readonly addresses: AddressRules;
  /** CIDR, as written. */
  readonly receipt: { readonly exemptClients: readonly string[] };
  readonly report: {
    /** Whether the service counts at all. */
    readonly enabled: boolean;
    /** The file that keeps the counts; undefined: see src/report/open-report-store.ts. */
    readonly state: string | undefined;
    readonly localParts: boolean;
    readonly maxRows: number;
  };
  /** undefined: no tables. `type` undefined: Postfix's default_database_type. */
  readonly maps: { readonly directory: string; readonly type: MapType | undefined } | undefined;
  readonly postfix: { readonly configDirectory: string; readonly relayhost: NextHop };
  readonly defaults: Defaults;
  /** What the defaults were read with: the domains' settings share objects with them. */
  readonly pool: SettingPool;
}

/** Every section and its keys, in the order in which they are documented; those of `defaults` are flows, hops and settings. */
export const MAIN_FILE_KEYS = {
  server: ['listen', 'allow_remote', 'max_connections', 'metrics'],
  log: ['level'],
  settings: ['source', 'snapshot'],
  addresses: ['recipient_delimiter', 'myorigin'],
  receipt: ['exempt_clients'],
  report: ['enabled', 'state', 'local_parts', 'max_rows'],
  maps: ['directory', 'type'],
  postfix: ['config_directory', 'relayhost'],
} as const;

/** What else is wrong with a main file, to those who need more of it than that it can be read. */
export type FurtherCheck = (main: MainFile) => readonly Complaint[];

/** A main file with mistakes. */
export class UnusableMainFile extends ComplaintError {
  /** What can be gone by to look for mistakes in the settings; undefined: it is not certain where they are. */
  readonly lookFurther: MainFile | undefined;

  constructor(complaints: readonly Complaint[], lookFurther: MainFile | undefined) {
    super(complaints);
    this.lookFurther = lookFurther;
  }
}

/** Stands for a relayhost that is not known, so that nothing is said to lack one (RFC 2606). */
const SOME_RELAYHOST = parseNextHop('relayhost.invalid') ?? BY_MX;

/**
 * Reads the main file; throws {@link ComplaintError} with everything that is wrong, `further` asked too: an
 * {@link UnusableMainFile} if it is TOML.
 */
export async function readMainFile(path: string, further?: FurtherCheck): Promise<MainFile> {
  const { table } = await readToml(path, path);
  return parseMainFile(table, path, await redisUrl(), further);
}

/** The URL of Redis that takes the place of one in the main file. */
async function redisUrl(): Promise<UrlSecret | undefined> {
  try {
    return await findUrlSecret(process.env);
  } catch (error) {
    throw new ComplaintError([{ message: `the URL of Redis cannot be read: ${(error as Error).message}` }]);
  }
}

/** Checks what stands in the main file at `path`, against which relative paths are resolved. Throws {@link UnusableMainFile}. */
export function parseMainFile(
  table: unknown,
  path: string,
  secret?: UrlSecret,
  further: FurtherCheck = () => [],
): MainFile {
  const complaints: Complaint[] = [];
  const sections = [...Object.keys(MAIN_FILE_KEYS), 'defaults'];
  const top = new TableReader(table, { file: path }, sections, complaints, hintAtTop);
  const base = dirname(resolve(path));
  const section = (name: keyof typeof MAIN_FILE_KEYS): TableReader =>
    new TableReader(top.raw(name) ?? {}, { file: path, key: name }, MAIN_FILE_KEYS[name], complaints);

  const server = section('server');
  const log = section('log');
  const settings = section('settings');
  const addresses = section('addresses');
  const receipt = section('receipt');
  const report = section('report');
  const maps = section('maps');
  const postfix = section('postfix');

  const source = parseSource(settings, base, secret, complaints);
  const written = parseRelayhost(postfix);
  const relayhost = written ?? BY_MX;
  const pool = new SettingPool();
  const defaultsContext = { hasRelayhost: relayhost !== BY_MX, pool };
  const defaults = parseDefaults(top.raw('defaults'), path, defaultsContext, complaints);
  const main: MainFile = {
    path,
    server: {
      listen: server.list('listen') ?? ['127.0.0.1:10040'],
      allowRemote: server.boolean('allow_remote') ?? false,
      maxConnections: server.integer('max_connections', 1, 1_000_000) ?? 4096,
      metrics: server.string('metrics'),
    },
    log: { level: log.oneOf('level', LOG_LEVELS) ?? 'info' },
    settings: {
      source: source ?? { kind: 'directory', path: base },
      snapshot: parsePath(settings, 'snapshot', base),
    },
    addresses: { recipientDelimiter: parseDelimiter(addresses), myorigin: parseMyorigin(addresses) },
    receipt: { exemptClients: parseExemptClients(receipt) },
    report: {
      enabled: report.boolean('enabled') ?? true,
      state: parsePath(report, 'state', base),
      localParts: report.boolean('local_parts') ?? false,
      maxRows: report.integer('max_rows', 100, 10_000_000) ?? DEFAULT_MAX_ROWS,
    },
    maps: parseMaps(top.has('maps'), maps, base),
    postfix: { configDirectory: parsePath(postfix, 'config_directory', base) ?? '/etc/postfix', relayhost },
    defaults,
    pool,
  };
  if (main.server.listen.length === 0) server.complain('listen', 'is empty: the service would listen nowhere');
  complaints.push(...further(main));
  if (complaints.length === 0) return main;
  // A key that is not there may be one that was misspelt, in its section or in one that was misspelt itself.
  const isCertain = (section: TableReader, name: keyof typeof MAIN_FILE_KEYS, key: string): boolean =>
    section.has(key) ||
    complaints.every((complaint) => {
      const [first = ''] = complaint.key?.split('.', 1) ?? [];
      return first !== name && sections.includes(first);
    });
  const isFound = source !== undefined && isCertain(settings, 'settings', 'source');
  const isRouted = written !== undefined && isCertain(postfix, 'postfix', 'relayhost');
  const lookFurther = isRouted ? main : { ...main, postfix: { ...main.postfix, relayhost: SOME_RELAYHOST } };
  throw new UnusableMainFile(complaints, isFound ? lookFurther : undefined);
}

function hintAtTop(key: string): string | undefined {
  return key === 'domains' ? 'domains belong to the *.toml files of the directory settings.source' : undefined;
}

/** What is wrong with a URL is said without it: a password may stand in it. undefined: it says no source. */
function parseSource(
  settings: TableReader,
  base: string,
  secret: UrlSecret | undefined,
  complaints: Complaint[],
): SourceAddress | undefined {
  const text = settings.string('source') ?? (settings.has('source') ? undefined : 'domains.d');
  if (text === undefined) return undefined;
  if (isRedisUrl(text)) {
    const address = parseRedisUrl(secret?.url ?? text, base);
    if (!('problem' in address)) return { kind: 'redis', address };
    if (secret === undefined) settings.complain('source', address.problem);
    else complaints.push({ message: `${secret.place} ${address.problem}` });
    return undefined;
  }
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//iu.exec(text)?.[1]?.toLowerCase();
  if (scheme !== undefined) {
    settings.complain('source', `"${scheme}://" is no source; write a directory, redis:// or rediss://`);
    return undefined;
  }
  const path = resolvePath(settings, 'source', text, base);
  return text.trim() === '' ? undefined : { kind: 'directory', path };
}

function parsePath(section: TableReader, key: string, base: string): string | undefined {
  const text = section.string(key);
  return text === undefined ? undefined : resolvePath(section, key, text, base);
}

/** An empty path would be that of `base` itself, which nobody means. */
function resolvePath(section: TableReader, key: string, text: string, base: string): string {
  if (text.trim() === '') section.complain(key, 'is empty: write a path, or leave the key out');
  return resolve(base, text);
}

function parseDelimiter(addresses: TableReader): string {
  const text = addresses.string('recipient_delimiter') ?? DEFAULT_ADDRESS_RULES.recipientDelimiter;
  if (!/^[\x21-\x7e]*$/u.test(text) || text.includes('@')) {
    addresses.complain('recipient_delimiter', 'must be printable ASCII characters other than "@", or empty');
  }
  return text;
}

function parseMyorigin(addresses: TableReader): DomainName {
  const text = addresses.string('myorigin');
  if (text === undefined) return DEFAULT_ADDRESS_RULES.myorigin;
  const domain = parseDomain(text);
  if (domain === undefined) {
    // main.cf may name a file here.
    const hint = text.startsWith('/') ? '; write the one that stands in that file' : '';
    addresses.complain('myorigin', `${quoted(text)} is no domain${hint}`);
  }
  return domain ?? NO_DOMAIN;
}

function parseExemptClients(receipt: TableReader): readonly string[] {
  const blocks = receipt.list('exempt_clients') ?? [];
  for (const block of blocks) {
    const [address = '', bits, ...rest] = block.split('/');
    // Neither cidr_table(5) nor client_address knows the zone of an address.
    const family = address.includes('%') ? 0 : isIP(address);
    const most = family === 4 ? 32 : 128;
    const ok =
      family !== 0 && rest.length === 0 && (bits === undefined || (/^\d{1,3}$/u.test(bits) && Number(bits) <= most));
    if (!ok) receipt.complain('exempt_clients', `${quoted(block)} is no address or CIDR block`);
  }
  return blocks;
}

function parseMaps(present: boolean, maps: TableReader, base: string): MainFile['maps'] {
  const directory = parsePath(maps, 'directory', base);
  const type = maps.oneOf('type', MAP_TYPES);
  if (present && !maps.has('directory')) maps.complain('directory', 'is missing; without tables leave out [maps]');
  const problem = directory === undefined ? undefined : pathProblem(directory);
  if (problem !== undefined) maps.complain('directory', `${quoted(directory ?? '')}: ${problem}`);
  return directory === undefined ? undefined : { directory, type };
}

/** undefined: it is none. */
function parseRelayhost(postfix: TableReader): NextHop | undefined {
  const text = postfix.string('relayhost') ?? (postfix.has('relayhost') ? undefined : '');
  if (text === undefined) return undefined;
  const nexthop = parseNextHop(text);
  if (nexthop === undefined) postfix.complain('relayhost', `${quoted(text)} is no next hop; write "[host]:port"`);
  return nexthop;
}
