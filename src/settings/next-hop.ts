/**
 * Next hops as Postfix's smtp(8) client writes them: `host`, `[host]`, `host:port`, `[host]:port`, an address literal.
 * They are table keys, so one spelling stands for one next hop; nothing is resolved here.
 */
import { isIP } from 'node:net';
import { parseDomain } from '../address/domain-name.ts';

declare const nextHop: unique symbol;

/** A next hop in lower case; '' is "by MX of the recipient's domain". */
export type NextHop = string & { readonly [nextHop]: true };

/** No `nexthop`, or no `relayhost`: mail goes to the recipient's domain by MX. */
export const BY_MX = '' as NextHop;

/** Reads a next hop; undefined if smtp(8) would not take it as one single destination. '' is {@link BY_MX}. */
export function parseNextHop(text: string): NextHop | undefined {
  if (text === '') return BY_MX;
  const match = /^(?:\[([^[\]\s,]+)\]|([^[\]\s,:]+))(?::([a-z0-9-]+))?$/iu.exec(text);
  if (match === null) return undefined;
  const [, literal, bare, port] = match;
  if (port !== undefined && /^\d+$/u.test(port) && (Number(port) < 1 || Number(port) > 65535)) return undefined;
  const host = (literal ?? bare ?? '').toLowerCase();
  const ok =
    parseDomain(host) === host ||
    (literal !== undefined && isIP(host.startsWith('ipv6:') ? host.slice(5) : host) !== 0);
  return ok ? (text.toLowerCase() as NextHop) : undefined;
}
