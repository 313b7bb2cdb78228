/**
 * Counts decisions, one by one as they are made, without allocating anything. It decides nothing, and tells
 * nobody but whoever asks.
 */
import type { Decision } from '../decision/decide.ts';
import { LACKS, type Lack, type ReceiptAction, type Refusal } from '../decision/receipt.ts';
import type { PolicyRequest } from '../decision/request.ts';
import { FLOWS, type Flow } from '../settings/setting.ts';
import type { Sample } from './exposition.ts';

type ProtocolState = PolicyRequest['protocolState'];
type Kind = Decision['kind'];

/** What can be decided where (contract sections 5 and 7). */
const POSSIBLE: Readonly<Record<ProtocolState, readonly Kind[]>> = {
  RCPT: ['pass', 'reject', 'defer', 'warn', 'filter', 'separate'],
  DATA: ['pass', 'filter', 'unsure'],
  other: ['pass'],
};
const STATES: readonly ProtocolState[] = ['RCPT', 'DATA', 'other'];
const ACTIONS: readonly ReceiptAction[] = ['reject', 'defer', 'warn'];

/** Counts from 0 for as long as the process lives. */
export class DecisionCounters {
  readonly #decisions: Readonly<Record<ProtocolState, Record<Kind, number>>> = {
    RCPT: zeroByKind(),
    DATA: zeroByKind(),
    other: zeroByKind(),
  };
  readonly #refusals: Readonly<Record<Flow, Record<Lack, Record<ReceiptAction, number>>>> = {
    incoming: zeroByLack(),
    outgoing: zeroByLack(),
  };

  /** Once for each decision that was answered. */
  count(protocolState: ProtocolState, decision: Decision): void {
    this.#decisions[protocolState][decision.kind] += 1;
    if (decision.kind === 'pass') return;
    const refusal = refusalOf(decision);
    if (refusal !== undefined) this.#refusals[refusal.flow][refusal.lack][refusal.action] += 1;
  }

  /** Decisions by protocol state and kind. */
  decisions(): readonly Sample[] {
    return STATES.flatMap((protocol_state) =>
      POSSIBLE[protocol_state].map((decision) => ({
        labels: { protocol_state, decision },
        value: this.#decisions[protocol_state][decision],
      })),
    );
  }

  /** Unsatisfied requirements on receipt; `warn` is what only monitor let pass. */
  refusals(): readonly Sample[] {
    return FLOWS.flatMap((flow) =>
      LACKS.flatMap((reason) =>
        ACTIONS.map((action) => ({ labels: { flow, reason, action }, value: this.#refusals[flow][reason][action] })),
      ),
    );
  }
}

/** What receipt refused, or would have refused, whatever delivery then said. */
function refusalOf(decision: Exclude<Decision, { kind: 'pass' }>): Refusal | undefined {
  if ('refusal' in decision) return decision.refusal;
  return 'monitored' in decision ? decision.monitored : undefined;
}

function zeroByKind(): Record<Kind, number> {
  return { pass: 0, reject: 0, defer: 0, warn: 0, filter: 0, separate: 0, unsure: 0 };
}

function zeroByLack(): Record<Lack, Record<ReceiptAction, number>> {
  const zero = (): Record<ReceiptAction, number> => ({ reject: 0, defer: 0, warn: 0 });
  return { tls: zero(), protocol: zero(), cipher: zero() };
}
