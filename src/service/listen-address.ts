/**
 * Where the policy service may listen: the words of `server.listen` as values. Nothing is opened here, and no name is
 * looked up.
 */

import { BlockList, isIPv4, isIPv6 } from 'node:net';
import { pathProblem } from '../postfix/path-for-postfix.ts';

/** One listener to be. */
export type ListenAddress =
  | {
      readonly kind: 'tcp';
      /** An IPv4 or IPv6 address, or a host name; port 0 lets the kernel choose. */
      readonly host: string;
      readonly port: number;
    }
  | { readonly kind: 'unix'; readonly path: string }
  /** A listening socket that systemd has passed in. */
  | { readonly kind: 'passed'; readonly fd: number };

/** An address, or what is wrong with it in words that follow the text itself and a colon. */
export type ParsedListenAddress = { readonly address: ListenAddress } | { readonly problem: string };

/** Bytes of a UNIX socket's path: sockaddr_un's 108, less its closing NUL. */
export const MAX_SOCKET_PATH_BYTES = 107;

const FORMS = 'expected host:port, [IPv6 address]:port or unix:/path';

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** Whether only this host can connect to the address. A name other than localhost could mean anything. */
export function isLoopback(host: string): boolean {
  if (isIPv4(host)) return loopback.check(host, 'ipv4');
  if (isIPv6(host)) return !host.includes('%') && loopback.check(host, 'ipv6');
  return host.toLowerCase() === 'localhost';
}

/** The problem with a listener beyond loopback, naming the setting that would allow it. */
export function remoteProblem(host: string): string {
  return `${host} is not a loopback address, so others could ask the service: set server.allow_remote = true if they may`;
}

/** The address as it is written in the settings. */
export function describeListenAddress(address: ListenAddress): string {
  switch (address.kind) {
    case 'tcp':
      return hostPort(address.host, address.port);
    case 'unix':
      return `unix:${address.path}`;
    case 'passed':
      return `file descriptor ${address.fd}`;
  }
}

/** `host:port` or `[v6]:port`. */
export function hostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/**
 * Reads one entry of `server.listen`. `localhost` is 127.0.0.1, whatever the resolver says; `[::]` means IPv6 alone.
 */
export function parseListenAddress(text: string, options: { readonly allowRemote: boolean }): ParsedListenAddress {
  if (text.startsWith('unix:')) return parseSocketPath(text.slice('unix:'.length));
  const colon = text.lastIndexOf(':');
  if (colon < 0) return { problem: `no port, ${FORMS}` };
  const port = parsePort(text.slice(colon + 1));
  if (port === undefined) return { problem: `the port is not a number from 0 to 65535, ${FORMS}` };
  const host = parseHost(text.slice(0, colon));
  if (host === undefined) return { problem: `not an address or host name, ${FORMS}` };
  if (!options.allowRemote && !isLoopback(host)) return { problem: remoteProblem(host) };
  return { address: { kind: 'tcp', host: host.toLowerCase() === 'localhost' ? '127.0.0.1' : host, port } };
}

function parseSocketPath(path: string): ParsedListenAddress {
  if (!path.startsWith('/')) return { problem: 'the path of a UNIX socket must be absolute, unix:/path' };
  if (path.includes('\0') || path.endsWith('/')) return { problem: 'not the path of a UNIX socket' };
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) {
    return { problem: `the path of a UNIX socket can have ${MAX_SOCKET_PATH_BYTES} bytes at most` };
  }
  const problem = pathProblem(path);
  return problem === undefined ? { address: { kind: 'unix', path } } : { problem };
}

function parsePort(text: string): number | undefined {
  if (!/^\d{1,5}$/.test(text)) return undefined;
  const port = Number(text);
  return port <= 65_535 ? port : undefined;
}

function parseHost(text: string): string | undefined {
  if (text.startsWith('[') && text.endsWith(']')) {
    const address = text.slice(1, -1);
    return isIPv6(address) ? address : undefined;
  }
  // All digits and dots, but no address: a slip that no resolver should be asked about.
  if (/^[\d.]+$/.test(text)) return isIPv4(text) ? text : undefined;
  return /^[a-z0-9](?:[a-z0-9.-]{0,252})$/i.test(text) ? text : undefined;
}
