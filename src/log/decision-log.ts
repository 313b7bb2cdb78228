/**
 * What was decided, for a postmaster who has a message in Postfix's own log before him: one line a refusal or lane. What
 * had nothing to say is for debug alone, and so are addresses: no line above debug holds a local part. It decides nothing.
 */
import type { Logger } from 'pino';
import type { Decision, DecisionContext } from '../decision/decide.ts';
import { enforced, filterReason } from '../decision/delivery.ts';
import type { Parties } from '../decision/parties.ts';
import type { Refusal } from '../decision/receipt.ts';
import type { PolicyRequest } from '../decision/request.ts';
import { FLOWS, type Setting } from '../settings/setting.ts';
import { printable } from './printable.ts';

/** Characters of a request's attribute that are logged; what Postfix sends is shorter. */
const MAX_ATTRIBUTE = 64;
const MAX_ADDRESS = 320;

type Lane = Extract<Decision, { kind: 'filter' | 'separate' }>;

export class DecisionLog {
  readonly #logger: Logger;
  readonly #isInfo: boolean;
  readonly #isDebug: boolean;

  constructor(logger: Logger) {
    this.#logger = logger;
    this.#isInfo = logger.isLevelEnabled('info');
    this.#isDebug = logger.isLevelEnabled('debug');
  }

  write(context: DecisionContext, request: PolicyRequest, decision: Decision): void {
    if (this.#isDebug) this.#writeDebug(request, decision);
    if (decision.kind === 'pass') return;
    if (decision.kind === 'unsure') {
      const fields = { decision: 'unsure', hop: 'delivery', reason: 'recipients-unknown', ...messageFields(request) };
      this.#logger.warn(fields, 'not all recipients of this message are known; it has to come again');
    } else if (this.#isInfo) this.#writeInfo(context, request, decision);
  }

  #writeInfo(
    context: DecisionContext,
    request: PolicyRequest,
    decision: Exclude<Decision, { kind: 'pass' | 'unsure' }>,
  ): void {
    const refusal = 'refusal' in decision ? decision.refusal : decision.monitored;
    if (refusal !== undefined) {
      const fields = { ...refusalFields(refusal), session: wordSession(request), ...messageFields(request) };
      this.#logger.info(fields, 'TLS required');
    }
    // At DATA a lane is said again, not decided again.
    if (!('parties' in decision) || request.protocolState !== 'RCPT') return;
    this.#logger.info({ ...laneFields(context, decision), ...messageFields(request) }, 'lane');
  }

  #writeDebug(request: PolicyRequest, { kind, reply }: Decision): void {
    const { protocolState, sender, recipient, recipientCount } = request;
    this.#logger.debug(
      {
        decision: kind,
        reply,
        protocol_state: protocolState,
        sender: printable(sender, MAX_ADDRESS),
        recipient: printable(recipient, MAX_ADDRESS),
        ...(protocolState === 'DATA' ? { recipient_count: recipientCount } : {}),
        session: wordSession(request),
        ...messageFields(request),
      },
      'decided',
    );
  }
}

function messageFields({ instance, clientAddress }: PolicyRequest): object {
  return { instance: printable(instance, MAX_ATTRIBUTE), client: printable(clientAddress, MAX_ATTRIBUTE) };
}

function refusalFields({ action, domain, flow, lack, setting }: Refusal): object {
  return { decision: action, hop: 'receipt', domain, flow, requirement: wordRequirement(setting), reason: lack };
}

function laneFields(context: DecisionContext, { kind, reply, parties }: Lane): object {
  const { settings, tables } = context;
  const [first = nobodysRequirement(parties), second] = requirements(parties);
  const reason = kind === 'separate' ? 'other-lane' : filterReason(settings, parties, tables);
  const also = second === undefined ? {} : { also: second };
  return {
    decision: kind,
    hop: 'delivery',
    ...first,
    ...also,
    reason,
    ...(kind === 'filter' ? { action: reply } : {}),
  };
}

function nobodysRequirement({ recipientDomain, senderDomain }: Parties): object {
  return { domain: (recipientDomain ?? senderDomain)?.name, requirement: 'none' };
}

/** What is required of the delivery between these two, by whom. */
function requirements(parties: Parties): readonly object[] {
  return FLOWS.flatMap((flow) => {
    const setting = enforced(parties, flow);
    if (setting === undefined) return [];
    const { domain } = flow === 'incoming' ? parties.recipient : parties.sender;
    return [{ domain, flow, requirement: wordRequirement(setting) }];
  });
}

/** The setting as `domains set` would take it. */
function wordRequirement(setting: Setting): string {
  const { condition, enforcement } = setting;
  const asks =
    setting.hop === 'receipt'
      ? [`min_protocol=${setting.minProtocol}`, `min_cipher_bits=${setting.minCipherBits}`]
      : [`level=${setting.level}`, `protocols=>=${setting.minProtocol}`, `ciphers=${setting.ciphers}`];
  return [
    `require_tls=${condition.kind === 'always' ? 'always' : 'specific'}`,
    ...(condition.kind === 'both' ? ['when=both'] : []),
    ...asks,
    ...(enforcement === 'monitor' ? ['enforcement=monitor'] : []),
  ].join(' ');
}

/** As `explain --tls` would take it. */
function wordSession({ encryptionProtocol, encryptionKeysize }: PolicyRequest): string {
  return encryptionProtocol === ''
    ? 'plaintext'
    : `${printable(encryptionProtocol, MAX_ATTRIBUTE)}:${encryptionKeysize}`;
}
