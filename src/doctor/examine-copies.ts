/**
 * Copies that cleanup(8) adds to a message (always_bcc and its like): FILTER moves the message whole, so they go to the next
 * hop of the recipient that it is about.
 */
import type { HostedDomain } from '../settings/hosted-domain.ts';
import type { Flow } from '../settings/setting.ts';
import { type Finding, limited } from './finding.ts';
import type { Host } from './host.ts';
import { hostedAt, leadsElsewhere } from './hosted-at.ts';
import { namesOf, type Sample } from './sample.ts';
import { anyoneAt, isAnyone, type TableLookups } from './table-lookups.ts';
import { decidesBeforeRewriting, twoPasses } from './two-passes.ts';

/** Tables of copies, and the flow of the domain that their keys name. */
const TABLES = [
  ['recipient_bcc_maps', 'incoming'],
  ['sender_bcc_maps', 'outgoing'],
] as const;

/** Tables that cannot be listed are asked for the sample's names alone. */
export async function examineCopies(host: Host, lookups: TableLookups, sample: Sample): Promise<readonly Finding[]> {
  const { postfix } = host;
  if (!decidesBeforeRewriting(host)) return [];
  const found: Finding[] = [];
  const always = postfix.value('always_bcc');
  const moved = sample.domains.find(
    (domain) =>
      (isMoved(host, domain, 'incoming') || isMoved(host, domain, 'outgoing')) &&
      leadsElsewhere(host.settings, domain, always),
  );
  if (always !== '' && moved !== undefined) found.push(finding(host, 'main.cf: always_bcc', always, moved));
  for (const [parameter, flow] of TABLES) {
    const concerned = sample.domains.filter((domain) => isMoved(host, domain, flow));
    const probes = concerned.flatMap(namesOf).flatMap((name) => [anyoneAt(name), `@${name}`]);
    for (const table of concerned.length === 0 ? [] : postfix.list(parameter)) {
      for (const [key, copy] of await lookups.entries(table, probes)) {
        const domain = hostedAt(host.settings, key);
        if (domain === undefined || !isMoved(host, domain, flow) || !leadsElsewhere(host.settings, domain, copy))
          continue;
        found.push(
          finding(host, `${table}: ${isAnyone(key) ? key.slice(key.lastIndexOf('@') + 1) : key}`, copy, domain),
        );
      }
    }
  }
  return limited('entries', found);
}

/** Whether FILTER may move its mail: with tables in force that is what depends on the other side. */
function isMoved({ fragmentContext }: Host, { settings }: HostedDomain, flow: Flow): boolean {
  const setting = settings[flow].delivery;
  if (setting?.enforcement !== 'enforce') return false;
  return flow === 'outgoing' || fragmentContext.maps === undefined || !setting.tableKeys.everyone;
}

function finding(host: Host, where: string, copy: string, domain: HostedDomain): Finding {
  return {
    id: 'copy-elsewhere',
    severity: 'breach',
    where,
    what: `It has a copy sent to ${copy}, and what ${domain.name} requires of delivery can depend on the other side.`,
    why: 'A message that is moved for that by FILTER is moved with its copy, which then goes to a server that is none of its.',
    ...twoPasses(host, 'copies', 'added'),
  };
}
