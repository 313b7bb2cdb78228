/**
 * One connection to one address: greeting, EHLO, STARTTLS, handshake, EHLO, QUIT, as Postfix's smtp(8) would (RFC 3207), but
 * never MAIL. Every step has a deadline of its own; whatever the server does, the result is a value and the socket is gone.
 */
import { X509Certificate } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { connect as connectTls, type SecureContext, type TLSSocket } from 'node:tls';
import { printable } from '../text/printable.ts';
import { cipherBits } from './cipher-bits.ts';
import { readCertificate } from './read-certificate.ts';
import { offers, type Reply, ReplyTrouble, wordReply } from './reply-reader.ts';
import { ReplyStream } from './reply-stream.ts';
import type { TlsSeen } from './sight.ts';

/** An address, never a name, and a TCP port. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** How the handshake is to be. */
export interface SessionTerms {
  readonly context: SecureContext;
  /** Server name indication; absent, none is sent, as Postfix sends none. */
  readonly servername?: string;
}

/** What holds for every session of a run. */
export interface SessionManners {
  /** How we introduce ourselves. */
  readonly helo: string;
  /** How long each step may last. */
  readonly timeoutMs: number;
}

/** How far a session came. Reasons are sentences without a subject. */
export type SessionResult =
  | { readonly outcome: 'unreachable'; readonly reason: string; readonly ours: boolean }
  | { readonly outcome: 'refused' | 'broken'; readonly reason: string }
  /** The handshake itself failed: on other terms it may not. */
  | { readonly outcome: 'handshake'; readonly reason: string }
  | { readonly outcome: 'plaintext' }
  | {
      readonly outcome: 'tls';
      readonly tls: TlsSeen;
      /** The server's certificate, then those of its issuers, DER. */
      readonly chain: readonly Buffer[];
    };

/** Errors of this machine's own: it has no addresses of the family, or no way out. */
const OURS: readonly string[] = ['ENETUNREACH', 'EADDRNOTAVAIL', 'EAFNOSUPPORT'];
const MAX_CHAIN = 20;
const MAX_GOODBYE_MS = 3_000;

/** The step did not end in time, or the handshake's connection did; the message continues "the server …". */
class Ended extends Error {}

/** Whatever the server does, it never rejects, and leaves no connection behind. */
export async function runSession(
  endpoint: Endpoint,
  terms: SessionTerms,
  manners: SessionManners,
): Promise<SessionResult> {
  let socket: Socket;
  try {
    socket = await open(endpoint, manners.timeoutMs);
  } catch (error) {
    return unreachable(error as NodeJS.ErrnoException);
  }
  const session = new Session(socket, terms, manners);
  try {
    return await session.run();
  } finally {
    session.destroy();
  }
}

function open({ address, port }: Endpoint, timeoutMs: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port });
    const fail = (error: Error): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(error);
    };
    const timer = setTimeout(() => fail(new Ended(`does not answer within ${seconds(timeoutMs)}`)), timeoutMs);
    socket.once('error', fail);
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.removeListener('error', fail);
      // What is wrong with the connection shows in what is read from it.
      socket.on('error', () => {});
      resolve(socket);
    });
  });
}

function unreachable(error: NodeJS.ErrnoException): SessionResult {
  const ours = OURS.includes(error.code ?? '');
  if (error instanceof Ended) return { outcome: 'unreachable', reason: error.message, ours };
  if (ours) return { outcome: 'unreachable', reason: 'cannot be tried: this machine has no way there', ours };
  const reasons: Readonly<Record<string, string>> = {
    ECONNREFUSED: 'refuses the connection',
    EHOSTUNREACH: 'is not reached: no route to the host',
    ETIMEDOUT: 'does not answer',
    ECONNRESET: 'closes the connection at once',
  };
  return { outcome: 'unreachable', reason: reasons[error.code ?? ''] ?? `is not reached: ${error.message}`, ours };
}

class Session {
  readonly #terms: SessionTerms;
  readonly #manners: SessionManners;
  #socket: Socket | TLSSocket;
  #replies: ReplyStream;

  constructor(socket: Socket, terms: SessionTerms, manners: SessionManners) {
    this.#socket = socket;
    this.#replies = new ReplyStream(socket);
    this.#terms = terms;
    this.#manners = manners;
  }

  async run(): Promise<SessionResult> {
    try {
      const greeting = await this.#reply('after the connection');
      if (greeting.code !== 220) return { outcome: 'refused', reason: `greets with "${wordReply(greeting)}"` };
      const hello = await this.#ehlo();
      if (hello.code !== 250) return { outcome: 'refused', reason: `answers EHLO with "${wordReply(hello)}"` };
      if (!offers(hello, 'STARTTLS')) {
        await this.#quit();
        return { outcome: 'plaintext' };
      }
    } catch (error) {
      return { outcome: 'refused', reason: reasonOf(error) };
    }
    return await this.#secure();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  async #secure(): Promise<SessionResult> {
    try {
      const reply = await this.#command('STARTTLS');
      if (reply.code !== 220) {
        return { outcome: 'broken', reason: `offers STARTTLS, but answers it with "${wordReply(reply)}"` };
      }
    } catch (error) {
      return { outcome: 'broken', reason: `offers STARTTLS, but then ${reasonOf(error)}` };
    }
    let socket: TLSSocket;
    try {
      socket = await this.#handshake();
    } catch (error) {
      return { outcome: 'handshake', reason: handshakeReason(error) };
    }
    let chain: readonly Buffer[];
    let tls: TlsSeen;
    try {
      chain = chainOf(socket);
      tls = seen(socket, chain);
    } catch (error) {
      return { outcome: 'broken', reason: `shows a certificate that cannot be read: ${reasonOf(error)}` };
    }
    try {
      const hello = await this.#ehlo();
      if (hello.code !== 250) {
        return { outcome: 'broken', reason: `answers EHLO over TLS with "${wordReply(hello)}"` };
      }
    } catch (error) {
      return { outcome: 'broken', reason: `shakes hands, but over TLS ${reasonOf(error)}` };
    }
    await this.#quit();
    return { outcome: 'tls', tls, chain };
  }

  /** What the server sent in plaintext behind its reply is thrown away, as in Postfix: nobody knows who wrote it. */
  async #handshake(): Promise<TLSSocket> {
    const plain = this.#socket;
    this.#replies.release();
    const { context, servername } = this.#terms;
    const socket = connectTls({
      socket: plain,
      secureContext: context,
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
      ...(servername === undefined ? {} : { servername }),
    });
    this.#socket = socket;
    const { timeoutMs } = this.#manners;
    await new Promise<void>((resolve, reject) => {
      const fail = (error: Error): void => {
        clearTimeout(timer);
        reject(error);
      };
      const timer = setTimeout(() => {
        fail(new Ended(`does not shake hands within ${seconds(timeoutMs)}`));
        socket.destroy();
      }, timeoutMs);
      socket.on('error', fail);
      socket.on('close', () => fail(new Ended('closes the connection in the TLS handshake')));
      socket.once('secureConnect', () => {
        clearTimeout(timer);
        resolve();
      });
    });
    socket.removeAllListeners('error').removeAllListeners('close');
    this.#replies = new ReplyStream(socket);
    return socket;
  }

  #ehlo(): Promise<Reply> {
    return this.#command(`EHLO ${this.#manners.helo}`);
  }

  /** Nothing depends on how the server takes it. */
  async #quit(): Promise<void> {
    await this.#command('QUIT', MAX_GOODBYE_MS).catch(() => {});
  }

  #command(line: string, mostMs = Number.POSITIVE_INFINITY): Promise<Reply> {
    this.#socket.write(`${line}\r\n`);
    return this.#reply(`after ${line.split(' ', 1)[0]}`, mostMs);
  }

  async #reply(when: string, mostMs = Number.POSITIVE_INFINITY): Promise<Reply> {
    const timeoutMs = Math.min(this.#manners.timeoutMs, mostMs);
    const reply = await this.#replies.next(timeoutMs);
    if (reply === undefined) throw new Ended(`says nothing within ${seconds(timeoutMs)} ${when}`);
    return reply;
  }
}

function seen(socket: TLSSocket, chain: readonly Buffer[]): TlsSeen {
  const { name, standardName } = socket.getCipher();
  const [leaf] = chain;
  // Node gives OpenSSL's code where it declares an Error.
  const verdict = socket.authorized ? undefined : String(socket.authorizationError ?? 'no reason given');
  return {
    version: socket.getProtocol() ?? 'unknown',
    cipher: printable(name),
    bits: cipherBits(standardName) ?? cipherBits(name),
    certificate: leaf === undefined ? undefined : readCertificate(new X509Certificate(leaf), verdict),
  };
}

/** The server's certificate and its issuers, as far as they are known; each certificate once. */
function chainOf(socket: TLSSocket): readonly Buffer[] {
  const chain: Buffer[] = [];
  let next = socket.getPeerCertificate(true);
  // Node gives an object without properties for no certificate, and a root as its own issuer.
  while (next?.raw !== undefined && chain.length < MAX_CHAIN && !chain.some((raw) => raw.equals(next.raw))) {
    chain.push(next.raw);
    next = next.issuerCertificate;
  }
  return chain;
}

function reasonOf(error: unknown): string {
  if (error instanceof Ended || error instanceof ReplyTrouble) return error.message;
  const { code, message, reason } = error as NodeJS.ErrnoException & { readonly reason?: string };
  if (code === 'ECONNRESET' || code === 'EPIPE') return 'closes the connection';
  return `fails: ${printable(reason ?? message)}`;
}

function handshakeReason(error: unknown): string {
  if (error instanceof Ended) return error.message;
  const { code, message, reason } = error as NodeJS.ErrnoException & { readonly reason?: string };
  if (code === 'ECONNRESET' || code === 'EPIPE') return 'closes the connection in the TLS handshake';
  return `fails in the TLS handshake: ${printable(reason ?? message)}`;
}

function seconds(ms: number): string {
  return ms === 1_000 ? '1 second' : `${ms / 1_000} seconds`;
}
