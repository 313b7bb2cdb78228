/**
 * Clients whose sessions are not asked for TLS on receipt (`receipt.exempt_clients`). Compiled once; it resolves no names.
 */
import { BlockList, isIP } from 'node:net';
import { codeAt } from '../text/code-at.ts';

const DOT = 0x2e;
const COLON = 0x3a;
const ZERO = 0x30;

/** A block of IPv4 addresses, as numbers of 32 bits. */
interface Block {
  readonly network: number;
  readonly mask: number;
}

/** Where IPv6 has the addresses of IPv4 (RFC 4291, section 2.5.5.2). */
const MAPPED_BITS = 96;
const MAPPED = new BlockList();
MAPPED.addSubnet('::ffff:0:0', MAPPED_BITS, 'ipv6');

/** A test for `client_address`. `blocks` are addresses and CIDR blocks that the main file has checked. */
export function compileExemptClients(blocks: readonly string[]): (clientAddress: string) => boolean {
  // Every plaintext session is looked up. BlockList makes an object of each address, which costs far more.
  const ipv4: Block[] = [];
  const ipv6 = new BlockList();
  const mapped = new BlockList();
  for (const block of blocks) {
    const [address = '', bits] = block.split('/');
    const network = parseIpv4(address);
    if (network !== undefined) {
      const prefix = Number(bits ?? 32);
      // A shift by 32 is one by 0.
      const mask = prefix === 0 ? 0 : -1 << (32 - prefix);
      ipv4.push({ network: network & mask, mask });
    } else {
      const prefix = Number(bits ?? 128);
      ipv6.addSubnet(address, prefix, 'ipv6');
      // A block that has more besides means addresses of IPv6: `::/0` is not everybody.
      if (prefix >= MAPPED_BITS && MAPPED.check(address, 'ipv6')) mapped.addSubnet(address, prefix, 'ipv6');
    }
  }
  const hasIpv6 = ipv6.rules.length > 0;
  const hasMapped = mapped.rules.length > 0;
  return (clientAddress) => {
    // Postfix writes IPv4 addresses that came in by IPv6 as IPv4; other clients of the protocol may not.
    const isMapped = codeAt(clientAddress, 0) === COLON && /^::ffff:\d+\.\d+\.\d+\.\d+$/iu.test(clientAddress);
    const address = isMapped ? clientAddress.slice('::ffff:'.length) : clientAddress;
    const number = parseIpv4(address);
    if (number === undefined) return hasIpv6 && isIP(address) === 6 && ipv6.check(address, 'ipv6');
    for (const { network, mask } of ipv4) if ((number & mask) === network) return true;
    return hasMapped && mapped.check(address, 'ipv4');
  };
}

/** An IPv4 address as a number of 32 bits; undefined if it is none. */
function parseIpv4(text: string): number | undefined {
  let number = 0;
  let octet = 0;
  let digits = 0;
  let dots = 0;
  for (let i = 0; i < text.length; i++) {
    const code = codeAt(text, i);
    if (code === DOT && digits > 0 && dots < 3) {
      number = (number << 8) | octet;
      octet = digits = 0;
      dots += 1;
      continue;
    }
    const digit = code - ZERO;
    // As isIP has it: no more than three digits, and none to begin with 0.
    if (digit < 0 || digit > 9 || digits === 3 || (digits > 0 && octet === 0)) return undefined;
    octet = octet * 10 + digit;
    digits += 1;
    if (octet > 255) return undefined;
  }
  return dots === 3 && digits > 0 ? (number << 8) | octet : undefined;
}
