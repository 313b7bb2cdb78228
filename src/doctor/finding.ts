/**
 * What doctor finds: one thing that is not as it has to be, why that matters, and what mends it. A value; it is found by
 * the examinations beside it and worded by word-diagnosis.ts.
 */

/**
 * - breach: mail that has to have TLS may go without it, or mail goes to a wrong server.
 * - fault: mail is refused or late without need, or a safeguard is missing.
 * - advice: nothing that the settings ask for is at stake.
 */
export const SEVERITIES = ['breach', 'fault', 'advice'] as const;
/** How bad a finding is; without --live a breach, and nothing else, makes doctor exit with 1. */
export type Severity = (typeof SEVERITIES)[number];

/** What there is to find. The names are the same from one version to the next; the README says where each is looked for. */
export const FINDING_IDS = [
  'service-not-asked',
  'service-behind-permit',
  'receipt-not-asked',
  'delivery-not-asked',
  'data-not-asked',
  'default-action',
  'content-filter',
  'proxy-filter',
  'service-address',
  'service-outside-chroot',
  'service-before-relay-check',
  'default-action-refuses',
  'redis-away',
  'service-silent',
  'service-behind',
  'smtpd-tls-off',
  'smtpd-certificate',
  'receipt-access-not-asked',
  'receipt-class',
  'plaintext-reject-code',
  'soft-bounce',
  'table-not-referenced',
  'table-not-first',
  'table-outranked',
  'table-type',
  'table-unreadable',
  'tables-damaged',
  'tables-stale',
  'policy-weakened',
  'per-site-ignored',
  'transport-missing',
  'transport-weakened',
  'fallback-relay',
  'default-filter-nexthop',
  'parent-domains',
  'connection-reuse',
  'tls-required-header',
  'next-hop-differs',
  'delivered-here',
  'outgoing-passed-by',
  'sender-relayhost',
  'alias-elsewhere',
  'copy-elsewhere',
  'recipient-delimiter',
  'myorigin',
  'append-dot-mydomain',
  'relayhost',
  'dns-support',
  'fingerprint-digest',
  'no-authorities',
  'resolver-not-validating',
  'domain-not-accepted',
  'smtp-tls-off',
  'entry-twice',
  'reload-due',
  'postfix-not-running',
  'trial-left',
] as const;
/** One of {@link FINDING_IDS}. */
export type FindingId = (typeof FINDING_IDS)[number];

/** One finding. Its texts are for people, and may hold what stands in main.cf; its id is for programs. */
export interface Finding {
  readonly id: FindingId;
  readonly severity: Severity;
  /** Where it is: a parameter, a service of master.cf, a domain, a file. */
  readonly where: string;
  /** One or two sentences. */
  readonly what: string;
  /** What comes of it for mail: one or two sentences. */
  readonly why: string;
  /** Shell commands that mend it, in this order. */
  readonly mend: readonly string[];
  /** What to think of before, or what no command can do. */
  readonly note?: string;
}

/** Findings are told worst first; those of one severity as they were found. */
export function bySeverity(findings: readonly Finding[]): readonly Finding[] {
  return SEVERITIES.flatMap((severity) => findings.filter((finding) => finding.severity === severity));
}

/** Findings that are the same thing seen at several places become one, with all the commands that it takes. */
export function withoutRepeats(findings: readonly Finding[]): readonly Finding[] {
  const seen = new Map<string, Finding>();
  for (const finding of findings) {
    const key = `${finding.id} ${finding.where}`;
    const before = seen.get(key);
    seen.set(key, before === undefined ? finding : { ...before, mend: eachOnce([...before.mend, ...finding.mend]) });
  }
  return [...seen.values()];
}

/** Where a command stands several times the last one counts: a reload comes after what it is for. */
export function eachOnce(commands: readonly string[]): readonly string[] {
  return commands.filter((command, i) => commands.lastIndexOf(command) === i);
}

/** Of one kind of finding about domains or entries so many are told; whoever has more begins with these. */
export const MOST_OF_A_KIND = 20;

/** The first of each kind, and one more that says how many others there are; `what` they are about: `domains`. */
export function limited(what: string, findings: readonly Finding[]): readonly Finding[] {
  const byKind = new Map<string, Finding[]>();
  for (const finding of findings) {
    const kind = `${finding.severity} ${finding.id}`;
    const others = byKind.get(kind);
    if (others === undefined) byKind.set(kind, [finding]);
    else others.push(finding);
  }
  return [...byKind.values()].flatMap((all) => {
    const [last] = all.slice(MOST_OF_A_KIND);
    if (last === undefined) return all;
    const rest = all.length - MOST_OF_A_KIND;
    const more = { ...last, where: `${rest} more ${what}`, what: `The same at ${last.where} and others.`, mend: [] };
    return [...all.slice(0, MOST_OF_A_KIND), { ...more, note: 'Mend those above and look again.' }];
  });
}
