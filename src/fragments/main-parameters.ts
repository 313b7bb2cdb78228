/**
 * The parameters of main.cf that tlswarden needs, each with what is there now. Pure: settings and present values go in.
 */
import type { Level } from '../settings/level.ts';
import type { Hop } from '../settings/setting.ts';
import type { Settings } from '../settings/settings.ts';
import { policySetting } from '../tables/render.ts';
import { tablePath } from '../tables/stamp.ts';
import {
  RECEIPT_ACCESS,
  RECEIPT_CLASS,
  RECEIPT_CLIENTS,
  SENDER_TRANSPORT,
  TLS_POLICY,
  TRANSPORT,
} from '../tables/table.ts';
import { REUSE_LIMIT } from './connection-reuse.ts';
import type { FragmentContext, OverrideFragment, ParameterFragment, PresentConfiguration } from './fragment.ts';
import { DEFAULT_ACTION, isOurAccess, isOurCall, isOurTable, type Ours, oursOf } from './ours.ts';
import { splitRestrictions, withOurs } from './restrictions.ts';
import { TRUST_PARAMETERS } from './trusted-authorities.ts';
import { splitValue, withFirst, without } from './value-list.ts';

/** Where the service is asked at RCPT. */
export const RECIPIENT_RESTRICTIONS = 'smtpd_recipient_restrictions';
/** Where it is asked at DATA. */
export const DATA_RESTRICTIONS = 'smtpd_data_restrictions';

/** Names the classes of main.cf, ours among them. */
export const RESTRICTION_CLASSES = 'smtpd_restriction_classes';

/** The lists of tables, and the table of ours that stands in each. */
export const TABLE_PARAMETERS: ReadonlyMap<string, string> = new Map([
  ['smtp_tls_policy_maps', TLS_POLICY],
  ['transport_maps', TRANSPORT],
  ['sender_dependent_default_transport_maps', SENDER_TRANSPORT],
]);

/** What is changed by adding to it: to be read as main.cf has it, `$name` and all. */
export const PARAMETERS_EXTENDED = [
  ...TABLE_PARAMETERS.keys(),
  RESTRICTION_CLASSES,
  RECEIPT_CLASS,
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
  ...TRUST_PARAMETERS,
  'smtp_tls_per_site',
  'smtp_host_lookup',
  'smtp_fallback_relay',
  'tls_required_enable',
  'parent_domain_matches_subdomains',
  REUSE_LIMIT,
  'content_filter',
  'smtpd_proxy_filter',
] as const;

/** What services of master.cf may set for themselves and is looked at. */
export const OVERRIDES_SEEN = [
  RECIPIENT_RESTRICTIONS,
  DATA_RESTRICTIONS,
  'content_filter',
  'smtpd_proxy_filter',
] as const;

/** The levels that stand in tls_policy: what main.cf itself has to be able to do. */
export function policyLevels(settings: Settings): ReadonlySet<Level> {
  const levels = new Set<Level>();
  for (const domain of settings.domains()) {
    const level = policySetting(settings, domain)?.level;
    if (level !== undefined) levels.add(level);
  }
  return levels;
}

/**
 * The call of the policy service. Postfix's own answer for a service that it cannot ask is 451 4.3.5 too, but may be set
 * to something else; mail is late then, never in the clear. One that hangs is given up long before the client would.
 */
export function policyServiceCall(policyService: string, hop?: Hop): string {
  const what = hop === undefined ? '' : ` policy_context=${hop},`;
  return `check_policy_service { ${policyService},${what} { timeout = 10s }, { try_limit = 2 }, { retry_delay = 1s }, ${DEFAULT_ACTION} }`;
}

/** smtpd_recipient_restrictions with tlswarden's in place of whatever `isOurs`; they ask about `hop`, or about both. */
export function recipientRestrictions(
  value: string,
  hop: Hop | undefined,
  { policyService, maps, present }: FragmentContext,
  isOurs: (restriction: string) => boolean,
): string {
  const access =
    maps === undefined || hop === 'delivery'
      ? []
      : [`check_recipient_access ${maps.type}:${tablePath(maps.directory, RECEIPT_ACCESS)}`];
  return withOurs(value, [...access, policyServiceCall(policyService, hop)], isOurs, classesIn(present));
}

/** The same for smtpd_data_restrictions. The service speaks first: what stands behind a permit is not asked. */
export function dataRestrictions(
  value: string,
  hop: Hop | undefined,
  { policyService }: FragmentContext,
  isOurs: (restriction: string) => boolean,
): string {
  return [policyServiceCall(policyService, hop), withoutOurs(value, isOurs)].filter((part) => part !== '').join(', ');
}

/** A list of restrictions without whatever `isOurs`. */
export function withoutOurs(value: string, isOurs: (restriction: string) => boolean): string {
  return withOurs(value, [], isOurs, new Set());
}

/** The restriction classes of main.cf. */
export function classesIn({ parameters }: PresentConfiguration): ReadonlySet<string> {
  return new Set(splitValue(parameters.get(RESTRICTION_CLASSES) ?? ''));
}

function oursIn({ policyService, maps, present }: FragmentContext): Ours {
  return oursOf(policyService, maps?.directory, present.parameters.get(RECEIPT_CLASS) ?? '');
}

/** One of these two lists, asking about what it asks about now. */
function applied(list: typeof recipientRestrictions, value: string, context: FragmentContext): string {
  const ours = oursIn(context);
  return list(value, passOf(value, ours), context, (text) => isOurCall(text, ours) || isOurAccess(text, ours));
}

/** Where mail passes twice, each pass asks for one hop: that is the administrator's, and stays. */
function passOf(value: string, ours: Ours): Hop | undefined {
  const call = splitRestrictions(value).find((text) => isOurCall(text, ours));
  const pass = /\bpolicy_context\s*=\s*(receipt|delivery)\b/u.exec(call ?? '')?.[1];
  return pass === 'receipt' || pass === 'delivery' ? pass : undefined;
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
  const ours = oursIn(context);
  if (maps !== undefined) {
    addTables(settings, maps, ours, now, add);
    const classes = [...splitValue(withoutClass(now(RESTRICTION_CLASSES))), RECEIPT_CLASS];
    add(RESTRICTION_CLASSES, classes.join(', '), 'the class that receipt_access names');
    const clients = `check_client_access cidr:${tablePath(maps.directory, RECEIPT_CLIENTS)}`;
    add(RECEIPT_CLASS, clients, 'refuses plaintext sessions, but for receipt.exempt_clients');
    add('plaintext_reject_code', '550', 'for good: the sender is told at once, not after days');
  } else if (ours.directories.length > 0) {
    // Nobody renews these tables any more: what they hold is not what the settings ask for.
    const reason = 'the main file has no [maps] any more';
    for (const [parameter, table] of TABLE_PARAMETERS)
      add(parameter, withoutTable(now(parameter), table, ours), reason);
    add(RESTRICTION_CLASSES, withoutClass(now(RESTRICTION_CLASSES)), reason);
    add(RECEIPT_CLASS, '', reason);
  }
  const recipient = applied(recipientRestrictions, now(RECIPIENT_RESTRICTIONS), context);
  add(RECIPIENT_RESTRICTIONS, recipient, 'asks for TLS on receipt, and routes by FILTER, before anything permits');
  const data = applied(dataRestrictions, now(DATA_RESTRICTIONS), context);
  add(DATA_RESTRICTIONS, data, 'all recipients of a message go one way');
  return fragments;
}

/** A list of tables without ours. */
export function withoutTable(value: string, table: string, ours: Ours): string {
  return without(value, (element) => isOurTable(element, table, ours));
}

/** smtpd_restriction_classes without ours. */
export function withoutClass(value: string): string {
  return without(value, (name) => name === RECEIPT_CLASS);
}

const TABLE_REASONS: Readonly<Record<string, string>> = {
  [TLS_POLICY]: 'domains whose mail goes by MX, over TLS only',
  [TRANSPORT]: 'recipients and domains whose mail goes through a transport that compels TLS',
  [SENDER_TRANSPORT]: 'senders whose mail leaves over TLS only',
};

function addTables(
  settings: Settings,
  maps: NonNullable<FragmentContext['maps']>,
  ours: Ours,
  now: (name: string) => string,
  add: (parameter: string, value: string, reason: string) => void,
): void {
  for (const [parameter, table] of TABLE_PARAMETERS) {
    const first = `${maps.type}:${tablePath(maps.directory, table)}`;
    const value = withFirst(first, now(parameter), (element) => isOurTable(element, table, ours));
    add(parameter, value, TABLE_REASONS[table] ?? '');
  }
  const levels = policyLevels(settings);
  if (levels.has('fingerprint'))
    add('smtp_tls_fingerprint_digest', 'sha256', 'what the fingerprints in the settings are');
  if (levels.has('dane-only')) {
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
      found.push({ service, parameter, value: applied(recipientRestrictions, present, context), reason });
    } else if (parameter === DATA_RESTRICTIONS) {
      found.push({ service, parameter, value: applied(dataRestrictions, present, context), reason });
    }
  }
  return found;
}
