/**
 * One client's connection: its bytes through the parser, its requests to the handler one after the other, all replies
 * of one chunk out in one write, and its end. It owns no timer; the server calls {@link Connection.tick}.
 *
 * In trouble it fails safe, as SMTPD_POLICY_README asks of a policy server: no reply and the connection closed, so that
 * Postfix tries again and then falls back to its default_action. It never answers a request that it did not understand
 * whole, never waits for another connection, and never throws.
 */

import type { Socket } from 'node:net';
import type { PolicyRequest } from '../decision/request.ts';
import { DUNNO_LINE } from './action-line.ts';
import { RequestParser } from './request-parser.ts';
import { REQUEST_TIMEOUT_MS, type Trouble, UNREAD_TIMEOUT_MS } from './trouble.ts';

/** What a connection needs of the server that accepted it. */
export interface ConnectionHost {
  now(): number;
  /** The reply line for a request; '' if there is none, and {@link replyTrouble} then says why. Never throws. */
  reply(request: PolicyRequest): string;
  readonly replyTrouble: Trouble;
  /** Requests answered, of any type. */
  answered(requests: number): void;
  trouble(trouble: Trouble, connection: Connection): void;
  closed(connection: Connection): void;
}

/** Milliseconds that a connection in trouble stays open for its client to see the end of the stream. */
const LINGER_MS = 2_000;

/** Bytes that a client may send after its trouble before the connection is cut. */
const LINGER_BYTES = 1 << 20;

/** Turns of the event loop after which everything that had arrived on a connection has been read. */
const TURNS_TO_READ = 2;

/** Not a moment: clocks begin at 0. */
const NEVER = -1;

export class Connection {
  /** Who is at the other end, for the log: an address and port, or the listener's own path. */
  readonly peer: string;

  readonly #socket: Socket;
  readonly #host: ConnectionHost;
  readonly #parser = new RequestParser();

  /** When the first byte of the unfinished request came. */
  #requestBegan = NEVER;
  /** Since when replies wait for the client to read them. */
  #unreadSince = NEVER;
  /** Whether reading is stopped until the client has read its replies. */
  #paused = false;
  /** Set once nothing is answered any more: what still comes is discarded. */
  #closingSince = NEVER;
  #discarded = 0;
  /** The server stops: to be closed when what has arrived is answered. */
  #finishing = false;

  constructor(socket: Socket, host: ConnectionHost, peer: string) {
    this.#socket = socket;
    this.#host = host;
    this.peer = peer;
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('drain', () => this.#drained());
    socket.on('end', () => this.#ended());
    // A reset or a broken pipe ends this connection and nothing else; Node destroys the socket by itself.
    socket.on('error', () => {});
    socket.on('close', () => host.closed(this));
  }

  /** Looks at the connection's deadlines; to be called every second or so. */
  tick(now: number): void {
    const socket = this.#socket;
    const closing = this.#closingSince !== NEVER;
    if (socket.writableLength === 0) this.#unreadSince = NEVER;
    else if (this.#unreadSince === NEVER) this.#unreadSince = now;
    else if (now - this.#unreadSince >= UNREAD_TIMEOUT_MS) {
      this.#host.trouble('unread', this);
      socket.destroy();
      return;
    }
    if (closing) {
      if (now - this.#closingSince >= LINGER_MS && socket.writableLength === 0) socket.destroy();
      return;
    }
    // While reading is stopped, the rest of the request may well have arrived.
    if (this.#requestBegan !== NEVER && !this.#paused && now - this.#requestBegan >= REQUEST_TIMEOUT_MS) {
      this.#trouble('too-slow', '');
    }
  }

  /** The server stops: answers the requests that have arrived whole, then closes. */
  finish(): void {
    this.#finishing = true;
    if (!this.#paused) this.#finishAfter(TURNS_TO_READ);
  }

  /** Closes now, whatever is pending. */
  destroy(): void {
    this.#socket.destroy();
  }

  #finishAfter(turns: number): void {
    if (this.#paused) return; // drained() comes back here
    if (turns === 0) {
      this.#closingSince = this.#host.now();
      this.#socket.destroySoon();
      return;
    }
    setImmediate(() => this.#finishAfter(turns - 1));
  }

  #read(chunk: Buffer): void {
    if (this.#closingSince !== NEVER) {
      this.#discarded += chunk.length;
      if (this.#discarded > LINGER_BYTES) this.#socket.destroy();
      return;
    }
    const parser = this.#parser;
    const host = this.#host;
    parser.feed(chunk);
    let replies = '';
    let requests = 0;
    for (;;) {
      const step = parser.next();
      if (step === 'more') break;
      let line = DUNNO_LINE;
      if (step === 'request') {
        line = host.reply(parser.request);
        if (line === '') {
          host.answered(requests);
          this.#trouble(host.replyTrouble, replies);
          return;
        }
      } else if (step !== 'foreign') {
        host.answered(requests);
        this.#trouble(step, replies);
        return;
      }
      replies = requests === 0 ? line : replies + line;
      requests += 1;
    }
    if (!parser.midRequest) this.#requestBegan = NEVER;
    else if (requests !== 0 || this.#requestBegan === NEVER) this.#requestBegan = host.now();
    if (requests !== 0) {
      host.answered(requests);
      if (!this.#socket.write(replies, 'latin1')) {
        this.#paused = true;
        this.#socket.pause();
      }
    }
  }

  #drained(): void {
    this.#unreadSince = NEVER;
    if (!this.#paused) return;
    this.#paused = false;
    if (this.#requestBegan !== NEVER) this.#requestBegan = this.#host.now();
    this.#socket.resume();
    if (this.#finishing) this.#finishAfter(TURNS_TO_READ);
  }

  /** The client has closed its side: it still gets the replies to what it had asked. */
  #ended(): void {
    if (this.#closingSince === NEVER && this.#parser.midRequest) this.#host.trouble('cut-off', this);
    this.#closingSince = this.#host.now();
    this.#socket.end();
  }

  /** Writes the replies to the requests before the trouble, and closes. */
  #trouble(trouble: Trouble, replies: string): void {
    this.#host.trouble(trouble, this);
    this.#closingSince = this.#host.now();
    // A close with bytes unread would reset the connection, and the client might lose replies on their way to it.
    if (replies === '') this.#socket.end();
    else this.#socket.end(replies, 'latin1');
  }
}
