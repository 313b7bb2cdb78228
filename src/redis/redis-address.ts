/**
 * Where Redis is: one server, Sentinels that know it, or a Cluster, as a URL says it. The credentials in it leave this
 * object for the connection alone: no text about an address, and none that went through {@link RedisAddress.redact},
 * holds them.
 */
import { resolve } from 'node:path';
import { inspect } from 'node:util';

/** What the hosts of a URL are: `redis:`, `redis-sentinel:`, `redis-cluster:`. */
export type RedisKind = 'server' | 'sentinel' | 'cluster';

/** An IPv6 address is without brackets. */
export interface RedisHost {
  readonly host: string;
  readonly port: number;
}

/** Files in PEM form; undefined: the system's authorities, no client certificate. */
export interface TlsFiles {
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

interface Parts {
  readonly kind: RedisKind;
  readonly hosts: readonly RedisHost[];
  /** 0 where the URL names none. */
  readonly database: number;
  /** Sentinel's name for the master. */
  readonly master: string;
  /** undefined: in plaintext. */
  readonly tls: TlsFiles | undefined;
}

/** As Redis takes them, percent-decoded; undefined: the URL has none. */
export interface Credentials {
  readonly username: string | undefined;
  readonly password: string | undefined;
}

const DEFAULT_PORTS: Readonly<Record<RedisKind, number>> = { server: 6379, sentinel: 26379, cluster: 6379 };
const FORMS =
  'write redis://[user:password@]host[:port][/database], rediss:// for TLS, redis-sentinel://host,host/master or redis-cluster://host,host';

/** Made by {@link parseRedisUrl}. However it is printed, it is its {@link name}. */
export class RedisAddress implements Parts {
  readonly kind: RedisKind;
  readonly hosts: readonly RedisHost[];
  readonly database: number;
  readonly master: string;
  readonly tls: TlsFiles | undefined;
  /** For people and for logs: the URL without credentials. */
  readonly name: string;
  readonly #credentials: Credentials;

  constructor(parts: Parts, credentials: Credentials) {
    this.kind = parts.kind;
    this.hosts = parts.hosts;
    this.database = parts.database;
    this.master = parts.master;
    this.tls = parts.tls;
    this.#credentials = credentials;
    const scheme = `redis${parts.tls === undefined ? '' : 's'}${parts.kind === 'server' ? '' : `-${parts.kind}`}`;
    const hosts = parts.hosts.map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`).join(',');
    const path = parts.kind === 'sentinel' ? `/${parts.master}/${parts.database}` : `/${parts.database}`;
    this.name = `${scheme}://${hosts}${parts.kind === 'cluster' ? '' : path}`;
  }

  /** For the connection, and for nothing else. */
  credentials(): Credentials {
    return this.#credentials;
  }

  /** The text without what is secret, in whichever form it stands there. */
  redact(text: string): string {
    const { password } = this.#credentials;
    if (password === undefined || password === '') return text;
    let redacted = text;
    for (const form of [password, encodeURIComponent(password), JSON.stringify(password).slice(1, -1)]) {
      redacted = redacted.replaceAll(form, '***');
    }
    return redacted;
  }

  toString(): string {
    return this.name;
  }

  toJSON(): string {
    return this.name;
  }

  [inspect.custom](): string {
    return this.name;
  }
}

/** Whether a source is a URL of Redis, well-formed or not. */
export function isRedisUrl(text: string): boolean {
  return /^rediss?(?:-(?:sentinel|cluster))?:/iu.test(text);
}

/**
 * Reads a URL. `base` is what the paths of files in it are relative to. A problem is one sentence that repeats nothing of
 * the URL.
 */
export function parseRedisUrl(text: string, base: string): RedisAddress | { readonly problem: string } {
  // A password may hold anything, so the last @ counts.
  const match = /^redis(s?)(?:-(sentinel|cluster))?:\/\/(?:(.*)@)?([^@/?]*)([^?@]*)(?:\?([^@]*))?$/isu.exec(
    text.trim(),
  );
  if (match === null) return { problem: `is no URL of Redis; ${FORMS}` };
  const [, secure = '', word, user, authority = '', path = '', query = ''] = match;
  const kind = (word?.toLowerCase() ?? 'server') as RedisKind;
  const hosts = parseHosts(authority, DEFAULT_PORTS[kind]);
  if (hosts === undefined || hosts.length === 0) return { problem: `names no host, or one that is none; ${FORMS}` };
  if (kind === 'server' && hosts.length > 1) return { problem: `names several hosts; ${FORMS}` };
  const credentials = parseCredentials(user);
  if (credentials === undefined) return { problem: 'has credentials that are not percent-encoded as in a URL' };
  const segments = path.split('/').slice(1);
  const master = kind === 'sentinel' ? (segments.shift() ?? '') : '';
  if (kind === 'sentinel' && !/^[\w.-]+$/u.test(master)) {
    return { problem: 'names no master; write redis-sentinel://host,host/master' };
  }
  const database = segments.shift() ?? '';
  if (segments.length > 0 || !/^\d{0,5}$/u.test(database)) return { problem: 'has a database that is no number' };
  if (kind === 'cluster' && Number(database) !== 0) return { problem: 'has a database: a Cluster has only 0' };
  const options = new Map(new URLSearchParams(query));
  for (const name of options.keys()) {
    if (!['ca', 'cert', 'key'].includes(name) || secure === '') {
      return { problem: 'has an option that is none of ca, cert and key, or one without rediss://' };
    }
  }
  const file = (name: string): string | undefined => {
    const given = options.get(name);
    return given === undefined ? undefined : resolve(base, given);
  };
  const tls = secure === '' ? undefined : { ca: file('ca'), cert: file('cert'), key: file('key') };
  return new RedisAddress({ kind, hosts, database: Number(database), master, tls }, credentials);
}

function parseHosts(text: string, defaultPort: number): readonly RedisHost[] | undefined {
  const hosts: RedisHost[] = [];
  for (const one of text.split(',')) {
    const match = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::(\d{1,5}))?$/iu.exec(one);
    const [, v6, name, port] = match ?? [];
    const host = v6 ?? name;
    if (host === undefined || Number(port ?? defaultPort) > 65535) return undefined;
    hosts.push({ host, port: Number(port ?? defaultPort) });
  }
  return hosts;
}

function parseCredentials(text: string | undefined): Credentials | undefined {
  if (text === undefined) return { username: undefined, password: undefined };
  const colon = text.indexOf(':');
  const [user, password] = colon < 0 ? [text, undefined] : [text.slice(0, colon), text.slice(colon + 1)];
  try {
    return {
      username: user === '' ? undefined : decodeURIComponent(user),
      password: password === undefined ? undefined : decodeURIComponent(password),
    };
  } catch {
    return undefined;
  }
}
