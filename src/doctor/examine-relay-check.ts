/**
 * Whether recipients that strangers may not relay to are refused before tlswarden is asked. Pure.
 */
import { RECIPIENT_RESTRICTIONS } from '../fragments/main-parameters.ts';
import { mayPermit, readRestrictions, stopsStrangers } from '../fragments/restrictions.ts';
import { type Entrance, RELAY_RESTRICTIONS } from './entrance.ts';
import type { Finding } from './finding.ts';
import type { Host } from './host.ts';
import { listFor, listWithoutOurs, mendLists } from './restriction-lists.ts';

/** Whether strangers' recipients elsewhere come to the service, which has nothing to say of them. */
export function beforeRelayCheck(host: Host, entrance: Entrance): readonly Finding[] {
  const first = entrance.atRecipient.find(
    ({ permit, isStray, isBehindRelayCheck }) => permit === undefined && !isStray && !isBehindRelayCheck,
  );
  if (first === undefined) return [];
  const { postfix } = host;
  const where = postfix.placeOf(first.parameter, entrance.service);
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
        : host.mending.setFor(entrance.service, {
            [first.parameter]: listWithoutOurs(host, postfix.raw(first.parameter, entrance.service)),
            [RECIPIENT_RESTRICTIONS]: listFor(host, entrance.service, RECIPIENT_RESTRICTIONS, undefined),
          }),
    },
  ];
}

function mendRelayCheck(host: Host, entrance: Entrance): readonly string[] {
  const { postfix, mending } = host;
  const { service } = entrance;
  const checksRelay = postfix.restrictions(RELAY_RESTRICTIONS, service).some(({ name }) => stopsStrangers(name));
  // As it is written, unless the check is in what some $name stands for.
  const lists = [postfix.raw(RECIPIENT_RESTRICTIONS, service), postfix.value(RECIPIENT_RESTRICTIONS, service)].map(
    (list) => readRestrictions(listWithoutOurs(host, list)),
  );
  const recipient = lists.find((list) => list.some(({ name }) => stopsStrangers(name))) ?? [];
  const at = recipient.findIndex(({ name }) => stopsStrangers(name));
  const before = recipient.slice(0, at);
  // Where nothing permits before the check, tlswarden just has to come behind it.
  if (!checksRelay && at >= 0 && !before.some((one) => mayPermit(one, postfix.classes(service)))) {
    return mendLists(host, entrance, undefined, [RECIPIENT_RESTRICTIONS]);
  }
  const relay =
    at < 0
      ? 'permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination'
      : recipient
          .slice(0, at + 1)
          .map(({ text }) => text)
          .join(', ');
  const first = 'smtpd_relay_before_recipient_restrictions';
  return mending.setFor(service, {
    ...(checksRelay ? {} : { [RELAY_RESTRICTIONS]: relay }),
    ...(postfix.isYes(first, service) ? {} : { [first]: 'yes' }),
  });
}
