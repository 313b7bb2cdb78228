/**
 * What a decision on one recipient counts as: of which hosted domains and flows, and under which counters. Once a
 * recipient, whichever hops the request asks about; a recipient that is to come separately counts when it comes. What
 * `doctor --live` sends to domains of its own is nobody's mail, and never counts. Pure.
 */
import type { Address } from '../address/address.ts';
import type { DecidedRecipient, RecipientCounter } from '../decision/decide.ts';
import { type Parties, requirement } from '../decision/parties.ts';
import { decisive, type Refusal } from '../decision/receipt.ts';
import type { PolicyRequest } from '../decision/request.ts';
import type { HostedDomain } from '../settings/hosted-domain.ts';
import type { DeliverySetting, Flow } from '../settings/setting.ts';
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
  const { otherwise } = parties;
  const otherDomain = otherwise?.recipientDomain;
  if (recipientDomain !== undefined) {
    // A recipient that may be at either of two domains counts for both; at two addresses of one domain it counts once.
    const isBoth = otherDomain === recipientDomain;
    const refusal = isBoth ? decisive(verdict.incoming, verdict.otherwise?.incoming) : verdict.incoming;
    const delivery = asksDelivery ? deliveryOf(parties, isBoth ? otherwise : undefined, 'incoming') : undefined;
    countFlow(tally, 'incoming', recipientDomain, parties.sender, session, refusal, delivery, now);
  }
  if (otherwise !== undefined && otherDomain !== undefined && otherDomain !== recipientDomain) {
    const delivery = asksDelivery ? deliveryOf(otherwise, undefined, 'incoming') : undefined;
    countFlow(tally, 'incoming', otherDomain, parties.sender, session, verdict.otherwise?.incoming, delivery, now);
  }
  if (senderDomain !== undefined) {
    const refusal = decisive(verdict.outgoing, verdict.otherwise?.outgoing);
    const delivery = asksDelivery ? deliveryOf(parties, otherwise, 'outgoing') : undefined;
    countFlow(tally, 'outgoing', senderDomain, parties.recipient, session, refusal, delivery, now);
  }
}

/** What is asked of delivery by the one domain that both readings have, if there are two. */
function deliveryOf(parties: Parties, other: Parties | undefined, flow: Flow): DeliverySetting | undefined {
  return requirement(parties, flow, 'delivery') ?? (other && requirement(other, flow, 'delivery'));
}

/** `session`: the place of its counter; -1: receipt is not asked about. */
function countFlow(
  tally: Tally,
  flow: Flow,
  domain: HostedDomain,
  far: Address,
  session: number,
  refusal: Refusal | undefined,
  delivery: DeliverySetting | undefined,
  now: number,
): void {
  if (session < 0 && delivery === undefined) return;
  const place = tally.at(flow, domain.name, far, now);
  if (session >= 0) tally.count(place, session);
  if (refusal !== undefined) tally.count(place, refusalPlace(refusal.lack, refusal.action === 'warn'));
  if (refusal !== undefined || session === PLAINTEXT) tally.note(place, LAST_LACKING, now);
  if (delivery !== undefined) tally.count(place, deliveryPlace(delivery.level, delivery.enforcement));
}
