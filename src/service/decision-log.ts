/**
 * What was decided, for a postmaster who has a message in Postfix's own log before him: one line a refusal or lane. What
 * had nothing to say is for debug alone, and so are addresses: no line above debug holds a local part. It decides nothing.
 */
import type { Logger } from 'pino';
import type { DomainName } from '../address/domain-name.ts';
import type { Decision, DecisionContext } from '../decision/decide.ts';
import { enforced, filterReason } from '../decision/delivery.ts';
import type { Parties } from '../decision/parties.ts';
import type { Refusal } from '../decision/receipt.ts';
import type { PolicyRequest } from '../decision/request.ts';
import type { Flow, Setting } from '../settings/setting.ts';
import { printable } from '../text/printable.ts';

/** Characters of a request's attribute that are logged; what Postfix sends is shorter. */
const MAX_ATTRIBUTE = 64;
const MAX_ADDRESS = 320;

type Lane = Extract<Decision, { kind: 'filter' | 'separate' }>;

/** Writes at the level that the logger had when this was made. */
export class DecisionLog {
  readonly #logger: Logger;
  readonly #isInfo: boolean;
  readonly #isDebug: boolean;

  constructor(logger: Logger) {
    this.#logger = logger;
    this.#isInfo = logger.isLevelEnabled('info');
    this.#isDebug = logger.isLevelEnabled('debug');
  }

  /** Once for each decision, with the context that it was made in. */
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
    if (refusal !== undefined) this.#logger.info(refusalFields(request, refusal), 'TLS required');
    // At DATA a lane is said again, not decided again.
    if ('parties' in decision && request.protocolState === 'RCPT') {
      this.#logger.info(laneFields(context, request, decision), 'lane');
    }
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

function messageFields({ instance, clientAddress }: PolicyRequest): {
  readonly instance: string;
  readonly client: string;
} {
  return { instance: printable(instance, MAX_ATTRIBUTE), client: printable(clientAddress, MAX_ATTRIBUTE) };
}

// Where many requests are logged a line's cost counts. Its fields are written out, not spread, which would make an object of
// another shape each time.

function refusalFields(request: PolicyRequest, { action, domain, flow, lack, setting }: Refusal): object {
  const { instance, client } = messageFields(request);
  const session = wordSession(request);
  const requirement = wordRequirement(setting);
  return { decision: action, hop: 'receipt', domain, flow, requirement, reason: lack, session, instance, client };
}

function laneFields(context: DecisionContext, request: PolicyRequest, { kind, reply, parties }: Lane): object {
  const { instance, client } = messageFields(request);
  const { otherwise } = parties;
  const incoming = required(parties, 'incoming');
  const isOther = incoming === undefined || otherwise?.recipientDomain !== parties.recipientDomain;
  const other = otherwise !== undefined && isOther ? required(otherwise, 'incoming') : undefined;
  const outgoing = required(parties, 'outgoing') ?? (otherwise && required(otherwise, 'outgoing'));
  const first = incoming ?? other ?? outgoing;
  const { domain, flow, requirement } = first ?? nobodysRequirement(parties);
  const also = [outgoing, other].find((one) => one !== undefined && one !== first);
  const reason = kind === 'separate' ? 'other-lane' : filterReason(context.settings, parties, context.tables);
  const action = kind === 'filter' ? reply : undefined;
  // What is undefined is not written.
  return { decision: kind, hop: 'delivery', domain, flow, requirement, also, reason, action, instance, client };
}

interface RequirementFields {
  readonly domain: DomainName | undefined;
  readonly flow: Flow | undefined;
  readonly requirement: string;
}

function nobodysRequirement({ recipientDomain, senderDomain }: Parties): RequirementFields {
  return { domain: (recipientDomain ?? senderDomain)?.name, flow: undefined, requirement: 'none' };
}

/** What is required of the delivery between these two by this flow's domain. */
function required(parties: Parties, flow: Flow): RequirementFields | undefined {
  const setting = enforced(parties, flow);
  if (setting === undefined) return undefined;
  const { domain } = flow === 'incoming' ? parties.recipient : parties.sender;
  return { domain, flow, requirement: wordRequirement(setting) };
}

/** The setting as `domains set` would take it. */
function wordRequirement(setting: Setting): string {
  const { condition, enforcement } = setting;
  const requireTls = condition.kind === 'always' ? 'always' : 'specific';
  const when = condition.kind === 'both' ? ' when=both' : '';
  const asks =
    setting.hop === 'receipt'
      ? `min_protocol=${setting.minProtocol} min_cipher_bits=${setting.minCipherBits}`
      : `level=${setting.level} protocols=>=${setting.minProtocol} ciphers=${setting.ciphers}`;
  const monitored = enforcement === 'monitor' ? ' enforcement=monitor' : '';
  return `require_tls=${requireTls}${when} ${asks}${monitored}`;
}

/** As `explain --tls` would take it. */
function wordSession({ encryptionProtocol, encryptionKeysize }: PolicyRequest): string {
  return encryptionProtocol === ''
    ? 'plaintext'
    : `${printable(encryptionProtocol, MAX_ATTRIBUTE)}:${encryptionKeysize}`;
}
