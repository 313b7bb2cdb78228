/**
 * Clients whose sessions are not asked for TLS on receipt (`receipt.exempt_clients`). Compiled once; it resolves no names.
 */
import { BlockList, isIP } from 'node:net';

/** A test for `client_address`. `blocks` are addresses and CIDR blocks that the main file has checked. */
export function compileExemptClients(blocks: readonly string[]): (clientAddress: string) => boolean {
  if (blocks.length === 0) return () => false;
  const list = new BlockList();
  for (const block of blocks) {
    const [address = '', bits] = block.split('/');
    const family = isIP(address) === 4 ? 'ipv4' : 'ipv6';
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return (clientAddress) => {
    // Postfix writes IPv4 addresses that came in by IPv6 as IPv4; other clients of the protocol may not.
    const address = /^::ffff:\d+\.\d+\.\d+\.\d+$/iu.test(clientAddress) ? clientAddress.slice(7) : clientAddress;
    const family = isIP(address);
    return family !== 0 && list.check(address, family === 4 ? 'ipv4' : 'ipv6');
  };
}
