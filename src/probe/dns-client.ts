/**
 * Asks a recursive resolver, by UDP and, where an answer does not fit, TCP, and believes its AD bit as Postfix believes
 * that of the resolver in resolv.conf(5). It keeps no cache, validates nothing itself, and never asks any other server.
 */
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { readFile } from 'node:fs/promises';
import { connect, isIP } from 'node:net';
import { type DnsAnswer, DnsTrouble, type Reading, type RecordType, readAnswer, writeQuestion } from './dns-message.ts';

/** Whom host names are asked of. */
export interface Resolver {
  /** Throws {@link DnsTrouble} if there is no answer; "no such name" is one. */
  lookup<T extends RecordType>(name: string, type: T): Promise<DnsAnswer<T>>;
}

/** A name server: an address, never a name. */
export interface ResolverAddress {
  readonly address: string;
  readonly port: number;
}

const RESOLV_CONF = '/etc/resolv.conf';
const DNS_PORT = 53;
/** MAXNS of resolv.conf(5). */
const MAX_SERVERS = 3;
const ROUNDS = 2;

/** The servers that resolv.conf(5) names; none: this machine's own, as it says. */
export function parseResolvConf(text: string): readonly ResolverAddress[] {
  const servers = [...text.matchAll(/^[ \t]*nameserver[ \t]+(\S+)/gmu)]
    .map(([, address = '']) => address)
    .filter((address) => isIP(address) !== 0)
    .slice(0, MAX_SERVERS);
  return (servers.length === 0 ? ['127.0.0.1'] : servers).map((address) => ({ address, port: DNS_PORT }));
}

/** The servers of resolv.conf(5); a file that cannot be read names none. */
export async function systemResolvers(): Promise<readonly ResolverAddress[]> {
  return parseResolvConf(await readFile(RESOLV_CONF, 'utf8').catch(() => ''));
}

/** Asks the servers in their order, twice around, as the stub resolver of resolv.conf(5) does. */
export class DnsClient implements Resolver {
  readonly #servers: readonly ResolverAddress[];
  readonly #timeoutMs: number;

  /** `timeoutMs` is how long one server has for one answer. */
  constructor(servers: readonly ResolverAddress[], timeoutMs: number) {
    this.#servers = servers;
    this.#timeoutMs = timeoutMs;
  }

  /** Throws the {@link DnsTrouble} of the server that was asked last, if no server answers. */
  async lookup<T extends RecordType>(name: string, type: T): Promise<DnsAnswer<T>> {
    let trouble = new DnsTrouble('there is no name server to ask');
    for (let round = 0; round < ROUNDS; round++) {
      for (const server of this.#servers) {
        try {
          const answer = await this.#ask(server, name, type);
          if (answer !== undefined) return answer;
          trouble = new DnsTrouble(`name server ${server.address} does not answer`);
        } catch (error) {
          if (!(error instanceof DnsTrouble)) throw error;
          trouble = error;
        }
      }
    }
    throw new DnsTrouble(`${type} of ${name}: ${trouble.message}`);
  }

  async #ask<T extends RecordType>(server: ResolverAddress, name: string, type: T): Promise<DnsAnswer<T> | undefined> {
    const id = randomInt(0x10000);
    const question = writeQuestion(id, name, type);
    const deadline = AbortSignal.timeout(this.#timeoutMs);
    const reading = (message: Buffer): Reading<T> => readAnswer(message, id, name, type);
    const answer = await askUdp(server, question, reading, deadline);
    if (answer !== 'truncated') return answer;
    return await askTcp(server, question, reading, AbortSignal.timeout(this.#timeoutMs));
  }
}

/** undefined: no answer in time, or nobody there. */
function askUdp<T extends RecordType>(
  server: ResolverAddress,
  question: Buffer,
  reading: (message: Buffer) => Reading<T>,
  deadline: AbortSignal,
): Promise<DnsAnswer<T> | 'truncated' | undefined> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIP(server.address) === 6 ? 'udp6' : 'udp4');
    const end = (settle: () => void): void => {
      deadline.removeEventListener('abort', giveUp);
      socket.removeAllListeners().on('error', () => {});
      socket.close();
      settle();
    };
    const giveUp = (): void => end(() => resolve(undefined));
    deadline.addEventListener('abort', giveUp);
    socket.on('error', giveUp);
    socket.on('message', (message) => {
      try {
        const answer = reading(message);
        if (answer !== 'another') end(() => resolve(answer));
      } catch (error) {
        end(() => reject(error));
      }
    });
    // Connected, the socket takes answers from that server only.
    socket.once('connect', () => socket.send(question));
    socket.connect(server.port, server.address);
  });
}

/** RFC 1035 section 4.2.2: the same message, after its length. */
function askTcp<T extends RecordType>(
  server: ResolverAddress,
  question: Buffer,
  reading: (message: Buffer) => Reading<T>,
  deadline: AbortSignal,
): Promise<DnsAnswer<T> | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connect(server.port, server.address);
    let received = Buffer.alloc(0);
    const end = (settle: () => void): void => {
      deadline.removeEventListener('abort', giveUp);
      socket.removeAllListeners().on('error', () => {});
      socket.destroy();
      settle();
    };
    const giveUp = (): void => end(() => resolve(undefined));
    deadline.addEventListener('abort', giveUp);
    socket.on('error', giveUp).on('close', giveUp);
    socket.on('connect', () => {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(question.length);
      socket.write(Buffer.concat([length, question]));
    });
    socket.on('data', (piece) => {
      received = Buffer.concat([received, piece]);
      if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
      try {
        const answer = reading(received.subarray(2, 2 + received.readUInt16BE(0)));
        end(() => resolve(typeof answer === 'string' ? undefined : answer));
      } catch (error) {
        end(() => reject(error));
      }
    });
  });
}
