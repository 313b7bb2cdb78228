/**
 * Renders the tables of contract section 7: settings go in, lines come out, one at a time, so that a million domains need
 * no large string. Whom a setting always asks for stands in its tableKeys; the decision uses the same ones.
 */
import { type DomainName, foldDomain, tableForms } from '../address/domain-name.ts';
import { staticRoute } from '../route/route.ts';
import { policyName, type Transport, transportName } from '../route/transport.ts';
import type { HostedDomain } from '../settings/hosted-domain.ts';
import { LEVELS } from '../settings/level.ts';
import { BY_MX } from '../settings/next-hop.ts';
import { DEFAULT_TERMS, type NextHopTerms } from '../settings/next-hop-terms.ts';
import type { TableKeys } from '../settings/people.ts';
import type { DeliverySetting } from '../settings/setting.ts';
import type { Settings } from '../settings/settings.ts';
import { formatDigest } from './domains-file.ts';
import { cidrNetwork } from './network.ts';
import { policyEntry, requiredEntry, termsByKey } from './policy-entry.ts';
import {
  BOUNCE_FILTER,
  type Chunk,
  RECEIPT_ACCESS,
  RECEIPT_CLASS,
  RECEIPT_CLIENTS,
  requiredTableName,
  SENDER_TRANSPORT,
  type Table,
  TLS_POLICY,
  TRANSPORT,
} from './table.ts';
import { plainTransport, transportsInUse } from './transports-in-use.ts';

/** Characters handed on at once: enough that it costs nothing, few enough to be no load on memory. */
const CHUNK = 256 * 1024;

/** What the tables hold besides the settings of domains. */
export interface RenderOptions {
  /** `receipt.exempt_clients`: networks in CIDR form or single addresses. */
  readonly exemptClients: readonly string[];
  /** Policies whose tables Postfix may still refer to, though no setting needs them any more. */
  readonly keep?: Iterable<Transport>;
}

/** Where an entry goes to. */
type Emit = (line: string) => void;

/** The entries that one name of a domain has in one table. */
type Entries = (emit: Emit, form: string, domain: HostedDomain) => void;

/** All that a generation holds. */
export interface Rendering {
  /** All tables, also the empty ones: main.cf refers to them from the start. */
  readonly tables: readonly Table[];
  /** `name tableDigest` of each domain that has any entry, for the service to compare. */
  readonly domains: Table['text'];
}

/** Of these settings, whatever comes after them: lines are made when they are asked for. */
export function render(settings: Settings, options: RenderOptions): Rendering {
  const names = tableNames(settings);
  const domains = names.map((name) => settings.find(foldDomain(name)));
  const terms = termsByKey(settings);
  const text = (entries: Entries) => (): Iterable<Chunk> => entriesOfAll(names, domains, entries);
  const indexed = (name: string, entries: Entries): Table => ({ name, kind: 'indexed', text: text(entries) });
  const tables: readonly Table[] = [
    // The one that is largest in most installations comes first: it is compiled while the others are rendered.
    indexed(RECEIPT_ACCESS, (emit, form, domain) => receiptEntries(emit, settings, form, domain)),
    indexed(TRANSPORT, (emit, form, domain) => transportEntries(emit, settings, form, domain)),
    indexed(TLS_POLICY, (emit, form, domain) => policyEntries(emit, settings, form, domain, terms)),
    indexed(SENDER_TRANSPORT, (emit, form, domain) => senderEntries(emit, settings, form, domain)),
    ...requiredTables(settings, terms, options.keep ?? []),
    { name: RECEIPT_CLIENTS, kind: 'cidr', text: () => [chunkOf(clientLines(options.exemptClients))] },
    { name: BOUNCE_FILTER, kind: 'regexp', text: () => [chunkOf(BOUNCE_LINES)] },
  ];
  return { tables, domains: text(digestEntry) };
}

function digestEntry(emit: Emit, form: string, { name, tableDigest }: HostedDomain): void {
  if (form === name && tableDigest !== 0) emit(formatDigest(name, tableDigest));
}

/** The names of all hosted domains and their aliases, in the forms in which Postfix looks them up, sorted. */
function tableNames(settings: Settings): readonly string[] {
  const names: string[] = [];
  for (const domain of settings.domains()) {
    pushForms(names, domain.name);
    for (const alias of domain.aliases) pushForms(names, alias);
  }
  return names.sort();
}

function pushForms(names: string[], name: DomainName): void {
  for (const form of tableForms(name)) names.push(form);
}

function* entriesOfAll(
  names: readonly string[],
  domains: readonly (HostedDomain | undefined)[],
  entries: Entries,
): Iterable<Chunk> {
  let text = '';
  let lines = 0;
  const emit: Emit = (line) => {
    text += line;
    text += '\n';
    lines += 1;
  };
  for (let i = 0; i < names.length; i++) {
    const domain = domains[i];
    if (domain !== undefined) entries(emit, names[i] as string, domain);
    if (text.length >= CHUNK) {
      yield { text, lines };
      text = '';
      lines = 0;
    }
  }
  yield { text, lines };
}

function chunkOf(lines: readonly string[]): Chunk {
  return { text: lines.map((line) => `${line}\n`).join(''), lines: lines.length };
}

/**
 * The setting of a domain of which the table tls_policy says all that it asks of delivery: then its mail keeps Postfix's own
 * route. undefined: it asks nothing, or other tables and FILTER say it.
 */
export function policySetting(
  settings: Settings,
  { nexthop, settings: of }: HostedDomain,
): DeliverySetting | undefined {
  const setting = of.incoming.delivery;
  const goesByPolicy =
    setting?.tableKeys.everyone === true &&
    setting.onFailure === 'defer' &&
    nexthop === BY_MX &&
    // With a relayhost the next hop of such a domain could be that, under which tls_policy has no entry for it.
    settings.relayhost === BY_MX;
  return goesByPolicy ? setting : undefined;
}

function policyEntries(
  emit: Emit,
  settings: Settings,
  form: string,
  domain: HostedDomain,
  terms: ReadonlyMap<string, NextHopTerms>,
): void {
  const setting = policySetting(settings, domain);
  if (setting === undefined) return;
  emit(`${form} ${policyEntry(setting.level, terms.get(form) ?? DEFAULT_TERMS)}`);
}

function transportEntries(emit: Emit, settings: Settings, form: string, domain: HostedDomain): void {
  const setting = domain.settings.incoming.delivery;
  if (setting === undefined || policySetting(settings, domain) !== undefined) return;
  const route = staticRoute(settings, domain, 'incoming');
  if (route !== undefined) addressEntries(emit, setting.tableKeys, form, '', route.text);
}

/** Whether the table transport has an entry for all mail of this name of a domain. */
export function isRoutedWhole(settings: Settings, domain: HostedDomain, name: DomainName): boolean {
  const setting = domain.settings.incoming.delivery;
  return setting !== undefined && policySetting(settings, domain) === undefined && isWhole(setting.tableKeys, name);
}

/** An empty next hop keeps relayhost, also where sender_dependent_relayhost_maps gives another one. */
function senderEntries(emit: Emit, settings: Settings, form: string, domain: HostedDomain): void {
  const setting = domain.settings.outgoing.delivery;
  if (setting === undefined) return;
  const route = staticRoute(settings, domain, 'outgoing');
  if (route !== undefined) addressEntries(emit, setting.tableKeys, form, '@', `${transportName(route.transport)}:`);
}

/** The entries that make `keys` lead to `value`; `prefix` is what stands before a domain that means everyone at it. */
function addressEntries(emit: Emit, keys: TableKeys, form: string, prefix: '' | '@', value: string): void {
  if (isWhole(keys, form)) emit(`${prefix}${form} ${value}`);
  else for (const local of keys.localParts) emit(`${local}@${form} ${value}`);
}

function isWhole(keys: TableKeys, form: string): boolean {
  return keys.everyone || (keys.domains.length > 0 && keys.domains.includes(foldDomain(form)));
}

function receiptEntries(emit: Emit, settings: Settings, form: string, domain: HostedDomain): void {
  const keys = domain.settings.incoming.receipt?.tableKeys;
  if (keys !== undefined) addressEntries(emit, keys, form, '', RECEIPT_CLASS);
  if ((keys === undefined || !isWhole(keys, form)) && isBelowWhole(settings, form)) emit(`${form} DUNNO`);
}

/** Whether the entry of a parent domain would hold for this name too (parent_domain_matches_subdomains). */
function isBelowWhole(settings: Settings, form: string): boolean {
  const name = foldDomain(form);
  for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
    const parent = name.slice(dot + 1);
    const keys = settings.find(parent as DomainName)?.settings.incoming.receipt?.tableKeys;
    if (keys !== undefined && isWhole(keys, parent)) return true;
  }
  return false;
}

function requiredTables(
  settings: Settings,
  terms: ReadonlyMap<string, NextHopTerms>,
  keep: Iterable<Transport>,
): readonly Table[] {
  const policies = new Map<string, Transport>();
  const always = LEVELS.map(plainTransport);
  for (const transport of [...always, ...transportsInUse(settings), ...keep]) {
    policies.set(policyName(transport), transport);
  }
  const ordered = [...policies].sort(([a], [b]) => (a < b ? -1 : 1));
  return ordered.map(([, transport]) => ({
    name: requiredTableName(transport),
    kind: 'indexed',
    text: () => requiredEntries(transport, [...terms]),
  }));
}

/** Next hops that give one chunk. */
const STRIDE = 4096;

function* requiredEntries(
  transport: Transport,
  terms: readonly (readonly [key: string, terms: NextHopTerms])[],
): Iterable<Chunk> {
  for (let i = 0; i < terms.length; i += STRIDE) {
    const lines: string[] = [];
    for (const [key, asked] of terms.slice(i, i + STRIDE)) {
      const entry = requiredEntry(transport, asked);
      if (entry !== undefined) lines.push(`${key} ${entry}`);
    }
    yield chunkOf(lines);
  }
}

/** The first match counts, so the exempt ones stand first; IPv4 and IPv6 networks do not match each other. */
function clientLines(exemptClients: readonly string[]): readonly string[] {
  const exempt = [...new Set(exemptClients.map(cidrNetwork))].sort().map((network) => `${network} DUNNO`);
  return [...exempt, '0.0.0.0/0 reject_plaintext_session', '::/0 reject_plaintext_session'];
}

/**
 * For smtp_delivery_status_filter: what smtp(8) says when TLS is required and not to be had (4.7.4), or not as it has to
 * be (4.7.5, the certificate), becomes a failure for good. Troubles of this host, a table or a name server that does not
 * answer, stay temporary: no mail is sent back for them. Inline regexp tables exist only from Postfix 3.7 on.
 */
const BOUNCE_LINES: readonly string[] = [
  '/^4\\.7\\.5 (client TLS configuration problem|TLSA lookup error.*)$/ 4.7.5 $1',
  '/^4\\.7\\.([45])( .*)?$/ 5.7.$1$2',
];
