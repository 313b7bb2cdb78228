/**
 * Networks as cidr_table(5) takes them: it skips a rule whose address has bits beyond the prefix, with nothing but a
 * warning. Pure.
 */
import { isIPv4 } from 'node:net';

/** Where IPv6 has the addresses of IPv4 (RFC 4291, section 2.5.5.2): the first six groups. */
const MAPPED = '0:0:0:0:0:65535';
const MAPPED_BITS = 96;

/**
 * `10.0.0.0/8` of `10.1.2.3/8`; a single address as it is; what lies in `::ffff:0:0/96` as IPv4, since smtpd(8) writes these
 * clients so. `text` is an address or CIDR block that was checked before.
 */
export function cidrNetwork(text: string): string {
  const [address = '', prefix] = text.split('/');
  const mapped = mappedIpv4(address, prefix === undefined ? MAPPED_BITS : Number(prefix));
  if (prefix === undefined) return mapped ?? text;
  if (mapped !== undefined) return cidrNetwork(`${mapped}/${Number(prefix) - MAPPED_BITS}`);
  const bits = Number(prefix);
  if (isIPv4(address)) return `${masked(address.split('.').map(Number), 8, bits).join('.')}/${bits}`;
  const groups = masked(groupsOf(address), 16, bits).map((group) => group.toString(16));
  // The URL parser knows the one short way to write it (RFC 5952).
  const short = new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
  return `${short}/${bits}`;
}

/** The IPv4 address that is meant, if the block of so many bits holds none but such. */
function mappedIpv4(address: string, bits: number): string | undefined {
  if (isIPv4(address) || bits < MAPPED_BITS) return undefined;
  const groups = groupsOf(address);
  if (groups.slice(0, 6).join(':') !== MAPPED) return undefined;
  return groups
    .slice(6)
    .flatMap((group) => [group >> 8, group & 0xff])
    .join('.');
}

function masked(parts: readonly number[], width: number, bits: number): readonly number[] {
  return parts.map((part, index) => {
    const kept = Math.min(width, Math.max(0, bits - index * width));
    const rest = 2 ** (width - kept);
    return Math.floor(part / rest) * rest;
  });
}

/** The eight groups of an IPv6 address. */
function groupsOf(address: string): readonly number[] {
  const plain = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [head = '', tail] = plain.split('::');
  const read = (text: string): number[] =>
    text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
  const left = read(head);
  const right = tail === undefined ? [] : read(tail);
  return [...left, ...new Array<number>(8 - left.length - right.length).fill(0), ...right];
}
