/**
 * A next hop taken apart as smtp(8) does: name or address, whether MX records are asked for, port. Pure.
 */
import { isIP } from 'node:net';
import type { NextHop } from '../settings/next-hop.ts';

/** What smtp(8) makes of a next hop. */
export interface NextHopParts {
  /** Without brackets, port and `ipv6:`. */
  readonly name: string;
  /** Whether {@link name} is an IP address. */
  readonly isAddress: boolean;
  /** In brackets, or an address: no MX records are asked for. */
  readonly direct: boolean;
  /** undefined: a service that we do not know the port of. */
  readonly port: number | undefined;
}

const SMTP_PORT = 25;
/** services(5), as far as mail goes; `smtps` speaks TLS at once, which no level of ours asks for. */
const SERVICES: Readonly<Record<string, number>> = { smtp: SMTP_PORT, mail: SMTP_PORT, submission: 587, lmtp: 24 };

/** Takes whatever `parseNextHop` gives but by MX (transport(5), "RESULT FORMAT"). */
export function splitNextHop(nexthop: NextHop): NextHopParts {
  const [, literal, bare = '', port] = /^(?:\[([^\]]+)\]|([^:]+))(?::(.+))?$/u.exec(nexthop) ?? [];
  const name = (literal ?? bare).replace(/^ipv6:/u, '');
  return {
    name,
    isAddress: isIP(name) !== 0,
    direct: literal !== undefined || isIP(name) !== 0,
    port: port === undefined ? SMTP_PORT : /^\d+$/u.test(port) ? Number(port) : SERVICES[port],
  };
}
