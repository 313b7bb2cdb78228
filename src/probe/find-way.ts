/**
 * Where a domain's mail goes: from the next hop to hosts and their addresses, by MX (RFC 5321 section 5.1, RFC 7505) or
 * directly, and to the TLSA records that go with them (RFC 7672 section 2). It asks the resolver, and connects to nobody.
 */
import { isIP } from 'node:net';
import { parseDomain } from '../address/domain-name.ts';
import type { NextHop } from '../settings/next-hop.ts';
import { printable } from '../text/printable.ts';
import type { Resolver } from './dns-client.ts';
import { type DnsAnswer, DnsTrouble, type RecordType } from './dns-message.ts';
import { splitNextHop } from './next-hop-parts.ts';
import type { HostSeen, TlsaSight, Way } from './sight.ts';

/** More than Postfix tries (smtp_mx_address_limit, 5), and a bound on what a hostile zone can make us do. */
const MAX_HOSTS = 16;
const MAX_ADDRESSES = 8;

/** A host before anybody connected to it. */
export type HostFound = Omit<HostSeen, 'addresses'> & { readonly addresses: readonly string[] };

/** A domain's way; without hosts where `way.problem` says why. */
export interface WayFound {
  readonly way: Way;
  readonly hosts: readonly HostFound[];
}

interface Exchange {
  readonly name: string;
  readonly preference: number | undefined;
}

/** `nexthop` is the domain itself where it goes by MX. */
export async function findWay(nexthop: NextHop, resolver: Resolver): Promise<WayFound> {
  const { name, direct, port } = splitNextHop(nexthop);
  const base = { destination: name, port: port ?? 0, mxSecure: undefined, skipped: 0 };
  const nowhere = (problem: string): WayFound => ({ way: { ...base, problem }, hosts: [] });
  if (port === undefined) return nowhere(`the port of ${nexthop} is not known; write a number`);
  if (direct) {
    const host = await findHost({ name, preference: undefined }, port, resolver);
    return { way: { ...base, problem: undefined }, hosts: [host] };
  }
  const mx = await ask(resolver, name, 'MX');
  if (mx instanceof DnsTrouble) return nowhere(`the DNS does not say where its mail goes: ${mx.message}`);
  if (mx.outcome === 'no-name') return nowhere('there is no such domain in the DNS');
  if (mx.outcome === 'none') {
    // RFC 5321 section 5.1: without MX records the domain is its own host.
    const host = await findHost({ name, preference: undefined }, port, resolver);
    if (host.addresses.length === 0) return nowhere('has neither MX records nor an address');
    return { way: { ...base, problem: undefined }, hosts: [host] };
  }
  const exchanges = mx.records
    .filter(({ exchange }) => exchange !== '')
    .map(({ exchange, preference }) => ({ name: exchange, preference }))
    .sort((a, b) => a.preference - b.preference || (a.name < b.name ? -1 : 1));
  if (exchanges.length === 0) return nowhere('takes no mail: it has a null MX record (RFC 7505)');
  const hosts = await Promise.all(exchanges.slice(0, MAX_HOSTS).map((exchange) => findHost(exchange, port, resolver)));
  const skipped = Math.max(0, exchanges.length - MAX_HOSTS);
  return { way: { ...base, mxSecure: mx.authenticated, problem: undefined, skipped }, hosts };
}

async function findHost({ name, preference }: Exchange, port: number, resolver: Resolver): Promise<HostFound> {
  const found = { name: printable(name), preference, problem: undefined, skipped: 0 };
  if (isIP(name) !== 0) {
    // As a next hop an address is one; an MX record must hold a name (RFC 5321 section 5.1).
    const problem = preference === undefined ? undefined : 'is an address, and MX records must name hosts';
    return { ...found, problem, tlsa: { outcome: 'insecure' }, addresses: problem === undefined ? [name] : [] };
  }
  const without = (problem: string): HostFound => ({ ...found, problem, tlsa: { outcome: 'none' }, addresses: [] });
  if (parseDomain(name) !== name) return without('is no host name');
  const [v4, v6] = await Promise.all([ask(resolver, name, 'A'), ask(resolver, name, 'AAAA')]);
  const answers = [v4, v6].filter(isFound);
  const addresses = answers.flatMap(({ records }) => records);
  if (addresses.length === 0) {
    const trouble = [v4, v6].find((answer) => answer instanceof DnsTrouble);
    return without(trouble === undefined ? 'has no address in the DNS' : `has no address: ${trouble.message}`);
  }
  const secure = answers.every(({ authenticated }) => authenticated);
  const canonical = answers[0]?.canonical ?? name;
  return {
    ...found,
    tlsa: secure ? await findTlsa([...new Set([canonical, name])], port, resolver) : { outcome: 'insecure' },
    addresses: addresses.slice(0, MAX_ADDRESSES),
    skipped: Math.max(0, addresses.length - MAX_ADDRESSES),
  };
}

/** RFC 7672 section 2.2.2: where CNAMEs led first, then the name as it was written. */
async function findTlsa(bases: readonly string[], port: number, resolver: Resolver): Promise<TlsaSight> {
  for (const base of bases) {
    const answer = await ask(resolver, `_${port}._tcp.${base}`, 'TLSA');
    if (answer instanceof DnsTrouble) return { outcome: 'failed', reason: answer.message };
    if (answer.outcome === 'found' && answer.authenticated) {
      return { outcome: 'found', base, records: answer.records };
    }
  }
  return { outcome: 'none' };
}

type Answer = DnsAnswer<'A'> | DnsAnswer<'AAAA'>;
const isFound = (answer: Answer | DnsTrouble): answer is Answer =>
  !(answer instanceof DnsTrouble) && answer.outcome === 'found';

async function ask<T extends RecordType>(
  resolver: Resolver,
  name: string,
  type: T,
): Promise<DnsAnswer<T> | DnsTrouble> {
  try {
    return await resolver.lookup(name, type);
  } catch (error) {
    if (error instanceof DnsTrouble) return error;
    throw error;
  }
}
