// How Postfix looks up the tables, said slowly after transport(5), access(5) and postconf(5), over rendered texts. It knows
// nothing of settings.

import type { Settings } from '../../src/settings/settings.ts';
import { render } from '../../src/tables/render.ts';

/** Texts of tables by name, as lines. */
export type Texts = ReadonlyMap<string, readonly string[]>;

/** Renders all tables to lines. */
export function texts(settings: Settings, exemptClients: readonly string[] = []): Texts {
  const all = new Map<string, readonly string[]>();
  for (const table of render(settings, { exemptClients }).tables) {
    const text = [...table.text()].map((chunk) => chunk.text).join('');
    all.set(table.name, text === '' ? [] : text.slice(0, -1).split('\n'));
  }
  return all;
}

/** A table compiled: each key once, or it is no table. */
export function compiled(texts: Texts, name: string): ReadonlyMap<string, string> {
  const table = new Map<string, string>();
  for (const line of texts.get(name) ?? []) {
    const space = line.indexOf(' ');
    const key = line.slice(0, space);
    if (space <= 0 || key !== key.toLowerCase()) throw new Error(`no entry: ${line}`);
    if (table.has(key)) throw new Error(`stands twice: ${key}`);
    table.set(key, line.slice(space + 1));
  }
  return table;
}

/** An address as trivial-rewrite(8) hands it on. */
function resolved(address: string): { readonly local: string; readonly domain: string } {
  const at = address.lastIndexOf('@');
  const domain = address.slice(at + 1).toLowerCase();
  return { local: address.slice(0, at).toLowerCase(), domain: domain.endsWith('.') ? domain.slice(0, -1) : domain };
}

/** user+ext@domain, user@domain. */
function addressKeys({ local, domain }: { local: string; domain: string }, delimiters: string): readonly string[] {
  const cuts = [...delimiters].map((delimiter) => local.indexOf(delimiter)).filter((at) => at > 0);
  const bare = cuts.length === 0 ? [] : [`${local.slice(0, Math.min(...cuts))}@${domain}`];
  return [`${local}@${domain}`, ...bare];
}

function first(table: ReadonlyMap<string, string>, keys: readonly string[]): string | undefined {
  for (const key of keys) if (table.has(key)) return table.get(key);
  return undefined;
}

/** transport(5): addresses, the domain, `.parent` domains. */
export function lookUpTransport(texts: Texts, recipient: string, delimiters: string): string | undefined {
  const address = resolved(recipient);
  const parents = address.domain.split('.').map((_, i, labels) => `.${labels.slice(i + 1).join('.')}`);
  return first(compiled(texts, 'transport'), [...addressKeys(address, delimiters), address.domain, ...parents]);
}

/** sender_dependent_default_transport_maps: addresses, `@domain`. */
export function lookUpSender(texts: Texts, sender: string, delimiters: string): string | undefined {
  if (sender === '') return undefined;
  const address = resolved(sender);
  return first(compiled(texts, 'sender_transport'), [...addressKeys(address, delimiters), `@${address.domain}`]);
}

/** access(5) with smtpd_access_maps in parent_domain_matches_subdomains: addresses, the domain and its parents, `user@`. */
export function lookUpReceipt(texts: Texts, recipient: string, delimiters: string): string | undefined {
  const address = resolved(recipient);
  const labels = address.domain.split('.');
  const domains = labels.map((_, i) => labels.slice(i).join('.'));
  return first(compiled(texts, 'receipt_access'), [
    ...addressKeys(address, delimiters),
    ...domains,
    `${address.local}@`,
  ]);
}

/** What smtp(8) asks of a next hop. */
export interface Policy {
  readonly level: string;
  readonly minimum: string;
  readonly ciphers: string;
  /** Of `match=`; undefined: the level's own. */
  readonly match: string | undefined;
}

/** smtp_tls_policy_maps: the next hop as it is written; a domain also as a subdomain. undefined: no entry. */
export function lookUpPolicy(texts: Texts, table: string, nexthop: string, options: Policy): Policy {
  const labels = nexthop.split('.');
  const isDomain = !/[[\]:]/u.test(nexthop);
  const parents = isDomain ? labels.slice(1).map((_, i) => `.${labels.slice(i + 1).join('.')}`) : [];
  const entry = first(compiled(texts, table), [nexthop, ...parents]);
  if (entry === undefined) return options;
  const [level = '', ...attributes] = entry.split(' ');
  const attribute = (name: string): string | undefined =>
    attributes.find((text) => text.startsWith(`${name}=`))?.slice(name.length + 1);
  return {
    level,
    minimum: (attribute('protocols') ?? `>=${options.minimum}`).slice(2),
    ciphers: attribute('ciphers') ?? options.ciphers,
    match: attribute('match'),
  };
}
