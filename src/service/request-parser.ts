/**
 * From bytes to `PolicyRequest`: an incremental parser of Postfix's policy delegation protocol, SMTPD_POLICY_README,
 * "Protocol description": `name=value` lines, each ended by one LF, a request ended by an empty line.
 *
 * It is the service's hot path. Each byte is looked at once, where it lies in the chunk; only a line that is split
 * between two chunks is copied. Names are compared as bytes, and only values that the decision needs become strings.
 * It never waits, logs, or keeps a reference to a chunk that it has read to its end.
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
const MAX_ASCII = 0x7f;

const REQUEST = Buffer.from('request');
const SMTPD_ACCESS_POLICY = Buffer.from('smtpd_access_policy');
const PROTOCOL_STATE = Buffer.from('protocol_state');
const RCPT = Buffer.from('RCPT');
const DATA = Buffer.from('DATA');
const SENDER = Buffer.from('sender');
const RECIPIENT = Buffer.from('recipient');
const RECIPIENT_COUNT = Buffer.from('recipient_count');
const CLIENT_ADDRESS = Buffer.from('client_address');
const ENCRYPTION_PROTOCOL = Buffer.from('encryption_protocol');
const ENCRYPTION_KEYSIZE = Buffer.from('encryption_keysize');
const SASL_USERNAME = Buffer.from('sasl_username');
const INSTANCE = Buffer.from('instance');
const POLICY_CONTEXT = Buffer.from('policy_context');
const RECEIPT = Buffer.from('receipt');
const DELIVERY = Buffer.from('delivery');

/** The names that OpenSSL gives to protocols, as Postfix passes them on: these need no new string. */
const PROTOCOLS: readonly { readonly bytes: Buffer; readonly name: string }[] = [
  'TLSv1.3',
  'TLSv1.2',
  'TLSv1.1',
  'TLSv1',
  'SSLv3',
].map((name) => ({ bytes: Buffer.from(name), name }));

/** One bit for each attribute that sets a field of the request, so that absent ones can be emptied at its end. */
const SEEN_STATE = 1 << 0;
const SEEN_SENDER = 1 << 1;
const SEEN_RECIPIENT = 1 << 2;
const SEEN_COUNT = 1 << 3;
const SEEN_CLIENT = 1 << 4;
const SEEN_PROTOCOL = 1 << 5;
const SEEN_KEYSIZE = 1 << 6;
const SEEN_SASL = 1 << 7;
const SEEN_INSTANCE = 1 << 8;
const SEEN_CONTEXT = 1 << 9;
const SEEN_ALL = (1 << 10) - 1;

/** A number of more digits than this is garbage. */
const MAX_DIGITS = 9;

const NOTHING = Buffer.alloc(0);

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
  #at = 0;
  /** Bytes and attributes of the unfinished request that earlier chunks held. */
  #earlierBytes = 0;
  #attributes = 0;
  #seen = 0;
  #isAccessPolicy = false;
  /** The beginning of a line that the next chunk goes on with, `#splitLength` bytes long. */
  #split: Buffer = NOTHING;
  #splitLength = 0;

  /** Whether part of a request has been read, and not its end. To be asked after 'more'. */
  get midRequest(): boolean {
    return this.#earlierBytes !== 0;
  }

  /** Gives the bytes that follow the last chunk, which must have been read up to 'more'. */
  feed(chunk: Buffer): void {
    this.#chunk = chunk;
    this.#at = 0;
  }

  /** Reads on to the end of the next request, or of the chunk. */
  next(): ParserStep {
    const bytes = this.#chunk;
    const end = bytes.length;
    /** Where the request began; negative if that was in an earlier chunk. */
    const began = this.#at - this.#earlierBytes;
    let attributes = this.#attributes;
    let at = this.#at;

    if (this.#splitLength !== 0 && at < end) {
      const trouble = this.#joinSplitLine();
      if (trouble !== undefined) return trouble;
      at = this.#at;
      if (this.#splitLength === 0) attributes += 1;
    }

    while (at < end) {
      const line = at;
      let byte = bytes[at] as number;
      if (byte === LF) {
        at += 1;
        if (at - began > MAX_REQUEST_BYTES) return 'too-large';
        this.#at = at;
        return this.#finish();
      }
      while (byte !== EQUALS) {
        if (byte <= LF) {
          if (byte === LF) return 'no-equals';
          if (byte === NUL) return 'nul';
        }
        at += 1;
        if (at === end) return this.#keepLine(line, began, attributes);
        byte = bytes[at] as number;
      }
      const equals = at;
      do {
        at += 1;
        if (at === end) return this.#keepLine(line, began, attributes);
        byte = bytes[at] as number;
        if (byte === NUL) return 'nul';
      } while (byte !== LF);
      attributes += 1;
      if (attributes > MAX_REQUEST_ATTRIBUTES) return 'too-many-attributes';
      this.#attribute(bytes, line, equals, at);
      at += 1;
    }
    return this.#keepLine(at, began, attributes);
  }

  /** The chunk ends in the middle of a request, or at its end: keeps what the next chunk needs. */
  #keepLine(line: number, began: number, attributes: number): ParserStep {
    const bytes = this.#chunk;
    const end = bytes.length;
    const earlierBytes = end - began;
    if (earlierBytes >= MAX_REQUEST_BYTES) return 'too-large';
    this.#earlierBytes = earlierBytes;
    this.#attributes = attributes;
    if (line < end) this.#keep(line, end);
    this.#chunk = NOTHING;
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
    const length = this.#splitLength;
    const equals = this.#split.indexOf(EQUALS);
    if (equals < 0 || equals >= length) return 'no-equals';
    if (this.#attributes >= MAX_REQUEST_ATTRIBUTES) return 'too-many-attributes';
    this.#attribute(this.#split, 0, equals, length);
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

  /** The empty line: the request is whole. */
  #finish(): ParserStep {
    const isAccessPolicy = this.#isAccessPolicy;
    if (this.#seen !== SEEN_ALL) this.#emptyAbsent();
    this.#earlierBytes = 0;
    this.#attributes = 0;
    this.#seen = 0;
    this.#isAccessPolicy = false;
    return isAccessPolicy ? 'request' : 'foreign';
  }

  /** Fields hold the last request's values until they are overwritten, which lets {@link text} use them again. */
  #emptyAbsent(): void {
    const { request } = this;
    const seen = this.#seen;
    if ((seen & SEEN_STATE) === 0) request.protocolState = 'other';
    if ((seen & SEEN_SENDER) === 0) request.sender = '';
    if ((seen & SEEN_RECIPIENT) === 0) request.recipient = '';
    if ((seen & SEEN_COUNT) === 0) request.recipientCount = 0;
    if ((seen & SEEN_CLIENT) === 0) request.clientAddress = '';
    if ((seen & SEEN_PROTOCOL) === 0) request.encryptionProtocol = '';
    if ((seen & SEEN_KEYSIZE) === 0) request.encryptionKeysize = 0;
    if ((seen & SEEN_SASL) === 0) request.authenticated = false;
    if ((seen & SEEN_INSTANCE) === 0) request.instance = '';
    if ((seen & SEEN_CONTEXT) === 0) request.policyContext = 'both';
  }

  /** One attribute: its name is [line, equals) and its value (equals, end) of `bytes`. Unknown ones are passed over. */
  #attribute(bytes: Buffer, line: number, equals: number, end: number): void {
    const { request } = this;
    const value = equals + 1;
    switch (equals - line) {
      case SENDER.length:
        if (startsWith(bytes, line, SENDER)) {
          request.sender = text(bytes, value, end, request.sender);
          this.#seen |= SEEN_SENDER;
        }
        break;
      case REQUEST.length:
        if (startsWith(bytes, line, REQUEST)) this.#isAccessPolicy = equal(bytes, value, end, SMTPD_ACCESS_POLICY);
        break;
      case INSTANCE.length:
        if (startsWith(bytes, line, INSTANCE)) {
          request.instance = text(bytes, value, end, request.instance);
          this.#seen |= SEEN_INSTANCE;
        }
        break;
      case RECIPIENT.length:
        if (startsWith(bytes, line, RECIPIENT)) {
          request.recipient = text(bytes, value, end, request.recipient);
          this.#seen |= SEEN_RECIPIENT;
        }
        break;
      case SASL_USERNAME.length:
        if (startsWith(bytes, line, SASL_USERNAME)) {
          request.authenticated = value < end;
          this.#seen |= SEEN_SASL;
        }
        break;
      // Three names of 14 bytes.
      case CLIENT_ADDRESS.length:
        if (startsWith(bytes, line, CLIENT_ADDRESS)) {
          request.clientAddress = text(bytes, value, end, request.clientAddress);
          this.#seen |= SEEN_CLIENT;
        } else if (startsWith(bytes, line, PROTOCOL_STATE)) {
          request.protocolState = protocolState(bytes, value, end);
          this.#seen |= SEEN_STATE;
        } else if (startsWith(bytes, line, POLICY_CONTEXT)) {
          request.policyContext = policyContext(bytes, value, end);
          this.#seen |= SEEN_CONTEXT;
        }
        break;
      case RECIPIENT_COUNT.length:
        if (startsWith(bytes, line, RECIPIENT_COUNT)) {
          request.recipientCount = count(bytes, value, end);
          this.#seen |= SEEN_COUNT;
        }
        break;
      case ENCRYPTION_KEYSIZE.length:
        if (startsWith(bytes, line, ENCRYPTION_KEYSIZE)) {
          request.encryptionKeysize = count(bytes, value, end);
          this.#seen |= SEEN_KEYSIZE;
        }
        break;
      case ENCRYPTION_PROTOCOL.length:
        if (startsWith(bytes, line, ENCRYPTION_PROTOCOL)) {
          request.encryptionProtocol = encryptionProtocol(bytes, value, end, request.encryptionProtocol);
          this.#seen |= SEEN_PROTOCOL;
        }
        break;
    }
  }
}

/** Whether `word` stands at `start`; the caller knows that there are that many bytes. */
function startsWith(bytes: Buffer, start: number, word: Buffer): boolean {
  for (let index = 0; index < word.length; index += 1) {
    if (bytes[start + index] !== word[index]) return false;
  }
  return true;
}

/** Whether [start, end) is `word`. */
function equal(bytes: Buffer, start: number, end: number, word: Buffer): boolean {
  return end - start === word.length && startsWith(bytes, start, word);
}

/**
 * [start, end) as a string: UTF-8, invalid sequences become U+FFFD. Recipients of one message follow each other on one
 * connection with the same sender, client and instance, so the `previous` value often is this one too.
 */
function text(bytes: Buffer, start: number, end: number, previous: string): string {
  if (start === end) return '';
  if (previous.length === end - start && isAsciiText(bytes, start, previous)) return previous;
  for (let at = start; at < end; at += 1) {
    if ((bytes[at] as number) > MAX_ASCII) return bytes.toString('utf8', start, end);
  }
  return bytes.toString('latin1', start, end);
}

/** Whether the bytes from `start` on are those of `expected`, all of them ASCII. */
function isAsciiText(bytes: Buffer, start: number, expected: string): boolean {
  for (let index = 0; index < expected.length; index += 1) {
    const byte = bytes[start + index] as number;
    if (byte !== expected.charCodeAt(index) || byte > MAX_ASCII) return false;
  }
  return true;
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

function protocolState(bytes: Buffer, start: number, end: number): PolicyRequest['protocolState'] {
  if (equal(bytes, start, end, RCPT)) return 'RCPT';
  if (equal(bytes, start, end, DATA)) return 'DATA';
  return 'other';
}

function policyContext(bytes: Buffer, start: number, end: number): PolicyRequest['policyContext'] {
  if (equal(bytes, start, end, RECEIPT)) return 'receipt';
  if (equal(bytes, start, end, DELIVERY)) return 'delivery';
  return 'both';
}

function encryptionProtocol(bytes: Buffer, start: number, end: number, previous: string): string {
  for (const protocol of PROTOCOLS) {
    if (equal(bytes, start, end, protocol.bytes)) return protocol.name;
  }
  return text(bytes, start, end, previous);
}
