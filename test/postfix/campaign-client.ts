// Sends the campaign's messages the way mail servers and mail programs do: what is refused for now is sent again. The
// policy service may be killed between any two commands. Checks each reply; never looks where mail ends.

import type { Gateway } from '../harness/gateway.ts';
import { messageText } from '../harness/send-message.ts';
import { type Reply, SmtpClient } from '../harness/smtp-client.ts';
import { waitFor } from '../harness/wait-for.ts';
import {
  type Answer,
  type Envelope,
  hostedDomain,
  type Knowledge,
  normalAddress,
  OracleService,
  type RawSettings,
  receiptVerdict,
  type Session,
  type Version,
} from '../oracle/oracle.ts';

/** A message to send. */
export interface CampaignMessage {
  readonly id: string;
  readonly sender: string;
  readonly recipients: readonly string[];
  readonly session: Session;
  /** Before which commands of the message the service is killed, counted over all its transactions. */
  readonly kills: readonly { readonly before: number; readonly waits: boolean }[];
}

/** What came of sending it. */
export interface SentMessage {
  readonly message: CampaignMessage;
  /** The reply that ended it, for each recipient that was refused. */
  readonly refused: ReadonlyMap<string, Reply>;
  /** Transactions that were accepted. */
  readonly transactions: readonly { readonly queueId: string; readonly recipients: readonly string[] }[];
  /** All that was said. */
  readonly transcript: readonly string[];
}

/** What can be foretold. */
export interface Foresight {
  readonly knowledge: Knowledge;
  /** The lanes can be, if Postfix goes by the tables for sure, or if there are none. */
  readonly lanes: 'foretold' | 'open';
  /** The settings that Postfix's tables may still hold: they may refuse what need not be refused any more. */
  readonly before: RawSettings | undefined;
}

/** A reply, a delivery or a silence that is wrong. */
export class CampaignError extends Error {}

/** Kills the service and starts it again, one at a time, and knows when it was not there. */
export class Chaos {
  readonly #gateway: Gateway;
  #work: Promise<void> = Promise.resolve();
  #busy = 0;
  kills = 0;

  constructor(gateway: Gateway) {
    this.#gateway = gateway;
  }

  /** Grows with every kill; undefined while the service is not there for sure. */
  get epoch(): number | undefined {
    return this.#busy > 0 ? undefined : this.kills;
  }

  /** Kills the service and starts it again; resolves when it is ready. */
  kill(): Promise<void> {
    this.#busy += 1;
    this.#work = this.#work.then(async () => {
      this.kills += 1;
      await this.#gateway.kill();
      await this.#gateway.serve();
      this.#busy -= 1;
    });
    return this.#work;
  }

  /** Waits until the service is there. */
  async settled(): Promise<void> {
    await this.#work;
  }
}

/** How XCLIENT names the client, so that it may relay. */
const trustedAddress = '192.0.2.25';
/** The client in exempt_clients. */
export const exemptAddress = '192.0.2.99';

const cipherNames: Readonly<Record<string, string>> = {
  'TLSv1.2 128': 'ECDHE-ECDSA-AES128-GCM-SHA256',
  'TLSv1.2 256': 'ECDHE-ECDSA-AES256-GCM-SHA384',
  'TLSv1.3 128': 'TLS_AES_128_GCM_SHA256:DEFAULT',
  'TLSv1.3 256': 'TLS_AES_256_GCM_SHA384:DEFAULT',
};

/** Sends a message until every recipient is accepted or refused for a reason that the rules give. */
export async function sendCampaignMessage(
  gateway: Gateway,
  chaos: Chaos,
  foresight: Foresight,
  message: CampaignMessage,
): Promise<SentMessage> {
  const sending = new Sending(gateway, chaos, foresight, message);
  try {
    return await sending.run();
  } catch (error) {
    throw new CampaignError(`${(error as Error).message}\n${wordMessage(message)}\n${sending.transcript.join('\n')}`);
  }
}

export function wordMessage(message: CampaignMessage): string {
  return JSON.stringify(message);
}

class Sending {
  readonly #gateway: Gateway;
  readonly #chaos: Chaos;
  readonly #foresight: Foresight;
  readonly #message: CampaignMessage;
  readonly #refused = new Map<string, Reply>();
  readonly #transactions: { queueId: string; recipients: readonly string[] }[] = [];
  readonly #oracle = new OracleService();
  readonly transcript: string[] = [];
  #commands = 0;

  constructor(gateway: Gateway, chaos: Chaos, foresight: Foresight, message: CampaignMessage) {
    this.#gateway = gateway;
    this.#chaos = chaos;
    this.#foresight = foresight;
    this.#message = message;
  }

  async run(): Promise<SentMessage> {
    const client = await this.#connect();
    try {
      let pending = this.#message.recipients;
      for (let round = 1; pending.length > 0; round += 1) {
        if (round > this.#message.recipients.length + 2 * this.#message.kills.length + 10) {
          throw new CampaignError(`${pending} never get through`);
        }
        pending = await this.#transaction(client, pending, round);
      }
      await client.quit();
    } finally {
      client.close();
    }
    return {
      message: this.#message,
      refused: this.#refused,
      transactions: this.#transactions,
      transcript: this.transcript,
    };
  }

  async #connect(): Promise<SmtpClient> {
    const { exempt, login, tls } = this.#message.session;
    const client = await SmtpClient.connect(this.#gateway.postfix);
    await client.ehlo();
    await client.xclient({
      ADDR: exempt === true ? exemptAddress : trustedAddress,
      ...(login === undefined ? {} : { LOGIN: login }),
    });
    await client.ehlo();
    if (tls !== undefined) {
      const ciphers = cipherNames[`${tls.protocol} ${tls.bits}`];
      const protocol = tls.protocol as Exclude<Version, 'TLSv1' | 'TLSv1.1'>;
      await client.startTls({ min: protocol, max: protocol, ...(ciphers === undefined ? {} : { ciphers }) });
      await client.ehlo();
    }
    return client;
  }

  /** Kills the service if it is time to. */
  async #disturb(): Promise<void> {
    this.#commands += 1;
    const kill = this.#message.kills.find(({ before }) => before === this.#commands);
    if (kill !== undefined) {
      this.transcript.push(kill.waits ? '(service killed and started again)' : '(service killed)');
      const back = this.#chaos.kill();
      if (kill.waits) {
        await back;
      }
    }
  }

  /** One transaction. Returns the recipients that have to be sent again. */
  async #transaction(client: SmtpClient, recipients: readonly string[], round: number): Promise<readonly string[]> {
    const { sender, session, id } = this.#message;
    const epoch = this.#chaos.epoch;
    const isDisturbed = (): boolean => epoch === undefined || this.#chaos.epoch !== epoch;
    const again: string[] = [];
    const accepted: string[] = [];
    const utf8 = [sender, ...recipients].some((address) => /[^ -~]/.test(address));
    this.#say(`MAIL FROM:<${sender}>`, await client.mailFrom(sender, ...(utf8 ? ['SMTPUTF8'] : [])), 250);
    for (const recipient of recipients) {
      await this.#disturb();
      const reply = await client.rcptTo(recipient);
      this.transcript.push(`RCPT TO:<${recipient}> → ${reply.text}`);
      const envelope: Envelope = { message: `${id}.${round}`, sender, recipient, session };
      const answer = readRcptReply(reply);
      this.#checkRcpt(envelope, answer, reply, accepted.length > 0, isDisturbed());
      if (answer === 'accepted') {
        accepted.push(recipient);
      } else if (answer === 'separately' || answer === 'unavailable') {
        again.push(recipient);
      } else {
        this.#refused.set(recipient, reply);
      }
    }
    if (accepted.length === 0) {
      await client.reset();
      if (again.length > 0) {
        await this.#chaos.settled();
      }
      return again;
    }
    await this.#disturb();
    const reply = await client.data(messageText({ from: '', to: [], id, body: `to ${accepted.length}` }));
    this.transcript.push(`DATA → ${reply.text}`);
    const queueId = reply.code === 250 ? reply.text.match(/queued as ([0-9A-Za-z]+)/)?.[1] : undefined;
    if (queueId !== undefined) {
      this.#transactions.push({ queueId, recipients: accepted });
      return again;
    }
    if (!/^451 4\.3\.[05] /.test(reply.text) || !isDisturbed()) {
      throw new CampaignError(`at DATA the reply was ${reply.text}`);
    }
    await client.reset();
    await this.#chaos.settled();
    return [...accepted, ...again];
  }

  #say(command: string, reply: Reply, code: number): void {
    this.transcript.push(`${command} → ${reply.text}`);
    if (reply.code !== code) {
      throw new CampaignError(`${command} was answered ${reply.text}`);
    }
  }

  /**
   * Whether it is Postfix's table that refuses: as the settings were when it was written, or since the recipient's domain,
   * not hosted itself, is below one that is. Postfix looks up the domains above, too.
   */
  #isTableRefusal({ sender, recipient, session }: Envelope, reply: Reply): boolean {
    if (!reply.text.startsWith('550 5.7.1 ')) {
      return false;
    }
    const { knowledge, before } = this.#foresight;
    return [knowledge.settings, before].some((settings) => {
      const from = settings === undefined ? null : normalAddress(settings, sender);
      const to = settings === undefined ? null : normalAddress(settings, recipient);
      if (settings === undefined || to === null) {
        return false;
      }
      const labels = to.domain.split('.');
      const names =
        hostedDomain(settings, to.domain) !== undefined
          ? [to.domain]
          : labels.map((_, at) => labels.slice(at).join('.'));
      return names.some((domain) => receiptVerdict(settings, from, { local: to.local, domain }, session) === 550);
    });
  }

  #checkRcpt(envelope: Envelope, answer: RcptAnswer, reply: Reply, hasAccepted: boolean, isDisturbed: boolean): void {
    const { knowledge, lanes } = this.#foresight;
    const right = this.#oracle.rcpt(knowledge, envelope);
    const wrong = (): never => {
      throw new CampaignError(`${envelope.recipient} was answered ${reply.text}; right: ${JSON.stringify(right)}`);
    };
    if (answer === 550 && this.#isTableRefusal(envelope, reply)) {
      return;
    }
    const refusal = right.find((one) => one.kind === 'refuse');
    if (answer === 'unavailable') {
      if (!isDisturbed) {
        wrong();
      }
    } else if (refusal !== undefined) {
      if (answer !== refusal.code) {
        wrong();
      }
    } else if (answer === 550 || answer === 450) {
      wrong();
    } else if (answer === 'separately' && !hasAccepted) {
      wrong();
    } else if (lanes === 'foretold' && !isDisturbed && !right.some((one) => isAsAnswered(one, answer))) {
      wrong();
    }
    if (answer === 'accepted') {
      this.#oracle.accepted(knowledge, envelope);
    }
  }
}

type RcptAnswer = 'accepted' | 'separately' | 'unavailable' | 450 | 550;

function readRcptReply(reply: Reply): RcptAnswer {
  if (reply.code === 250) {
    return 'accepted';
  }
  for (const [pattern, answer] of [
    // The table answers 5.7.1, the service 5.7.10.
    [/^550 5\.7\.10? /, 550],
    [/^450 4\.7\.10 /, 450],
    [/^452 4\.5\.3 /, 'separately'],
    [/^451 4\.3\.5 /, 'unavailable'],
  ] as const) {
    if (pattern.test(reply.text)) {
      return answer;
    }
  }
  throw new CampaignError(`nobody foresaw the reply ${reply.text}`);
}

function isAsAnswered(right: Answer, answer: RcptAnswer): boolean {
  return right.kind === 'separately' ? answer === 'separately' : answer === 'accepted';
}

/** Does something with many things, so many at a time; the first error ends it, when those under way are done. */
export async function eachOf<T>(
  things: readonly T[],
  atOnce: number,
  work: (thing: T) => Promise<void>,
): Promise<void> {
  const queue = [...things];
  const errors: unknown[] = [];
  const worker = async (): Promise<void> => {
    for (let thing = queue.shift(); thing !== undefined && errors.length === 0; thing = queue.shift()) {
      try {
        await work(thing);
      } catch (error) {
        errors.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  if (errors.length > 0) {
    throw errors[0];
  }
}

/** Waits until Postfix has tried all that it has: what is left in the queue is deferred. */
export async function settle(gateway: Gateway): Promise<void> {
  await waitFor(
    async () => (await gateway.postfix.queue()).every(({ queue_name }) => queue_name === 'deferred'),
    async () => `Postfix tries all that it has; there is ${JSON.stringify(await gateway.postfix.queue())}`,
    60_000,
  );
}
