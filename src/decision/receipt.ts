/**
 * Receipt (contract section 5): whether the session by which a recipient comes in satisfies what is required, and the
 * reply if not. Nothing that the client supplied is echoed but the hosted domain, normalised.
 */
import type { DomainName } from '../address/domain-name.ts';
import { TLS_VERSIONS, versionRank } from '../settings/level.ts';
import type { Flow, ReceiptSetting } from '../settings/setting.ts';
import { type Parties, requirement } from './parties.ts';
import type { PolicyRequest } from './request.ts';

/** What of the session counts: a part of {@link PolicyRequest}. */
export type Session = Pick<PolicyRequest, 'encryptionProtocol' | 'encryptionKeysize'>;

/** What the session lacks. */
export const LACKS = ['tls', 'protocol', 'cipher'] as const;
/** tls: the session is plaintext. protocol: older than `min_protocol`. cipher: fewer bits than `min_cipher_bits`. */
export type Lack = (typeof LACKS)[number];

/** What becomes of the recipient: refused for good, refused for now, or let pass under monitor. */
export type ReceiptAction = 'reject' | 'defer' | 'warn';

/** One unsatisfied requirement. */
export interface Refusal {
  readonly action: ReceiptAction;
  readonly lack: Lack;
  /** The hosted domain or alias as it was addressed. */
  readonly domain: DomainName;
  readonly flow: Flow;
  readonly setting: ReceiptSetting;
}

/** What the session lacks of this setting, or undefined if it satisfies it. */
function lackOf(setting: ReceiptSetting, session: Session): Lack | undefined {
  if (session.encryptionProtocol === '') return 'tls';
  if (versionRank(session.encryptionProtocol) < setting.minRank) return 'protocol';
  return session.encryptionKeysize < setting.minCipherBits ? 'cipher' : undefined;
}

/** The unsatisfied requirement of each flow. */
export interface Refusals {
  readonly incoming: Refusal | undefined;
  readonly outgoing: Refusal | undefined;
}

/** What receipt says of one recipient. */
export interface ReceiptVerdict extends Refusals {
  /** Those of {@link Parties.otherwise}. */
  readonly otherwise: Refusals | undefined;
  /** The one of them that decides. */
  readonly refusal: Refusal | undefined;
  /** The client is exempt: something is unsatisfied, and nothing is asked of it. */
  readonly isExempt: boolean;
}

/** Nothing is required, all of it is satisfied, or receipt is not asked about. */
export const SATISFIED: ReceiptVerdict = {
  incoming: undefined,
  outgoing: undefined,
  otherwise: undefined,
  refusal: undefined,
  isExempt: false,
};
const EXEMPT: ReceiptVerdict = { ...SATISFIED, isExempt: true };

/** `isExempt`: whether the sessions of this client are not asked for TLS. */
export function decideReceipt(
  parties: Parties,
  session: Session & Pick<PolicyRequest, 'clientAddress'>,
  isExempt: (clientAddress: string) => boolean,
): ReceiptVerdict {
  const incoming = findRefusal(parties, 'incoming', session);
  const outgoing = findRefusal(parties, 'outgoing', session);
  const otherwise = parties.otherwise === undefined ? undefined : findRefusals(parties.otherwise, session);
  const refusal = decisive(decisive(incoming, otherwise?.incoming), decisive(outgoing, otherwise?.outgoing));
  if (refusal === undefined) return SATISFIED;
  return isExempt(session.clientAddress) ? EXEMPT : { incoming, outgoing, otherwise, refusal, isExempt: false };
}

function findRefusals(parties: Parties, session: Session): Refusals {
  return {
    incoming: findRefusal(parties, 'incoming', session),
    outgoing: findRefusal(parties, 'outgoing', session),
  };
}

/** Of two the one that is the answer: the first of the stricter action. */
export function decisive(first: Refusal | undefined, second: Refusal | undefined): Refusal | undefined {
  if (first === undefined || second === undefined) return first ?? second;
  return ACTION_ORDER[second.action] < ACTION_ORDER[first.action] ? second : first;
}

const ACTION_ORDER: Readonly<Record<ReceiptAction, number>> = { reject: 0, defer: 1, warn: 2 };

function findRefusal(parties: Parties, flow: Flow, session: Session): Refusal | undefined {
  const setting = requirement(parties, flow, 'receipt');
  if (setting === undefined) return undefined;
  const lack = lackOf(setting, session);
  if (lack === undefined) return undefined;
  const action = setting.enforcement === 'monitor' ? 'warn' : setting.onFailure;
  const { domain } = flow === 'incoming' ? parties.recipient : parties.sender;
  return { action, lack, domain, flow, setting };
}

const CODES: Readonly<Record<ReceiptAction, string>> = {
  reject: '550 5.7.10',
  defer: '450 4.7.10',
  warn: 'WARN',
};

/** The whole action text of the reply. */
export function wordRefusal(refusal: Refusal, session: Session): string {
  const who =
    refusal.flow === 'incoming'
      ? `mail for ${refusal.domain} is accepted over TLS only`
      : `mail from ${refusal.domain} is accepted over TLS only`;
  const would = refusal.action === 'warn' ? 'tlswarden would refuse: ' : '';
  return `${CODES[refusal.action]} ${would}TLS required: ${who}, ${wordLack(refusal, session)}`;
}

function wordLack({ lack, setting }: Refusal, session: Session): string {
  switch (lack) {
    case 'tls':
      return 'and this session is not encrypted; send it with STARTTLS';
    case 'protocol': {
      const used = TLS_VERSIONS.find((version) => version === session.encryptionProtocol) ?? 'an outdated protocol';
      return `${setting.minProtocol} or later, and this session uses ${used}`;
    }
    case 'cipher':
      return `with ciphers of ${setting.minCipherBits} bits or more, and this session uses ${session.encryptionKeysize}`;
  }
}
