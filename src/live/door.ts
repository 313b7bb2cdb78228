/**
 * The entrance by which doctor's own mail comes in: which smtpd(8), at which address. Pure, but for this host's addresses.
 */
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { Host } from '../doctor/host.ts';
import { inetAddressOf } from '../doctor/postfix-configuration.ts';
import { isLoopback } from '../service/listen-address.ts';
import type { Door } from './smtp-sender.ts';

/** services(5), as far as master.cf has them. */
const PORTS: Readonly<Record<string, number>> = { smtp: 25, submission: 587 };

/** The addresses of the entrance that takes mail from strangers, loopback first; none: there is no such entrance. */
export function doorsOf({ postfix, entrances }: Host): readonly Door[] {
  const hasFilter = entrances.some(({ filter }) => filter !== undefined);
  const candidates = [
    // Where a filter gives mail back it has been asked about before.
    ...entrances
      .filter(({ isLocal }) => !(hasFilter && isLocal))
      .map(({ service }) => service)
      .filter((service) => !postfix.isYes('smtpd_tls_wrappermode', service)),
    ...postfix.running('postscreen'),
  ];
  const doors = candidates.flatMap(
    (service): readonly { readonly hosts: readonly string[]; readonly port: number }[] => {
      const address = inetAddressOf(service);
      if (address === undefined) return [];
      const port = PORTS[address.port] ?? Number(address.port);
      const hosts =
        address.host === '' ? listening(postfix.interfaces, postfix.value('inet_protocols')) : [address.host];
      return Number.isInteger(port) && port > 0 ? [{ hosts, port }] : [];
    },
  );
  // Mail from strangers comes by port 25.
  const door = doors.find(({ port }) => port === 25) ?? doors[0];
  return (door?.hosts ?? []).map((host) => ({ host, port: door?.port ?? 0 }));
}

function listening(interfaces: readonly string[], protocols: string): readonly string[] {
  const own = Object.values(networkInterfaces()).flatMap((addresses) =>
    (addresses ?? [])
      .filter(({ internal, address }) => !internal && !/^fe80:/iu.test(address))
      .map(({ address }) => address),
  );
  const loopback = ['127.0.0.1', '::1'];
  const hosts = interfaces.flatMap((name) => {
    if (name === 'all') return [...loopback, ...own];
    return name === 'loopback-only' ? loopback : [name];
  });
  // Which of both a name leads to the resolver says.
  const isUsed = (host: string): boolean =>
    protocols === 'all' || isIP(host) === 0 || protocols.includes(`ipv${isIP(host)}`);
  const usable = hosts.filter(isUsed);
  return [...usable.filter(isLoopback), ...usable.filter((host) => !isLoopback(host))];
}
