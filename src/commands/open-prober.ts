/**
 * How a command connects to servers to try them: the options that say by whose word, and for how long. What is tried, and
 * what follows from it, is the command's.
 */
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { Option } from 'commander';
import { parseDomain } from '../address/domain-name.ts';
import { type Authorities, readAuthorities, systemAuthorities } from '../probe/authorities.ts';
import { DnsClient, type ResolverAddress, systemResolvers } from '../probe/dns-client.ts';
import { Prober } from '../probe/probe-domain.ts';
import { UsageError } from './command-context.ts';
import type { Progress } from './progress.ts';

const DEFAULT_TIMEOUT_S = 10;
const MAX_TIMEOUT_S = 600;
/** One name server's time for one answer; there may be others. */
const MAX_DNS_MS = 5_000;

/** Whose certificates count as trusted; like its two siblings for each command that probes ({@link ProbeOptions}). */
export const CA_OPTION = new Option('--ca <file>', "trust the authorities of this file (PEM) instead of the system's");
/** An address, `address:port` or `[v6]:port`. */
export const RESOLVER_OPTION = new Option(
  '--resolver <address>',
  'ask this name server instead of those of /etc/resolv.conf',
);
/** Seconds, also a part of one. */
export const TIMEOUT_OPTION = new Option('--timeout <seconds>', 'how long each step with a server may last').default(
  String(DEFAULT_TIMEOUT_S),
);

/** What the command was given of them. */
export interface ProbeOptions {
  readonly ca?: string;
  readonly resolver?: string;
  /** Seconds, as given. */
  readonly timeout: string;
}

/** A prober for one command. */
export interface OpenProber {
  readonly prober: Prober;
  /** Whom certificates are trusted for, in words. */
  readonly authorities: string;
}

/** Throws {@link UsageError}. */
export async function openProber(options: ProbeOptions, progress: Progress): Promise<OpenProber> {
  const timeoutMs = parseTimeout(options.timeout);
  const resolvers = options.resolver === undefined ? await systemResolvers() : [parseResolver(options.resolver)];
  const authorities = await findAuthorities(options.ca);
  const prober = new Prober({
    resolver: new DnsClient(resolvers, Math.min(timeoutMs, MAX_DNS_MS)),
    authorities,
    manners: { helo: helo(), timeoutMs },
    progress: progress.show,
  });
  return { prober, authorities: authorities.source };
}

function parseTimeout(text: string): number {
  const seconds = /^\d+(?:\.\d+)?$/u.test(text) ? Number(text) : 0;
  // Timers take whole milliseconds.
  if (seconds > 0 && seconds <= MAX_TIMEOUT_S) return Math.ceil(seconds * 1_000);
  throw new UsageError(`--timeout "${text}" is no number of seconds up to ${MAX_TIMEOUT_S}`);
}

function parseResolver(text: string): ResolverAddress {
  const [, bracketed, bare, port = '53'] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/u.exec(text) ?? [];
  const address = bracketed ?? bare ?? text;
  if (isIP(address) === 0 || Number(port) < 1 || Number(port) > 65535) {
    throw new UsageError(`--resolver "${text}" is no address, nor address:port`);
  }
  return { address, port: Number(port) };
}

async function findAuthorities(file: string | undefined): Promise<Authorities> {
  if (file === undefined) return await systemAuthorities();
  try {
    return await readAuthorities(file);
  } catch (error) {
    throw new UsageError(`--ca: ${(error as Error).message}`);
  }
}

/** RFC 5321 section 4.1.1.1: a name of this host, or, without one that looks like a name, an address literal. */
function helo(): string {
  const name = parseDomain(hostname());
  return name?.includes('.') ? name : '[127.0.0.1]';
}
