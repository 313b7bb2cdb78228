/**
 * The decision (contract sections 5 and 7): settings and a request go in, what to answer comes out. No sockets, no
 * files, no clock, no logger; the only state is that of {@link Lanes}, and who counts what is decided has no say in it.
 */
import type { AddressRules } from '../address/address.ts';
import type { Settings } from '../settings/settings.ts';
import { type Lane, mayJoin, ownLane, type TablesInForce } from './delivery.ts';
import type { Lanes, Message } from './lanes.ts';
import { findParties, type Parties, partiesOf } from './parties.ts';
import { decideReceipt, type ReceiptVerdict, type Refusal, SATISFIED, wordRefusal } from './receipt.ts';
import type { PolicyRequest } from './request.ts';

/** What was decided of a recipient. */
export interface DecidedRecipient {
  /** Of receipt, for both flows. */
  readonly verdict: ReceiptVerdict;
  /** Receipt refuses it, so it never comes to delivery. */
  readonly isRefused: boolean;
}

/**
 * Is told once of each recipient what was decided of it; of one that is to come separately only when it comes. `isExempt` is
 * that of {@link DecisionContext}, `now` in milliseconds since the epoch.
 */
export type RecipientCounter = (
  request: PolicyRequest,
  parties: Parties,
  decided: DecidedRecipient,
  isExempt: (clientAddress: string) => boolean,
  now: number,
) => void;

/** All that a decision depends on besides the request. */
export interface DecisionContext {
  readonly settings: Settings;
  /** Grows by one with every change of the settings. */
  readonly generation: number;
  readonly addresses: AddressRules;
  readonly tables: TablesInForce;
  readonly lanes: Lanes;
  /** Counts what is decided of recipients; absent: nobody wants to know. */
  readonly count?: RecipientCounter | undefined;
  /** Whether this client's sessions are not asked for TLS on receipt. */
  readonly isExempt: (clientAddress: string) => boolean;
}

/** What is decided; `reply` is the action of the policy delegation protocol (access(5)). Never OK, never PERMIT. */
export type Decision =
  /** Nothing to say. */
  | { readonly kind: 'pass'; readonly reply: 'DUNNO' }
  /** Receipt refuses the recipient, for good or for now; or would, under monitor. */
  | { readonly kind: 'reject' | 'defer' | 'warn'; readonly reply: string; readonly refusal: Refusal }
  /**
   * filter: delivery moves the message to a lane. separate: another lane than the message's, so the recipient has to come
   * in a transaction of its own. `monitored` is what receipt would have refused.
   */
  | {
      readonly kind: 'filter' | 'separate';
      readonly reply: string;
      readonly parties: Parties;
      readonly monitored: Refusal | undefined;
    }
  /** Not every recipient of the message is known to have one lane: the message has to come again. */
  | { readonly kind: 'unsure'; readonly reply: string };

const PASS: Decision = { kind: 'pass', reply: 'DUNNO' };

const SEPARATE_REPLY =
  '452 4.5.3 this recipient takes another delivery path than the first one; send it in a transaction of its own';
const UNSURE: Decision = {
  kind: 'unsure',
  reply: '451 4.3.0 the delivery path of this message is not certain any more; try again',
};

/** `now`: milliseconds since the epoch. Only of requests that are not {@link isWithheld}. */
export function decide(context: DecisionContext, request: PolicyRequest, now: number): Decision {
  if (request.protocolState === 'RCPT') return decideRecipient(context, request, now);
  return request.protocolState === 'DATA' ? decideData(context, request, now) : PASS;
}

/** Whether nobody knows what is asked of this mail, since the settings of its domain cannot be used: it must get no reply. */
export function isWithheld({ settings, addresses }: DecisionContext, request: PolicyRequest): boolean {
  const { withheld } = settings;
  if (withheld.size === 0 || request.protocolState === 'other') return false;
  const parties = partiesOf(settings, request, addresses);
  const { sender, senderDomain, otherwise } = parties;
  const isUnknown = ({ recipient, recipientDomain }: Parties): boolean =>
    recipientDomain === undefined && withheld.has(recipient.domain);
  if (isUnknown(parties) || (otherwise !== undefined && isUnknown(otherwise))) return true;
  return senderDomain === undefined && withheld.has(sender.domain);
}

function decideRecipient(context: DecisionContext, request: PolicyRequest, now: number): Decision {
  const parties = partiesOf(context.settings, request, context.addresses);
  const verdict = request.policyContext === 'delivery' ? SATISFIED : decideReceipt(parties, request, context.isExempt);
  const decision = decideHops(context, request, parties, verdict.refusal, now);
  const { count } = context;
  if (count !== undefined && decision.kind !== 'separate') {
    const isRefused = decision.kind === 'reject' || decision.kind === 'defer';
    count(request, parties, { verdict, isRefused }, context.isExempt, now);
  }
  return decision;
}

function decideHops(
  context: DecisionContext,
  request: PolicyRequest,
  parties: Parties,
  refusal: Refusal | undefined,
  now: number,
): Decision {
  if (refusal !== undefined && refusal.action !== 'warn') {
    return { kind: refusal.action, reply: wordRefusal(refusal, request), refusal };
  }
  if (request.policyContext !== 'receipt') {
    const delivery = decideLane(context, request, parties, refusal, now);
    if (delivery !== undefined) return delivery;
  }
  return refusal === undefined ? PASS : { kind: 'warn', reply: wordRefusal(refusal, request), refusal };
}

/** Puts the recipient into the message's lane, or asks for it to come separately; undefined: no FILTER. */
function decideLane(
  context: DecisionContext,
  request: PolicyRequest,
  parties: Parties,
  monitored: Refusal | undefined,
  now: number,
): Decision | undefined {
  const { settings, lanes } = context;
  const own = ownLane(settings, parties, context.tables);
  let message = lanes.find(request.instance);
  if (message === undefined) message = lanes.begin(request.instance, own, parties, context.generation, now);
  else if (!fits(context, parties, message.lane, own, request.authenticated)) {
    return { kind: 'separate', reply: SEPARATE_REPLY, parties, monitored };
  }
  lanes.admit(request.instance, message, parties, now);
  return message.lane === undefined ? undefined : filter(message.lane, parties, monitored);
}

function fits(context: DecisionContext, parties: Parties, lane: Lane, own: Lane, authenticated: boolean): boolean {
  if (lane?.text === own?.text) return true;
  // A mail program cannot split a message, so whatever the lane does right for this recipient is good enough.
  return authenticated && lane !== undefined && mayJoin(context.settings, parties, lane, context.tables);
}

/** The last word on a message. FILTER of one recipient may have been overtaken: the last one given wins. */
function decideData(context: DecisionContext, request: PolicyRequest, now: number): Decision {
  if (request.policyContext === 'receipt') return PASS;
  const message = context.lanes.find(request.instance);
  if (request.recipientCount > 1) return decideDataOfMany(context, request, message);
  const decision = decideDataOfOne(context, request, message, now);
  // Most messages have one recipient. Forgotten here they never grow old, which the garbage collector would pay for.
  if (message?.recipients === 1 && message.isWhole) context.lanes.end(request.instance, message);
  return decision;
}

function decideDataOfMany(context: DecisionContext, request: PolicyRequest, message: Message | undefined): Decision {
  const { lanes, settings, generation } = context;
  if (message === undefined || !message.isWhole || message.recipients < request.recipientCount) return UNSURE;
  if (message.generation === generation) return PASS;
  const { senderDomain } = findParties(settings, request.sender, '', context.addresses);
  return lanes.isOutdated(message, settings, senderDomain) ? UNSURE : PASS;
}

function decideDataOfOne(
  context: DecisionContext,
  request: PolicyRequest,
  message: Message | undefined,
  now: number,
): Decision {
  const parties = partiesOf(context.settings, request, context.addresses);
  const own = ownLane(context.settings, parties, context.tables);
  const lane = message?.lane;
  if (lane !== undefined && fits(context, parties, lane, own, request.authenticated)) return filter(lane, parties);
  if (own !== undefined) return filter(own, parties);
  // Nothing takes back a FILTER: where settings have changed since, it may not be right for this recipient any more.
  if (lane !== undefined && !mayJoin(context.settings, parties, lane, context.tables)) return UNSURE;
  // A FILTER given to a recipient that was refused after all still moves this message; only its absence is certain.
  const certain = message === undefined ? !context.lanes.mayHaveHistory(request.instance, now) : message.isWhole;
  return certain ? PASS : UNSURE;
}

function filter(route: NonNullable<Lane>, parties: Parties, monitored?: Refusal): Decision {
  return { kind: 'filter', reply: `FILTER ${route.text}`, parties, monitored };
}
