/**
 * One connection to Redis, for as long as it lasts: a link that is lost stays lost, and whoever needs another opens one.
 * So nothing is ever sent twice behind its user's back, and what was asked before a failure is not mixed with what is
 * asked after it. It knows no keys.
 */
import { readFile } from 'node:fs/promises';
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import type { RedisAddress, TlsFiles } from './redis-address.ts';

/** Redis is away, refuses, or does not answer in time. The message holds no credentials. */
export class RedisTrouble extends Error {}

/** No connection came about, so nothing was asked of Redis. */
export class RedisAway extends RedisTrouble {}

/** A file that the URL names cannot be read. */
export class UnusableRedisUrl extends RedisAway {}

/** How long a connection may take to come about. */
const CONNECT_MS = 5_000;
/** How long an answer may take. A server that is stopped or cut off says nothing at all. */
const ANSWER_MS = 15_000;

/** An argument of a command; a number is sent in decimal. */
export type Argument = string | number;

/** A connection for one user. Once it is lost all commands fail, those under way too. */
export class RedisLink {
  readonly #client: Redis | Cluster;
  readonly #address: RedisAddress;
  #isClosed = false;
  #heardAt = Date.now();
  /** What the connection said last: it tells more than the failures of the commands that follow from it. */
  #error: Error | undefined;

  private constructor(client: Redis | Cluster, address: RedisAddress) {
    this.#client = client;
    this.#address = address;
    client.on('error', (error: Error) => {
      this.#error = error;
    });
    if (client instanceof Cluster) {
      client.on('node error', (error: Error) => {
        this.#error = error;
      });
    }
  }

  /** Connects; throws {@link RedisAway}. */
  static async open(address: RedisAddress): Promise<RedisLink> {
    let link: RedisLink;
    try {
      link = new RedisLink(await makeClient(address), address);
    } catch (error) {
      throw new UnusableRedisUrl(`${address.name}: ${address.redact((error as Error).message)}`);
    }
    try {
      await link.#within(link.#client.connect(), 2 * CONNECT_MS, 'connection');
      // A wrong password is told here and not before.
      await link.command('PING');
      return link;
    } catch (error) {
      link.close();
      throw error instanceof RedisTrouble ? new RedisAway(error.message) : error;
    }
  }

  /** When the server last answered: milliseconds since the epoch. */
  get heardAt(): number {
    return this.#heardAt;
  }

  /** Sends one command; throws {@link RedisTrouble} with what the server says, or if it says nothing in time. */
  async command(name: string, ...args: readonly Argument[]): Promise<unknown> {
    return await this.patientCommand(ANSWER_MS, name, ...args);
  }

  /** The same, for commands that take long. */
  async patientCommand(patienceMs: number, name: string, ...args: readonly Argument[]): Promise<unknown> {
    const answer = await this.#within(this.#client.call(name, [...args]), patienceMs, name);
    this.#heardAt = Date.now();
    return answer;
  }

  /** Ends the connection; commands under way fail. */
  close(): void {
    this.#isClosed = true;
    this.#client.disconnect();
  }

  async #within<T>(promise: Promise<T>, ms: number, what: string): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer to ${what} within ${ms / 1000} s`)), ms);
    });
    try {
      return await Promise.race([promise, late]);
    } catch (error) {
      throw this.#trouble(error as Error);
    } finally {
      clearTimeout(timer);
    }
  }

  #trouble(error: Error): RedisTrouble {
    if (error instanceof RedisTrouble) return error;
    const cause = isAftermath(error) && !this.#isClosed ? (this.#error ?? error) : error;
    const node = (cause as { lastNodeError?: Error }).lastNodeError;
    const text = wordError(isAftermath(cause) ? (node ?? cause) : cause);
    return new RedisTrouble(`${this.#address.name}: ${this.#address.redact(text)}`);
  }
}

/** Opens a link, lends it, and closes it whatever happens. */
export async function withRedisLink<T>(address: RedisAddress, body: (link: RedisLink) => Promise<T>): Promise<T> {
  const link = await RedisLink.open(address);
  try {
    return await body(link);
  } finally {
    link.close();
  }
}

/** Whether the error only says that the connection is gone, and not why. */
function isAftermath(error: Error): boolean {
  return /connection is closed|stream isn't writeable|failed to refresh slots cache|none of startup nodes/iu.test(
    error.message,
  );
}

/** A failure of several addresses of one host has no message of its own. */
function wordError(error: Error): string {
  if (error instanceof AggregateError) return error.errors.map((one) => (one as Error).message).join('; ');
  return error.message || (error as NodeJS.ErrnoException).code || error.name;
}

async function makeClient(address: RedisAddress): Promise<Redis | Cluster> {
  const { username, password } = address.credentials();
  const tls = address.tls === undefined ? undefined : await readTls(address.tls);
  const common: Omit<RedisOptions, 'replyMapping'> = {
    lazyConnect: true,
    protocol: 2,
    disableClientInfo: true,
    connectTimeout: CONNECT_MS,
    enableReadyCheck: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(tls === undefined ? {} : { tls }),
  };
  const never = (): null => null;
  switch (address.kind) {
    case 'server': {
      const [first] = address.hosts;
      return new Redis({
        ...common,
        host: first?.host ?? '',
        port: first?.port ?? 0,
        db: address.database,
        retryStrategy: never,
      });
    }
    case 'sentinel':
      return new Redis({
        ...common,
        sentinels: [...address.hosts],
        name: address.master,
        db: address.database,
        retryStrategy: never,
        sentinelRetryStrategy: never,
        sentinelReconnectStrategy: never,
        sentinelCommandTimeout: CONNECT_MS,
        failoverDetector: true,
        enableTLSForSentinelMode: tls !== undefined,
        ...(tls === undefined ? {} : { sentinelTLS: tls }),
      });
    case 'cluster':
      return new Cluster([...address.hosts], {
        lazyConnect: true,
        enableReadyCheck: false,
        clusterRetryStrategy: never,
        slotsRefreshTimeout: CONNECT_MS,
        redisOptions: common,
        // Certificates are for the names that nodes announce.
        ...(tls === undefined ? {} : { dnsLookup: (name, found) => found(null, name) }),
      });
  }
}

async function readTls(files: TlsFiles): Promise<NonNullable<RedisOptions['tls']>> {
  const read: Partial<Record<keyof TlsFiles, Buffer>> = {};
  for (const option of ['ca', 'cert', 'key'] as const) {
    const path = files[option];
    if (path === undefined) continue;
    try {
      read[option] = await readFile(path);
    } catch (error) {
      throw new Error(`${option} cannot be read: ${(error as Error).message}`);
    }
  }
  return read;
}
