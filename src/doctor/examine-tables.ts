/**
 * Whether Postfix uses the tables that `tlswarden maps` writes: that they are what the settings ask for, that main.cf names
 * them, and that nothing in front of them says otherwise.
 */

import type { TablesState } from '../explain/read-tables.ts';
import { isTableAt, splitValue } from '../fragments/value-list.ts';
import { LEVELS, type Level } from '../settings/level.ts';
import type { TablesCheck } from '../tables/check-tables.ts';
import { tablePath } from '../tables/stamp.ts';
import { SENDER_TRANSPORT, TLS_POLICY, TRANSPORT } from '../tables/table.ts';
import type { Finding } from './finding.ts';
import type { Host } from './host.ts';
import type { MasterService } from './postfix-configuration.ts';
import type { TableLookups } from './table-lookups.ts';

/** Where main.cf names them, and whose word counts: routes are trivial-rewrite(8)'s, the policy is each smtp(8) client's. */
const REFERENCES = [
  { parameter: 'transport_maps', table: TRANSPORT, program: 'trivial-rewrite' },
  { parameter: 'sender_dependent_default_transport_maps', table: SENDER_TRANSPORT, program: 'trivial-rewrite' },
  { parameter: 'smtp_tls_policy_maps', table: TLS_POLICY, program: undefined },
] as const;

/** Whether the tables are what the settings ask for. `state` is what the stamp alone says. */
export function examineContents(
  { main, mending }: Host,
  state: TablesState,
  { current, reasons }: TablesCheck,
): readonly Finding[] {
  if (current || main.maps === undefined) return [];
  const where = main.maps.directory;
  const mend = [mending.tlswarden('maps')];
  if (state === 'current') {
    return [
      {
        id: 'tables-damaged',
        severity: 'breach',
        where,
        what: `They are not what the settings ask for: ${reasons.join('; ')}.`,
        why: 'stamp.json says that the tables hold the settings, so the service leaves to them what they do not hold.',
        mend,
      },
    ];
  }
  return [
    {
      id: 'tables-stale',
      severity: 'fault',
      where,
      what: `They are not what the settings ask for: ${reasons.join('; ')}.`,
      why: 'The service answers FILTER for what they lack, but mail that passes no service (sendmail(1), notifications) goes by the old ones.',
      mend,
      note: 'Keep "tlswarden maps --watch" running (tlswarden-maps.service), and they follow the settings by themselves.',
    },
  ];
}

/** Whether main.cf names the tables, first, and by their type. */
export function examineReferences(host: Host): readonly Finding[] {
  const { postfix } = host;
  return REFERENCES.flatMap(({ parameter, table, program }) => [
    ...examineReference(host, parameter, table, undefined),
    ...(program === undefined ? [] : postfix.running(program))
      .filter((service) => service.raw.has(parameter))
      .flatMap((service) => examineReference(host, parameter, table, service)),
  ]);
}

/** One parameter, of main.cf or as a service has it. */
export function examineReference(
  { postfix, fragmentContext, mending }: Host,
  parameter: string,
  table: string,
  service: MasterService | undefined,
): readonly Finding[] {
  const { maps } = fragmentContext;
  if (maps === undefined) return [];
  const path = tablePath(maps.directory, table);
  const wanted = `${maps.type}:${path}`;
  const elements = postfix.list(parameter, service);
  const at = elements.findIndex((element) => isTableAt(element, path));
  const where = postfix.placeOf(parameter, service);
  const mend =
    service === undefined
      ? mending.apply
      : [
          ...mending.setFor(service, {
            [parameter]: [wanted, ...elements.filter((one) => !isTableAt(one, path))].join(','),
          }),
          ...mending.reload,
        ];
  if (at < 0) {
    const other = elements.find((element) => element.endsWith(`/current/${table}`));
    const what = other === undefined ? '' : ` It names ${other}, of another maps.directory.`;
    const why = 'The service leaves to the tables what they hold, and Postfix does not look.';
    return [
      { id: 'table-not-referenced', severity: 'breach', where, what: `It does not name ${wanted}.${what}`, why, mend },
    ];
  }
  const found: Finding[] = [];
  const element = elements[at] ?? '';
  if (element.replace(/^proxy:/u, '') !== wanted) {
    const why = 'Postfix reads a file of that type, which is missing, or old and not renewed any more.';
    const what = `It names ${element}; the tables are of type ${maps.type}.`;
    found.push({ id: 'table-type', severity: 'breach', where, what, why, mend });
  }
  if (at > 0) {
    const what = `${elements.slice(0, at).join(', ')} ${at > 1 ? 'stand' : 'stands'} before ${element}.`;
    const why = 'The first table that has an entry wins, whatever the settings ask for.';
    found.push({ id: 'table-not-first', severity: 'breach', where, what, why, mend });
  }
  return found;
}

/** Tables before tls_policy that ask for less than the settings do, for the names of these domains. */
export async function examinePolicies(
  host: Host,
  lookups: TableLookups,
  levels: ReadonlyMap<string, Level>,
): Promise<readonly Finding[]> {
  const { postfix, fragmentContext, mending } = host;
  const { maps } = fragmentContext;
  if (maps === undefined) return [];
  const path = tablePath(maps.directory, TLS_POLICY);
  const elements = postfix.list('smtp_tls_policy_maps');
  const at = elements.findIndex((element) => isTableAt(element, path));
  const weaker: { readonly table: string; readonly domain: string; readonly entry: string }[] = [];
  for (const table of at < 0 ? elements : elements.slice(0, at)) {
    for (const [domain, entry] of await lookups.find(table, [...levels.keys()])) {
      const asked = levels.get(domain.toLowerCase());
      if (asked !== undefined && isWeaker(entry, asked)) weaker.push({ table, domain, entry });
    }
  }
  const [first] = weaker;
  if (first === undefined) return [];
  const more = weaker.length === 1 ? '' : ` So do entries of ${weaker.length - 1} more domains.`;
  return [
    {
      id: 'policy-weakened',
      severity: 'breach',
      where: 'main.cf: smtp_tls_policy_maps',
      what: `${first.table} says "${first.domain} ${first.entry}", which is weaker than ${levels.get(first.domain.toLowerCase())}, and it is asked first.${more}`,
      why: 'Mail to that domain leaves with less TLS than its settings ask for.',
      mend: mending.apply,
    },
  ];
}

function isWeaker(entry: string, asked: Level): boolean {
  const [level = ''] = splitValue(entry);
  return LEVELS.indexOf(level as Level) < LEVELS.indexOf(asked);
}

/** Tables that could not be read by whoever looked, but those that only root may read, as Postfix does. */
export function examineTroubles(
  { fragmentContext, mending }: Host,
  troubles: ReadonlyMap<string, string>,
): readonly Finding[] {
  const { maps } = fragmentContext;
  const found = [...troubles].filter(([, trouble]) => !/permission denied/iu.test(trouble));
  return found.map(([table, trouble]): Finding => {
    const bare = table.replace(/^proxy:/u, '');
    const isOurs = maps !== undefined && bare.includes(`:${maps.directory}/`);
    const isIndexed = /^(?:hash|btree|lmdb|cdb|dbm|sdbm):/u.test(bare);
    return {
      id: 'table-unreadable',
      severity: 'fault',
      where: table,
      what: `It cannot be read: ${trouble}.`,
      why: 'Postfix cannot read it either: mail is answered with 451, or waits.',
      mend: isOurs
        ? bare.startsWith(`${maps.type}:`)
          ? [mending.tlswarden('maps')]
          : mending.apply
        : isIndexed
          ? [mending.postmap(bare)]
          : [],
      ...(isOurs || isIndexed ? {} : { note: 'It is kept by somebody else: mend it there.' }),
    };
  });
}
