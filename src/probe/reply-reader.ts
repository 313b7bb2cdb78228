/**
 * SMTP replies (RFC 5321 section 4.2) out of the bytes of a server that nobody vouches for: bounded in the length of
 * lines and in their number. It does no I/O and knows no commands.
 */
import { printable } from '../text/printable.ts';

/** Four times what RFC 5321 section 4.5.3.1.5 allows; Postfix's line_length_limit. */
const MAX_LINE = 2048;
const MAX_LINES = 128;

/** One reply of a server; 200 to 599. */
export interface Reply {
  readonly code: number;
  /** Without code and separator, as they came. */
  readonly lines: readonly string[];
}

/** The server sends what is no reply; the message continues "the server …". */
export class ReplyTrouble extends Error {}

/** For one connection, or one side of STARTTLS: what is left of before must not be read on. */
export class ReplyReader {
  #pending = Buffer.alloc(0);
  #lines: string[] = [];

  /** Takes bytes and gives the replies that they complete; throws {@link ReplyTrouble}. */
  push(piece: Buffer): readonly Reply[] {
    this.#pending = Buffer.concat([this.#pending, piece]);
    const replies: Reply[] = [];
    for (;;) {
      const end = this.#pending.indexOf(0x0a);
      if ((end < 0 ? this.#pending.length : end) > MAX_LINE) throw new ReplyTrouble('sends a line without end');
      if (end < 0) return replies;
      const line = this.#pending.toString('utf8', 0, end).replace(/\r$/u, '');
      this.#pending = this.#pending.subarray(end + 1);
      const reply = this.#take(line);
      if (reply === undefined) continue;
      replies.push(reply);
      // Nobody asked for that many, so nobody reads them either.
      if (replies.length > MAX_LINES) throw new ReplyTrouble('sends replies without end');
    }
  }

  #take(line: string): Reply | undefined {
    const match = /^([2-5]\d\d)(?:([ -])(.*))?$/su.exec(line);
    if (match === null) throw new ReplyTrouble(`sends "${printable(line, 60)}", which is no SMTP reply`);
    const [, code = '', separator, text = ''] = match;
    if (this.#lines.length === MAX_LINES) throw new ReplyTrouble('sends a reply without end');
    this.#lines.push(text);
    if (separator === '-') return undefined;
    const lines = this.#lines;
    this.#lines = [];
    return { code: Number(code), lines };
  }
}

/** The reply in one bounded printable line, for a sentence: `550 5.7.1 go away`. */
export function wordReply({ code, lines }: Reply): string {
  return printable([code, ...lines.slice(0, 3)].join(' ').trim());
}

/** Whether an EHLO reply offers the extension (RFC 5321 section 4.1.1.1); the first line is the greeting. */
export function offers({ lines }: Reply, keyword: string): boolean {
  return lines.slice(1).some((line) => line.split(' ', 1)[0]?.toUpperCase() === keyword);
}
