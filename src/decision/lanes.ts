/**
 * Never one message, two fates (contract section 7): remembers, for messages under way, which lane the first accepted
 * recipient fixed. Bounded in number and time; it has no clock of its own.
 *
 * A message of which nothing is known may have been seen before this memory began (another process) or have been
 * dropped from it to stay within bounds. Postfix's `instance` tells when a message began, so such messages are known
 * for what they are.
 */
import type { Settings } from '../settings/settings.ts';
import type { Lane } from './delivery.ts';
import type { Parties } from './parties.ts';

/** Messages remembered at once; about 500 bytes each, so 50 MB at the most. */
export const LANES_CAPACITY = 100_000;
/** How long a message is remembered after its last recipient; more than smtpd_timeout allows between commands. */
export const LANES_LIFETIME_MS = 3_600_000;
/** Recipients' domains remembered of one message besides the first; with more, any change of settings concerns it. */
const MAX_OTHERS = 16;

/** What is remembered of one message. */
export interface Message {
  readonly lane: Lane;
  /** False if recipients may have been answered before that are not remembered. */
  readonly isWhole: boolean;
  /** Recipients let into the lane. */
  recipients: number;
  /** {@link Lanes.remember}'s generation: which settings the recipients were judged by. */
  readonly generation: number;
  /** Of whom the settings were looked at: the first recipient, and those of other domains after it. */
  readonly first: Parties;
  others: Parties[] | undefined;
  touchedAt: number;
}

export class Lanes {
  readonly #messages = new Map<string, Message>();
  readonly #capacity: number;
  readonly #lifetimeMs: number;
  /** Messages that began before this may have had recipients that are not remembered. */
  #horizon: number;

  /** `startedAt`: milliseconds since the epoch. */
  constructor(startedAt: number, capacity = LANES_CAPACITY, lifetimeMs = LANES_LIFETIME_MS) {
    this.#horizon = startedAt;
    this.#capacity = capacity;
    this.#lifetimeMs = lifetimeMs;
  }

  get size(): number {
    return this.#messages.size;
  }

  find(instance: string): Message | undefined {
    return instance === '' ? undefined : this.#messages.get(instance);
  }

  /** The first accepted recipient of a message fixes its lane. */
  begin(instance: string, lane: Lane, first: Parties, generation: number, now: number): Message {
    const isWhole = !this.mayHaveHistory(instance, now);
    const message: Message = { lane, isWhole, recipients: 0, generation, first, others: undefined, touchedAt: now };
    if (instance === '') return message;
    this.#evict(now);
    this.#messages.set(instance, message);
    return message;
  }

  /** One more recipient is let into the message's lane. */
  admit(instance: string, message: Message, parties: Parties, now: number): void {
    message.recipients += 1;
    if (instance === '' || message.recipients === 1) return;
    message.touchedAt = now;
    note(message, parties);
    // Last touched, last to go: a Map keeps the order of insertion.
    this.#messages.delete(instance);
    this.#messages.set(instance, message);
  }

  /** The message has come to its end, and what is known of it could be found out again. */
  end(instance: string): void {
    this.#messages.delete(instance);
  }

  /** Whether the recipients that were let in may be judged otherwise by the settings in force now. */
  isOutdated(message: Message, settings: Settings, generation: number): boolean {
    if (message.generation === generation) return false;
    const { first, others = [] } = message;
    if (others.length === MAX_OTHERS) return true;
    return isChanged(first, settings) || others.some((parties) => isChanged(parties, settings));
  }

  /** Whether a message that is not remembered may have recipients that were answered before. */
  mayHaveHistory(instance: string, now: number): boolean {
    const began = beganAt(instance);
    return began !== undefined && began < this.#horizon && began > now - 24 * 3_600_000;
  }

  #evict(now: number): void {
    for (const [instance, message] of this.#messages) {
      if (now - message.touchedAt < this.#lifetimeMs && this.#messages.size < this.#capacity) return;
      this.#messages.delete(instance);
      const began = beganAt(instance);
      if (began !== undefined && began > this.#horizon) this.#horizon = began + 1;
    }
  }
}

function note(message: Message, parties: Parties): void {
  const { domain } = parties.recipient;
  message.others ??= [];
  const { first, others } = message;
  if (domain === first.recipient.domain || others.length === MAX_OTHERS) return;
  if (!others.some(({ recipient }) => recipient.domain === domain)) others.push(parties);
}

function isChanged(parties: Parties, settings: Settings): boolean {
  return (
    settings.find(parties.recipient.domain) !== parties.recipientDomain ||
    settings.find(parties.sender.domain) !== parties.senderDomain
  );
}

/**
 * When Postfix received MAIL FROM, in milliseconds since the epoch: instance is `pid.seconds.microseconds.sequence` in
 * hexadecimal (smtpd.c, mail_cmd). undefined for anything else.
 */
function beganAt(instance: string): number | undefined {
  const first = instance.indexOf('.');
  const second = instance.indexOf('.', first + 1);
  const third = instance.indexOf('.', second + 1);
  if (first < 1 || second < 0 || third < 0) return undefined;
  const seconds = Number.parseInt(instance.slice(first + 1, second), 16);
  return Number.isNaN(seconds)
    ? undefined
    : seconds * 1000 + Math.floor(Number.parseInt(instance.slice(second + 1, third), 16) / 1000 || 0);
}
