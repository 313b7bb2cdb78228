/**
 * The services of master.cf that tlswarden needs: one smtp(8) client for each transport that a decision or a table can
 * name. Pure.
 */
import { type Transport, transportName } from '../route/transport.ts';
import type { Settings } from '../settings/settings.ts';
import { ownTerms } from '../tables/policy-entry.ts';
import { tablePath } from '../tables/stamp.ts';
import { BOUNCE_FILTER, requiredTableName } from '../tables/table.ts';
import { transportsInUse } from '../tables/transports-in-use.ts';
import type { FragmentContext, ServiceFragment } from './fragment.ts';

/** `kept`: transports that master.cf has already. Mail may be queued for them, whether or not the settings name them. */
export function masterServices(
  settings: Settings,
  context: FragmentContext,
  kept: readonly Transport[] = [],
): readonly ServiceFragment[] {
  const inUse = transportsInUse(settings);
  const names = new Set(inUse.map(transportName));
  const unused = kept.filter((transport) => !names.has(transportName(transport)));
  return [
    ...inUse.map((transport) => serviceFragment(transport, context, true)),
    ...unused.map((transport) => serviceFragment(transport, context, false)),
  ];
}

function serviceFragment(transport: Transport, context: FragmentContext, isInUse: boolean): ServiceFragment {
  const name = transportName(transport);
  const options = transportOptions(transport, context).map((option) => ` -o ${option}`);
  const reason = isInUse ? reasonOf(transport) : 'not in use now, but mail may be queued for it';
  return { service: `${name}/unix`, line: `${name} unix - - n - - smtp${options.join('')}`, isInUse, reason };
}

/** The options that tlswarden gives its services; any other is somebody else's. */
export const TRANSPORT_OPTIONS: ReadonlySet<string> = new Set([
  'syslog_name',
  'smtp_tls_security_level',
  'smtp_tls_policy_maps',
  'smtp_tls_mandatory_protocols',
  'smtp_tls_mandatory_ciphers',
  'smtp_fallback_relay',
  'smtp_tls_per_site',
  'smtp_tls_fingerprint_digest',
  'smtp_dns_support_level',
  'smtp_host_lookup',
  'smtp_delivery_status_filter',
]);

/** All that main.cf may say of TLS otherwise: the transport has to hold whatever stands there. */
function transportOptions(transport: Transport, { maps, present }: FragmentContext): readonly string[] {
  const terms = ownTerms(transport);
  const policies = maps === undefined ? '' : `${maps.type}:${tablePath(maps.directory, requiredTableName(transport))}`;
  const options = [
    'syslog_name=postfix/$service_name',
    `smtp_tls_security_level=${transport.level}`,
    // Without a table: empty, or an entry of main.cf's could ask for less.
    `smtp_tls_policy_maps=${policies}`,
    `smtp_tls_mandatory_protocols=>=${terms.minProtocol}`,
    `smtp_tls_mandatory_ciphers=${terms.ciphers}`,
    // Mail that could not be delivered with its TLS must not go to a relay that knows nothing of it.
    'smtp_fallback_relay=',
  ];
  // Obsolete, and looked at only where there are no policy maps; it could ask for less too.
  if ((present.parameters.get('smtp_tls_per_site') ?? '') !== '') options.push('smtp_tls_per_site=');
  if (transport.level === 'fingerprint') options.push('smtp_tls_fingerprint_digest=sha256');
  if (transport.level === 'dane-only') options.push('smtp_dns_support_level=dnssec', 'smtp_host_lookup=dns');
  if (transport.bounce && maps !== undefined) {
    options.push(`smtp_delivery_status_filter=regexp:${tablePath(maps.directory, BOUNCE_FILTER)}`);
  }
  return options;
}

function reasonOf({ level, minProtocol, ciphers, bounce }: Transport): string {
  const more = [
    minProtocol === undefined ? undefined : `${minProtocol} or later`,
    ciphers === undefined ? undefined : `${ciphers} ciphers`,
  ].filter((part) => part !== undefined);
  const failing = bounce ? 'sends mail back' : 'defers mail';
  return `level ${[level, ...more].join(', ')}; ${failing} that cannot have it`;
}
