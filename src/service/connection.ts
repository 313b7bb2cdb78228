/**
 * One client's connection: its bytes through the parser, its requests to the handler one after the other, the replies
 * to some requests out in one write, and its end. It owns no timer; the server calls {@link Connection.tick}.
 *
 * In trouble it fails safe, as SMTPD_POLICY_README asks of a policy server: no reply and the connection closed, so that
 * Postfix tries again and then falls back to its default_action. It never answers a request that it did not understand
 * whole, never takes more than a short turn while others wait, and never throws.
 */

import type { Socket } from 'node:net';
import type { PolicyRequest } from '../decision/request.ts';
import { DUNNO_LINE } from './action-line.ts';
import { READ_BYTES, readFrom, viewOf } from './read-buffer.ts';
import { RequestParser, type RequestSink } from './request-parser.ts';
import { REQUEST_TIMEOUT_MS, type Trouble, UNREAD_TIMEOUT_MS } from './trouble.ts';

/** What a connection needs of the server that accepted it. */
export interface ConnectionHost {
  /** Milliseconds of a {@link Clock}. */
  now(): number;
  /** The reply line for a request, or why there is none. Never throws. */
  reply(request: PolicyRequest): Buffer | Trouble;
  /** When bytes have come; 0 if nobody wants to know how long replies take. */
  arrived(): number;
  /** Requests answered, of any type, whose last bytes came at `arrivedAt`. */
  answered(requests: number, arrivedAt: number): void;
  /** Called before the connection closes itself. */
  trouble(trouble: Trouble, connection: Connection): void;
  /** Called once, whoever has closed it and why. */
  closed(connection: Connection): void;
}

/** Milliseconds that a connection in trouble stays open for its client to see the end of the stream. */
const LINGER_MS = 2_000;

/** Bytes that a client may send after its trouble before the connection is cut. */
const LINGER_BYTES = 1 << 20;

/**
 * Requests answered before the others have their turn. Postfix asks one and waits; thousands of the smallest ones fit into
 * what is read at once, and their replies are many times longer.
 */
const REQUESTS_A_TURN = 16;

/** Turns of the event loop after which everything that had arrived on a connection has been read. */
const TURNS_TO_READ = 2;

/** Not a moment: clocks begin at 0. */
const NEVER = -1;

const NO_REPLY: Buffer = Buffer.alloc(0);

/**
 * Lives from accept to close by itself: its host calls {@link tick} and, at the end, {@link finish} or {@link destroy}.
 */
export class Connection implements RequestSink {
  /** Who is at the other end, for the log: an address and port, or the listener's own path. */
  readonly peer: string;

  readonly #socket: Socket;
  readonly #host: ConnectionHost;
  readonly #parser = new RequestParser();

  /** Of the chunk that is being read: how many requests it has ended, the first reply, the others, and the trouble. */
  #requests = 0;
  #reply = NO_REPLY;
  readonly #more: Buffer[] = [];
  #trouble: Trouble | undefined;

  /** What was read and is not answered yet, and when it came. */
  #rest: Buffer | undefined;
  #restArrivedAt = 0;

  /** When the first byte of the unfinished request came. */
  #requestBegan = NEVER;
  /** Since when replies wait for the client to read them. */
  #unreadSince = NEVER;
  /** Whether reading is stopped until the client has read its replies. */
  #paused = false;
  /** Whether reading is stopped for one turn of the event loop. */
  #yielding = false;
  /** Set once nothing is answered any more: what still comes is discarded. */
  #closingSince = NEVER;
  #discarded = 0;
  /** The server stops: to be closed when what has arrived is answered. */
  #finishing = false;

  constructor(accepted: Socket, host: ConnectionHost, peer: string) {
    const socket = readFrom(accepted, (bytes, view, length) => this.#read(bytes, view, length));
    this.#socket = socket;
    this.#host = host;
    this.peer = peer;
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
      this.#closeInTrouble('too-slow', NO_REPLY);
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
    if (turns === 0 && !this.#yielding) {
      this.#closingSince = this.#host.now();
      this.#socket.destroySoon();
      return;
    }
    setImmediate(() => this.#finishAfter(this.#yielding ? TURNS_TO_READ : turns - 1));
  }

  #read(bytes: Buffer, view: DataView, length: number): void {
    if (this.#closingSince !== NEVER) {
      this.#discarded += length;
      if (this.#discarded > LINGER_BYTES) this.#socket.destroy();
      return;
    }
    this.#answer(bytes, view, length, this.#host.arrived(), false);
  }

  /** Answers what the bytes ask, as much of it as has its turn. `isRest`: they are our own, and had to wait for it. */
  #answer(bytes: Buffer, view: DataView, length: number, arrivedAt: number, isRest: boolean): void {
    const host = this.#host;
    const trouble = this.#parser.read(bytes, view, length, this) ?? this.#trouble;
    const requests = this.#requests;
    const replies = this.#more.length === 0 ? this.#reply : Buffer.concat([this.#reply, ...this.#more.splice(0)]);
    this.#requests = 0;
    if (trouble !== undefined) {
      this.#closeInTrouble(trouble, requests === 0 ? NO_REPLY : replies);
      host.answered(requests, arrivedAt);
      if (isRest) this.#socket.resume();
      return;
    }
    const { stoppedAt } = this.#parser;
    if (stoppedAt >= 0 && stoppedAt < length) {
      this.#rest = isRest ? bytes.subarray(stoppedAt) : Buffer.from(bytes.subarray(stoppedAt, length));
      this.#restArrivedAt = arrivedAt;
    }
    if (!this.#parser.midRequest) this.#requestBegan = NEVER;
    else if (requests !== 0 || this.#requestBegan === NEVER) this.#requestBegan = host.now();
    if (requests !== 0 && !this.#socket.write(replies)) {
      this.#paused = true;
      this.#socket.pause();
    } else if (this.#rest !== undefined || isRest || length >= READ_BYTES) this.#yield();
    host.answered(requests, arrivedAt);
  }

  /** There is more to answer, or to read, which Node would do at once: lets the other connections have their turn first. */
  #yield(): void {
    this.#yielding = true;
    this.#socket.pause();
    setImmediate(() => {
      this.#yielding = false;
      if (!this.#paused) this.#goOn();
    });
  }

  /** With what was read, then with reading. */
  #goOn(): void {
    const rest = this.#rest;
    this.#rest = undefined;
    if (rest === undefined || this.#closingSince !== NEVER || this.#socket.destroyed) this.#socket.resume();
    else this.#answer(rest, viewOf(rest), rest.length, this.#restArrivedAt, true);
  }

  /** The parser has found a request, see {@link RequestSink}. */
  requested(isAccessPolicy: boolean): boolean {
    const reply = isAccessPolicy ? this.#host.reply(this.#parser.request) : DUNNO_LINE;
    if (typeof reply === 'string') {
      this.#trouble = reply;
      return false;
    }
    if (this.#requests === 0) this.#reply = reply;
    else this.#more.push(reply);
    this.#requests += 1;
    return this.#requests < REQUESTS_A_TURN;
  }

  #drained(): void {
    this.#unreadSince = NEVER;
    if (!this.#paused) return;
    this.#paused = false;
    if (this.#requestBegan !== NEVER) this.#requestBegan = this.#host.now();
    this.#goOn();
    if (this.#finishing) this.#finishAfter(TURNS_TO_READ);
  }

  /** The client has closed its side: it still gets the replies to what it had asked. */
  #ended(): void {
    if (this.#closingSince === NEVER && this.#parser.midRequest) this.#host.trouble('cut-off', this);
    this.#closingSince = this.#host.now();
    this.#socket.end();
  }

  /** Writes the replies to the requests before the trouble, and closes. */
  #closeInTrouble(trouble: Trouble, replies: Buffer): void {
    this.#host.trouble(trouble, this);
    this.#closingSince = this.#host.now();
    // A close with bytes unread would reset the connection, and the client might lose replies on their way to it: what
    // it still sends is read and discarded for a while.
    if (replies.length === 0) this.#socket.end();
    else this.#socket.end(replies);
  }
}
