// Messages through a real Postfix that asks the soaked service, a few a second; every reply is judged, and whether what was
// accepted arrives as it must. Never tries a message again.

import type { Destination } from '../harness/destination.ts';
import { type Sending, type Sent, sendMessage } from '../harness/send-message.ts';
import type { Server } from '../harness/smtp-client.ts';
import type { Gap } from './soaked-service.ts';
import type { Findings } from './traffic.ts';

/** Around a kill for so long Postfix may say that there is no service. */
const AFTER_KILL_MS = 5_000;
/** Postfix defers what it cannot ask about. */
const UNAVAILABLE = '451 4.3.5 ';
/** And the service what the process before it may have answered. */
const UNSURE = '451 4.3.0 ';

interface Message {
  readonly from: string;
  readonly to: string;
  readonly tls?: Record<string, never>;
  /** How the reply to its recipient begins. */
  readonly reply: '250 ' | '550 5.7.10 ';
  /** Whether it must be delivered over TLS. */
  readonly overTls?: true;
}

const FROM = 'a@partner.example';
const messages: readonly Message[] = [
  { from: FROM, to: 'u@always.example', reply: '550 5.7.10 ' },
  { from: FROM, to: 'u@always.example', tls: {}, reply: '250 ' },
  { from: FROM, to: 'u@never.example', reply: '250 ' },
  { from: FROM, to: 'u@strict.example', reply: '250 ', overTls: true },
  { from: 'ceo@bank.example', to: 'u@listed.example', reply: '550 5.7.10 ' },
  { from: FROM, to: 'u@listed.example', reply: '250 ' },
];

export class MailTraffic {
  readonly outcomes = { accepted: 0, refused: 0, unavailable: 0, unsure: 0, wrong: 0, arrived: 0 };
  readonly #server: Server;
  readonly #destination: Destination;
  readonly #gaps: readonly Gap[];
  readonly #findings: Findings;
  readonly #underWay = new Set<Promise<void>>();
  /** Accepted, and not seen at the destination yet. */
  readonly #expected = new Map<string, Message>();
  #timer: NodeJS.Timeout | undefined;
  #sent = 0;

  /** @param gaps - when the service was not there */
  constructor(server: Server, destination: Destination, gaps: readonly Gap[], findings: Findings) {
    this.#server = server;
    this.#destination = destination;
    this.#gaps = gaps;
    this.#findings = findings;
  }

  start(perSecond: number): void {
    this.#timer = setInterval(() => {
      const one = this.#send().finally(() => this.#underWay.delete(one));
      this.#underWay.add(one);
      this.#collect();
    }, 1_000 / perSecond);
  }

  /** Sends no more, and waits for the replies that are under way and for what was accepted. */
  async stop(patienceMs: number): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#underWay);
    const end = performance.now() + patienceMs;
    for (this.#collect(); this.#expected.size > 0 && performance.now() < end; this.#collect()) {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    for (const [id, { to }] of this.#expected) this.#wrong(`${id} to ${to} was accepted and did not arrive`);
  }

  async #send(): Promise<void> {
    this.#sent += 1;
    const message = messages[this.#sent % messages.length];
    if (message === undefined) return;
    const id = `soak-${this.#sent}`;
    const from = performance.now();
    const sending: Sending = { from: message.from, to: [message.to], id, ...(message.tls && { tls: message.tls }) };
    // It may arrive before its reply does.
    if (message.reply === '250 ') this.#expected.set(id, message);
    let sent: Sent | undefined;
    try {
      sent = await sendMessage(this.#server, sending);
    } catch (error) {
      this.#wrong(`${id} to ${message.to}: ${(error as Error).message}`);
    }
    if (sent?.data?.code !== 250) this.#expected.delete(id);
    if (sent !== undefined) this.#judge(id, message, sent, from);
  }

  #judge(id: string, message: Message, sent: Sent, from: number): void {
    const reply = (sent.recipients[0] ?? sent.mail).text;
    const last = sent.data?.text ?? reply;
    const wasKilled = this.#wasKilledAround(from, performance.now());
    if (wasKilled && last.startsWith(UNAVAILABLE)) this.outcomes.unavailable += 1;
    else if (wasKilled && sent.data?.text.startsWith(UNSURE)) this.outcomes.unsure += 1;
    else if (!reply.startsWith(message.reply)) this.#wrong(`${id} to ${message.to}: ${reply}`);
    else if (message.reply !== '250 ') this.outcomes.refused += 1;
    else if (last.startsWith('250 ')) this.outcomes.accepted += 1;
    else this.#wrong(`${id} to ${message.to}: ${last}`);
  }

  #wasKilledAround(from: number, to: number): boolean {
    return this.#gaps.some((gap) => gap.from <= to && (gap.to ?? to) + AFTER_KILL_MS >= from);
  }

  /** Looks at what has arrived, and lets go of it. */
  #collect(): void {
    for (const { id = '', tls, to } of this.#destination.messages.splice(0)) {
      const message = this.#expected.get(id);
      this.#expected.delete(id);
      if (message === undefined) this.#wrong(`${id} to ${to.join()} arrived, and was not accepted`);
      else if (message.overTls === true && tls === undefined) this.#wrong(`${id} to ${to.join()} arrived in plaintext`);
      else this.outcomes.arrived += 1;
    }
  }

  #wrong(what: string): void {
    this.outcomes.wrong += 1;
    this.#findings.add(`through Postfix: ${what}`);
  }
}
