/**
 * Parameters of main.cf that stand in the way of the settings, or differ from what the main file says of them. Pure; lists
 * of restrictions and tables have examinations of their own.
 */

import { type DomainName, NO_DOMAIN, parseDomain } from '../address/domain-name.ts';
import { isReusedTooLong, REUSE_LIMIT } from '../fragments/connection-reuse.ts';
import { requiresOutgoing } from '../fragments/make-fragments.ts';
import { mayPermit, readRestrictions } from '../fragments/restrictions.ts';
import { isTableAt } from '../fragments/value-list.ts';
import { tablePath } from '../tables/stamp.ts';
import { RECEIPT_CLASS, RECEIPT_CLIENTS } from '../tables/table.ts';
import { reuseFinding } from './examine-transports.ts';
import type { Finding, FindingId, Severity } from './finding.ts';
import type { Host } from './host.ts';

/** Of main.cf as it is, without what services of master.cf set for themselves. */
export function examineParameters(host: Host): readonly Finding[] {
  return [...missing(host), ...receiptClass(host), ...differing(host), ...inTheWay(host), ...repeated(host)];
}

/** Parameters of which `postfix show` says all that there is to say. */
const PLAIN: Readonly<Record<string, readonly [id: FindingId, severity: Severity, why: string]>> = {
  smtp_tls_security_level: [
    'smtp-tls-off',
    'advice',
    'Mail that nobody asks TLS for leaves in plaintext, also to servers that have TLS.',
  ],
  tls_required_enable: [
    'tls-required-header',
    'breach',
    'A sender\'s header "TLS-Required: no" switches TLS policies off, whatever the recipient\'s domain asks for.',
  ],
  plaintext_reject_code: [
    'plaintext-reject-code',
    'fault',
    'The table receipt_access refuses for now only: the sender is told after days instead of at once.',
  ],
  smtp_tls_fingerprint_digest: [
    'fingerprint-digest',
    'fault',
    'Fingerprints in the settings are SHA-256; no other digest matches them, so the mail waits.',
  ],
  smtp_dns_support_level: [
    'dns-support',
    'fault',
    'Level dane-only needs DNSSEC; without, mail of such domains waits.',
  ],
  smtp_host_lookup: [
    'dns-support',
    'fault',
    'DANE needs host names from the DNS; without, mail of such domains waits.',
  ],
};

function missing({ fragments, postfix, mending }: Host): readonly Finding[] {
  return fragments.parameters.flatMap(({ parameter, value }): readonly Finding[] => {
    const plain = PLAIN[parameter];
    const present = postfix.value(parameter);
    if (plain === undefined || present === value) return [];
    const [id, severity, why] = plain;
    const what = `It is ${present === '' ? 'empty' : `"${present}"`} and should be "${value}".`;
    return [{ id, severity, where: `main.cf: ${parameter}`, what, why, mend: mending.apply }];
  });
}

/** The class that receipt_access names. */
function receiptClass({ postfix, fragmentContext, mending }: Host): readonly Finding[] {
  const { maps } = fragmentContext;
  if (maps === undefined) return [];
  const isNamed = postfix.list('smtpd_restriction_classes').includes(RECEIPT_CLASS);
  const path = tablePath(maps.directory, RECEIPT_CLIENTS);
  const restrictions = readRestrictions(postfix.value(RECEIPT_CLASS));
  const isOurs = (text: string): boolean => isTableAt(text, path);
  if (isNamed && restrictions.length === 1 && isOurs(restrictions[0]?.text ?? '')) return [];
  const permits = isNamed && restrictions.some((one) => mayPermit(one, postfix.classes()) && !isOurs(one.text));
  return [
    {
      id: 'receipt-class',
      severity: permits ? 'breach' : 'fault',
      where: `main.cf: ${isNamed ? RECEIPT_CLASS : 'smtpd_restriction_classes'}`,
      what: isNamed
        ? `The restriction class is "${postfix.value(RECEIPT_CLASS)}" and should be "check_client_access cidr:${path}".`
        : `The restriction class ${RECEIPT_CLASS} is not there, and receipt_access names it.`,
      why: permits
        ? 'Mail of recipients that need TLS from everyone can be let pass before tlswarden is asked.'
        : 'Mail of recipients that need TLS from everyone is answered with 451 4.3.5, or by the service alone.',
      mend: mending.apply,
    },
  ];
}

/** What main file and main.cf both say. */
function differing(host: Host): readonly Finding[] {
  const { main, settings, postfix, mending } = host;
  const found: Finding[] = [];
  const delimiter = postfix.value('recipient_delimiter');
  if (!isSameSet(delimiter, main.addresses.recipientDelimiter)) {
    found.push({
      id: 'recipient-delimiter',
      severity: 'breach',
      where: 'main.cf: recipient_delimiter',
      what: `Postfix has "${delimiter}", ${main.path} has "${main.addresses.recipientDelimiter}".`,
      why: 'The service and Postfix disagree on who user+extension is, so a requirement may be left to a table that does not match.',
      mend: mending.setInMainFile('addresses', 'recipient_delimiter', delimiter),
    });
  }
  found.push(...differingOrigin(host));
  const relayhost = postfix.value('relayhost');
  // Where default_transport names the server, relayhost is what has to change (examine-routes.ts).
  const isDefault =
    relayhost === '' && postfix.value('default_transport').toLowerCase().endsWith(`:${settings.relayhost}`);
  if (relayhost.toLowerCase() !== settings.relayhost && !(isDefault && requiresOutgoing(settings))) {
    found.push({
      id: 'relayhost',
      severity: 'breach',
      where: 'main.cf: relayhost',
      what: `Postfix has "${relayhost}", ${main.path} has "${settings.relayhost}".`,
      why: 'Mail that tlswarden moves to a transport of its own goes to another server than the rest.',
      mend: mending.setInMainFile('postfix', 'relayhost', relayhost),
    });
  }
  return found;
}

/** Of the characters the first that an address has is the one that counts, in whatever order they are named (split_addr.c). */
function isSameSet(a: string, b: string): boolean {
  return [...a].sort().join('') === [...b].sort().join('');
}

/** Which domain is appended to an address without one matters only where that is hosted. */
function differingOrigin({ main, settings, postfix, mending }: Host): readonly Finding[] {
  const [theirs, ours] = [postfix.value('myorigin'), main.addresses.myorigin];
  const appended = parseDomain(theirs);
  if (appended === undefined || appended === ours) return [];
  const isHosted = settings.find(appended) !== undefined;
  if (!isHosted && settings.find(ours) === undefined) return [];
  return [
    {
      id: 'myorigin',
      severity: isHosted ? 'breach' : 'fault',
      where: 'main.cf: myorigin',
      what: `Postfix has "${theirs}", ${main.path} has ${ours === NO_DOMAIN ? 'none' : `"${ours}"`}.`,
      why: 'An address without a domain, RCPT TO:<payroll>, is judged as if it were at another domain than where Postfix takes it.',
      mend: mending.setInMainFile('addresses', 'myorigin', theirs),
    },
  ];
}

/** Parameters that an administrator may have set on purpose, but that defeat some of ours. */
function inTheWay(host: Host): readonly Finding[] {
  const { postfix, fragmentContext, mending } = host;
  const found: Finding[] = [];
  const add = (parameter: string, value: string | undefined, finding: Omit<Finding, 'where' | 'mend'>): void =>
    void found.push({ ...finding, where: `main.cf: ${parameter}`, mend: mending.set({ [parameter]: value }) });

  if (postfix.value('default_filter_nexthop') !== '') {
    add('default_filter_nexthop', '', {
      id: 'default-filter-nexthop',
      severity: 'breach',
      what: `It is "${postfix.value('default_filter_nexthop')}".`,
      why: 'A FILTER for a domain that goes by MX goes there instead.',
    });
  }
  const completed = postfix.isYes('append_dot_mydomain') ? belowMydomain(host) : undefined;
  if (completed !== undefined) {
    add('append_dot_mydomain', 'no', {
      id: 'append-dot-mydomain',
      severity: 'breach',
      what: `It is on, and has mail for payroll@${completed.slice(0, completed.indexOf('.'))} go to ${completed}.`,
      why: 'The service is asked about the address as it was given, which is at no hosted domain.',
    });
  }
  if (postfix.isYes('soft_bounce')) {
    add('soft_bounce', 'no', {
      id: 'soft-bounce',
      severity: 'fault',
      what: 'It is on.',
      why: 'Who is refused for lack of TLS is told to try again, and learns of it after days.',
    });
  }
  if (fragmentContext.maps === undefined) return found;
  const parents = postfix.list('parent_domain_matches_subdomains');
  if (parents.includes('transport_maps')) {
    add('parent_domain_matches_subdomains', parents.filter((name) => name !== 'transport_maps').join(', '), {
      id: 'parent-domains',
      severity: 'breach',
      what: 'It names transport_maps.',
      why: "A domain's entry in our tables holds for its subdomains too: their mail goes to its next hop.",
    });
  }
  const reuse = postfix.value(REUSE_LIMIT);
  if (isReusedTooLong(reuse)) add(REUSE_LIMIT, undefined, reuseFinding(reuse));
  if (postfix.value('smtp_tls_per_site') !== '') {
    add('smtp_tls_per_site', undefined, {
      id: 'per-site-ignored',
      severity: 'fault',
      what: `It is "${postfix.value('smtp_tls_per_site')}".`,
      why: 'Postfix looks at this obsolete table only where smtp_tls_policy_maps is empty, and ours is there: TLS that it asks for is not asked for any more. Move its entries to smtp_tls_policy_maps first.',
    });
  }
  return found;
}

/** The first name of the settings that is one label before mydomain. */
function belowMydomain({ postfix, settings }: Host): DomainName | undefined {
  const mydomain = parseDomain(postfix.value('mydomain'));
  if (mydomain === undefined) return undefined;
  for (const { name, aliases } of settings.domains()) {
    const found = [name, ...aliases].find((one) => one.slice(one.indexOf('.') + 1) === mydomain);
    if (found !== undefined) return found;
  }
  return undefined;
}

function repeated({ postfix, mending }: Host): readonly Finding[] {
  return postfix.repeated.map((parameter) => ({
    id: 'entry-twice',
    severity: 'fault',
    where: `main.cf: ${parameter}`,
    what: `It stands there more than once; the last one holds: "${postfix.raw(parameter)}".`,
    why: 'Each program of Postfix warns of it at its start, and with maillog_file that can stop postlogd(8), and so all of Postfix.',
    mend: mending.set({ [parameter]: postfix.raw(parameter) }),
  }));
}
