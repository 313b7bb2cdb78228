// An authoritative DNS server for all names of a test, on port 53 of a loopback address of its own, over UDP and TCP.
// Answers are authenticated (AD) unless a name is said to be insecure, so that DANE is real. Never asks anybody else:
// a name that the test has not set does not exist.

import { createSocket, type Socket } from 'node:dgram';
import { type Socket as Connection, createServer, type Server } from 'node:net';
import { type Answer, type Question, type RecordType, readQuestion, recordTypes, writeAnswer } from './dns-message.ts';
import { onFreeLoopbackAddress } from './loopback.ts';
import type { Workspace } from './workspace.ts';

/** What the name server says of one name. Data as in a zone file. */
export interface NameRecords {
  readonly a?: readonly string[];
  /** `10 mx1.example.com` */
  readonly mx?: readonly string[];
  /** `3 1 1 abcd…` */
  readonly tlsa?: readonly string[];
  readonly txt?: readonly string[];
  readonly cname?: string;
  /** Answers for this name carry no AD bit. */
  readonly insecure?: boolean;
  /** Answers for this name are SERVFAIL. */
  readonly broken?: boolean;
}

/**
 * A name server with names that the test may change while it runs. Answers are not to be kept (Postfix keeps TLSA records
 * for a second all the same).
 */
export class NameServer {
  readonly address: string;
  readonly #udp: Socket;
  readonly #tcp: Server;
  readonly #connections = new Set<Connection>();
  readonly #names = new Map<string, NameRecords>();
  /** Each question that was asked: `MX example.com`. */
  readonly questions: string[] = [];

  private constructor(address: string, udp: Socket, tcp: Server) {
    this.address = address;
    this.#udp = udp;
    this.#tcp = tcp;
    udp.on('message', (message, peer) => {
      const question = readQuestion(message);
      if (question !== undefined) {
        udp.send(writeAnswer(question, this.#answer(question), question.maxSize), peer.port, peer.address);
      }
    });
    tcp.on('connection', (connection) => this.#serve(connection));
  }

  /** Starts a name server that knows no names yet. */
  static async start(workspace: Workspace): Promise<NameServer> {
    const server = await onFreeLoopbackAddress(async (address) => {
      const udp = await boundUdp(address);
      try {
        return new NameServer(address, udp, await boundTcp(address));
      } catch (error) {
        udp.close();
        throw error;
      }
    });
    workspace.push({ dispose: () => server.#stop() });
    return server;
  }

  /** Says what there is for a name, in place of what was said before. */
  set(name: string, records: NameRecords): void {
    this.#names.set(key(name), records);
  }

  /** Makes a name not exist. */
  remove(name: string): void {
    this.#names.delete(key(name));
  }

  /** A domain whose mail goes to one host: its MX record, the host's address, and how to pin the host's key. */
  setMailHost(domain: string, host: string, address: string, tlsa?: readonly string[]): void {
    this.set(domain, { mx: [`10 ${host}`] });
    this.set(host, { a: [address] });
    if (tlsa === undefined) {
      this.remove(`_25._tcp.${host}`);
    } else {
      this.set(`_25._tcp.${host}`, { tlsa });
    }
  }

  #answer(question: Question): Answer {
    const type = typeNames.get(question.type);
    this.questions.push(`${type ?? question.type} ${question.name}`);
    const records: { name: string; type: RecordType; data: string }[] = [];
    let authenticated = true;
    let name = question.name;
    for (;;) {
      // Postfix asks for the name servers of the root to see whether its resolver tells what is authenticated.
      const found = name === '' ? {} : this.#names.get(name);
      if (found?.broken === true) {
        return { code: 'SERVFAIL', authenticated: false, records: [] };
      }
      authenticated &&= found?.insecure !== true;
      if (found === undefined) {
        const inner = [...this.#names.keys()].some((known) => known.endsWith(`.${name}`));
        return { code: inner ? 'NOERROR' : 'NXDOMAIN', authenticated, records };
      }
      if (found.cname === undefined || type === 'CNAME' || records.length > 8) {
        const data = name === '' && type === 'NS' ? ['ns.root.test'] : type === undefined ? [] : dataOf(found, type);
        for (const each of data) {
          records.push({ name, type: type ?? 'A', data: each });
        }
        return { code: 'NOERROR', authenticated, records };
      }
      records.push({ name, type: 'CNAME', data: found.cname });
      name = key(found.cname);
    }
  }

  #serve(connection: Connection): void {
    this.#connections.add(connection);
    connection.on('close', () => this.#connections.delete(connection));
    connection.on('error', () => {});
    let pending = Buffer.alloc(0);
    connection.on('data', (piece) => {
      pending = Buffer.concat([pending, piece]);
      while (pending.length >= 2 && pending.length >= 2 + pending.readUInt16BE(0)) {
        const question = readQuestion(pending.subarray(2, 2 + pending.readUInt16BE(0)));
        pending = pending.subarray(2 + pending.readUInt16BE(0));
        if (question === undefined) {
          connection.destroy();
          return;
        }
        const answer = writeAnswer(question, this.#answer(question), 0xffff);
        const length = Buffer.alloc(2);
        length.writeUInt16BE(answer.length);
        connection.write(Buffer.concat([length, answer]));
      }
    });
  }

  async #stop(): Promise<void> {
    for (const connection of this.#connections) {
      connection.destroy();
    }
    await Promise.all([
      new Promise<void>((resolve) => this.#udp.close(resolve)),
      new Promise<void>((resolve) => {
        this.#tcp.close(() => resolve());
      }),
    ]);
  }
}

const typeNames: ReadonlyMap<number, RecordType> = new Map(
  Object.entries(recordTypes).map(([name, number]) => [number, name as RecordType]),
);

function dataOf(records: NameRecords, type: RecordType): readonly string[] {
  switch (type) {
    case 'A':
      return records.a ?? [];
    case 'MX':
      return records.mx ?? [];
    case 'TLSA':
      return records.tlsa ?? [];
    case 'TXT':
      return records.txt ?? [];
    case 'CNAME':
      return records.cname === undefined ? [] : [records.cname];
    case 'AAAA':
    case 'NS':
      return [];
  }
}

function key(name: string): string {
  return name.toLowerCase().replace(/\.$/, '');
}

async function boundUdp(address: string): Promise<Socket> {
  return await new Promise((resolve, reject) => {
    const socket = createSocket('udp4');
    socket.once('error', reject);
    socket.bind(53, address, () => resolve(socket));
  });
}

async function boundTcp(address: string): Promise<Server> {
  return await new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(53, address, () => resolve(server));
  });
}
