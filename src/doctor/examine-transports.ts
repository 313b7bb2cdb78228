/**
 * Whether the transports of master.cf are there and compel what their names say, and the smtp(8) clients by which domains of
 * tls_policy go look into it. Pure.
 */

import { isReusedTooLong, MOST_REUSE_S, REUSE_LIMIT } from '../fragments/connection-reuse.ts';
import { TLS_POLICY } from '../tables/table.ts';
import { examineReference } from './examine-tables.ts';
import type { Finding } from './finding.ts';
import type { Host } from './host.ts';
import type { MasterService } from './postfix-configuration.ts';

/** What only makes mail wait if it is otherwise; anything else could make it go without its TLS. */
const HARMLESS = new Set([
  'smtp_delivery_status_filter',
  'smtp_tls_fingerprint_digest',
  'smtp_dns_support_level',
  'smtp_host_lookup',
]);

/**
 * Of the master.cf lines that the settings need (contract section 7); others of ours may stay, since mail may wait for
 * them.
 */
export function examineTransports({ fragments, postfix, mending }: Host): readonly Finding[] {
  return fragments.services.flatMap(({ service: name, line, reason }): readonly Finding[] => {
    const service = postfix.services.find((one) => one.name === name);
    if (service === undefined) {
      return [
        {
          id: 'transport-missing',
          severity: 'fault',
          where: name,
          what: `master.cf has no ${name} (${reason}), and the settings need it.`,
          why: 'Mail that has to go by it waits: "mail transport unavailable".',
          mend: mending.apply,
        },
      ];
    }
    const differing = differences(postfix, service, line);
    if (differing.length === 0) return [];
    return [
      {
        id: 'transport-weakened',
        severity: differing.every((one) => HARMLESS.has(one.split(' ', 1)[0] ?? '')) ? 'fault' : 'breach',
        where: name,
        what: `It does not do what its name says: ${differing.join('; ')}.`,
        why: 'Mail that is moved to it may go with less TLS than the settings ask for, or waits without need.',
        mend: mending.apply,
      },
    ];
  });
}

function differences(postfix: Host['postfix'], service: MasterService, line: string): readonly string[] {
  const [command = '', ...options] = line.split(' -o ');
  const program = command.split(' ').at(-1) ?? '';
  const found = service.program === program ? [] : [`command is ${service.program}, not ${program}`];
  for (const option of options) {
    const [name, wanted] = [option.slice(0, option.indexOf('=')), option.slice(option.indexOf('=') + 1)];
    // A name in the log and nothing more.
    if (name === 'syslog_name') continue;
    const present = postfix.value(name, service);
    if (present !== wanted) found.push(`${name} is "${present}", not "${wanted}"`);
  }
  return found;
}

/** What is found where smtp(8) goes on with an open connection for this time; place and commands are the finder's. */
export function reuseFinding(time: string): Omit<Finding, 'where' | 'mend'> {
  return {
    id: 'connection-reuse',
    severity: 'breach',
    what: `It is ${time}; the service counts on ${MOST_REUSE_S}s at most.`,
    why: 'A domain that begins to ask for TLS may get mail by a plaintext session that is open already.',
  };
}

/** The clients by which domains of tls_policy are delivered: they have to look into it, and may neither give up on TLS nor go on long without. */
export function examinePolicyClients(host: Host, transports: Iterable<string>): readonly Finding[] {
  const { postfix, mending } = host;
  return [...transports].flatMap((transport): readonly Finding[] => {
    const service = postfix.agent(transport);
    if (service?.program !== 'smtp') return [];
    const found: Finding[] = [];
    const parameter = 'smtp_tls_policy_maps';
    if (service.raw.has(parameter)) found.push(...examineReference(host, parameter, TLS_POLICY, service));
    const fallback = postfix.value('smtp_fallback_relay', service);
    if (fallback !== '') {
      found.push({
        id: 'fallback-relay',
        severity: 'breach',
        where: postfix.placeOf('smtp_fallback_relay', service),
        what: `It is "${fallback}" for ${service.name}.`,
        why: 'Mail of a domain in tls_policy that could not have its TLS goes there, where nothing is known of it.',
        mend: [...mending.setFor(service, { smtp_fallback_relay: '' }), ...mending.reload],
      });
    }
    const reuse = postfix.value(REUSE_LIMIT, service);
    // That of main.cf is told once for all.
    if (service.raw.has(REUSE_LIMIT) && isReusedTooLong(reuse)) {
      const mend = [...mending.setFor(service, { [REUSE_LIMIT]: `${MOST_REUSE_S}s` }), ...mending.reload];
      found.push({ ...reuseFinding(reuse), where: postfix.placeOf(REUSE_LIMIT, service), mend });
    }
    return found;
  });
}
