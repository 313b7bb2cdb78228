/**
 * The next server of doctor's own mail: takes whatever comes to it on a loopback address, and tells by what TLS. It keeps
 * no message, and ends with the run.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls';
import type { SelfSigned } from './self-signed.ts';

/** A message that has arrived. */
export interface Arrival {
  /** In lower case. */
  readonly recipients: readonly string[];
  /** `TLSv1.3`; undefined: in plaintext. */
  readonly tls: string | undefined;
}

/** Postfix takes a name of its own for a loop. */
const NAME = 'doctor.tlswarden.invalid';
const MOST_LINE = 64 * 1024;

/** An SMTP server on loopback that takes everything (RFC 5321, with STARTTLS of RFC 3207 if it has a certificate). */
export class Destination {
  /** In the order in which they came. */
  readonly arrivals: Arrival[] = [];
  readonly #context: SecureContext | undefined;
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;
  #nexthop = '';

  private constructor(certificate: SelfSigned | undefined) {
    this.#context =
      certificate &&
      createSecureContext({ cert: certificate.certificate, key: certificate.key, minVersion: 'TLSv1.2' });
    this.#server = createServer((socket) => this.#serve(socket));
  }

  /** Listens on a free port of a loopback address; with a certificate it offers STARTTLS. */
  static async start(host: string, certificate: SelfSigned | undefined): Promise<Destination> {
    const destination = new Destination(certificate);
    await new Promise<void>((resolve, reject) => {
      destination.#server.once('error', reject);
      destination.#server.listen(0, host, resolve);
    });
    const address = destination.#server.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    destination.#nexthop = `[${host.includes(':') ? `ipv6:${host}` : host}]:${port}`;
    return destination;
  }

  /** As Postfix writes it: `[127.0.0.1]:40000`. */
  get nexthop(): string {
    return this.#nexthop;
  }

  /** How the message for this recipient arrived, if it has. */
  arrival(recipient: string): Arrival | undefined {
    return this.arrivals.find(({ recipients }) => recipients.includes(recipient));
  }

  /** Ends it, and every session with it. */
  stop(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #serve(plain: Socket): void {
    this.#sockets.add(plain);
    plain.on('close', () => this.#sockets.delete(plain));
    plain.on('error', () => {});
    new Session(plain, this.#context, this.arrivals);
  }
}

class Session {
  readonly #context: SecureContext | undefined;
  readonly #arrivals: Arrival[];
  #socket: Socket;
  #pending = '';
  #recipients: string[] = [];
  #inData = false;

  constructor(socket: Socket, context: SecureContext | undefined, arrivals: Arrival[]) {
    this.#socket = socket;
    this.#context = context;
    this.#arrivals = arrivals;
    this.#listen();
    this.#say(`220 ${NAME} ESMTP`);
  }

  #listen(): void {
    this.#socket.on('data', (piece: Buffer) => {
      const lines = (this.#pending + piece.toString('latin1')).split('\r\n');
      this.#pending = lines.pop() ?? '';
      if (this.#pending.length > MOST_LINE) this.#socket.destroy();
      for (const line of lines) this.#take(line);
    });
  }

  #say(line: string): void {
    this.#socket.write(`${line}\r\n`);
  }

  #take(line: string): void {
    if (this.#inData) {
      if (line !== '.') return;
      this.#inData = false;
      const tls = this.#socket instanceof TLSSocket ? (this.#socket.getProtocol() ?? 'TLS') : undefined;
      this.#arrivals.push({ recipients: this.#recipients, tls });
      this.#recipients = [];
      this.#say('250 2.0.0 taken');
      return;
    }
    const [verb = ''] = line.toUpperCase().split(/[ :]/u, 1);
    switch (verb) {
      case 'EHLO':
      case 'HELO': {
        const offers = this.#context !== undefined && !(this.#socket instanceof TLSSocket);
        this.#say(offers ? `250-${NAME}\r\n250 STARTTLS` : `250 ${NAME}`);
        break;
      }
      case 'STARTTLS':
        this.#secure();
        break;
      case 'RCPT':
        this.#recipients.push((/<([^>]*)>/u.exec(line)?.[1] ?? '').toLowerCase());
        this.#say('250 2.1.5 ok');
        break;
      case 'DATA':
        this.#inData = true;
        this.#say('354 go on');
        break;
      case 'QUIT':
        this.#socket.end('221 2.0.0 bye\r\n');
        break;
      default:
        if (verb === 'MAIL' || verb === 'RSET') this.#recipients = [];
        this.#say('250 2.0.0 ok');
    }
  }

  #secure(): void {
    if (this.#context === undefined || this.#socket instanceof TLSSocket) {
      this.#say('454 4.7.0 no TLS here');
      return;
    }
    const plain = this.#socket;
    this.#say('220 2.0.0 go on');
    plain.removeAllListeners('data');
    this.#pending = '';
    this.#socket = new TLSSocket(plain, { isServer: true, secureContext: this.#context });
    this.#socket.on('error', () => plain.destroy());
    this.#listen();
  }
}
