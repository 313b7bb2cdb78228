/**
 * The parameters of main.cf that tlswarden needs, each with what is there now. Pure: settings and present values go in.
 */
import type { Settings } from '../settings/settings.ts';
import { tablePath } from '../tables/stamp.ts';
import {
  RECEIPT_ACCESS,
  RECEIPT_CLASS,
  RECEIPT_CLIENTS,
  SENDER_TRANSPORT,
  TLS_POLICY,
  TRANSPORT,
} from '../tables/table.ts';
import type { FragmentContext, OverrideFragment, ParameterFragment } from './fragment.ts';
import { splitRestrictions, withOurs } from './restrictions.ts';
import { isTableAt, splitValue, withFirst } from './value-list.ts';

export const RECIPIENT_RESTRICTIONS = 'smtpd_recipient_restrictions';
export const DATA_RESTRICTIONS = 'smtpd_data_restrictions';

/** What is changed by adding to it: to be read as main.cf has it, `$name` and all. */
export const PARAMETERS_EXTENDED = [
  'smtp_tls_policy_maps',
  'transport_maps',
  'sender_dependent_default_transport_maps',
  'smtpd_restriction_classes',
  RECIPIENT_RESTRICTIONS,
  DATA_RESTRICTIONS,
] as const;

/** What is looked at: to be read with every `$name` expanded. */
export const PARAMETERS_SEEN = [
  'smtpd_relay_restrictions',
  'smtp_tls_security_level',
  'smtpd_tls_security_level',
  'smtp_enforce_tls',
  'smtpd_enforce_tls',
  'smtpd_tls_cert_file',
  'smtpd_tls_chain_files',
  'smtpd_tls_eccert_file',
  'smtp_tls_per_site',
  'smtp_host_lookup',
  'smtp_fallback_relay',
  'tls_required_enable',
  'parent_domain_matches_subdomains',
  'smtp_connection_reuse_time_limit',
] as const;

/** Levels that domains in tls_policy have: what main.cf itself has to be able to do. */
export interface PolicyLevels {
  readonly fingerprint: boolean;
  readonly daneOnly: boolean;
}

/** Which levels stand in tls_policy. */
export function policyLevels(settings: Settings): PolicyLevels {
  let fingerprint = false;
  let daneOnly = false;
  for (const domain of settings.domains()) {
    const setting = domain.settings.incoming.delivery;
    if (setting?.tableKeys.everyone !== true || domain.nexthop !== '') continue;
    fingerprint ||= setting.level === 'fingerprint';
    daneOnly ||= setting.level === 'dane-only';
  }
  return { fingerprint, daneOnly };
}

/**
 * The call of the policy service. Postfix's own answer for a service that it cannot ask is 451 4.3.5 too, but may be set
 * to something else; mail is late then, never in the clear. One that hangs is given up long before the client would.
 */
export function policyServiceCall(policyService: string, context?: 'receipt' | 'delivery'): string {
  const what = context === undefined ? '' : ` policy_context=${context},`;
  const action = '{ default_action = 451 4.3.5 TLS policy service is not available, try again later }';
  return `check_policy_service { ${policyService},${what} { timeout = 10s }, { try_limit = 2 }, { retry_delay = 1s }, ${action} }`;
}

/** Puts tlswarden's restrictions into a value. */
export function recipientRestrictions(present: string, { policyService, maps }: FragmentContext): string {
  const table = maps === undefined ? undefined : tablePath(maps.directory, RECEIPT_ACCESS);
  const context = contextOf(present, policyService);
  const access = maps === undefined || context === 'delivery' ? [] : [`check_recipient_access ${maps.type}:${table}`];
  const ours = [...access, policyServiceCall(policyService, context)];
  return withOurs(present, ours, (text) => isOurCall(text, policyService) || isOurAccess(text, table));
}

function isOurCall(restriction: string, policyService: string): boolean {
  const [name = '', argument = ''] = splitValue(restriction);
  if (name.toLowerCase() !== 'check_policy_service') return false;
  const words = argument.startsWith('{') ? splitValue(argument.slice(1, -1)) : [argument];
  return words[0] === policyService;
}

/** Where mail passes twice, each pass asks for one hop: that is the administrator's, and stays. */
function contextOf(present: string, policyService: string): 'receipt' | 'delivery' | undefined {
  const call = splitRestrictions(present).find((text) => isOurCall(text, policyService));
  const context = /\bpolicy_context\s*=\s*(receipt|delivery)\b/u.exec(call ?? '')?.[1];
  return context === 'receipt' || context === 'delivery' ? context : undefined;
}

function isOurAccess(restriction: string, table: string | undefined): boolean {
  const [name, argument = ''] = splitValue(restriction);
  return table !== undefined && name?.toLowerCase() === 'check_recipient_access' && isTableAt(argument, table);
}

/** At DATA the service speaks first: what stands behind a permit is not asked. */
export function dataRestrictions(present: string, { policyService }: FragmentContext): string {
  const others = withOurs(present, [], (text) => isOurCall(text, policyService));
  return [policyServiceCall(policyService, contextOf(present, policyService)), others]
    .filter((part) => part !== '')
    .join(', ');
}

/** All parameters, in the order in which a postmaster would read them. */
export function mainParameters(settings: Settings, context: FragmentContext): readonly ParameterFragment[] {
  const { maps, present } = context;
  const now = (name: string): string => present.parameters.get(name) ?? '';
  const fragments: ParameterFragment[] = [];
  const add = (parameter: string, value: string, reason: string): void =>
    void fragments.push({ parameter, value, reason });

  if (isOpportunisticAtMost(now('smtpd_tls_security_level'), now('smtpd_enforce_tls'))) {
    add('smtpd_tls_security_level', 'may', 'offer STARTTLS: who is asked for TLS must be able to use it');
  }
  if (isOpportunisticAtMost(now('smtp_tls_security_level'), now('smtp_enforce_tls'))) {
    add('smtp_tls_security_level', 'may', 'TLS where the other side has it, for mail that nobody asks TLS for');
  }
  if (present.parameters.has('tls_required_enable')) {
    add('tls_required_enable', 'no', "senders could switch TLS policies off with a header 'TLS-Required: no'");
  }
  if (maps !== undefined) {
    addTables(settings, maps, now, add);
    const classes = splitValue(now('smtpd_restriction_classes')).filter((name) => name !== RECEIPT_CLASS);
    add('smtpd_restriction_classes', [...classes, RECEIPT_CLASS].join(', '), 'the class that receipt_access names');
    const clients = `check_client_access cidr:${tablePath(maps.directory, RECEIPT_CLIENTS)}`;
    add(RECEIPT_CLASS, clients, 'refuses plaintext sessions, but for receipt.exempt_clients');
    add('plaintext_reject_code', '550', 'for good: the sender is told at once, not after days');
  }
  const recipient = recipientRestrictions(now(RECIPIENT_RESTRICTIONS), context);
  add(RECIPIENT_RESTRICTIONS, recipient, 'asks for TLS on receipt, and routes by FILTER, before anything permits');
  add(DATA_RESTRICTIONS, dataRestrictions(now(DATA_RESTRICTIONS), context), 'all recipients of a message go one way');
  return fragments;
}

function addTables(
  settings: Settings,
  maps: NonNullable<FragmentContext['maps']>,
  now: (name: string) => string,
  add: (parameter: string, value: string, reason: string) => void,
): void {
  const first = (parameter: string, table: string, reason: string): void => {
    const path = tablePath(maps.directory, table);
    add(
      parameter,
      withFirst(`${maps.type}:${path}`, now(parameter), (element) => isTableAt(element, path)),
      reason,
    );
  };
  first('smtp_tls_policy_maps', TLS_POLICY, 'domains whose mail goes by MX, over TLS only');
  first('transport_maps', TRANSPORT, 'recipients and domains whose mail goes through a transport that compels TLS');
  first('sender_dependent_default_transport_maps', SENDER_TRANSPORT, 'senders whose mail leaves over TLS only');
  const { fingerprint, daneOnly } = policyLevels(settings);
  if (fingerprint) add('smtp_tls_fingerprint_digest', 'sha256', 'what the fingerprints in the settings are');
  if (daneOnly) {
    add('smtp_dns_support_level', 'dnssec', 'level dane-only needs DNSSEC from the resolver');
    if (!splitValue(now('smtp_host_lookup')).includes('dns')) add('smtp_host_lookup', 'dns', 'DANE needs the DNS');
  }
}

/** Whether TLS is off; the obsolete *_enforce_tls counts where no level is set. */
function isOpportunisticAtMost(level: string, enforce: string): boolean {
  return level === 'none' || (level === '' && enforce !== 'yes');
}

/** The same restrictions for services that have lists of their own: a submission service, most often. */
export function overrides(context: FragmentContext): readonly OverrideFragment[] {
  const found: OverrideFragment[] = [];
  for (const [name, present] of context.present.overrides) {
    const slash = name.lastIndexOf('/');
    const [service, parameter] = [name.slice(0, slash), name.slice(slash + 1)];
    const reason = `${service} has a list of its own, so main.cf's does not hold there`;
    if (parameter === RECIPIENT_RESTRICTIONS) {
      found.push({ service, parameter, value: recipientRestrictions(present, context), reason });
    } else if (parameter === DATA_RESTRICTIONS) {
      found.push({ service, parameter, value: dataRestrictions(present, context), reason });
    }
  }
  return found;
}
