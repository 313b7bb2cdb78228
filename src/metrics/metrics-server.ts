/**
 * The HTTP server of /metrics, /healthz and /readyz: small, bounded, and apart from the policy service, which none of
 * its troubles ever concern. It only shows what it is given; there is nothing that a request could change.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { EventLog } from '../log/event-log.ts';
import type { ListenAddress } from '../service/listen-address.ts';
import { type Listener, openListener } from '../service/listener.ts';
import { CONTENT_TYPE } from './exposition.ts';

/** Requests have no bodies, and no headers that count. */
const MAX_HEADER_BYTES = 8 * 1024;
const REQUEST_TIMEOUT_MS = 5_000;
const MAX_CONNECTIONS = 64;

/** What the pages show, asked anew for each request. */
export interface MetricsServerOptions {
  readonly log: EventLog;
  /** The text of /metrics. */
  metrics(): Promise<string>;
  /** Why requests of Postfix are not answered now; undefined: they are. */
  unready(): string | undefined;
}

interface Page {
  readonly status: 200 | 404 | 405 | 500 | 503;
  readonly type?: string;
  readonly body: string;
}

/** Listens once, until it is stopped. */
export class MetricsServer {
  readonly #options: MetricsServerOptions;
  readonly #server: Server;
  #listener: Listener | undefined;
  #hasFailed = false;

  constructor(options: MetricsServerOptions) {
    this.#options = options;
    this.#server = createServer(
      {
        maxHeaderSize: MAX_HEADER_BYTES,
        headersTimeout: REQUEST_TIMEOUT_MS,
        requestTimeout: REQUEST_TIMEOUT_MS,
        keepAliveTimeout: REQUEST_TIMEOUT_MS,
        connectionsCheckingInterval: 1_000,
      },
      (request, response) => void this.#answer(request, response),
    );
    this.#server.maxConnections = MAX_CONNECTIONS;
    this.#server.on('error', (error: NodeJS.ErrnoException) => {
      // Errors of listen() itself are thrown there.
      if (this.#server.listening) options.log.error({ code: error.code ?? error.name }, 'listener of metrics failed');
    });
  }

  /** @throws ListenError */
  async listen(address: ListenAddress, options: { readonly allowRemote: boolean }): Promise<void> {
    this.#listener = await openListener(this.#server, address, options);
  }

  /** `host:port`; the port is the real one. */
  get address(): string | undefined {
    return this.#listener?.name;
  }

  /** Closes everything at once. */
  async stop(): Promise<void> {
    const closed = this.#listener?.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // A body, if there is one, is let go by.
    request.resume();
    response.on('error', () => {});
    const { status, type = 'text/plain; charset=utf-8', body } = await this.#page(request);
    const bytes = Buffer.from(body);
    response.writeHead(status, {
      'Content-Type': type,
      'Content-Length': bytes.length,
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
      ...(status === 405 ? { Allow: 'GET, HEAD' } : {}),
    });
    response.end(request.method === 'HEAD' ? undefined : bytes);
  }

  async #page({ method, url = '' }: IncomingMessage): Promise<Page> {
    const [path] = url.split('?', 1);
    if (path !== '/metrics' && path !== '/healthz' && path !== '/readyz') {
      return { status: 404, body: 'here are /metrics, /healthz and /readyz\n' };
    }
    if (method !== 'GET' && method !== 'HEAD') return { status: 405, body: 'GET or HEAD\n' };
    try {
      if (path === '/metrics') return { status: 200, type: CONTENT_TYPE, body: await this.#options.metrics() };
      // That there is an answer says that the event loop turns.
      if (path === '/healthz') return { status: 200, body: 'alive\n' };
      const why = this.#options.unready();
      return why === undefined ? { status: 200, body: 'ready\n' } : { status: 503, body: `not ready: ${why}\n` };
    } catch (error) {
      if (!this.#hasFailed) {
        this.#options.log.error({ path, error: (error as Error).stack }, 'no answer over HTTP: a bug in tlswarden');
      }
      this.#hasFailed = true;
      return { status: 500, body: 'failed; the log says why\n' };
    }
  }
}
