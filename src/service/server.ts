/**
 * The policy service's shell (contract section 6): listeners, connections, limits and counters. Bytes come in, a
 * handler decides, bytes go out. It knows nothing of settings and decisions, and nothing that a client sends or does
 * ends the process.
 */

import { createServer, type Server, type Socket } from 'node:net';
import type { PolicyRequest } from '../decision/request.ts';
import type { EventLog } from '../log/event-log.ts';
import { Flood } from '../log/flood.ts';
import { ActionLines } from './action-line.ts';
import { type Clock, systemClock } from './clock.ts';
import { Connection, type ConnectionHost } from './connection.ts';
import { describeFailure } from './failure.ts';
import { describeListenAddress, hostPort, type ListenAddress } from './listen-address.ts';
import { type Listener, openListener } from './listener.ts';
import { describeTrouble, type Trouble, zeroByTrouble } from './trouble.ts';

/**
 * Decides one request: the text of the action (`DUNNO`, `FILTER transport:nexthop`, `WARN text`, `550 5.7.10 text`), or
 * undefined for no reply and the connection closed, while there are no settings to go by. Called for requests of type
 * smtpd_access_policy only, with an object that is filled anew for each of them.
 */
export type PolicyHandler = (request: PolicyRequest) => string | undefined;

/** Counts how long replies take. */
export interface ReplyTimes {
  /** So many replies took so many seconds each. */
  observe(seconds: number, times: number): void;
}

/** What a service answers by, and within which bounds. */
export interface PolicyServerOptions {
  readonly handler: PolicyHandler;
  /** Gets trouble, summed up where there is much of it. */
  readonly log: EventLog;
  /** `server.max_connections`, over all listeners together. */
  readonly maxConnections: number;
  readonly clock?: Clock;
  /** Is told how long replies take; absent: that is not measured. */
  readonly replyTimes?: ReplyTimes | undefined;
}

/** What has happened so far, for the metrics. */
export interface ServiceCounters {
  /** Connections open now. */
  readonly connections: number;
  readonly accepted: number;
  /** Connections closed at once because of `max_connections`. */
  readonly refused: number;
  /** Requests answered, those of other types too. */
  readonly requests: number;
  readonly trouble: Readonly<Record<Trouble, number>>;
}

/** Milliseconds between two looks at the deadlines of all connections. */
const TICK_MS = 1_000;

/** Milliseconds after which {@link PolicyServer.stop} closes connections that still have something to send. */
const STOP_GRACE_MS = 3_000;

/** Milliseconds of silence before the kernel asks whether a client's host is still there. */
const KEEP_ALIVE_MS = 60_000;

/** Milliseconds between two warnings of one kind. */
const FLOOD_WINDOW_MS = 10_000;

/** What the flood of warnings is summed up by. */
type WarningKind = Trouble | 'refused';

/** All listeners and connections of one service. It is used once: stopped, it does not listen again. */
export class PolicyServer {
  readonly #handler: PolicyHandler;
  readonly #log: EventLog;
  readonly #maxConnections: number;
  readonly #clock: Clock;
  readonly #flood: Flood<WarningKind, object>;
  readonly #lines = new ActionLines();
  readonly #listeners: Listener[] = [];
  readonly #connections = new Set<Connection>();
  readonly #host: ConnectionHost;
  readonly #stopTicking: () => void;

  #accepted = 0;
  #refused = 0;
  #requests = 0;
  readonly #trouble = zeroByTrouble();

  /** What the handler threw last, for the log. */
  #failure = '';

  #stopping: Promise<void> | undefined;
  #stopBegan = 0;
  #allClosed: (() => void) | undefined;

  constructor(options: PolicyServerOptions) {
    this.#handler = options.handler;
    this.#log = options.log;
    this.#maxConnections = options.maxConnections;
    const clock = options.clock ?? systemClock;
    this.#clock = clock;
    this.#flood = new Flood(
      { burst: 1, windowMs: FLOOD_WINDOW_MS, capacity: Number.POSITIVE_INFINITY, now: () => clock.now() },
      (kind, fields, more) => this.#writeWarning(kind, fields, more),
    );
    const { replyTimes } = options;
    this.#host = {
      now: () => clock.now(),
      reply: (request) => this.#reply(request),
      arrived: replyTimes === undefined ? () => 0 : () => clock.now(),
      answered: (requests, arrivedAt) => {
        this.#requests += requests;
        if (replyTimes !== undefined && requests !== 0) {
          replyTimes.observe((clock.now() - arrivedAt) / 1000, requests);
        }
      },
      trouble: (trouble, connection) => this.#countTrouble(trouble, connection),
      closed: (connection) => this.#closed(connection),
    };
    // Deadlines are looked at after the loop has polled once more: when the process was stalled, what has come in the
    // meantime is read before anybody is called slow.
    this.#stopTicking = clock.every(TICK_MS, () => setImmediate(() => this.#tick()));
  }

  /**
   * Opens the listeners, all or none.
   * @throws ListenError if one of them cannot be opened.
   */
  async listen(addresses: readonly ListenAddress[], options: { readonly allowRemote: boolean }): Promise<void> {
    const opened: Listener[] = [];
    try {
      for (const address of addresses) {
        const server = createServer({
          allowHalfOpen: true,
          noDelay: true,
          keepAlive: true,
          keepAliveInitialDelay: KEEP_ALIVE_MS,
        });
        // Before it listens: a client may come with the very first turn of the loop.
        this.#acceptFrom(server, describeListenAddress(address));
        opened.push(await openListener(server, address, options));
      }
    } catch (error) {
      await Promise.all(opened.map((listener) => listener.close()));
      throw error;
    }
    this.#listeners.push(...opened);
  }

  /** Where the service listens, as `host:port`, `[v6]:port` or `unix:/path`; the port is the real one. */
  get addresses(): readonly string[] {
    return this.#listeners.map((listener) => listener.name);
  }

  /** As of now, but for `trouble`, which goes on counting. */
  get counters(): ServiceCounters {
    return {
      connections: this.#connections.size,
      accepted: this.#accepted,
      refused: this.#refused,
      requests: this.#requests,
      trouble: this.#trouble,
    };
  }

  /**
   * Stops listening, answers the requests that have arrived whole, closes all connections. Resolves within 5 seconds,
   * whatever the clients do, and never rejects.
   */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#stopBegan = this.#clock.now();
    // One turn to accept the clients that the kernel has accepted for us already: closing the listener resets them.
    await turn();
    await turn();
    const listenersClosed = this.#listeners.map((listener) => listener.close());
    for (const connection of this.#connections) connection.finish();
    if (this.#connections.size !== 0) {
      await new Promise<void>((resolve) => {
        this.#allClosed = resolve;
      });
    }
    await Promise.all(listenersClosed);
    this.#stopTicking();
    this.#flood.flush();
  }

  #acceptFrom(server: Server, listener: string): void {
    server.on('connection', (socket) => this.#accept(socket, listener));
    server.on('error', (error: NodeJS.ErrnoException) => {
      // Errors of listen() itself are thrown there.
      if (server.listening) this.#log.error({ listener, code: error.code ?? error.name }, 'listener failed');
    });
  }

  #accept(socket: Socket, listener: string): void {
    const peer = peerName(socket, listener);
    if (this.#connections.size >= this.#maxConnections) {
      this.#refused += 1;
      socket.on('error', () => {});
      socket.destroy();
      this.#flood.tell('refused', { peer });
      return;
    }
    this.#accepted += 1;
    this.#connections.add(new Connection(socket, this.#host, peer));
  }

  #closed(connection: Connection): void {
    this.#connections.delete(connection);
    if (this.#connections.size === 0) this.#allClosed?.();
  }

  #reply(request: PolicyRequest): Buffer | Trouble {
    let action: string | undefined;
    try {
      action = this.#handler(request);
    } catch (error) {
      this.#failure = describeFailure(error);
      return 'handler-failed';
    }
    if (action === undefined) return 'no-answer';
    return this.#lines.lineOf(action) ?? 'bad-action';
  }

  #countTrouble(trouble: Trouble, connection: Connection): void {
    this.#trouble[trouble] += 1;
    const { peer } = connection;
    const reason = describeTrouble(trouble);
    this.#flood.tell(trouble, trouble === 'handler-failed' ? { peer, reason, error: this.#failure } : { peer, reason });
  }

  #writeWarning(kind: WarningKind, fields: object, more: number): void {
    const summed = more === 0 ? fields : { ...fields, more };
    if (kind === 'refused') {
      this.#log.warn(
        { ...summed, max_connections: this.#maxConnections },
        'connection refused: max_connections is reached',
      );
    } else if (kind === 'handler-failed' || kind === 'bad-action') {
      this.#log.error(summed, 'connection closed without a reply: a bug in tlswarden');
    } else {
      this.#log.warn(summed, 'connection closed without a reply');
    }
  }

  #tick(): void {
    const now = this.#clock.now();
    const graceIsOver = this.#stopping !== undefined && now - this.#stopBegan >= STOP_GRACE_MS;
    for (const connection of this.#connections) {
      if (graceIsOver) connection.destroy();
      else connection.tick(now);
    }
    this.#flood.tick();
  }
}

/** One turn of the event loop, in which it polls for what has arrived. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Who has connected. A UNIX socket's clients have no names. */
function peerName(socket: Socket, listener: string): string {
  const { remoteAddress, remotePort } = socket;
  if (remoteAddress === undefined || remotePort === undefined) return listener;
  return hostPort(remoteAddress, remotePort);
}
