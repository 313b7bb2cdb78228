/**
 * What a decision on one recipient counts as: of which hosted domains and flows, and under which counters. Once a
 * recipient, whichever hops the request asks about; a recipient that is to come separately counts when it comes. What
 * `doctor --live` sends to domains of its own is nobody's mail, and never counts. Pure.
 */
import type { Address } from '../address/address.ts';
import type { DecidedRecipient, RecipientCounter } from '../decision/decide.ts';
import { type Parties, requirement } from '../decision/parties.ts';
import type { Refusal } from '../decision/receipt.ts';
import type { PolicyRequest } from '../decision/request.ts';
import type { HostedDomain } from '../settings/hosted-domain.ts';
import type { Flow } from '../settings/setting.ts';
import { isTrialDomain } from '../settings/trial-domain.ts';
import { deliveryPlace, EXEMPT, LAST_LACKING, PLAINTEXT, refusalPlace, sessionPlace } from './counters.ts';
import type { Tally } from './tally.ts';

/** Counts in this tally. Of mail between two domains that are not hosted here nothing is counted. */
export function countRecipientsIn(tally: Tally): RecipientCounter {
  return (request, parties, decided, isExempt, now) => countRecipient(tally, request, parties, decided, isExempt, now);
}

function countRecipient(
  tally: Tally,
  request: PolicyRequest,
  parties: Parties,
  { verdict, isRefused }: DecidedRecipient,
  isExempt: (clientAddress: string) => boolean,
  now: number,
): void {
  const { senderDomain, recipientDomain } = parties;
  if (senderDomain === undefined && recipientDomain === undefined) return;
  if (senderDomain !== undefined && isTrialDomain(senderDomain.name)) return;
  if (recipientDomain !== undefined && isTrialDomain(recipientDomain.name)) return;
  let session = -1;
  if (request.policyContext !== 'delivery') {
    session = sessionPlace(request.encryptionProtocol);
    if (verdict.isExempt || (session === PLAINTEXT && verdict.refusal === undefined && isExempt(request.clientAddress)))
      session = EXEMPT;
  }
  const asksDelivery = request.policyContext !== 'receipt' && !isRefused;
  if (recipientDomain !== undefined) {
    countFlow(
      tally,
      parties,
      'incoming',
      recipientDomain,
      parties.sender,
      session,
      verdict.incoming,
      asksDelivery,
      now,
    );
  }
  if (senderDomain !== undefined) {
    countFlow(
      tally,
      parties,
      'outgoing',
      senderDomain,
      parties.recipient,
      session,
      verdict.outgoing,
      asksDelivery,
      now,
    );
  }
}

/** `session`: the place of its counter; -1: receipt is not asked about. */
function countFlow(
  tally: Tally,
  parties: Parties,
  flow: Flow,
  domain: HostedDomain,
  far: Address,
  session: number,
  refusal: Refusal | undefined,
  asksDelivery: boolean,
  now: number,
): void {
  const delivery =
    asksDelivery && domain.settings[flow].delivery !== undefined ? requirement(parties, flow, 'delivery') : undefined;
  if (session < 0 && delivery === undefined) return;
  const place = tally.at(flow, domain.name, far, now);
  if (session >= 0) tally.count(place, session);
  if (refusal !== undefined) tally.count(place, refusalPlace(refusal.lack, refusal.action === 'warn'));
  if (refusal !== undefined || session === PLAINTEXT) tally.note(place, LAST_LACKING, now);
  if (delivery !== undefined) tally.count(place, deliveryPlace(delivery.level, delivery.enforcement));
}
