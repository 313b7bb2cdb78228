/**
 * Never one message, two fates (contract section 7): remembers, for messages under way, which lane the first accepted
 * recipient fixed. Bounded in number, time and bytes; it has no clock of its own and keeps no addresses, which strangers
 * choose and may make long.
 *
 * A message of which nothing is known may have been seen before this memory began (another process) or have been
 * dropped from it to stay within bounds. Postfix's `instance` tells when a message began, so such messages are known
 * for what they are.
 */

import { type DomainName, MAX_DOMAIN } from '../address/domain-name.ts';
import { RecentMap } from '../recent/recent-map.ts';
import type { HostedDomain } from '../settings/hosted-domain.ts';
import type { Settings } from '../settings/settings.ts';
import { codeAt } from '../text/code-at.ts';
import { hashOfText } from '../text/hash-of-text.ts';
import type { Lane } from './delivery.ts';
import type { Parties } from './parties.ts';

/** Messages remembered at once: more than a busy host has on their way, in memory that any host has. */
export const LANES_CAPACITY = 100_000;
/**
 * Bytes of all recipients' domains remembered of them, about. Mail has few for each message, and this is never reached; of
 * messages with many and long ones, which a stranger may send, so many fewer are remembered.
 */
const DOMAINS_BYTES = 32_000_000;
/** What one of them takes besides its name. */
const DOMAIN_OVERHEAD = 100;
/**
 * How many processes of smtpd(8) are remembered by the last message that they brought to DATA. A process goes on with a
 * message, or begins another and never comes back to it.
 */
const ENDED_CAPACITY = 20_000;
/** How long a message is remembered after its last recipient; more than smtpd_timeout allows between commands. */
export const LANES_LIFETIME_MS = 3_600_000;
/** Recipients' domains remembered of one message besides the first; with more, any change of settings concerns it. */
const MAX_OTHERS = 16;
/** A longer instance is none of Postfix's (smtpd.c, mail_cmd: four numbers in hexadecimal), and is not remembered. */
const MAX_INSTANCE = 64;

const ZERO = 0x30;
const NINE = 0x39;
const A = 0x61;
const LOWER_CASE = 0x20;

/** What is remembered of one message. */
export interface Message {
  readonly lane: Lane;
  /** False if recipients may have been answered before that are not remembered. */
  readonly isWhole: boolean;
  /** Recipients let into the lane. */
  recipients: number;
  /** {@link Lanes.begin}'s generation: which settings the recipients were judged by. */
  readonly generation: number;
  /** Whose settings were looked at: the sender's, the first recipient's, and those of other domains after it. */
  readonly sender: HostedDomain | undefined;
  readonly first: Looked;
  others: readonly Looked[] | undefined;
  /** What its recipients' domains count for against {@link DOMAINS_BYTES}. */
  bytes: number;
  /** When a recipient was let in last: milliseconds since the epoch. */
  touchedAt: number;
}

/** A recipient's domain, and what the settings had for it. */
interface Looked {
  readonly name: DomainName;
  readonly domain: HostedDomain | undefined;
}

/**
 * The messages under way, by Postfix's `instance`. One for all connections: the requests of a message may come by
 * several.
 */
export class Lanes {
  readonly #messages = new RecentMap<string, Message>();
  /** The last message of each smtpd process that came to DATA. */
  readonly #ended = new RecentMap<number, string>();
  readonly #capacity: number;
  readonly #lifetimeMs: number;
  /** {@link Message.bytes} of all together. */
  #bytes = 0;
  /** Messages that began before this may have had recipients that are not remembered. */
  #horizon: number;
  #forgotten = 0;

  /** `startedAt`: milliseconds since the epoch. */
  constructor(startedAt: number, capacity = LANES_CAPACITY, lifetimeMs = LANES_LIFETIME_MS) {
    this.#horizon = startedAt;
    this.#capacity = capacity;
    this.#lifetimeMs = lifetimeMs;
  }

  /** Messages remembered now. */
  get size(): number {
    return this.#messages.size;
  }

  /** Messages remembered at most. */
  get capacity(): number {
    return this.#capacity;
  }

  /** Messages forgotten before their time, to make room for others. */
  get forgotten(): number {
    return this.#forgotten;
  }

  /** undefined: not remembered, be it new or not; {@link mayHaveHistory} tells. */
  find(instance: string): Message | undefined {
    return canRemember(instance) ? this.#messages.get(instance) : undefined;
  }

  /** The first accepted recipient of a message fixes its lane. */
  begin(instance: string, lane: Lane, parties: Parties, generation: number, now: number): Message {
    const isWhole = !this.#hasEnded(instance) && !this.mayHaveHistory(instance, now);
    const [sender, first] = [parties.senderDomain, look(parties)];
    const message: Message = {
      lane,
      isWhole,
      recipients: 0,
      generation,
      sender,
      first,
      others: undefined,
      bytes: sizeOf(first),
      touchedAt: now,
    };
    if (!canRemember(instance)) return message;
    if (parties.otherwise !== undefined) note(message, parties.otherwise);
    this.#evict(now);
    this.#messages.set(instance, message);
    this.#bytes += message.bytes;
    return message;
  }

  /** One more recipient is let into the message's lane. */
  admit(instance: string, message: Message, parties: Parties, now: number): void {
    message.recipients += 1;
    if (!canRemember(instance) || message.recipients === 1) return;
    message.touchedAt = now;
    this.#bytes += note(message, parties);
    if (parties.otherwise !== undefined) this.#bytes += note(message, parties.otherwise);
    // Last touched, last to go.
    this.#messages.set(instance, message);
    if (this.#bytes >= DOMAINS_BYTES) this.#evict(now);
  }

  /**
   * The message has come to DATA, and what is known of it could be found out again. Only that it was there is remembered
   * for a while: if DATA is refused after all, a client may go on with more recipients.
   */
  end(instance: string, message: Message): void {
    this.#forget(instance, message);
    this.#ended.set(processOf(instance), instance);
    if (this.#ended.size <= ENDED_CAPACITY) return;
    const { oldest } = this.#ended;
    if (oldest !== undefined) this.#ended.delete(oldest[0]);
  }

  #hasEnded(instance: string): boolean {
    return this.#ended.get(processOf(instance)) === instance;
  }

  /** Whether the recipients that were let in may be judged otherwise now; `sender` is what the settings have for theirs. */
  isOutdated(message: Message, settings: Settings, sender: HostedDomain | undefined): boolean {
    const { first, others = [] } = message;
    if (message.sender !== sender || others.length === MAX_OTHERS) return true;
    return isChanged(first, settings) || others.some((looked) => isChanged(looked, settings));
  }

  /** Whether a message that is not remembered may have recipients that were answered before. */
  mayHaveHistory(instance: string, now: number): boolean {
    const began = beganAt(instance);
    return began !== undefined && began < this.#horizon && began > now - 24 * 3_600_000;
  }

  #forget(instance: string, message: Message): void {
    this.#bytes -= message.bytes;
    this.#messages.delete(instance);
  }

  #evict(now: number): void {
    for (let { oldest } = this.#messages; oldest !== undefined; { oldest } = this.#messages) {
      const [instance, message] = oldest;
      const isTooMuch = this.#messages.size >= this.#capacity || this.#bytes >= DOMAINS_BYTES;
      const isOld = now - message.touchedAt >= this.#lifetimeMs;
      if (!isTooMuch && !isOld) return;
      if (!isOld) this.#forgotten += 1;
      this.#forget(instance, message);
      const began = beganAt(instance);
      if (began !== undefined && began >= this.#horizon) this.#horizon = began + 1;
    }
  }
}

function canRemember(instance: string): boolean {
  return instance !== '' && instance.length <= MAX_INSTANCE;
}

/** What tells the smtpd process of an instance: the number before its first dot. Of what Postfix would not send, a hash. */
function processOf(instance: string): number {
  return hexadecimal(instance, 0, instance.indexOf('.')) ?? hashOfText(instance, 0);
}

/** Takes note of the recipient's domain; gives what the message's domains count for more than before. */
function note(message: Message, parties: Parties): number {
  const { domain } = parties.recipient;
  const { first, others = [] } = message;
  if (domain === first.name || others.length === MAX_OTHERS || others.some(({ name }) => name === domain)) return 0;
  const looked = look(parties);
  // Not push: that makes room for 16 more.
  message.others = others.concat(looked);
  const more = sizeOf(looked);
  message.bytes += more;
  return more;
}

/** The names of hosted domains are those that the settings hold. */
function sizeOf({ name, domain }: Looked): number {
  return DOMAIN_OVERHEAD + (domain === undefined ? name.length : 0);
}

function look({ recipient, recipientDomain }: Parties): Looked {
  return { name: nameToKeep(recipient.domain, recipientDomain), domain: recipientDomain };
}

/** The name as a string of its own: a part of an address would keep the whole of it. */
function nameToKeep(name: DomainName, domain: HostedDomain | undefined): DomainName {
  if (domain?.name === name) return domain.name;
  if (domain !== undefined) return domain.aliases.find((alias) => alias === name) ?? name;
  return (name.length > MAX_DOMAIN ? '' : Buffer.from(name).toString()) as DomainName;
}

function isChanged({ name, domain }: Looked, settings: Settings): boolean {
  return settings.find(name) !== domain;
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
  const seconds = hexadecimal(instance, first + 1, second);
  const microseconds = hexadecimal(instance, second + 1, third);
  return seconds === undefined ? undefined : seconds * 1000 + Math.floor((microseconds ?? 0) / 1000);
}

/** The number that [start, end) is; undefined if it is none. No string is made of it. */
function hexadecimal(text: string, start: number, end: number): number | undefined {
  let number = 0;
  for (let i = start; i < end; i++) {
    const code = codeAt(text, i);
    const digit = code <= NINE ? code - ZERO : (code | LOWER_CASE) - A + 10;
    if (digit < 0 || digit > 15 || (code > NINE && digit < 10)) return undefined;
    number = number * 16 + digit;
  }
  return start >= end ? undefined : number;
}
