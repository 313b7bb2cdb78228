/**
 * Opens and closes one listening socket: TCP, UNIX, or passed in by systemd. It takes the place of a UNIX socket that
 * nobody answers any more, never of one that is alive or of any other file, and removes only a socket of its own.
 */

import type { Stats } from 'node:fs';
import { chmod, link, lstat, stat, unlink } from 'node:fs/promises';
import { type AddressInfo, connect, type ListenOptions, type Server } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { hostPort, isLoopback, type ListenAddress, MAX_SOCKET_PATH_BYTES, remoteProblem } from './listen-address.ts';

/** A listener could not be opened; the message says which, why and what to do, in one line. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
}

/** A listener that is open. */
export interface Listener {
  /** `host:port`, `[v6]:port` or `unix:/path`; the port is the real one. */
  readonly name: string;
  /** Stops listening; resolves when the connections that came through it are closed too. Never rejects. */
  close(): Promise<void>;
}

/**
 * Who may connect to a UNIX socket: everybody who can reach its directory. Postfix makes its own sockets the same way:
 * smtpd(8) runs as `postfix`, which is in no group of ours, and a socket that it may not write to would defer all
 * mail. What a stranger could ask through it, he could ask through the TCP listener too. To keep local users out,
 * put it in a directory that is closed to them.
 */
const SOCKET_MODE = 0o666;

/** Times that another process may snatch the path of a UNIX socket away before we give up. */
const MAX_TRIES = 5;

let temporaryNames = 0;

/**
 * Makes `server` listen.
 * @throws ListenError
 */
export async function openListener(
  server: Server,
  address: ListenAddress,
  options: { readonly allowRemote: boolean },
): Promise<Listener> {
  switch (address.kind) {
    case 'tcp':
      return openTcp(server, address.host, address.port);
    case 'unix':
      return openUnix(server, address.path);
    case 'passed':
      return openPassed(server, address.fd, options.allowRemote);
  }
}

async function openTcp(server: Server, host: string, port: number): Promise<Listener> {
  const name = hostPort(host, port);
  try {
    // ipv6Only: [::] beside 0.0.0.0 is then no conflict, and an address means what it says.
    await listen(server, { host, port, ipv6Only: true });
  } catch (error) {
    throw new ListenError(`cannot listen on ${name}: ${tcpProblem(error, port)}`, { cause: error });
  }
  const bound = server.address() as AddressInfo;
  return { name: hostPort(bound.address, bound.port), close: () => close(server) };
}

function tcpProblem(error: unknown, port: number): string {
  switch (codeOf(error)) {
    case 'EADDRINUSE':
      return `the port is in use; see who has it: ss -ltnp 'sport = :${port}'`;
    case 'EADDRNOTAVAIL':
      return 'this host does not have that address; see which it has: ip address';
    case 'EACCES':
      return 'permission denied; a port below 1024 needs CAP_NET_BIND_SERVICE';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'the host name has no address';
    default:
      return codeOf(error);
  }
}

async function openUnix(server: Server, path: string): Promise<Listener> {
  const name = `unix:${path}`;
  // Bound under another name and linked to its own when it answers: whoever finds it there can connect to it, with its
  // mode in force, and of two that start at once only one gets the name. It also keeps libuv, which removes on close
  // whatever bears the name that it has bound, from removing the socket of another process.
  const temporary = temporaryPath(path);
  let own: Stats;
  try {
    await listen(server, { path: temporary });
    await chmod(temporary, SOCKET_MODE);
    own = await lstat(temporary);
    await placeSocket(temporary, path);
  } catch (error) {
    await close(server);
    if (error instanceof ListenError) throw error;
    throw new ListenError(`cannot listen on ${name}: ${await unixProblem(error, path)}`, { cause: error });
  } finally {
    await unlink(temporary).catch(() => {});
  }
  return {
    name,
    async close() {
      const now = await lstat(path).catch(() => undefined);
      if (now?.dev === own.dev && now.ino === own.ino) await unlink(path).catch(() => {});
      await close(server);
    },
  };
}

/** A name in the same directory, no longer than a socket's path may be. */
function temporaryPath(path: string): string {
  temporaryNames += 1;
  const suffix = `.${process.pid}.${temporaryNames}`;
  const beside = `${path}${suffix}`;
  return Buffer.byteLength(beside) <= MAX_SOCKET_PATH_BYTES ? beside : join(dirname(path), suffix);
}

async function unixProblem(error: unknown, path: string): Promise<string> {
  switch (codeOf(error)) {
    case 'ENOENT':
    case 'EACCES':
    case 'EPERM':
    case 'EROFS': {
      // libuv says EACCES for a missing directory too.
      const directory = await stat(dirname(path)).catch(codeOf);
      return directory === 'ENOENT'
        ? `there is no directory ${dirname(path)}`
        : `no permission to make ${basename(path)} in ${dirname(path)}`;
    }
    default:
      return codeOf(error);
  }
}

/** Gives the socket at `temporary` its name, in place of a stale one. */
async function placeSocket(temporary: string, path: string): Promise<void> {
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    try {
      await link(temporary, path);
      return;
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
    }
    await removeStale(path);
  }
  throw new ListenError(`cannot listen on unix:${path}: other processes keep taking its place`);
}

async function removeStale(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new ListenError(`cannot listen on unix:${path}: there is a file of that name which is not a socket`);
  }
  const answer = await connectTo(path);
  if (answer === 'ENOENT') return;
  if (answer !== 'ECONNREFUSED') {
    const who = answer === undefined ? 'another process answers there' : `another process may be there (${answer})`;
    throw new ListenError(`cannot listen on unix:${path}: ${who}; see who it is: ss -lxp src ${path}`);
  }
  const still = await lstat(path).catch(() => undefined);
  if (still?.dev === found.dev && still.ino === found.ino) await unlink(path);
}

/** Connects and hangs up; the error's code, or undefined if somebody answers. */
function connectTo(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.on('connect', () => {
      socket.destroy();
      resolve(undefined);
    });
    socket.on('error', (error) => resolve(codeOf(error)));
  });
}

async function openPassed(server: Server, fd: number, allowRemote: boolean): Promise<Listener> {
  try {
    await listen(server, { fd });
  } catch (error) {
    throw new ListenError(
      `cannot listen on file descriptor ${fd}, passed in by systemd: ${codeOf(error)}; is it ListenStream= in the socket unit?`,
      { cause: error },
    );
  }
  const bound = server.address();
  if (bound === null || typeof bound === 'string') {
    return { name: bound ? `unix:${bound}` : `file descriptor ${fd}`, close: () => close(server) };
  }
  if (!allowRemote && !isLoopback(bound.address)) {
    await close(server);
    throw new ListenError(
      `cannot listen on ${hostPort(bound.address, bound.port)}, passed in by systemd: ${remoteProblem(bound.address)}`,
    );
  }
  return { name: hostPort(bound.address, bound.port), close: () => close(server) };
}

function listen(server: Server, options: ListenOptions & { readonly fd?: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options, () => {
      server.removeListener('error', reject);
      resolve();
    });
  });
}

/** Resolves too if the server has never listened. */
function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}

function codeOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code ?? message;
}
