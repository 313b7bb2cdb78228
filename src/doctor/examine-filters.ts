/**
 * Filters that take mail for a look and give it back at another entrance: receipt is asked about before, delivery behind. Pure.
 */
import { DATA_RESTRICTIONS, RECIPIENT_RESTRICTIONS } from '../fragments/main-parameters.ts';
import type { Hop } from '../settings/setting.ts';
import { type Entrance, hopsAsked } from './entrance.ts';
import type { Finding } from './finding.ts';
import type { Host } from './host.ts';
import type { MasterService } from './postfix-configuration.ts';
import { listFor, mendLists } from './restriction-lists.ts';

/** Where a filter gives mail back that has been asked about receipt before. */
export function isInner({ entrances }: Host, entrance: Entrance): boolean {
  return (
    entrance.isLocal &&
    entrance.filter === undefined &&
    entrances.some((other) => other !== entrance && other.filter !== undefined)
  );
}

/** The entrance that asks about delivery behind a filter, or could. */
export function innerEntrance(host: Host): Entrance | undefined {
  const inner = host.entrances.filter((entrance) => isInner(host, entrance));
  return inner.find(({ atRecipient }) => hopsAsked(atRecipient).has('delivery')) ?? inner[0];
}

/** A filter that FILTER would pass by, or that has Postfix ignore FILTER, at an entrance that asks about delivery. */
export function filterPassedBy(host: Host, entrance: Entrance): readonly Finding[] {
  const { filter, service } = entrance;
  if (filter === undefined) return [];
  const { postfix } = host;
  const inner = innerEntrance(host);
  const isProxy = filter === 'smtpd_proxy_filter';
  // Where this entrance alone has the filter, the others go on asking about both hops.
  const receiptOnly = service.raw.has(filter) ? askAt(host, service, 'receipt') : mendLists(host, entrance, 'receipt');
  const mend = inner === undefined ? [] : [...receiptOnly, ...askAt(host, inner.service, 'delivery')];
  return [
    {
      id: isProxy ? 'proxy-filter' : 'content-filter',
      severity: 'breach',
      where: postfix.placeOf(filter, service),
      what: `${service.name} has ${filter} = ${postfix.value(filter, service)} and asks tlswarden about delivery.`,
      why: isProxy
        ? 'With smtpd_proxy_filter Postfix ignores the FILTER by which tlswarden compels TLS.'
        : 'The FILTER by which tlswarden compels TLS takes the place of content_filter: such mail passes the content filter by.',
      mend,
      note:
        inner === undefined
          ? 'Give the filter an smtpd on a loopback address to bring mail back to, which asks about delivery (README, "Virtual aliases"), and ask about receipt here.'
          : `Receipt is asked about here, delivery at ${inner.service.name}, where the filter brings mail back.`,
    },
  ];
}

/** One hop asked about at one service alone. */
export function askAt(host: Host, service: MasterService, hop: Hop): readonly string[] {
  const lists = [RECIPIENT_RESTRICTIONS, DATA_RESTRICTIONS] as const;
  return host.mending.override(
    service,
    Object.fromEntries(lists.map((name) => [name, listFor(host, service, name, hop)])),
  );
}
