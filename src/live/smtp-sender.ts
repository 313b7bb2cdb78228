/**
 * Sends doctor's own mail to the running smtpd(8), command by command, with or without STARTTLS. It checks no certificate and
 * tries nothing twice.
 */
import { connect, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { offers, type Reply, ReplyTrouble, wordReply } from '../probe/reply-reader.ts';
import { ReplyStream } from '../probe/reply-stream.ts';

/** The session ended or took too long: the message continues "the server …". */
export class SessionTrouble extends Error {}

/** Where an smtpd(8) listens. `host` is an address, or a name that the resolver knows. */
export interface Door {
  readonly host: string;
  readonly port: number;
}

/** postscreen(8) keeps strangers waiting for six seconds, and a busy smtpd(8) for longer. */
const PATIENCE_MS = 20_000;

/**
 * One session. Commands go one after another: each waits for its reply, for twenty seconds at most, or throws {@link
 * SessionTrouble}.
 */
export class SmtpSender {
  #socket: Socket | TLSSocket;
  #replies: ReplyStream;
  #hello: Reply = { code: 0, lines: [] };

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#replies = new ReplyStream(socket);
  }

  /** Connects, and says EHLO; throws {@link SessionTrouble}. Ended by `signal`, whatever it is waiting for. */
  static async open(door: Door, helo: string, signal: AbortSignal): Promise<SmtpSender> {
    const sender = new SmtpSender(connect({ host: door.host, port: door.port, signal }));
    try {
      const greeting = await sender.#reply();
      if (greeting.code !== 220) throw new SessionTrouble(`greets with "${wordReply(greeting)}"`);
      await sender.#ehlo(helo);
      return sender;
    } catch (error) {
      // A server that waits for QUIT would keep this process waiting too.
      sender.close();
      throw error;
    }
  }

  /** By the reply to the last EHLO: after {@link startTls} no more. */
  get offersTls(): boolean {
    return offers(this.#hello, 'STARTTLS');
  }

  /** The address that the server sees. */
  get clientAddress(): string {
    return this.#socket.localAddress ?? '';
  }

  async #ehlo(helo: string): Promise<void> {
    this.#hello = await this.command(`EHLO ${helo}`);
    if (this.#hello.code !== 250) throw new SessionTrouble(`answers EHLO with "${wordReply(this.#hello)}"`);
  }

  /** STARTTLS, and EHLO again (RFC 3207). Whoever the server is, its certificate will do. */
  async startTls(helo: string): Promise<void> {
    const reply = await this.command('STARTTLS');
    if (reply.code !== 220) throw new SessionTrouble(`answers STARTTLS with "${wordReply(reply)}"`);
    this.#replies.release();
    this.#socket = connectTls({ socket: this.#socket, rejectUnauthorized: false });
    this.#replies = new ReplyStream(this.#socket);
    // What is sent before the handshake has ended waits for it.
    await this.#ehlo(helo);
  }

  /** Sends one line, given without CR LF, and waits for the reply, whatever its code. */
  async command(line: string): Promise<Reply> {
    this.#socket.write(`${line}\r\n`);
    return await this.#reply();
  }

  /** Sends a message to recipients that were accepted. */
  async data(text: string): Promise<Reply> {
    const go = await this.command('DATA');
    return go.code === 354 ? await this.command(`${text.replaceAll('\n', '\r\n')}\r\n.`) : go;
  }

  /** Says QUIT and waits for nobody. May be called in any state, also after an error. */
  close(): void {
    this.#socket.write('QUIT\r\n');
    this.#socket.end();
    this.#socket.unref();
    setTimeout(() => this.#socket.destroy(), 1_000).unref();
  }

  async #reply(): Promise<Reply> {
    try {
      const reply = await this.#replies.next(PATIENCE_MS);
      if (reply === undefined) throw new SessionTrouble(`says nothing within ${PATIENCE_MS / 1000} s`);
      return reply;
    } catch (error) {
      this.#socket.destroy();
      throw asTrouble(error as NodeJS.ErrnoException);
    }
  }
}

/** An AbortError stays one. */
function asTrouble(error: NodeJS.ErrnoException): Error {
  if (error instanceof SessionTrouble || error.name === 'AbortError') return error;
  return new SessionTrouble(
    error instanceof ReplyTrouble ? error.message : `is not reached: ${error.code ?? error.message}`,
  );
}
