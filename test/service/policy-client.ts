// A client of the policy service that sends what it is told to, and waits for what comes back.

import { once } from 'node:events';
import { connect, type NetConnectOpts, type Socket } from 'node:net';

export class PolicyClient {
  readonly socket: Socket;
  #received = '';
  /** How many empty lines are in it. */
  #replies = 0;
  #ended = false;
  #closed = false;
  readonly #waiting = new Set<() => void>();

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => {
      const from = Math.max(0, this.#received.length - 1);
      this.#received += chunk.toString('latin1');
      for (let at = this.#received.indexOf('\n\n', from); at >= 0; at = this.#received.indexOf('\n\n', at + 2)) {
        this.#replies += 1;
      }
      this.#wake();
    });
    socket.on('end', () => {
      this.#ended = true;
      this.#wake();
    });
    // A reset is one of the ways in which a connection ends.
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#closed = true;
      this.#wake();
    });
  }

  /** Connects to `host:port` or `unix:/path`, as the service names its listeners. */
  static async to(address: string): Promise<PolicyClient> {
    const socket = connect({ ...whereabouts(address), allowHalfOpen: true });
    const client = new PolicyClient(socket);
    await once(socket, 'connect');
    return client;
  }

  send(bytes: Buffer | string): void {
    this.socket.write(bytes);
  }

  /** Waits for so many replies, and gives all that has come as the texts of their actions. */
  async replies(count: number): Promise<readonly string[]> {
    await this.#until(() => this.#ended || this.#closed || this.#replies >= count);
    return actionsIn(this.#received);
  }

  /** Sends a request and waits for its reply; only for one at a time. */
  async ask(bytes: Buffer | string): Promise<string> {
    const before = this.#replies;
    this.send(bytes);
    return (await this.replies(before + 1))[before] ?? 'closed';
  }

  /** Waits until the server has closed the connection, and gives all that came before. */
  async untilClosed(): Promise<string> {
    await this.#until(() => this.#ended || this.#closed);
    this.socket.destroy();
    return this.#received;
  }

  get received(): string {
    return this.#received;
  }

  get isClosed(): boolean {
    return this.#ended || this.#closed;
  }

  close(): void {
    this.socket.destroy();
  }

  async #until(fact: () => boolean): Promise<void> {
    while (!fact()) {
      await new Promise<void>((resolve) => {
        this.#waiting.add(resolve);
      });
    }
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }
}

/** The actions of well-formed replies; throws at anything else but the beginning of one. */
export function actionsIn(received: string): readonly string[] {
  const lines = received.split('\n\n');
  const rest = lines.pop() ?? '';
  if (rest !== '' && !'action='.startsWith(rest.slice(0, 7))) throw new Error(`not a reply: ${JSON.stringify(rest)}`);
  return lines.map((line) => {
    if (!/^action=[\x20-\x7e]+$/.test(line)) throw new Error(`not a reply: ${JSON.stringify(line)}`);
    return line.slice('action='.length);
  });
}

function whereabouts(address: string): NetConnectOpts {
  if (address.startsWith('unix:')) return { path: address.slice('unix:'.length) };
  const colon = address.lastIndexOf(':');
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(address.slice(colon + 1)) };
}
