/**
 * What the mail log's deliveries say of the requirements on delivery: how much left in plaintext, by which TLS versions, and
 * what a requirement, monitored or enforced, would not have let leave. Pure.
 */
import type { AddressRules } from '../address/address.ts';
import { findParties, requirement } from '../decision/parties.ts';
import { versionRank } from '../settings/level.ts';
import { type DeliverySetting, FLOWS, type Flow } from '../settings/setting.ts';
import type { Settings } from '../settings/settings.ts';
import { PLAINTEXT, SESSIONS, sessionPlace } from './counters.ts';
import type { LoggedDelivery } from './mail-log.ts';
import { remoteKey, remoteToKeep } from './remote.ts';
import type { Question } from './summary.ts';

/** What a delivery lacked of what is required of it. */
export const DELIVERY_LACKS = ['tls', 'protocol', 'certificate'] as const;
/** One of {@link DELIVERY_LACKS}. */
export type DeliveryLack = (typeof DELIVERY_LACKS)[number];

/** The sender is not in the log. */
export const UNKNOWN = '(unknown)';

/** Deliveries of one flow, put together. */
export interface DeliveryGroup {
  readonly flow: Flow;
  /** The hosted domain; undefined where it is not what deliveries are put together by. So with `remote`. */
  readonly domain: string | undefined;
  readonly remote: string | undefined;
  recipients: number;
  /** By session, in the order of {@link SESSIONS}. */
  readonly sessions: number[];
  /** Over TLS, to a server whose certificate was not trusted, or not asked for. */
  untrusted: number;
  /** Of whom a requirement asks for TLS, be it under monitor. */
  required: number;
  /** Recipients by what was lacking first. */
  readonly wouldFail: Record<DeliveryLack, number>;
  /** Required, and the log does not tell whether the certificate would do: its names were not looked at. */
  unknown: number;
}

/** Recipients whose delivery lacked what was required. */
export const failuresOf = ({ wouldFail }: DeliveryGroup): number =>
  DELIVERY_LACKS.reduce((sum, lack) => sum + wouldFail[lack], 0);

/** What this delivery lacks of the setting; 'unknown': the log does not tell; undefined: nothing. */
export function judgeDelivery(
  setting: DeliverySetting,
  delivery: LoggedDelivery,
): DeliveryLack | 'unknown' | undefined {
  const { tls, isOurs } = delivery;
  if (tls === undefined) return 'tls';
  if (versionRank(tls.protocol) < versionRank(setting.minProtocol)) return 'protocol';
  if (isOurs || setting.level === 'encrypt') return undefined;
  const isUntrusted = tls.trust === 'Anonymous' || tls.trust === 'Untrusted';
  // DANE and fingerprints trust certificates that no authority vouches for.
  return isUntrusted && (setting.level === 'verify' || setting.level === 'secure') ? 'certificate' : 'unknown';
}

/** Sums deliveries up by what `question.by` says; it grows with the domains in the log, not with its lines. */
export class Deliveries {
  readonly #settings: Settings;
  readonly #addresses: AddressRules;
  readonly #question: Question;
  readonly #groups = new Map<string, DeliveryGroup>();

  constructor(settings: Settings, addresses: AddressRules, question: Question) {
    this.#settings = settings;
    this.#addresses = addresses;
    this.#question = question;
  }

  /** Counts it for the recipient's domain and for the sender's, each if it is hosted here and asked for. */
  add(delivery: LoggedDelivery): void {
    const parties = findParties(this.#settings, delivery.sender ?? '', delivery.recipient, this.#addresses);
    for (const flow of FLOWS) {
      const isIncoming = flow === 'incoming';
      const domain = isIncoming ? parties.recipientDomain : parties.senderDomain;
      if (domain === undefined) continue;
      const remote =
        isIncoming && delivery.sender === undefined
          ? UNKNOWN
          : remoteToKeep(remoteKey(isIncoming ? parties.sender : parties.recipient, false));
      const group = this.#group(flow, domain.name, remote);
      if (group !== undefined) count(group, delivery, requirement(parties, flow, 'delivery'));
    }
  }

  /** Sorted: what would fail most, then what left most in plaintext, then what there is most of. */
  groups(): readonly DeliveryGroup[] {
    return [...this.#groups.values()].sort(
      (a, b) =>
        FLOWS.indexOf(a.flow) - FLOWS.indexOf(b.flow) ||
        failuresOf(b) - failuresOf(a) ||
        plaintextOf(b) - plaintextOf(a) ||
        b.recipients - a.recipients ||
        (`${a.domain} ${a.remote}` < `${b.domain} ${b.remote}` ? -1 : 1),
    );
  }

  /** Those of them that are asked for: the ones in plaintext, or that would fail. */
  chosen(): readonly DeliveryGroup[] {
    const { plaintext, refused } = this.#question;
    return this.groups().filter(
      (group) => (!plaintext || plaintextOf(group) > 0) && (!refused || failuresOf(group) > 0),
    );
  }

  #group(flow: Flow, domain: string, remote: string): DeliveryGroup | undefined {
    const { by, flow: wanted, domains } = this.#question;
    if (wanted !== undefined && flow !== wanted) return undefined;
    if (domains.length > 0 && !domains.includes(domain)) return undefined;
    const named = { domain: by === 'remote' ? undefined : domain, remote: by === 'domain' ? undefined : remote };
    const key = `${flow}\t${named.domain ?? ''}\t${named.remote ?? ''}`;
    const known = this.#groups.get(key);
    if (known !== undefined) return known;
    const group: DeliveryGroup = {
      flow,
      ...named,
      recipients: 0,
      sessions: SESSIONS.map(() => 0),
      untrusted: 0,
      required: 0,
      wouldFail: { tls: 0, protocol: 0, certificate: 0 },
      unknown: 0,
    };
    this.#groups.set(key, group);
    return group;
  }
}

/** Recipients who got it in plaintext. */
export const plaintextOf = ({ sessions }: DeliveryGroup): number => sessions[PLAINTEXT] ?? 0;

function count(group: DeliveryGroup, delivery: LoggedDelivery, setting: DeliverySetting | undefined): void {
  const { tls } = delivery;
  group.recipients += 1;
  const place = sessionPlace(tls?.protocol ?? '');
  group.sessions[place] = (group.sessions[place] ?? 0) + 1;
  if (tls?.trust === 'Anonymous' || tls?.trust === 'Untrusted') group.untrusted += 1;
  if (setting === undefined) return;
  group.required += 1;
  const lack = judgeDelivery(setting, delivery);
  if (lack === 'unknown') group.unknown += 1;
  else if (lack !== undefined) group.wouldFail[lack] += 1;
}
