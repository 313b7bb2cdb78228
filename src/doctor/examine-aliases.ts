/**
 * Aliases and canonical maps that lead a recipient elsewhere after tlswarden has decided about it: what the recipient's
 * domain asks of delivery then holds for a server that is none of the address that the mail goes to.
 */
import { withOptions } from '../apply/master-entry.ts';
import { DATA_RESTRICTIONS, RECIPIENT_RESTRICTIONS } from '../fragments/main-parameters.ts';
import { splitValue } from '../fragments/value-list.ts';
import type { HostedDomain } from '../settings/hosted-domain.ts';
import { type Entrance, hopsAsked } from './entrance.ts';
import { innerEntrance } from './examine-filters.ts';
import { type Finding, limited } from './finding.ts';
import type { Host } from './host.ts';
import { hostedAt } from './hosted-at.ts';
import { dataList, mendLists, recipientList } from './restriction-lists.ts';
import { namesOf, type Sample } from './sample.ts';
import type { TableLookups } from './table-lookups.ts';

/** By what cleanup(8) rewrites recipients when the client has named them. */
const REWRITING = ['recipient_canonical_maps', 'canonical_maps', 'virtual_alias_maps'];
const OVERRIDE_OPTIONS = 'receive_override_options';
/** Local parts that are asked for where a table cannot be listed; there are lists with thousands. */
const MOST_LOCAL_PARTS = 50;

/**
 * The first findings, and one that says how many more there are. Tables that cannot be listed are asked for the names and
 * listed local parts of the sample.
 */
export async function examineAliases(host: Host, lookups: TableLookups, sample: Sample): Promise<readonly Finding[]> {
  const { postfix, settings } = host;
  const concerned = sample.domains.filter(isFiltered);
  if (!decidesBeforeRewriting(host) || concerned.length === 0) return [];
  const keys = keysOf(concerned);
  const found: Finding[] = [];
  for (const table of REWRITING.flatMap((parameter) => postfix.list(parameter))) {
    for (const [key, value] of await lookups.entries(table, keys)) {
      const domain = hostedAt(settings, key);
      if (domain === undefined || !isFiltered(domain)) continue;
      const elsewhere = splitValue(value).find((target) => leadsElsewhere(host, domain, target));
      if (elsewhere !== undefined) found.push(finding(host, table, key, elsewhere, domain));
    }
  }
  return limited('entries', found);
}

/**
 * Whether delivery is asked about where addresses are rewritten, and copies added, only afterwards. Behind a filter that may have
 * been done before.
 */
export function decidesBeforeRewriting({ postfix, entrances }: Host): boolean {
  return entrances.some(
    ({ service, atRecipient }) =>
      hopsAsked(atRecipient).has('delivery') &&
      !postfix.list(OVERRIDE_OPTIONS, service).includes('no_address_mappings'),
  );
}

/** Whether the service or a table moves mail for it to a transport. */
function isFiltered({ settings }: HostedDomain): boolean {
  return settings.incoming.delivery?.enforcement === 'enforce';
}

function keysOf(domains: readonly HostedDomain[]): readonly string[] {
  return domains.flatMap((domain) => {
    const locals = [...(domain.settings.incoming.delivery?.tableIndex.localParts ?? [])].slice(0, MOST_LOCAL_PARTS);
    return namesOf(domain).flatMap((name) => [`@${name}`, ...locals.map((local) => `${local}@${name}`)]);
  });
}

/** Whether an address is none of the domain's. */
export function leadsElsewhere({ settings }: Host, domain: HostedDomain, target: string): boolean {
  return hostedAt(settings, target) !== domain;
}

function finding(host: Host, table: string, key: string, target: string, domain: HostedDomain): Finding {
  const mend = twoPasses(host);
  return {
    id: 'alias-elsewhere',
    severity: 'breach',
    where: `${table}: ${key}`,
    what: `It leads ${key.startsWith('@') ? `mail for ${key.slice(1)}` : key} to ${target}, and ${domain.name} asks for TLS on delivery.`,
    why: 'tlswarden decides by the address that the client named. Moved by FILTER, the message goes to a server that is none of the new address; by a table it goes without the TLS that was asked for.',
    mend,
    note:
      mend.length > 0
        ? host.entrances.some(({ filter }) => filter !== undefined)
          ? 'Addresses are rewritten before the filter, and delivery is asked about behind it: there they need not be rewritten once more.'
          : 'This has mail pass twice, so that delivery is asked about when addresses are rewritten (README, "Virtual aliases").'
        : 'Mail passes a filter already: where that brings it back addresses are rewritten, and delivery should be asked about there.',
  };
}

/** Where mail passes a filter, and addresses are rewritten before it and behind it: behind it they need not be. */
function rewrittenOnce(host: Host): readonly string[] {
  const { postfix, entrances, mending } = host;
  const rewrites = ({ service }: Entrance): boolean =>
    !postfix.list(OVERRIDE_OPTIONS, service).includes('no_address_mappings');
  const inner = innerEntrance(host);
  const isDoneBefore = entrances.filter(({ filter }) => filter !== undefined).every(rewrites);
  if (inner === undefined || !isDoneBefore || !hopsAsked(inner.atRecipient).has('delivery')) return [];
  const options = [...postfix.list(OVERRIDE_OPTIONS, inner.service), 'no_address_mappings'].join(',');
  return [...mending.override(inner.service, { [OVERRIDE_OPTIONS]: options }), ...mending.reload];
}

const SECOND_PASS = '127.0.0.1:10026';

/** The README's recipe: receipt is asked about at the entrances there are, delivery at a new one that mail passes afterwards. */
export function twoPasses(host: Host): readonly string[] {
  const { mending, entrances } = host;
  if (entrances.some(({ filter }) => filter !== undefined)) return rewrittenOnce(host);
  const name = `${SECOND_PASS}/inet`;
  const options = new Map([
    ['content_filter', ''],
    [OVERRIDE_OPTIONS, 'no_address_mappings'],
    ['smtpd_relay_restrictions', 'permit_mynetworks,reject'],
    [RECIPIENT_RESTRICTIONS, recipientList(host, '', 'delivery')],
    [DATA_RESTRICTIONS, dataList(host, '', 'delivery')],
  ]);
  const first = entrances
    .filter(({ atRecipient }) => hopsAsked(atRecipient).has('delivery'))
    .flatMap((entrance) => mendLists(host, entrance, 'receipt'));
  const [address, port] = SECOND_PASS.split(':');
  return [
    mending.postconf('-M', `${name} = ${withOptions(`${SECOND_PASS} inet n - n - - smtpd`, options)}`),
    ...new Set(first),
    ...mending.set({ content_filter: `smtp:[${address}]:${port}` }),
  ];
}
