// Policy requests to one service at an even rate, over connections that stay open, one request under way on each, as Postfix
// does; every answer is judged. What falls due while all connections are busy, or there is no service, is asked as soon as
// it can be. Never starts or stops a service.

import { connect, type Socket } from 'node:net';
import type { Request } from './conversations.ts';
import { isRight, SettingsUnderChange, wordAnswer } from './settings-under-change.ts';
import type { SoakedService } from './soaked-service.ts';

const TICK_MS = 5;
/** A request without an answer for so long has none. */
const PATIENCE_MS = 10_000;
const EXAMPLES = 10;

/** What a soak has found to be wrong. */
export class Findings {
  count = 0;
  readonly examples: string[] = [];

  add(what: string): void {
    this.count += 1;
    if (this.examples.length < EXAMPLES) this.examples.push(`${new Date().toISOString()} ${what}`);
  }
}

export class Traffic {
  readonly service: SoakedService;
  readonly findings: Findings;
  sent = 0;
  right = 0;
  wrong = 0;
  cutOff = 0;
  /** Milliseconds. */
  longestWait = 0;
  longestSilence = 0;
  longestSilenceWithKill = 0;
  /** The oldest version of the settings that it may still decide by. */
  oldest = 0;
  /** Requests that are due, and not sent yet. */
  due = 0;
  readonly settings: SettingsUnderChange;
  readonly #messages: readonly (readonly Request[])[];
  readonly #perTick: number;
  readonly #connections: Connection[] = [];
  #timer: NodeJS.Timeout | undefined;
  #tickedAt = 0;
  #next = 0;
  #answeredAt = 0;

  /** @param rate - requests a second */
  constructor(
    service: SoakedService,
    settings: SettingsUnderChange,
    messages: readonly (readonly Request[])[],
    rate: number,
    findings: Findings,
  ) {
    this.service = service;
    this.settings = settings;
    this.findings = findings;
    this.#messages = messages;
    this.#perTick = rate / 1_000;
  }

  start(connections: number): void {
    for (let n = 0; n < connections; n += 1) this.#connections.push(new Connection(this));
    this.#tickedAt = performance.now();
    this.#answeredAt = this.#tickedAt;
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  /** Asks no more, waits for the answers that are under way, and closes the connections. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.due = 0;
    const end = performance.now() + PATIENCE_MS;
    while (this.#connections.some(({ isBusy }) => isBusy) && performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    for (const connection of this.#connections) connection.close();
  }

  /** The service is about to be killed: what is under way now may be cut off, and something is. */
  aboutToKill(): void {
    this.due = Math.max(this.due, this.#connections.length);
    this.#tick();
    for (const connection of this.#connections) connection.doom();
  }

  #tick(): void {
    const now = performance.now();
    this.due += (now - this.#tickedAt) * this.#perTick;
    this.#tickedAt = now;
    if (!this.service.isUp) return;
    for (const connection of this.#connections) {
      if (connection.isOverdue(now)) this.fail(connection, `no answer within ${PATIENCE_MS} ms`);
      connection.go();
    }
  }

  /** The requests of another message, and its name. */
  another(): { readonly requests: readonly Request[]; readonly instance: string } {
    this.#next += 1;
    const requests = this.#messages[this.#next % this.#messages.length] ?? [];
    return { requests, instance: instanceOf(this.#next) };
  }

  judge(request: Request, action: string, oldest: number, sentAt: number): void {
    const now = performance.now();
    this.longestWait = Math.max(this.longestWait, now - sentAt);
    const silence = now - this.#answeredAt;
    const gap = this.service.gaps.at(-1);
    if (gap !== undefined && (gap.to ?? now) > this.#answeredAt)
      this.longestSilenceWithKill = Math.max(this.longestSilenceWithKill, silence);
    else this.longestSilence = Math.max(this.longestSilence, silence);
    this.#answeredAt = now;
    if (isRight(action, request.wanted, oldest, this.settings.begun)) {
      this.right += 1;
      if (request.wanted.kind === 'version') {
        this.oldest = Math.max(this.oldest, SettingsUnderChange.versionIn(action) ?? 0);
      }
      return;
    }
    this.wrong += 1;
    const wanted = wordAnswer(request.wanted, oldest, this.settings.begun);
    this.findings.add(`${this.service.name}: ${request.what}: "${action}" where "${wanted}" was right`);
  }

  fail(connection: Connection, what: string): void {
    const request = connection.fail();
    if (request === undefined) return;
    this.wrong += 1;
    this.findings.add(`${this.service.name}: ${request.what}: ${what}`);
  }
}

/** As Postfix names messages (smtpd.c, mail_cmd): process, seconds, microseconds and number, in hexadecimal. */
function instanceOf(number: number): string {
  const now = Date.now();
  return [process.pid, Math.floor(now / 1_000), (now % 1_000) * 1_000, number]
    .map((part) => part.toString(16))
    .join('.');
}

/** One of Postfix's connections. */
class Connection {
  readonly #traffic: Traffic;
  #socket: Socket | undefined;
  #isConnected = false;
  #isDoomed = false;
  #message: { readonly requests: readonly Request[]; readonly instance: string } | undefined;
  #step = 0;
  #asked: { readonly request: Request; readonly oldest: number; readonly at: number } | undefined;
  #received = '';

  constructor(traffic: Traffic) {
    this.#traffic = traffic;
  }

  get isBusy(): boolean {
    return this.#asked !== undefined;
  }

  isOverdue(now: number): boolean {
    return this.#asked !== undefined && now - this.#asked.at > PATIENCE_MS;
  }

  /** Asks the next request, if one is due and none is under way. */
  go(): void {
    const traffic = this.#traffic;
    if (this.#asked !== undefined || this.#isDoomed || traffic.due < 1) return;
    if (this.#socket === undefined) this.#connect();
    if (!this.#isConnected) return;
    const request = this.#message?.requests[this.#step];
    if (this.#message === undefined || request === undefined) {
      this.#message = traffic.another();
      this.#step = 0;
      this.go();
      return;
    }
    traffic.due -= 1;
    traffic.sent += 1;
    this.#asked = { request, oldest: traffic.oldest, at: performance.now() };
    this.#step += 1;
    this.#socket?.write(request.of(this.#message.instance), 'latin1');
  }

  #connect(): void {
    const socket = connect({ port: this.#traffic.service.port, host: '127.0.0.1', noDelay: true });
    this.#socket = socket;
    socket.setEncoding('latin1');
    socket.on('connect', () => {
      if (this.#socket !== socket) return;
      this.#isConnected = true;
      this.go();
    });
    socket.on('data', (text: string) => {
      if (this.#socket === socket) this.#take(text);
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      if (this.#socket !== socket) return;
      if (!this.#isDoomed) this.#traffic.fail(this, 'closed without an answer');
      else if (this.fail() !== undefined) this.#traffic.cutOff += 1;
    });
  }

  #take(text: string): void {
    this.#received += text;
    if (!this.#received.endsWith('\n\n')) return;
    const received = this.#received.slice(0, -2);
    this.#received = '';
    const asked = this.#asked;
    this.#asked = undefined;
    if (asked === undefined) {
      this.#traffic.findings.add(`${this.#traffic.service.name}: "${received}" to no request`);
      return;
    }
    const action = received.startsWith('action=') ? received.slice('action='.length) : received;
    this.#traffic.judge(asked.request, action, asked.oldest, asked.at);
    this.go();
  }

  /** Its service is being killed: the connection will end, and takes no more requests until then. */
  doom(): void {
    this.#isDoomed = this.#socket !== undefined;
  }

  /** Gives up the connection, and gives the request that has no answer. */
  fail(): Request | undefined {
    const request = this.#asked?.request;
    this.close();
    return request;
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
    this.#isConnected = false;
    this.#isDoomed = false;
    this.#message = undefined;
    this.#asked = undefined;
    this.#received = '';
  }
}
