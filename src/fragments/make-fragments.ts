/**
 * Everything that this host's main.cf and master.cf need for these settings (contract section 7). Pure: what Postfix has
 * now goes in, so that it is kept, and a second time changes nothing.
 */

import type { Transport } from '../route/transport.ts';
import type { Settings } from '../settings/settings.ts';
import { tablePath } from '../tables/stamp.ts';
import { SENDER_TRANSPORT, TRANSPORT } from '../tables/table.ts';
import { transportsInUse } from '../tables/transports-in-use.ts';
import { isReusedTooLong, MOST_REUSE_S, REUSE_LIMIT } from './connection-reuse.ts';
import type { FragmentContext, Fragments, PresentConfiguration } from './fragment.ts';
import { classesIn, mainParameters, overrides, policyLevels, RECIPIENT_RESTRICTIONS } from './main-parameters.ts';
import { masterServices } from './master-services.ts';
import { permitsBeforeRelayCheck } from './restrictions.ts';
import { needsAuthority, TRUST_PARAMETERS } from './trusted-authorities.ts';
import { isTableAt, splitValue } from './value-list.ts';

/** `kept`: transports that master.cf has already, and is to keep. */
export function makeFragments(
  settings: Settings,
  context: FragmentContext,
  kept: readonly Transport[] = [],
): Fragments {
  return {
    parameters: mainParameters(settings, context),
    services: masterServices(settings, context, kept),
    overrides: overrides(context),
    notes: notes(settings, context),
  };
}

function notes(settings: Settings, { maps, present }: FragmentContext): readonly string[] {
  const now = (name: string): string => present.parameters.get(name) ?? '';
  const found: string[] = [];
  const certificates = ['smtpd_tls_cert_file', 'smtpd_tls_chain_files', 'smtpd_tls_eccert_file'];
  if (certificates.every((name) => now(name) === '' || now(name) === 'none')) {
    found.push('smtpd(8) has no certificate, so it offers no STARTTLS: set smtpd_tls_chain_files.');
  }
  if (TRUST_PARAMETERS.every((name) => now(name) === '') && needsAuthority(settings)) {
    found.push('Postfix trusts no authority, so mail that needs level verify or secure waits: set smtp_tls_CAfile.');
  }
  if (maps === undefined) {
    const terms = settings.nextHopsWithTerms().map(([, asked]) => asked);
    if (terms.some(({ certificateNames, fingerprints }) => certificateNames.length + fingerprints.length > 0)) {
      found.push(
        'There is no maps directory: certificate_names and fingerprints of next hops cannot be told to Postfix. Levels, protocols and ciphers hold.',
      );
    }
    if (transportsInUse(settings).some(({ bounce }) => bounce)) {
      found.push('There is no maps directory for the table that makes on_failure = "bounce": such mail is deferred.');
    }
  }
  found.push(...contentFilterNotes(present));
  if (
    permitsBeforeRelayCheck(now(RECIPIENT_RESTRICTIONS), classesIn(present)) &&
    now('smtpd_relay_restrictions') === ''
  ) {
    found.push(
      `${RECIPIENT_RESTRICTIONS} permits before reject_unauth_destination, and smtpd_relay_restrictions is empty: strangers reach the policy service.`,
    );
  }
  if (maps !== undefined && now('smtp_fallback_relay') !== '') {
    found.push('smtp_fallback_relay takes mail of domains in tls_policy that could not have its TLS: empty it.');
  }
  if (maps !== undefined && splitValue(now('parent_domain_matches_subdomains')).includes('transport_maps')) {
    found.push(
      'parent_domain_matches_subdomains names transport_maps: entries of a domain hold for its subdomains too. Take it out.',
    );
  }
  if (maps !== undefined && isReusedTooLong(now(REUSE_LIMIT))) {
    found.push(
      `${REUSE_LIMIT} is longer than ${MOST_REUSE_S}s: a domain that begins to ask for TLS may get mail by a plaintext session that is open already. Take it out.`,
    );
  }
  const transport = maps === undefined ? '' : tablePath(maps.directory, TRANSPORT);
  const others = splitValue(now('transport_maps')).filter((table) => !isTableAt(table, transport));
  if (maps !== undefined && others.length > 0 && requiresOutgoing(settings)) {
    found.push(
      `Some domain requires TLS for mail that it sends, but ${SENDER_TRANSPORT} is not asked for recipients that ${others.join(', ')} matches: give those domains an entry in the settings, with their nexthop.`,
    );
  }
  if (policyLevels(settings).has('dane-only') || transportsInUse(settings).some(({ level }) => level === 'dane-only')) {
    found.push('Level dane-only needs a resolver that validates DNSSEC, on this host.');
  }
  return found;
}

/** Where mail passes twice, FILTER belongs behind the filter. Whether it is so already, the call of the service tells. */
function contentFilterNotes(present: PresentConfiguration): readonly string[] {
  if (/\bpolicy_context\s*=\s*receipt\b/u.test(present.parameters.get(RECIPIENT_RESTRICTIONS) ?? '')) return [];
  const isSet = (name: string): boolean =>
    (present.parameters.get(name) ?? '') !== '' ||
    [...present.overrides].some(([place, value]) => place.endsWith(`/${name}`) && value !== '');
  const advice =
    'Let the service be asked for receipt before that filter and for delivery behind it: policy_context=receipt, policy_context=delivery.';
  const notes: string[] = [];
  if (isSet('content_filter')) {
    notes.push(`content_filter is set, and a message that the service routes by FILTER goes past it. ${advice}`);
  }
  if (isSet('smtpd_proxy_filter')) {
    notes.push(
      `smtpd_proxy_filter is set, and before it Postfix ignores the FILTER by which the service routes. ${advice}`,
    );
  }
  return notes;
}

/** Whether any domain requires TLS of mail that it sends. */
export function requiresOutgoing(settings: Settings): boolean {
  for (const { settings: of } of settings.domains()) if (of.outgoing.delivery?.enforcement === 'enforce') return true;
  return false;
}
