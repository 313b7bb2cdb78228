/**
 * Whether mail that comes in at any smtpd(8) of this host comes to tlswarden, at RCPT and at DATA, before anything lets it
 * pass. Pure.
 */
import { DATA_RESTRICTIONS, RECIPIENT_RESTRICTIONS } from '../fragments/main-parameters.ts';
import { mayPermit, readRestrictions } from '../fragments/restrictions.ts';
import type { Hop } from '../settings/setting.ts';
import { type CallSeen, type Entrance, hopsAsked, RELAY_RESTRICTIONS } from './entrance.ts';
import type { Finding } from './finding.ts';
import type { Host } from './host.ts';
import type { MasterService } from './postfix-configuration.ts';
import { dataList, recipientList, withoutOurs } from './restriction-lists.ts';
import { holdsUp } from './service-call.ts';

export function examineEntrances(host: Host): readonly Finding[] {
  const { entrances } = host;
  const inner = entrances.find((entrance) => isInner(host, entrance));
  const examine = (entrance: Entrance): readonly Finding[] => {
    const ours = entrance.atRecipient.filter(({ isStray }) => !isStray);
    const strays = strayCalls(host, entrance);
    if (ours.length === 0) {
      return strays.length > 0 || isInner(host, entrance) ? strays : [notAsked(host, entrance)];
    }
    const hops = hopsAsked(ours);
    return [
      ...strays,
      ...hopsMissing(host, entrance, ours, inner),
      ...(hops.has('delivery') ? dataMissing(host, entrance) : []),
      ...(hops.has('delivery') ? filterPassedBy(host, entrance, inner) : []),
      ...defaultActions(host, entrance),
      ...beforeRelayCheck(host, entrance, ours),
      ...outsideChroot(host, entrance, ours),
      ...(hops.has('receipt') ? tableMissing(host, entrance) : []),
    ];
  };
  const found = [
    ...entrances.flatMap(examine),
    ...host.postfix.running('qmqpd').map((service) => qmqpd(host, service)),
  ];
  return found.map((finding) => ({ ...finding, mend: host.mending.thenReload(finding.mend) }));
}

/** Where a filter gives mail back that has been asked about receipt before. */
function isInner({ entrances }: Host, entrance: Entrance): boolean {
  return (
    entrance.isLocal &&
    entrance.filter === undefined &&
    entrances.some((other) => other !== entrance && other.filter !== undefined)
  );
}

/** A list of one entrance set right: by `postfix apply`, where that does just this. */
function mendList(
  host: Host,
  { service }: Entrance,
  parameter: typeof RECIPIENT_RESTRICTIONS | typeof DATA_RESTRICTIONS,
  hop?: Hop,
): readonly string[] {
  const { postfix, mending, fragments } = host;
  const make = parameter === RECIPIENT_RESTRICTIONS ? recipientList : dataList;
  const value = make(host, postfix.raw(parameter, service), hop);
  const applied = service.raw.has(parameter)
    ? fragments.overrides.find((one) => one.service === service.name && one.parameter === parameter)
    : fragments.parameters.find((one) => one.parameter === parameter);
  return applied?.value === value ? mending.apply : mending.setFor(service, parameter, value);
}

function notAsked(host: Host, entrance: Entrance): Finding {
  const { service } = entrance;
  return {
    id: 'service-not-asked',
    severity: 'breach',
    where: `${host.postfix.placeOf(RECIPIENT_RESTRICTIONS, service)}: ${RECIPIENT_RESTRICTIONS}`,
    what: `${service.name} of master.cf takes mail without asking tlswarden: ${RECIPIENT_RESTRICTIONS} has no check_policy_service for it.`,
    why: 'TLS on receipt is not asked for there, nor TLS on delivery that depends on the sender.',
    mend: mendList(host, entrance, RECIPIENT_RESTRICTIONS),
  };
}

/** It has no restrictions at all. */
function qmqpd({ mending }: Host, { name }: MasterService): Finding {
  return {
    id: 'service-not-asked',
    severity: 'breach',
    where: name,
    what: `${name} of master.cf is qmqpd(8), which asks no policy service.`,
    why: 'TLS on receipt is not asked for there, nor TLS on delivery that depends on the sender.',
    mend: [mending.postconf('-MX', name)],
  };
}

function strayCalls(host: Host, entrance: Entrance): readonly Finding[] {
  return [entrance.atRecipient, entrance.atData].flatMap((calls) => {
    const stray = calls.find(({ isStray }) => isStray);
    if (stray === undefined) return [];
    const parameter = stray.parameter === DATA_RESTRICTIONS ? DATA_RESTRICTIONS : RECIPIENT_RESTRICTIONS;
    const finding: Finding = {
      id: 'service-address',
      severity: 'fault',
      where: `${host.postfix.placeOf(stray.parameter, entrance.service)}: ${stray.parameter}`,
      what: `Postfix asks tlswarden at ${stray.call.address}; server.listen says ${[...host.names.addresses].join(', ')}.`,
      why: 'Where nobody answers every client is told 451 4.3.5; a service that was forgotten there answers by other settings.',
      mend: mendList(host, entrance, parameter),
    };
    return [finding];
  });
}

function hopsMissing(
  host: Host,
  entrance: Entrance,
  ours: readonly CallSeen[],
  inner: Entrance | undefined,
): readonly Finding[] {
  const { postfix } = host;
  const { service } = entrance;
  const hops = hopsAsked(ours);
  const behind = ours.find(({ permit }) => permit !== undefined);
  if (behind !== undefined && hops.size < 2) {
    return [
      {
        id: 'service-behind-permit',
        severity: 'breach',
        where: `${postfix.placeOf(behind.parameter, service)}: ${behind.parameter}`,
        what: `"${behind.permit}" stands before tlswarden and can let mail pass.`,
        why: 'What is let pass there is not looked at any further: tlswarden is never asked about it.',
        mend: [
          ...mendList(
            host,
            entrance,
            RECIPIENT_RESTRICTIONS,
            behind.call.context === 'both' ? undefined : behind.call.context,
          ),
        ],
      },
    ];
  }
  const found: Finding[] = [];
  const where = `${postfix.placeOf(RECIPIENT_RESTRICTIONS, service)}: ${RECIPIENT_RESTRICTIONS}`;
  if (!hops.has('receipt') && !isInner(host, entrance)) {
    found.push({
      id: 'receipt-not-asked',
      severity: 'breach',
      where,
      what: `${service.name} asks tlswarden about delivery only (policy_context=delivery), and no other entrance stands before it.`,
      why: 'Mail that has to arrive over TLS is taken without.',
      mend: bothHops(host, entrance),
    });
  }
  const isAskedLater =
    entrance.filter !== undefined && inner !== undefined && hopsAsked(inner.atRecipient).has('delivery');
  if (!hops.has('delivery') && !isAskedLater) {
    found.push({
      id: 'delivery-not-asked',
      severity: 'breach',
      where,
      what: `${service.name} asks tlswarden about receipt only (policy_context=receipt), and nothing asks about delivery afterwards.`,
      why: 'Mail whose delivery needs TLS because of its sender leaves without.',
      mend:
        entrance.filter !== undefined && inner !== undefined
          ? ask(host, inner.service, 'delivery')
          : bothHops(host, entrance),
    });
  }
  return found;
}

/** Both hops at one entrance. */
function bothHops(host: Host, entrance: Entrance): readonly string[] {
  return [...mendList(host, entrance, RECIPIENT_RESTRICTIONS), ...mendList(host, entrance, DATA_RESTRICTIONS)];
}

/** One hop asked about at one service alone. */
function ask(host: Host, service: MasterService, hop: Hop): readonly string[] {
  const { postfix, mending } = host;
  const recipient = recipientList(host, postfix.raw(RECIPIENT_RESTRICTIONS, service), hop);
  const data = dataList(host, postfix.raw(DATA_RESTRICTIONS, service), hop);
  return [
    ...mending.override(service, RECIPIENT_RESTRICTIONS, recipient),
    ...mending.override(service, DATA_RESTRICTIONS, data),
  ];
}

function filterPassedBy(host: Host, entrance: Entrance, inner: Entrance | undefined): readonly Finding[] {
  const { filter, service } = entrance;
  if (filter === undefined) return [];
  const { postfix } = host;
  const isProxy = filter === 'smtpd_proxy_filter';
  // Where this entrance alone has the filter, the others go on asking about both hops.
  const receiptOnly = service.raw.has(filter)
    ? ask(host, service, 'receipt')
    : [
        ...mendList(host, entrance, RECIPIENT_RESTRICTIONS, 'receipt'),
        ...mendList(host, entrance, DATA_RESTRICTIONS, 'receipt'),
      ];
  const mend = inner === undefined ? [] : [...receiptOnly, ...ask(host, inner.service, 'delivery')];
  return [
    {
      id: isProxy ? 'proxy-filter' : 'content-filter',
      severity: 'breach',
      where: `${postfix.placeOf(filter, service)}: ${filter}`,
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

function dataMissing(host: Host, entrance: Entrance): readonly Finding[] {
  if (hopsAsked(entrance.atData).has('delivery')) return [];
  const { postfix } = host;
  const { service, atData } = entrance;
  const permit = atData.find((call) => call.permit !== undefined)?.permit;
  const context = entrance.atRecipient.find(({ isStray }) => !isStray)?.call.context;
  return [
    {
      id: 'data-not-asked',
      severity: 'breach',
      where: `${postfix.placeOf(DATA_RESTRICTIONS, service)}: ${DATA_RESTRICTIONS}`,
      what:
        permit === undefined
          ? `${service.name} does not ask tlswarden at DATA.`
          : `At DATA "${permit}" stands before tlswarden and can let mail pass.`,
      why: 'Which way a message goes is settled at DATA: without, its recipients may go another way than they have to.',
      mend: [...mendList(host, entrance, DATA_RESTRICTIONS, context === 'delivery' ? 'delivery' : undefined)],
    },
  ];
}

function defaultActions(host: Host, entrance: Entrance): readonly Finding[] {
  const { postfix } = host;
  return [...entrance.atRecipient, ...entrance.atData].flatMap(({ call, parameter }): readonly Finding[] => {
    const where = `${postfix.placeOf(parameter, entrance.service)}: ${parameter}`;
    const what = `While tlswarden does not answer, Postfix does "${call.defaultAction}".`;
    const hop = call.context === 'both' ? undefined : call.context;
    const list = parameter === DATA_RESTRICTIONS ? DATA_RESTRICTIONS : RECIPIENT_RESTRICTIONS;
    const mend = mendList(host, entrance, list, hop);
    if (!holdsUp(call.defaultAction)) {
      const why = 'Mail passes without anybody having asked for TLS whenever the service is away.';
      return [{ id: 'default-action', severity: 'breach', where, what, why, mend }];
    }
    if (!/^(?:5|reject)/iu.test(call.defaultAction)) return [];
    const why = 'Mail is refused for good whenever the service is away, though it could come a minute later.';
    return [{ id: 'default-action-refuses', severity: 'fault', where, what, why, mend }];
  });
}

function beforeRelayCheck(host: Host, entrance: Entrance, ours: readonly CallSeen[]): readonly Finding[] {
  const first = ours.find(({ permit, isBehindRelayCheck }) => permit === undefined && !isBehindRelayCheck);
  if (first === undefined || isInner(host, entrance)) return [];
  const { postfix } = host;
  const where = `${postfix.placeOf(first.parameter, entrance.service)}: ${first.parameter}`;
  return [
    {
      id: 'service-before-relay-check',
      severity: 'fault',
      where,
      what: 'tlswarden is asked before reject_unauth_destination has refused recipients that are none of this host.',
      why: 'Strangers make the service work for mail that is refused anyway, and learn who asks for TLS.',
      // In a list that smtpd_delay_reject puts off there is no place behind the check.
      mend: [RECIPIENT_RESTRICTIONS, RELAY_RESTRICTIONS].includes(first.parameter)
        ? mendRelayCheck(host, entrance)
        : [
            ...host.mending.setFor(
              entrance.service,
              first.parameter,
              withoutOurs(host, postfix.raw(first.parameter, entrance.service)),
            ),
            ...mendList(host, entrance, RECIPIENT_RESTRICTIONS),
          ],
    },
  ];
}

const RELAY_CHECK = /^(?:reject|defer)_unauth_destination$/iu;

function mendRelayCheck(host: Host, entrance: Entrance): readonly string[] {
  const { postfix, mending } = host;
  const { service } = entrance;
  const checksRelay = postfix.restrictions(RELAY_RESTRICTIONS, service).some(({ name }) => RELAY_CHECK.test(name));
  const recipient = readRestrictions(withoutOurs(host, postfix.raw(RECIPIENT_RESTRICTIONS, service)));
  const at = recipient.findIndex(({ name }) => RELAY_CHECK.test(name));
  const before = recipient.slice(0, at);
  // Where nothing permits before the check, tlswarden just has to come behind it.
  if (!checksRelay && at >= 0 && !before.some(({ name }) => mayPermit(name))) {
    return mendList(host, entrance, RECIPIENT_RESTRICTIONS);
  }
  const relay =
    at < 0
      ? 'permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination'
      : recipient
          .slice(0, at + 1)
          .map(({ text }) => text)
          .join(', ');
  const first = 'smtpd_relay_before_recipient_restrictions';
  return [
    ...(checksRelay ? [] : mending.setFor(service, RELAY_RESTRICTIONS, relay)),
    ...(postfix.isYes(first, service) ? [] : mending.setFor(service, first, 'yes')),
  ];
}

function outsideChroot(
  { postfix, mending }: Host,
  { service }: Entrance,
  ours: readonly CallSeen[],
): readonly Finding[] {
  if (!service.isChrooted) return [];
  const queue = `unix:${postfix.value('queue_directory')}/`;
  const outside = ours.find(({ call }) => call.address.startsWith('unix:') && !call.address.startsWith(queue));
  if (outside === undefined) return [];
  return [
    {
      id: 'service-outside-chroot',
      severity: 'fault',
      where: service.name,
      what: `${service.name} runs in a chroot, where there is no ${outside.call.address.slice('unix:'.length)}.`,
      why: 'It cannot ask the service, so every client is told 451 4.3.5.',
      mend: [mending.postconf('-F', `${service.name}/chroot=n`)],
    },
  ];
}

function tableMissing(host: Host, entrance: Entrance): readonly Finding[] {
  if (host.names.receiptAccess === undefined || entrance.asksTable) return [];
  const { postfix } = host;
  return [
    {
      id: 'receipt-access-not-asked',
      severity: 'fault',
      where: `${postfix.placeOf(RECIPIENT_RESTRICTIONS, entrance.service)}: ${RECIPIENT_RESTRICTIONS}`,
      what: `${entrance.service.name} does not look into the table receipt_access before it lets mail pass.`,
      why: 'The table refuses plaintext for recipients that need TLS from everyone, even should the service be mistaken.',
      mend: [
        ...mendList(
          host,
          entrance,
          RECIPIENT_RESTRICTIONS,
          hopsAsked(entrance.atRecipient).has('delivery') ? undefined : 'receipt',
        ),
      ],
    },
  ];
}
