// An SMTP server that plays the next server on the way: takes mail, remembers it with the TLS that it came by, and is as
// able or unable as the test wants at any moment. Never delivers anything, never checks what it is told.

import { createServer, type Server, type Socket } from 'node:net';
import { createSecureContext, type SecureVersion, TLSSocket } from 'node:tls';
import type { Certificate } from './certificates.ts';
import { onFreeLoopbackAddress } from './loopback.ts';
import { waitFor } from './wait-for.ts';
import type { Workspace } from './workspace.ts';

/** A message that a destination took. */
export interface ReceivedMessage {
  /** Name of the destination. */
  readonly destination: string;
  /** MAIL FROM, without angle brackets and parameters. */
  readonly from: string;
  /** The recipients that were accepted, without angle brackets and parameters. */
  readonly to: readonly string[];
  /** The id that sendMessage was given: what stands before the @ in its Message-ID. */
  readonly id: string | undefined;
  readonly smtputf8: boolean;
  readonly helo: string;
  /** Address that the client connected from. */
  readonly client: string;
  /** Absent if it came in plaintext. */
  readonly tls:
    | { readonly version: string; readonly cipher: string; readonly servername: string | undefined }
    | undefined;
  /** The message, dots unstuffed, lines ended by newline. */
  readonly data: string;
}

/** What a destination is made with. */
export interface DestinationOptions {
  /** Host name that it greets with. */
  readonly name?: string;
  /** Absent: a free loopback address. */
  readonly address?: string;
  /** 25 if absent. */
  readonly port?: number;
  /** Absent: no STARTTLS. */
  readonly certificate?: Certificate;
  readonly minVersion?: SecureVersion;
  readonly maxVersion?: SecureVersion;
  /** Whether STARTTLS is offered; true if absent and there is a certificate. */
  readonly starttls?: boolean;
}

/** The next server. */
export class Destination {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  /** What it has taken, oldest first. The test may empty it. */
  readonly messages: ReceivedMessage[] = [];
  /** Whether it offers STARTTLS; holds from the next EHLO on. */
  starttls: boolean;
  /** What it shows; holds from the next handshake on. */
  certificate: Certificate | undefined;
  minVersion: SecureVersion;
  maxVersion: SecureVersion;
  readonly #replies = new Map<string, string>();
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;

  private constructor(address: string, options: DestinationOptions) {
    this.address = address;
    this.port = options.port ?? 25;
    this.name = options.name ?? 'destination.test';
    this.certificate = options.certificate;
    this.starttls = options.starttls ?? options.certificate !== undefined;
    this.minVersion = options.minVersion ?? 'TLSv1.2';
    this.maxVersion = options.maxVersion ?? 'TLSv1.3';
  }

  /** Starts a destination. */
  static async start(workspace: Workspace, options: DestinationOptions = {}): Promise<Destination> {
    const at = async (address: string): Promise<Destination> => {
      const destination = new Destination(address, options);
      await destination.up();
      return destination;
    };
    const destination = await (options.address === undefined ? onFreeLoopbackAddress(at) : at(options.address));
    workspace.push({ dispose: () => destination.down() });
    return destination;
  }

  /** This destination as Postfix's next hop: `[127.1.2.3]:25`. */
  get nexthop(): string {
    return `[${this.address}]:${this.port}`;
  }

  /** Answers RCPT TO with this reply, `550 5.1.1 no such user` say, whenever it names the address; '*' is all of them. */
  refuse(address: string, reply: string): void {
    this.#replies.set(address.toLowerCase(), reply);
  }

  /** Accepts the address again. */
  accept(address: string): void {
    this.#replies.delete(address.toLowerCase());
  }

  /** Comes (back) up. */
  async up(): Promise<void> {
    if (this.#server !== undefined) {
      return;
    }
    const server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      new Session(
        this,
        socket,
        (address) => this.#replies.get(address.toLowerCase()) ?? this.#replies.get('*'),
      ).begin();
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.port, this.address, resolve);
    });
    this.#server = server;
  }

  /** Goes down: connections are cut and new ones refused, until {@link Destination.up}. */
  async down(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    for (const socket of this.#sockets) {
      socket.destroy();
    }
    if (server !== undefined) {
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    }
  }

  /** Waits until there is a message of which the fact holds, and gives it. A string is the id of the message. */
  async waitForMessage(
    which: string | ((message: ReceivedMessage) => boolean),
    timeoutMs?: number,
  ): Promise<ReceivedMessage> {
    const fact = typeof which === 'string' ? (message: ReceivedMessage): boolean => message.id === which : which;
    return await waitFor(
      () => this.messages.find(fact),
      () => `${this.name} gets message ${which}; it has ${JSON.stringify(this.messages, undefined, 1)}`,
      timeoutMs,
    );
  }
}

/** One client's session. */
class Session {
  readonly #destination: Destination;
  readonly #replyTo: (recipient: string) => string | undefined;
  #socket: Socket;
  #received = Buffer.alloc(0);
  #helo = '';
  #envelope: { from: string; to: string[]; smtputf8: boolean } | undefined;
  #inData = false;

  constructor(destination: Destination, socket: Socket, replyTo: (recipient: string) => string | undefined) {
    this.#destination = destination;
    this.#socket = socket;
    this.#replyTo = replyTo;
  }

  begin(): void {
    this.#listen();
    this.#say(`220 ${this.#destination.name} ESMTP`);
  }

  #listen(): void {
    this.#socket.on('error', () => {});
    this.#socket.on('data', (piece: Buffer) => {
      this.#received = Buffer.concat([this.#received, piece]);
      this.#read();
    });
  }

  #say(...lines: readonly string[]): void {
    this.#socket.write(`${lines.join('\r\n')}\r\n`);
  }

  #read(): void {
    for (;;) {
      if (this.#inData) {
        // The dot may be the very first line.
        const text = this.#received.toString('latin1');
        const end = text.startsWith('.\r\n') ? 0 : text.indexOf('\r\n.\r\n');
        if (end < 0) {
          return;
        }
        const message = this.#received.subarray(0, end).toString('utf8');
        this.#received = this.#received.subarray(text.startsWith('.\r\n') ? 3 : end + 5);
        this.#inData = false;
        this.#take(message);
        continue;
      }
      const end = this.#received.indexOf('\r\n');
      if (end < 0) {
        return;
      }
      const line = this.#received.subarray(0, end).toString('utf8');
      this.#received = this.#received.subarray(end + 2);
      this.#obey(line);
    }
  }

  #obey(line: string): void {
    const path = line.match(/<([^>]*)>/)?.[1] ?? '';
    switch (line.split(/[ :]/)[0]?.toUpperCase()) {
      case 'EHLO':
      case 'HELO':
        this.#helo = line.slice(5).trim();
        this.#envelope = undefined;
        this.#say(
          ...[`250-${this.#destination.name}`, '250-PIPELINING', '250-8BITMIME'],
          ...(this.#destination.starttls && !(this.#socket instanceof TLSSocket) ? ['250-STARTTLS'] : []),
          '250 SMTPUTF8',
        );
        break;
      case 'STARTTLS':
        this.#secure();
        break;
      case 'MAIL':
        this.#envelope = { from: path, to: [], smtputf8: /\sSMTPUTF8\b/i.test(line) };
        this.#say('250 2.1.0 ok');
        break;
      case 'RCPT': {
        const refusal = this.#replyTo(path);
        if (this.#envelope === undefined) {
          this.#say('503 5.5.1 MAIL first');
        } else if (refusal === undefined) {
          this.#envelope.to.push(path);
          this.#say('250 2.1.5 ok');
        } else {
          this.#say(refusal);
        }
        break;
      }
      case 'DATA':
        if (this.#envelope === undefined || this.#envelope.to.length === 0) {
          this.#say('554 5.5.1 no valid recipients');
        } else {
          this.#inData = true;
          this.#say('354 go on');
        }
        break;
      case 'RSET':
        this.#envelope = undefined;
        this.#say('250 2.0.0 ok');
        break;
      case 'NOOP':
        this.#say('250 2.0.0 ok');
        break;
      case 'QUIT':
        this.#socket.end('221 2.0.0 bye\r\n');
        break;
      default:
        this.#say('502 5.5.2 unknown command');
    }
  }

  #secure(): void {
    const { certificate, starttls, minVersion, maxVersion } = this.#destination;
    if (certificate === undefined || !starttls || this.#socket instanceof TLSSocket) {
      this.#say('454 4.7.0 no TLS here');
      return;
    }
    const plain = this.#socket;
    this.#say('220 2.0.0 go on');
    plain.removeAllListeners('data');
    this.#received = Buffer.alloc(0);
    this.#envelope = undefined;
    this.#socket = new TLSSocket(plain, {
      isServer: true,
      secureContext: createSecureContext({
        cert: certificate.cert,
        key: certificate.key,
        minVersion,
        maxVersion,
        // Security level 0, or OpenSSL does not speak versions before 1.2.
        ciphers: 'DEFAULT:@SECLEVEL=0',
      }),
    });
    this.#listen();
  }

  #take(message: string): void {
    const envelope = this.#envelope;
    this.#envelope = undefined;
    if (envelope === undefined) {
      return;
    }
    const data = `${message
      .split('\r\n')
      .map((line) => (line.startsWith('.') ? line.slice(1) : line))
      .join('\n')}\n`;
    const socket = this.#socket;
    this.#destination.messages.push({
      destination: this.#destination.name,
      ...envelope,
      id: data.match(/^Message-ID: <([^@>]*)@/im)?.[1],
      helo: this.#helo,
      client: socket.remoteAddress ?? '',
      tls:
        socket instanceof TLSSocket
          ? {
              version: socket.getProtocol() ?? '',
              cipher: socket.getCipher().standardName,
              servername: serverNameOf(socket),
            }
          : undefined,
      data,
    });
    this.#say('250 2.0.0 taken');
  }
}

/** The name in the client's SNI. */
function serverNameOf(socket: TLSSocket): string | undefined {
  const name = (socket as TLSSocket & { servername?: string | false }).servername;
  return name === false ? undefined : name;
}
