/**
 * All that the trials of one run share: the domains that are hosted for them, the servers that their mail goes to, and ways to
 * send a message and to see what becomes of it. It judges nothing.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { type DomainName, parseDomain } from '../address/domain-name.ts';
import type { Host } from '../doctor/host.ts';
import { type Reply, wordReply } from '../probe/reply-reader.ts';
import { askService, NoAnswer } from '../service/policy-client.ts';
import { LEVELS, type Level } from '../settings/level.ts';
import { domainOf, ROLES, type Role, type RunName } from '../settings/trial-domain.ts';
import type { Table } from '../toml/table-reader.ts';
import { Destination } from './destination.ts';
import { queuedTrials } from './queue.ts';
import type { LiveOptions } from './run-live.ts';
import { selfSigned } from './self-signed.ts';
import { type Door, SmtpSender } from './smtp-sender.ts';

/** How long the service has to take up the domains; a change is in force within a second. */
const SERVICE_MS = 15_000;
/** How long Postfix has to try a message for the first time. */
export const DELIVERY_MS = 30_000;
const LOOK_MS = 300;
/** So many looks in a row have to miss a message: a filter on this host may have it meanwhile. */
const MISSING_LOOKS = 15;
/** Of more domains no tables are written for a trial. */
const MOST_DOMAINS = 100_000;

/** What keeps the whole from being tried: the message is a sentence without a full stop. */
export class CannotTry extends Error {}

/** A message or a recipient was refused: the message says by what reply. */
export class NotAccepted extends Error {}

/** What has become of a message. */
export type Fate =
  | { readonly kind: 'arrived'; readonly tls: string | undefined }
  | { readonly kind: 'waits'; readonly reason: string }
  /** Neither in the queue nor arrived. */
  | { readonly kind: 'gone' }
  | { readonly kind: 'untried' };

/** What depends on the sender is dynamic: no table has to be written for such a domain. */
const FROM_NULL = { require_tls: 'specific', senders: ['<>'] } as const;
const NEVER = { require_tls: 'never' } as const;

/** One run's stage: {@link Stage.set} once, then any number of trials, {@link Stage.strike} whatever happened. */
export class Stage {
  readonly host: Host;
  /** Where smtpd(8) is reached. */
  readonly doors: readonly Door[];
  readonly signal: AbortSignal;
  /** Is told what is being done now. */
  readonly progress: (what: string) => void;
  /** The domains, whether they are hosted yet or not. */
  readonly names: readonly DomainName[];
  /** The weakest level that has a transport in master.cf; undefined: none has. */
  readonly level: Level | undefined;
  /** Postfix's own name. */
  readonly helo: string;
  readonly #store: LiveOptions['store'];
  readonly #token = randomBytes(4).toString('hex');
  readonly #destinations = new Map<Role, Destination>();

  constructor({ host, store, base, signal, progress }: LiveOptions, run: RunName, doors: readonly Door[]) {
    this.host = host;
    this.doors = doors;
    this.signal = signal;
    this.progress = progress;
    this.#store = store;
    this.names = ROLES.map((role) => {
      const name = parseDomain(domainOf(run, role, base));
      if (name === undefined) throw new CannotTry(`${base} is too long to have domains below it`);
      return name;
    });
    this.level = LEVELS.find((level) => host.postfix.agent(`tlswarden-${level}`) !== undefined);
    this.helo = host.postfix.value('myhostname');
  }

  /** Why the tables of this host are not tried; undefined: they are. */
  get tableObstacle(): string | undefined {
    const { main, settings } = this.host;
    if (main.maps === undefined) return 'there is no maps directory';
    if (this.level === undefined) return 'there is no transport for it';
    if (main.settings.source.kind === 'redis') return 'with settings in Redis every host would write tables for it';
    if (settings.size > MOST_DOMAINS) return `the tables of ${settings.size} domains would be written twice for it`;
    return undefined;
  }

  /** Starts the servers, hosts the domains, and waits until the service decides by them. */
  async set(): Promise<void> {
    this.progress('hosting the trial domains');
    const loopback = this.host.postfix.value('inet_protocols') === 'ipv6' ? '::1' : '127.0.0.1';
    const certificate = selfSigned('doctor.tlswarden.invalid', Date.now());
    for (const role of ROLES) {
      const hasTls = role === 'tls' || role === 'receipt';
      this.#destinations.set(role, await Destination.start(loopback, hasTls ? certificate : undefined));
    }
    const delivery = {
      level: this.level ?? 'encrypt',
      ...(this.level === 'fingerprint' ? { fingerprints: [certificate.fingerprint] } : {}),
    };
    const incoming: Readonly<Record<Role, Table>> = {
      receipt: { receipt: FROM_NULL, delivery: NEVER },
      tls: { receipt: NEVER, delivery: { ...FROM_NULL, ...delivery } },
      plaintext: { receipt: NEVER, delivery: { ...FROM_NULL, ...delivery } },
      table: { receipt: NEVER, delivery: { require_tls: 'always', ...delivery } },
    };
    const roles = this.tableObstacle === undefined ? ROLES : ROLES.filter((role) => role !== 'table');
    const domains = roles.map((role): [DomainName, Table] => [
      this.domain(role),
      { nexthop: this.destination(role).nexthop, incoming: incoming[role] },
    ]);
    await this.#store.change(() => new Map(domains), { concerns: this.names, command: 'doctor --live' });
    const isTaken = await this.until(SERVICE_MS, () => this.#isHosted());
    if (!isTaken) throw new CannotTry(`the policy service does not go by settings that are ${SERVICE_MS / 1000} s old`);
  }

  /** Ends the servers. */
  strike(): void {
    for (const destination of this.#destinations.values()) destination.stop();
  }

  /** The trial domain of a role. */
  domain(role: Role): DomainName {
    return this.names[ROLES.indexOf(role)] as DomainName;
  }

  /** The one recipient there, by a local part that no other run has. */
  recipient(role: Role): string {
    return `${this.#token}@${this.domain(role)}`;
  }

  /** The server that is the next hop of a role; not before {@link set}. */
  destination(role: Role): Destination {
    const destination = this.#destinations.get(role);
    if (destination === undefined) throw new TypeError(`${role} has no server`);
    return destination;
  }

  async #isHosted(): Promise<boolean> {
    try {
      const action = await askService(this.host.fragmentContext.policyService, {
        protocol_state: 'RCPT',
        sender: '',
        recipient: this.recipient('receipt'),
        client_address: '192.0.2.1',
        policy_context: 'receipt',
      });
      return action.startsWith('550 5.7.10 ');
    } catch (error) {
      if (error instanceof NoAnswer) throw new CannotTry(`the policy service ${error.message}`);
      throw error;
    }
  }

  /** Looks until something is so; false if it is not in time. Rejects when the run is to end. */
  async until(ms: number, look: () => Promise<boolean>): Promise<boolean> {
    const deadline = Date.now() + ms;
    for (;;) {
      if (await look()) return true;
      if (Date.now() > deadline) return false;
      await pause(LOOK_MS, undefined, { signal: this.signal });
    }
  }

  /**
   * Sends a message by the null sender, over TLS if smtpd can, so that no bounce ever comes of it. Gives the reply to the last
   * recipient; if the first is refused, or the message, it rejects with {@link NotAccepted}.
   */
  async send(recipients: readonly string[]): Promise<Reply> {
    const [door] = this.doors as readonly [Door];
    const sender = await SmtpSender.open(door, this.helo, this.signal);
    try {
      if (sender.offersTls) await sender.startTls(this.helo);
      let reply = await sender.command('MAIL FROM:<>');
      for (const [i, recipient] of recipients.entries()) {
        if (reply.code !== 250) break;
        reply = await sender.command(`RCPT TO:<${recipient}>`);
        if (i === 0 && reply.code !== 250) break;
      }
      const isFirst = recipients.length === 1 || reply.code !== 452;
      if (reply.code !== 250 && isFirst) throw new NotAccepted(`refused with ${quoteReply(reply)}`);
      const taken = await sender.data(this.message(recipients[0] ?? ''));
      if (taken.code !== 250) throw new NotAccepted(`refused with ${quoteReply(taken)}`);
      return reply;
    } finally {
      sender.close();
    }
  }

  /** Header and body (RFC 5322), lines ending in \n. It is no mail that anybody answers (RFC 3834). */
  message(to: string): string {
    return [
      `From: <doctor@${this.helo}>`,
      `To: <${to}>`,
      'Subject: tlswarden doctor',
      `Date: ${new Date().toUTCString().replace('GMT', '+0000')}`,
      `Message-ID: <${randomBytes(8).toString('hex')}@${this.helo}>`,
      'Auto-Submitted: auto-generated',
      '',
      'A message of "tlswarden doctor --live". It is deleted when that ends.',
    ].join('\n');
  }

  /** What has become of the message for a recipient, as soon as Postfix has tried to deliver it. */
  async fate(role: Role): Promise<Fate> {
    const recipient = this.recipient(role);
    let fate: Fate = { kind: 'untried' };
    let missed = 0;
    await this.until(DELIVERY_MS, async () => {
      const arrival = this.destination(role).arrival(recipient);
      if (arrival !== undefined) {
        fate = { kind: 'arrived', tls: arrival.tls };
        return true;
      }
      const messages = await queuedTrials(this.host.postfix.directory, (domain) => domain === this.domain(role));
      const found = messages.flatMap(({ recipients }) => recipients).find(({ address }) => address === recipient);
      missed = found === undefined ? missed + 1 : 0;
      if (missed > MISSING_LOOKS) fate = { kind: 'gone' };
      // Postfix gives one when it has tried.
      else if (found?.delay_reason !== undefined) fate = { kind: 'waits', reason: found.delay_reason };
      return fate.kind !== 'untried';
    });
    return fate;
  }
}

/** A reply without what Postfix says before the part that matters. */
export function quoteReply(reply: Reply): string {
  return `"${wordReply(reply).replace(/<[^>]*>: (?:Recipient address rejected: )?/u, '')}"`;
}
