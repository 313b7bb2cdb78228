/**
 * The replies of one SMTP server, waited for one after another: what a probe and doctor's own mail read by. It sends nothing.
 */
import type { Socket } from 'node:net';
import { type Reply, ReplyReader, ReplyTrouble } from './reply-reader.ts';

const MAX_UNREAD = 16;

/** Reads a socket from now on; what comes before anybody waits for it is kept. After STARTTLS there is another one. */
export class ReplyStream {
  readonly #socket: Socket;
  readonly #reader = new ReplyReader();
  readonly #replies: Reply[] = [];
  #ended: Error | undefined;
  #wake: () => void = () => {};

  constructor(socket: Socket) {
    this.#socket = socket;
    const end = (error: Error): void => {
      this.#ended ??= error;
      this.#wake();
    };
    socket.on('data', (piece: Buffer) => {
      if (this.#ended !== undefined) return;
      try {
        this.#replies.push(...this.#reader.push(piece));
        if (this.#replies.length > MAX_UNREAD) throw new ReplyTrouble('sends replies without end');
        this.#wake();
      } catch (error) {
        end(error as Error);
        socket.destroy();
      }
    });
    socket.on('error', end);
    socket.on('close', () => end(new ReplyTrouble('closes the connection')));
  }

  /**
   * The next reply; undefined: none came in time. Rejects with {@link ReplyTrouble} if what comes is no reply, or the connection
   * ends, and with the socket's own error.
   */
  async next(timeoutMs: number): Promise<Reply | undefined> {
    let isLate = false;
    // What has arrived while this process was busy is not late.
    const timer = setTimeout(() => {
      setImmediate(() => {
        isLate = true;
        this.#wake();
      });
    }, timeoutMs);
    try {
      for (;;) {
        const reply = this.#replies.shift();
        if (reply !== undefined) return reply;
        if (this.#ended !== undefined) throw this.#ended;
        if (isLate) return undefined;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Leaves the socket to whoever reads it from now on. What is left of it is thrown away: nobody knows who wrote it. */
  release(): void {
    this.#socket.removeAllListeners('data').removeAllListeners('close');
  }
}
