/**
 * What TLS an smtp(8) client of master.cf goes without for no server, as its own options, main.cf and its policy tables have it
 * (TLS_README; smtp_tls_policy_maps in postconf(5)). It looks into tables, and changes nothing.
 */
import { splitValue } from '../fragments/value-list.ts';
import { CIPHER_GRADES, LEVELS, type Level, TLS_VERSIONS } from '../settings/level.ts';
import type { DeliverySetting } from '../settings/setting.ts';
import { parentsOf } from './domain-list.ts';
import type { Host } from './host.ts';
import type { MasterService, PostfixConfiguration } from './postfix-configuration.ts';
import type { TableLookups } from './table-lookups.ts';

const POLICY_MAPS = 'smtp_tls_policy_maps';

/** The protocols that Postfix knows, oldest first. */
const PROTOCOLS = ['sslv3', ...TLS_VERSIONS.map((version) => version.toLowerCase())];

/** Where a level has the names or fingerprints from that an entry does not give. */
const MATCH_PARAMETERS: Readonly<Record<string, string>> = {
  fingerprint: 'smtp_tls_fingerprint_cert_match',
  verify: 'smtp_tls_verify_cert_match',
  secure: 'smtp_tls_secure_cert_match',
};

/** Names that say as much as a level asks for where the setting names none. */
const NAMES_OF_LEVEL: Readonly<Partial<Record<Level, readonly string[]>>> = {
  verify: ['hostname', 'nexthop', 'dot-nexthop'],
  secure: ['nexthop', 'dot-nexthop'],
};

/** A client and where it is to go; `nexthop` undefined: to whichever domain a recipient has. */
export interface Way {
  readonly service: MasterService;
  readonly nexthop: string | undefined;
}

/** What a client asks of a server. */
interface ClientTls {
  /** By its name in Postfix, in lower case: `may` is one. */
  readonly level: string;
  readonly protocols: string;
  readonly ciphers: string;
  /** Names or fingerprints, whichever the level is about. */
  readonly match: readonly string[];
}

/**
 * What of a setting each client does not compel on its way: `protocols >=TLSv1`; undefined: nothing, it is at least as strong.
 * A table that had to be listed, and cannot be, counts as one that says less.
 */
export async function lacksOnWays(
  host: Host,
  lookups: TableLookups,
  ways: readonly (readonly [way: Way, setting: DeliverySetting])[],
): Promise<ReadonlyMap<Way, string | undefined>> {
  const { postfix } = host;
  const lacks = new Map<Way, string | undefined>();
  for (const service of new Set(ways.map(([way]) => way.service))) {
    const own = ways.filter(([way]) => way.service === service);
    // Mail that could not be delivered goes there by the same client.
    const fallback = postfix.list('smtp_fallback_relay', service);
    const known = own.flatMap(([{ nexthop }]) => nexthop ?? []);
    const policyOf = await policies(postfix, lookups, service, [...known, ...fallback]);
    const { unlisted, anywhere } = await policiesAnywhere(
      host,
      lookups,
      known.length < own.length ? service : undefined,
    );
    for (const [way, setting] of own) {
      const { nexthop } = way;
      const all = [...(nexthop === undefined ? anywhere : [policyOf(nexthop)]), ...fallback.map(policyOf)];
      const lack = all.map((policy) => clientLack(postfix, service, policy, setting)).find((one) => one !== undefined);
      lacks.set(way, lack ?? (nexthop === undefined ? unlisted : undefined));
    }
  }
  return lacks;
}

/**
 * The same of one entry of a policy table, or, if it is undefined, of what the client asks of every server. A service that is
 * undefined is one that has only what main.cf says.
 */
export function clientLack(
  postfix: PostfixConfiguration,
  service: MasterService | undefined,
  policy: string | undefined,
  setting: DeliverySetting,
): string | undefined {
  const perSite = 'smtp_tls_per_site';
  if (postfix.list(POLICY_MAPS, service).length === 0 && postfix.value(perSite, service) !== '') return perSite;
  const { level, protocols, ciphers, match } = clientTls(postfix, service, policy);
  if ((LEVELS as readonly string[]).indexOf(level) < LEVELS.indexOf(setting.level)) return `level ${level}`;
  const minimum = PROTOCOLS.indexOf(setting.minProtocol.toLowerCase());
  if (oldestAllowed(protocols) < minimum) return `protocols ${protocols}`;
  const grade = (CIPHER_GRADES as readonly string[]).indexOf(ciphers.toLowerCase());
  if (grade < CIPHER_GRADES.indexOf(setting.ciphers)) return `ciphers ${ciphers}`;
  const accepted = acceptedBy(setting, level);
  const other = accepted === undefined ? undefined : match.find((one) => !accepted.includes(one.toLowerCase()));
  return other === undefined ? undefined : `match=${other}`;
}

/** As smtp(8) has it: an entry takes the place of the level, and of what else it names (smtp_tls_policy.c). */
function clientTls(
  postfix: PostfixConfiguration,
  service: MasterService | undefined,
  policy: string | undefined,
): ClientTls {
  const [first, ...rest] = policy === undefined ? [] : splitValue(policy);
  const attributes = rest.map(nameAndValue);
  const level = (first ?? globalLevel(postfix, service)).toLowerCase();
  const given = (wanted: string): string | undefined => attributes.find(([name]) => name === wanted)?.[1];
  const separator = level === 'fingerprint' ? /[\s,|]+/u : /[\s,:]+/u;
  // It may stand there more than once, and all of them count.
  const matches = attributes.flatMap(([name, value]) => (name === 'match' ? value.split(separator) : []));
  const parameter = MATCH_PARAMETERS[level];
  const usual = parameter === undefined ? '' : postfix.value(parameter, service);
  return {
    level,
    protocols: given('protocols') ?? postfix.value('smtp_tls_mandatory_protocols', service),
    ciphers: given('ciphers') ?? postfix.value('smtp_tls_mandatory_ciphers', service),
    match: (matches.length > 0 ? matches : usual.split(separator)).filter((one) => one !== ''),
  };
}

/** `ciphers=high`, `{ ciphers = high }`. */
function nameAndValue(attribute: string): readonly [name: string, value: string] {
  const bare = attribute.startsWith('{') ? attribute.slice(1, -1) : attribute;
  const equals = bare.indexOf('=');
  return [bare.slice(0, Math.max(equals, 0)).trim().toLowerCase(), bare.slice(equals + 1).trim()];
}

function globalLevel(postfix: PostfixConfiguration, service: MasterService | undefined): string {
  const level = postfix.value('smtp_tls_security_level', service);
  if (level !== '') return level;
  if (!postfix.isYes('smtp_enforce_tls', service)) return postfix.isYes('smtp_use_tls', service) ? 'may' : 'none';
  return postfix.isYes('smtp_tls_enforce_peername', service) ? 'verify' : 'encrypt';
}

/** Which names or fingerprints are as good as those that the setting asks for; undefined: any that a level of this name has. */
function acceptedBy(setting: DeliverySetting, level: string): readonly string[] | undefined {
  const { certificateNames, fingerprints } = setting;
  if (setting.level === 'fingerprint') {
    return level === 'fingerprint' ? fingerprints.map((one) => one.toLowerCase()) : undefined;
  }
  if (certificateNames.length > 0) return certificateNames.map((one) => one.toLowerCase());
  return NAMES_OF_LEVEL[setting.level];
}

/** The place in {@link PROTOCOLS} of the oldest one that a list of Postfix's leaves (smtp_tls_mandatory_protocols in postconf(5)). */
function oldestAllowed(list: string): number {
  let floor = 0;
  const named = new Set<number>();
  const excluded = new Set<number>();
  for (const element of list.toLowerCase().split(/[\s,:]+/u)) {
    const [, sign = '', name = ''] = /^(!|>=|<=)?(.*)$/u.exec(element) ?? [];
    const at = PROTOCOLS.indexOf(name);
    if (at < 0) continue;
    if (sign === '!') excluded.add(at);
    else if (sign === '>=') floor = at;
    else if (sign === '') named.add(at);
  }
  return PROTOCOLS.findIndex((_, at) => at >= floor && !excluded.has(at) && (named.size === 0 || named.has(at)));
}

/** Finds the entry that smtp(8) goes by at each of these next hops. A table that cannot be read has none: such mail waits. */
async function policies(
  postfix: PostfixConfiguration,
  lookups: TableLookups,
  service: MasterService,
  nexthops: readonly string[],
): Promise<(nexthop: string) => string | undefined> {
  const keys = [...new Set(nexthops.flatMap(keysOf))];
  const tables: ReadonlyMap<string, string>[] = [];
  for (const table of postfix.list(POLICY_MAPS, service)) tables.push(await lookups.find(table, keys));
  return (nexthop) => {
    for (const key of keysOf(nexthop)) {
      for (const table of tables) {
        const policy = table.get(key);
        if (policy !== undefined) return policy;
      }
    }
    return undefined;
  };
}

/** A domain's name is looked for with its parents, a next hop with brackets or port only as it is written. */
function keysOf(nexthop: string): readonly string[] {
  const parents = /[[\]:]/u.test(nexthop) ? [] : parentsOf(nexthop);
  return [nexthop, ...parents.map((parent) => `.${parent}`)];
}

/** Whatever a client may go by at domains that are not hosted here: tables of ours have those that are. */
async function policiesAnywhere(
  { postfix, fragmentContext }: Host,
  lookups: TableLookups,
  service: MasterService | undefined,
): Promise<{ readonly anywhere: readonly (string | undefined)[]; readonly unlisted: string | undefined }> {
  const { maps } = fragmentContext;
  const anywhere: (string | undefined)[] = [undefined];
  for (const table of service === undefined ? [] : postfix.list(POLICY_MAPS, service)) {
    if (maps !== undefined && table.includes(`:${maps.directory}/`)) continue;
    const listing = await lookups.list(table);
    if (listing?.isWhole !== true) return { anywhere, unlisted: `${POLICY_MAPS} ${table}` };
    anywhere.push(...listing.entries.values());
  }
  return { anywhere, unlisted: undefined };
}
