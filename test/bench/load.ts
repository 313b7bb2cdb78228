/**
 * Drives a policy service over a number of connections, one request under way on each, as Postfix does: a message's requests
 * over one connection, and the next message when it is through. Counts the answers by kind and measures the server's CPU
 * time from outside; it never judges an answer.
 */
import { connect, type Socket } from 'node:net';
import { cpuMicroseconds } from './processes.ts';
import type { Answers, Message } from './traffic.ts';

export interface LoadResult {
  /** The server's CPU time for one request, in microseconds. */
  readonly cpu: number;
  /** Milliseconds from a request to its answer. */
  readonly p50: number;
  readonly p99: number;
  readonly answers: Answers;
}

const LF = 0x0a;
/** Where in `action=…` the action begins. */
const ACTION_AT = 7;
const FILTER = 0x46;
const FOUR = 0x34;
const FIVE = 0x35;
const REPLY_BYTES = 4096;

/** Sends all messages, `connections` at a time. `pids` gives the server's processes. */
export async function drive(
  port: number,
  pids: () => readonly number[],
  connections: number,
  messages: readonly Message[],
): Promise<LoadResult> {
  const times = new Float64Array(messages.reduce((sum, { length }) => sum + length, 0));
  const answers = { dunno: 0, filter: 0, refused: 0 };
  let answered = 0;
  let next = 0;

  /** One connection; when it has nothing left to send, `done`. */
  const talk = (socket: Socket, done: () => void): ((length: number, bytes: Uint8Array) => void) => {
    let message: Message = [];
    let at = 0;
    let sentAt = 0;
    const send = (): void => {
      if (at === message.length) {
        at = 0;
        message = messages[next++] ?? [];
      }
      const request = message[at++];
      if (request === undefined) {
        done();
        return;
      }
      sentAt = performance.now();
      socket.write(request);
    };
    send();
    return (length, bytes) => {
      if (bytes[length - 1] !== LF) return;
      times[answered++] = performance.now() - sentAt;
      const first = bytes[ACTION_AT];
      if (first === FILTER) answers.filter += 1;
      else if (first === FOUR || first === FIVE) answers.refused += 1;
      else answers.dunno += 1;
      send();
    };
  };

  const lines = await Promise.all(Array.from({ length: connections }, () => Line.open(port)));
  // Never asleep: else the server would pay for waking this process up, the more often the slower it is.
  let isDriving = true;
  const spin = (): void => {
    if (isDriving) setImmediate(spin);
  };
  spin();
  const before = cpuMicroseconds(pids());
  await Promise.all(lines.map((line) => line.use(talk))).finally(() => {
    isDriving = false;
  });
  const used = cpuMicroseconds(pids()) - before;
  for (const line of lines) line.end();
  times.sort();
  const share = (part: number): number => times[Math.min(answered - 1, Math.floor(answered * part))] ?? 0;
  return { cpu: used / answered, p50: share(0.5), p99: share(0.99), answers };
}

/** One connection, whose bytes come in one buffer of its own. */
class Line {
  readonly #socket: Socket;
  #read: (length: number, bytes: Uint8Array) => void = () => {};
  #fail: (error: Error) => void = () => {};
  #isDone = false;

  private constructor(port: number, resolve: (line: Line) => void, reject: (error: Error) => void) {
    this.#fail = reject;
    const onread = {
      buffer: Buffer.alloc(REPLY_BYTES),
      callback: (length: number, bytes: Uint8Array): boolean => {
        this.#read(length, bytes);
        return true;
      },
    };
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true, onread }, () => resolve(this));
    this.#socket.on('error', (error) => this.#fail(error));
    this.#socket.on('close', () => {
      if (!this.#isDone) this.#fail(new Error('the server closed a connection'));
    });
  }

  static open(port: number): Promise<Line> {
    return new Promise((resolve, reject) => {
      new Line(port, resolve, reject);
    });
  }

  use(talk: (socket: Socket, done: () => void) => (length: number, bytes: Uint8Array) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#fail = reject;
      this.#read = talk(this.#socket, () => {
        this.#isDone = true;
        resolve();
      });
    });
  }

  end(): void {
    this.#socket.destroy();
  }
}
