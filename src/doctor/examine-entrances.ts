/**
 * Whether mail that comes in at any smtpd(8) of this host comes to tlswarden, at RCPT and at DATA, before anything lets it
 * pass. Pure.
 */
import { DATA_RESTRICTIONS, RECIPIENT_RESTRICTIONS } from '../fragments/main-parameters.ts';
import { type CallSeen, type Entrance, hopsAsked } from './entrance.ts';
import { askAt, filterPassedBy, innerEntrance, isInner } from './examine-filters.ts';
import { beforeRelayCheck } from './examine-relay-check.ts';
import type { Finding } from './finding.ts';
import type { Host } from './host.ts';
import type { MasterService } from './postfix-configuration.ts';
import { mendLists } from './restriction-lists.ts';
import { holdsUp } from './service-call.ts';

/** Of every smtpd(8) service, and of qmqpd(8), which has no restrictions. Each finding's commands end with a reload. */
export function examineEntrances(host: Host): readonly Finding[] {
  const { entrances } = host;
  const inner = innerEntrance(host);
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
      ...(hops.has('delivery') ? filterPassedBy(host, entrance) : []),
      ...defaultActions(host, entrance),
      ...(isInner(host, entrance) ? [] : beforeRelayCheck(host, entrance)),
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

function notAsked(host: Host, entrance: Entrance): Finding {
  const { service } = entrance;
  return {
    id: 'service-not-asked',
    severity: 'breach',
    where: host.postfix.placeOf(RECIPIENT_RESTRICTIONS, service),
    what: `${service.name} of master.cf takes mail without asking tlswarden: ${RECIPIENT_RESTRICTIONS} has no check_policy_service for it.`,
    why: 'TLS on receipt is not asked for there, nor TLS on delivery that depends on the sender.',
    mend: mendLists(host, entrance, undefined, [RECIPIENT_RESTRICTIONS]),
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
      where: host.postfix.placeOf(stray.parameter, entrance.service),
      what: `Postfix asks tlswarden at ${stray.call.address}; server.listen says ${[...host.names.addresses].join(', ')}.`,
      why: 'Where nobody answers every client is told 451 4.3.5; a service that was forgotten there answers by other settings.',
      mend: mendLists(host, entrance, undefined, [parameter]),
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
        where: postfix.placeOf(behind.parameter, service),
        what: `"${behind.permit}" stands before tlswarden and can let mail pass.`,
        why: 'What is let pass there is not looked at any further: tlswarden is never asked about it.',
        mend: mendLists(host, entrance, behind.call.hop, [RECIPIENT_RESTRICTIONS]),
      },
    ];
  }
  const found: Finding[] = [];
  const where = postfix.placeOf(RECIPIENT_RESTRICTIONS, service);
  if (!hops.has('receipt') && !isInner(host, entrance)) {
    found.push({
      id: 'receipt-not-asked',
      severity: 'breach',
      where,
      what: `${service.name} asks tlswarden about delivery only (policy_context=delivery), and no other entrance stands before it.`,
      why: 'Mail that has to arrive over TLS is taken without.',
      mend: mendLists(host, entrance, undefined),
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
          ? askAt(host, inner.service, 'delivery')
          : mendLists(host, entrance, undefined),
    });
  }
  return found;
}

function dataMissing(host: Host, entrance: Entrance): readonly Finding[] {
  if (hopsAsked(entrance.atData).has('delivery')) return [];
  const { postfix } = host;
  const { service, atData } = entrance;
  const permit = atData.find((call) => call.permit !== undefined)?.permit;
  const hop = entrance.atRecipient.find(({ isStray }) => !isStray)?.call.hop;
  return [
    {
      id: 'data-not-asked',
      severity: 'breach',
      where: postfix.placeOf(DATA_RESTRICTIONS, service),
      what:
        permit === undefined
          ? `${service.name} does not ask tlswarden at DATA.`
          : `At DATA "${permit}" stands before tlswarden and can let mail pass.`,
      why: 'Which way a message goes is settled at DATA: without, its recipients may go another way than they have to.',
      mend: mendLists(host, entrance, hop === 'delivery' ? hop : undefined, [DATA_RESTRICTIONS]),
    },
  ];
}

function defaultActions(host: Host, entrance: Entrance): readonly Finding[] {
  const { postfix } = host;
  return [...entrance.atRecipient, ...entrance.atData].flatMap(({ call, parameter }): readonly Finding[] => {
    const where = postfix.placeOf(parameter, entrance.service);
    const what = `While tlswarden does not answer, Postfix does "${call.defaultAction}".`;
    const list = parameter === DATA_RESTRICTIONS ? DATA_RESTRICTIONS : RECIPIENT_RESTRICTIONS;
    const mend = mendLists(host, entrance, call.hop, [list]);
    if (!holdsUp(call.defaultAction)) {
      const why = 'Mail passes without anybody having asked for TLS whenever the service is away.';
      return [{ id: 'default-action', severity: 'breach', where, what, why, mend }];
    }
    if (!/^(?:5|reject)/iu.test(call.defaultAction)) return [];
    const why = 'Mail is refused for good whenever the service is away, though it could come a minute later.';
    return [{ id: 'default-action-refuses', severity: 'fault', where, what, why, mend }];
  });
}

function outsideChroot({ mending }: Host, { service }: Entrance, ours: readonly CallSeen[]): readonly Finding[] {
  if (!service.isChrooted) return [];
  // A relative path is one below the queue directory, in a chroot or not.
  const outside = ours.find(({ call }) => call.written.startsWith('unix:/'));
  if (outside === undefined) return [];
  return [
    {
      id: 'service-outside-chroot',
      severity: 'fault',
      where: service.name,
      what: `${service.name} runs in a chroot, where there is no ${outside.call.written.slice('unix:'.length)}.`,
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
      where: postfix.placeOf(RECIPIENT_RESTRICTIONS, entrance.service),
      what: `${entrance.service.name} does not look into the table receipt_access before it lets mail pass.`,
      why: 'The table refuses plaintext for recipients that need TLS from everyone, even should the service be mistaken.',
      mend: mendLists(host, entrance, hopsAsked(entrance.atRecipient).has('delivery') ? undefined : 'receipt', [
        RECIPIENT_RESTRICTIONS,
      ]),
    },
  ];
}
