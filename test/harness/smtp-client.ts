// An SMTP client that does what a test tells it, command by command, sane or not. Never retries, never decides anything
// from a reply, never checks certificates.

import { connect, type Socket } from 'node:net';
import { connect as connectTls, type SecureVersion, TLSSocket } from 'node:tls';

/** An SMTP reply. */
export interface Reply {
  readonly code: number;
  /** The lines without code and separator. */
  readonly lines: readonly string[];
  /** The whole reply as received, lines joined by newlines. */
  readonly text: string;
}

/** A server to talk to; a {@link Postfix} is one. */
export interface Server {
  readonly address: string;
  readonly port: number;
}

/** How to speak TLS. */
export interface ClientTls {
  readonly min?: SecureVersion;
  readonly max?: SecureVersion;
  /** OpenSSL cipher list, for TLS 1.2 and below; names of TLS 1.3 suites, for that. */
  readonly ciphers?: string;
  readonly servername?: string;
}

/** A session with an SMTP server. */
export class SmtpClient {
  #socket: Socket;
  #received = '';
  #failure: Error | undefined;
  #wake: () => void = () => {};
  /** The reply to the connection itself. */
  greeting: Reply = { code: 0, lines: [], text: '' };

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#listen();
  }

  /** Connects, and waits for the greeting. */
  static async connect(server: Server, options: { readonly localAddress?: string } = {}): Promise<SmtpClient> {
    const socket = connect({ host: server.address, port: server.port, ...options });
    const client = new SmtpClient(socket);
    client.greeting = await client.reply();
    return client;
  }

  /** Protocol and cipher of this session; undefined while it is plaintext. */
  get tls(): { readonly version: string; readonly cipher: string } | undefined {
    return this.#socket instanceof TLSSocket
      ? { version: this.#socket.getProtocol() ?? '', cipher: this.#socket.getCipher().standardName }
      : undefined;
  }

  /** Sends bytes as they are. */
  send(data: string | Uint8Array): void {
    this.#socket.write(data);
  }

  /** Sends a line and waits for its reply. */
  async command(line: string): Promise<Reply> {
    this.send(`${line}\r\n`);
    return await this.reply();
  }

  /** Sends lines in one piece and waits for as many replies. */
  async pipeline(...lines: readonly string[]): Promise<readonly Reply[]> {
    this.send(lines.map((line) => `${line}\r\n`).join(''));
    const replies: Reply[] = [];
    for (const _ of lines) {
      replies.push(await this.reply());
    }
    return replies;
  }

  async ehlo(name = 'client.test'): Promise<Reply> {
    return await this.command(`EHLO ${name}`);
  }

  /** Plays another client: `xclient({ ADDR: '192.0.2.1', LOGIN: 'user' })`. EHLO has to follow. */
  async xclient(attributes: Readonly<Record<string, string>>): Promise<Reply> {
    return await this.command(
      ['XCLIENT', ...Object.entries(attributes).map(([name, value]) => `${name}=${value}`)].join(' '),
    );
  }

  /** Asks for TLS and, if the server agrees, shakes hands. EHLO has to follow. */
  async startTls(tls: ClientTls = {}): Promise<Reply> {
    const reply = await this.command('STARTTLS');
    if (reply.code !== 220) {
      return reply;
    }
    const plain = this.#socket;
    plain.removeAllListeners();
    const secure = connectTls({
      socket: plain,
      rejectUnauthorized: false,
      minVersion: tls.min ?? 'TLSv1',
      maxVersion: tls.max ?? 'TLSv1.3',
      // Security level 0, or OpenSSL does not speak versions before 1.2.
      ciphers: `${tls.ciphers ?? 'DEFAULT'}:@SECLEVEL=0`,
      ...(tls.servername === undefined ? {} : { servername: tls.servername }),
    });
    await new Promise<void>((resolve, reject) => {
      secure.once('secureConnect', resolve);
      secure.once('error', reject);
      secure.once('close', () => reject(new Error('connection closed in the TLS handshake')));
    });
    secure.removeAllListeners('error');
    secure.removeAllListeners('close');
    this.#socket = secure;
    this.#received = '';
    this.#listen();
    return reply;
  }

  /** `from` without angle brackets; '' is the null sender. */
  async mailFrom(from: string, ...parameters: readonly string[]): Promise<Reply> {
    return await this.command([`MAIL FROM:<${from}>`, ...parameters].join(' '));
  }

  /** `to` without angle brackets. */
  async rcptTo(to: string, ...parameters: readonly string[]): Promise<Reply> {
    return await this.command([`RCPT TO:<${to}>`, ...parameters].join(' '));
  }

  /** DATA and, if the server wants it, the message; gives the last reply. */
  async data(message: string): Promise<Reply> {
    const reply = await this.command('DATA');
    if (reply.code !== 354) {
      return reply;
    }
    const lines = message.replace(/\r?\n$/, '').split(/\r?\n/);
    this.send(`${lines.map((line) => (line.startsWith('.') ? `.${line}` : line)).join('\r\n')}\r\n.\r\n`);
    return await this.reply();
  }

  /** One chunk of a message (RFC 3030). */
  async bdat(chunk: string, last = true): Promise<Reply> {
    const bytes = Buffer.from(chunk.replace(/\r?\n/g, '\r\n'));
    this.send(Buffer.concat([Buffer.from(`BDAT ${bytes.length}${last ? ' LAST' : ''}\r\n`), bytes]));
    return await this.reply();
  }

  async reset(): Promise<Reply> {
    return await this.command('RSET');
  }

  /** Says goodbye and closes. */
  async quit(): Promise<Reply> {
    try {
      return await this.command('QUIT');
    } finally {
      this.close();
    }
  }

  /** Closes without a word. */
  close(): void {
    this.#socket.destroy();
  }

  /** Waits for the next reply. Throws when the connection ends instead. */
  async reply(timeoutMs = 30_000): Promise<Reply> {
    const lines: string[] = [];
    const codes: string[] = [];
    for (;;) {
      const line = await this.#line(timeoutMs);
      codes.push(line);
      lines.push(line.slice(4));
      if (line[3] !== '-') {
        return { code: Number(line.slice(0, 3)), lines, text: codes.join('\n') };
      }
    }
  }

  async #line(timeoutMs: number): Promise<string> {
    for (;;) {
      const end = this.#received.indexOf('\r\n');
      if (end >= 0) {
        const line = this.#received.slice(0, end);
        this.#received = this.#received.slice(end + 2);
        return line;
      }
      if (this.#failure !== undefined) {
        throw this.#failure;
      }
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`no reply within ${timeoutMs} ms`)), timeoutMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  #listen(): void {
    const fail = (error: Error): void => {
      this.#failure ??= error;
      this.#wake();
    };
    this.#socket.on('data', (piece: Buffer) => {
      this.#received += piece.toString('utf8');
      this.#wake();
    });
    this.#socket.on('error', fail);
    this.#socket.on('close', () => fail(new Error('the server closed the connection')));
  }
}
