/**
 * Whether the resolver of this host validates DNSSEC, where level dane-only needs it.
 */
import { DnsClient, type ResolverAddress } from '../probe/dns-client.ts';
import { transportsInUse } from '../tables/transports-in-use.ts';
import type { Finding } from './finding.ts';
import type { Host } from './host.ts';

/** A zone that is signed, and whose keys every validating resolver has the way to. */
const SIGNED = 'org';
const PATIENCE_MS = 2_000;

/**
 * Asks `resolvers` one question by DNS, and only where level dane-only is in use (RFC 4035 section 3.2.3, the AD bit).
 */
export async function examineResolver(
  { settings, mending }: Host,
  resolvers: readonly ResolverAddress[],
): Promise<readonly Finding[]> {
  if (!transportsInUse(settings).some(({ level }) => level === 'dane-only')) return [];
  const names = resolvers.map(({ address }) => address).join(', ');
  const answer = await new DnsClient(resolvers, PATIENCE_MS).lookup(SIGNED, 'MX').catch((error: Error) => error);
  if (!(answer instanceof Error) && answer.authenticated) return [];
  return [
    {
      id: 'resolver-not-validating',
      severity: 'fault',
      where: '/etc/resolv.conf',
      what:
        answer instanceof Error
          ? `The resolver could not be asked: ${answer.message}.`
          : `The resolver ${names} does not say that it has validated the zone ${SIGNED}, which is signed.`,
      why: 'Level dane-only goes by what the resolver has validated; without, mail of such domains waits.',
      mend: [
        'apt-get install unbound',
        "printf 'nameserver 127.0.0.1\\noptions trust-ad\\n' > /etc/resolv.conf",
        // Each of its programs reads that file once.
        ...mending.reload,
      ],
      note: 'Any resolver on this host that validates DNSSEC will do; on other systems than Debian the package is installed otherwise. Whatever else writes /etc/resolv.conf (DHCP, systemd-resolved) has to be told.',
    },
  ];
}
