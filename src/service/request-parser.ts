/**
 * From bytes to `PolicyRequest`: an incremental parser of Postfix's policy delegation protocol, SMTPD_POLICY_README,
 * "Protocol description": `name=value` lines, each ended by one LF, a request ended by an empty line.
 *
 * It is the service's hot path. Bytes are looked at once and four at a time, where they lie in the chunk; only a line
 * that is split between two chunks is copied. Names are compared as words, and only values that the decision needs
 * become strings. It never waits, logs, or keeps a reference to a chunk that it has read to its end.
 *
 * Lines end in LF alone, as Postfix sends them. A CR is a byte like any other: a client that sends CR LF ends its
 * request with a line that holds a CR and no `=`, which is trouble, and closed, rather than a guess.
 *
 * An empty request (a lone empty line) is a request without `request=smtpd_access_policy`, so it is 'foreign' like every
 * other request that is not ours: the protocol's list of trouble does not name it, and one empty line still gets
 * exactly one reply.
 */

import type { PolicyRequest } from '../decision/request.ts';
import { MAX_REQUEST_ATTRIBUTES, MAX_REQUEST_BYTES, type RequestTrouble } from './trouble.ts';

/**
 * What {@link RequestParser.next} found: a request to decide; a request of another type, to be answered DUNNO; the end
 * of the chunk; or trouble, after which the parser must not be used again.
 */
export type ParserStep = 'request' | 'foreign' | 'more' | RequestTrouble;

const NUL = 0x00;
const LF = 0x0a;
const EQUALS = 0x3d;

/** In each byte of a word: one more than LF; the highest bit. */
const ABOVE_LF = 0x0b0b0b0b;
const HIGH_BITS = 0x80808080;

/** The first four bytes of the names that count, as one big-endian word. */
const CLIE = 0x636c6965;
const ENCR = 0x656e6372;
const INST = 0x696e7374;
const POLI = 0x706f6c69;
const PROT = 0x70726f74;
const RECI = 0x72656369;
const REQU = 0x72657175;
const SASL = 0x7361736c;
const SEND = 0x73656e64;

/**
 * A piece of ASCII of 4 to 20 bytes, compared as five words that may overlap: a loop over its bytes or words would cost
 * more than all the rest.
 */
class Literal {
  readonly length: number;
  readonly #at1: number;
  readonly #at2: number;
  readonly #at3: number;
  readonly #at4: number;
  readonly #word0: number;
  readonly #word1: number;
  readonly #word2: number;
  readonly #word3: number;
  readonly #word4: number;

  constructor(text: string) {
    const bytes = Buffer.from(text, 'latin1');
    const last = bytes.length - 4;
    this.length = bytes.length;
    this.#at1 = Math.min(4, last);
    this.#at2 = Math.min(8, last);
    this.#at3 = Math.min(12, last);
    this.#at4 = last;
    this.#word0 = bytes.readInt32BE(0);
    this.#word1 = bytes.readInt32BE(this.#at1);
    this.#word2 = bytes.readInt32BE(this.#at2);
    this.#word3 = bytes.readInt32BE(this.#at3);
    this.#word4 = bytes.readInt32BE(this.#at4);
  }

  /** Whether [at, end) begins with it. */
  begins(view: DataView, at: number, end: number): boolean {
    return (
      at + this.length <= end &&
      // The last word first: it holds the `=` of a name and tells most of them apart.
      view.getInt32(at + this.#at4) === this.#word4 &&
      view.getInt32(at) === this.#word0 &&
      view.getInt32(at + this.#at1) === this.#word1 &&
      view.getInt32(at + this.#at2) === this.#word2 &&
      view.getInt32(at + this.#at3) === this.#word3
    );
  }

  /** Whether [at, end) is it. */
  equals(view: DataView, at: number, end: number): boolean {
    return end - at === this.length && this.begins(view, at, end);
  }
}

const CLIENT_ADDRESS = new Literal('client_address=');
const ENCRYPTION_KEYSIZE = new Literal('encryption_keysize=');
const ENCRYPTION_PROTOCOL = new Literal('encryption_protocol=');
const INSTANCE = new Literal('instance=');
const POLICY_CONTEXT = new Literal('policy_context=');
const PROTOCOL_STATE = new Literal('protocol_state=');
const RECIPIENT = new Literal('recipient=');
const RECIPIENT_COUNT = new Literal('recipient_count=');
const REQUEST = new Literal('request=');
const SASL_USERNAME = new Literal('sasl_username=');
const SENDER = new Literal('sender=');

/** The shortest of them. */
const MIN_NAME = SENDER.length;

const DATA = new Literal('DATA');
const DELIVERY = new Literal('delivery');
const RCPT = new Literal('RCPT');
const RECEIPT = new Literal('receipt');
const SMTPD_ACCESS_POLICY = new Literal('smtpd_access_policy');

/** The names that OpenSSL gives to protocols, as Postfix passes them on: these need no new string. */
const PROTOCOLS: readonly { readonly literal: Literal; readonly name: string }[] = [
  'TLSv1.3',
  'TLSv1.2',
  'TLSv1.1',
  'TLSv1',
  'SSLv3',
].map((name) => ({ literal: new Literal(name), name }));

/** A number of more digits than this is garbage. */
const MAX_DIGITS = 9;

/**
 * The texts of a request are cut out of one string, which is cheaper than four of their own, unless they lie further
 * apart than this: each of them may hold on to that string for as long as it lives.
 */
const MAX_SPAN = 1024;

const NOTHING = Buffer.alloc(0);
const NO_VIEW = new DataView(new ArrayBuffer(0));

/**
 * Where the `=` stood in the n-th line of some request before. Every Postfix sends its attributes in one order, so it
 * mostly stands there again, and the names that do not count need not be read. Always verified; shared by all parsers.
 */
const likelyEquals = new Uint8Array(MAX_REQUEST_ATTRIBUTES + 1);

/**
 * One connection's parser. Give it a chunk with {@link feed}, then call {@link next} until it says 'more'; at 'request',
 * {@link request} holds what was asked until the following call.
 */
export class RequestParser {
  /** Filled anew for each request; whoever keeps something of it copies it. */
  readonly request: PolicyRequest = {
    protocolState: 'other',
    sender: '',
    recipient: '',
    recipientCount: 0,
    clientAddress: '',
    encryptionProtocol: '',
    encryptionKeysize: 0,
    authenticated: false,
    instance: '',
    policyContext: 'both',
  };

  #chunk: Buffer = NOTHING;
  #view: DataView = NO_VIEW;
  #at = 0;
  /** Bytes and attributes of the unfinished request that earlier chunks held. */
  #earlierBytes = 0;
  #attributes = 0;
  #isAccessPolicy = false;
  /** The beginning of a line that the next chunk goes on with, `#splitLength` bytes long. */
  #split: Buffer = NOTHING;
  #splitLength = 0;

  /** Where in the chunk the texts of the request lie that are not strings yet; the end is 0 if there is none. */
  #clientAt = 0;
  #clientEnd = 0;
  #senderAt = 0;
  #senderEnd = 0;
  #recipientAt = 0;
  #recipientEnd = 0;
  #instanceAt = 0;
  #instanceEnd = 0;
  /** Has a high bit if any byte of these texts does, and perhaps if another byte near them does. */
  #textBits = 0;

  /** Whether part of a request has been read, and not its end. To be asked after 'more'. */
  get midRequest(): boolean {
    return this.#earlierBytes !== 0;
  }

  /** Gives the bytes that follow the last chunk, which must have been read up to 'more'. */
  feed(chunk: Buffer): void {
    this.#chunk = chunk;
    this.#view = new DataView(chunk.buffer, chunk.byteOffset, chunk.length);
    this.#at = 0;
  }

  /** Reads on to the end of the next request, or of the chunk. */
  next(): ParserStep {
    const bytes = this.#chunk;
    const end = bytes.length;
    /** Where the request began; negative if that was in an earlier chunk. */
    const began = this.#at - this.#earlierBytes;
    if (this.#earlierBytes === 0) {
      if (end === this.#at) return this.#release();
      this.#clear();
    } else if (this.#splitLength !== 0 && end !== 0) {
      const trouble = this.#joinSplitLine();
      if (trouble !== undefined) return trouble;
    }

    const view = this.#view;
    const lastWord = end - 4;
    let attributes = this.#attributes;
    let at = this.#at;
    let line = at;
    let bits = 0;
    while (at < end) {
      // Four bytes at a time up to one that is LF or below: a borrow shows in the high bit of each byte that is, and
      // perhaps of bytes above it.
      while (at <= lastWord) {
        const word = view.getInt32(at, true);
        const low = (word - ABOVE_LF) & ~word & HIGH_BITS;
        bits |= word;
        if (low !== 0) {
          at += (31 - Math.clz32(low & -low)) >> 3;
          break;
        }
        at += 4;
      }
      if (at === end) break;
      const byte = bytes[at] as number;
      if (byte !== LF) {
        if (byte === NUL) return 'nul';
        bits |= byte;
        at += 1;
        continue;
      }
      if (at === line) {
        at += 1;
        if (at - began > MAX_REQUEST_BYTES) return 'too-large';
        this.#at = at;
        this.#textBits |= bits;
        return this.#finish();
      }
      attributes += 1;
      if (attributes > MAX_REQUEST_ATTRIBUTES) return 'too-many-attributes';
      if (!this.#attribute(bytes, view, line, at) && !hasEquals(bytes, line, at, attributes)) return 'no-equals';
      at += 1;
      line = at;
    }

    this.#earlierBytes = end - began;
    if (this.#earlierBytes >= MAX_REQUEST_BYTES) return 'too-large';
    this.#attributes = attributes;
    this.#textBits |= bits;
    this.#takeTexts(bytes);
    if (line < end) this.#keep(line, end);
    return this.#release();
  }

  /** The chunk has been read: an idle connection holds on to none. */
  #release(): ParserStep {
    this.#chunk = NOTHING;
    this.#view = NO_VIEW;
    this.#at = 0;
    return 'more';
  }

  /** Goes on with the line that the last chunk left; each of its bytes is looked at once, however small the pieces. */
  #joinSplitLine(): RequestTrouble | undefined {
    const bytes = this.#chunk;
    let at = 0;
    while (at < bytes.length) {
      const byte = bytes[at] as number;
      if (byte === NUL) return 'nul';
      if (byte === LF) break;
      at += 1;
    }
    if (this.#earlierBytes + at > MAX_REQUEST_BYTES) return 'too-large';
    this.#keep(0, at);
    this.#at = at;
    if (at === bytes.length) return undefined;
    this.#at = at + 1;
    this.#attributes += 1;
    if (this.#attributes > MAX_REQUEST_ATTRIBUTES) return 'too-many-attributes';
    const split = this.#split;
    const length = this.#splitLength;
    const view = new DataView(split.buffer, split.byteOffset, split.length);
    if (!this.#attribute(split, view, 0, length) && !hasEquals(split, 0, length, this.#attributes)) return 'no-equals';
    this.#textBits = HIGH_BITS; // nobody has looked
    this.#takeTexts(split);
    this.#split = NOTHING;
    this.#splitLength = 0;
    return undefined;
  }

  /** Copies a piece of a split line behind the pieces kept so far. */
  #keep(from: number, to: number): void {
    const length = this.#splitLength + to - from;
    if (length > this.#split.length) {
      // Doubling keeps the copying linear for a line that comes byte by byte. Never from Buffer's shared pool: a small
      // piece kept by an idle connection would keep the whole slab.
      const larger = Buffer.alloc(Math.max(length, 2 * this.#split.length, 256));
      this.#split.copy(larger, 0, 0, this.#splitLength);
      this.#split = larger;
    }
    this.#chunk.copy(this.#split, this.#splitLength, from, to);
    this.#splitLength = length;
  }

  /** A new request: nothing of the last one is left. */
  #clear(): void {
    const { request } = this;
    request.protocolState = 'other';
    request.sender = '';
    request.recipient = '';
    request.recipientCount = 0;
    request.clientAddress = '';
    request.encryptionProtocol = '';
    request.encryptionKeysize = 0;
    request.authenticated = false;
    request.instance = '';
    request.policyContext = 'both';
    this.#attributes = 0;
    this.#isAccessPolicy = false;
    this.#textBits = 0;
  }

  /** The empty line: the request is whole. */
  #finish(): ParserStep {
    this.#earlierBytes = 0;
    if (!this.#isAccessPolicy) {
      this.#forgetTexts();
      return 'foreign';
    }
    this.#takeTexts(this.#chunk);
    return 'request';
  }

  /** Makes strings of the texts found in `bytes`. */
  #takeTexts(bytes: Buffer): void {
    const { request } = this;
    const clientAt = this.#clientAt;
    const clientEnd = this.#clientEnd;
    const senderAt = this.#senderAt;
    const senderEnd = this.#senderEnd;
    const recipientAt = this.#recipientAt;
    const recipientEnd = this.#recipientEnd;
    const instanceAt = this.#instanceAt;
    const instanceEnd = this.#instanceEnd;
    const from = Math.min(clientAt, senderAt, recipientAt, instanceAt);
    const to = Math.max(clientEnd, senderEnd, recipientEnd, instanceEnd);
    if (
      clientEnd !== 0 &&
      senderEnd !== 0 &&
      recipientEnd !== 0 &&
      instanceEnd !== 0 &&
      to - from <= MAX_SPAN &&
      (this.#textBits & HIGH_BITS) === 0
    ) {
      const span = bytes.toString('latin1', from, to);
      request.clientAddress = span.substring(clientAt - from, clientEnd - from);
      request.sender = span.substring(senderAt - from, senderEnd - from);
      request.recipient = span.substring(recipientAt - from, recipientEnd - from);
      request.instance = span.substring(instanceAt - from, instanceEnd - from);
    } else {
      if (clientEnd !== 0) request.clientAddress = bytes.toString('utf8', clientAt, clientEnd);
      if (senderEnd !== 0) request.sender = bytes.toString('utf8', senderAt, senderEnd);
      if (recipientEnd !== 0) request.recipient = bytes.toString('utf8', recipientAt, recipientEnd);
      if (instanceEnd !== 0) request.instance = bytes.toString('utf8', instanceAt, instanceEnd);
    }
    this.#forgetTexts();
  }

  #forgetTexts(): void {
    this.#clientEnd = 0;
    this.#senderEnd = 0;
    this.#recipientEnd = 0;
    this.#instanceEnd = 0;
  }

  /** Takes the attribute in [line, end), if it is one that counts: its name is one of ours, and has its `=`. */
  #attribute(bytes: Buffer, view: DataView, line: number, end: number): boolean {
    if (end - line < MIN_NAME) return false;
    switch (view.getInt32(line)) {
      case CLIE:
        if (!CLIENT_ADDRESS.begins(view, line, end)) return false;
        this.#clientAt = line + CLIENT_ADDRESS.length;
        this.#clientEnd = end;
        return true;
      case SASL:
        if (!SASL_USERNAME.begins(view, line, end)) return false;
        this.request.authenticated = line + SASL_USERNAME.length < end;
        return true;
      case ENCR:
        if (ENCRYPTION_PROTOCOL.begins(view, line, end)) {
          this.request.encryptionProtocol = encryptionProtocol(bytes, view, line + ENCRYPTION_PROTOCOL.length, end);
          return true;
        }
        if (!ENCRYPTION_KEYSIZE.begins(view, line, end)) return false;
        this.request.encryptionKeysize = count(bytes, line + ENCRYPTION_KEYSIZE.length, end);
        return true;
      case RECI:
        if (RECIPIENT.begins(view, line, end)) {
          this.#recipientAt = line + RECIPIENT.length;
          this.#recipientEnd = end;
          return true;
        }
        if (!RECIPIENT_COUNT.begins(view, line, end)) return false;
        this.request.recipientCount = count(bytes, line + RECIPIENT_COUNT.length, end);
        return true;
      case SEND:
        if (!SENDER.begins(view, line, end)) return false;
        this.#senderAt = line + SENDER.length;
        this.#senderEnd = end;
        return true;
      case INST:
        if (!INSTANCE.begins(view, line, end)) return false;
        this.#instanceAt = line + INSTANCE.length;
        this.#instanceEnd = end;
        return true;
      case PROT:
        if (!PROTOCOL_STATE.begins(view, line, end)) return false;
        this.request.protocolState = protocolState(view, line + PROTOCOL_STATE.length, end);
        return true;
      case POLI:
        if (!POLICY_CONTEXT.begins(view, line, end)) return false;
        this.request.policyContext = policyContext(view, line + POLICY_CONTEXT.length, end);
        return true;
      case REQU:
        if (!REQUEST.begins(view, line, end)) return false;
        this.#isAccessPolicy = SMTPD_ACCESS_POLICY.equals(view, line + REQUEST.length, end);
        return true;
      default:
        return false;
    }
  }
}

/** Whether the line [line, end) has an `=`, likely where it was in the n-th line of earlier requests. */
function hasEquals(bytes: Buffer, line: number, end: number, n: number): boolean {
  const likely = line + (likelyEquals[n] as number);
  if (likely < end && bytes[likely] === EQUALS) return true;
  for (let at = line; at < end; at += 1) {
    if (bytes[at] === EQUALS) {
      likelyEquals[n] = at - line;
      return true;
    }
  }
  return false;
}

/** A count of at most nine digits; anything else is 0, which promises neither recipients nor cipher strength. */
function count(bytes: Buffer, start: number, end: number): number {
  if (end - start > MAX_DIGITS) return 0;
  let number = 0;
  for (let at = start; at < end; at += 1) {
    const digit = (bytes[at] as number) - 0x30;
    if (digit < 0 || digit > 9) return 0;
    number = number * 10 + digit;
  }
  return number;
}

function protocolState(view: DataView, start: number, end: number): PolicyRequest['protocolState'] {
  if (RCPT.equals(view, start, end)) return 'RCPT';
  if (DATA.equals(view, start, end)) return 'DATA';
  return 'other';
}

function policyContext(view: DataView, start: number, end: number): PolicyRequest['policyContext'] {
  if (RECEIPT.equals(view, start, end)) return 'receipt';
  if (DELIVERY.equals(view, start, end)) return 'delivery';
  return 'both';
}

function encryptionProtocol(bytes: Buffer, view: DataView, start: number, end: number): string {
  if (start === end) return '';
  for (const protocol of PROTOCOLS) {
    if (protocol.literal.equals(view, start, end)) return protocol.name;
  }
  return bytes.toString('utf8', start, end);
}
