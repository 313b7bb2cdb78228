/**
 * From bytes to `PolicyRequest`: an incremental parser of Postfix's policy delegation protocol, SMTPD_POLICY_README,
 * "Protocol description": `name=value` lines, each ended by one LF, a request ended by an empty line.
 *
 * It is the service's hot path, and all of it is in one method on purpose: with the state in local variables, bytes
 * looked at four at a time where they lie in the chunk, names compared as words, and strings made of nothing but what
 * the decision needs, it costs little beside what Node needs to read a request and write a reply. Only a line
 * that is split between two chunks is copied. It never waits, never logs, and holds on to no chunk.
 *
 * Lines end in LF alone, as Postfix sends them. A CR is a byte like any other: a client that sends CR LF ends its
 * request with a line that holds a CR and no `=`, which is trouble, and closed, rather than a guess.
 *
 * An empty request (a lone empty line) is a request without `request=smtpd_access_policy`, so it is foreign like every
 * other request that is not ours: the protocol's list of trouble does not name it, and one empty line still gets
 * exactly one reply.
 */

import type { PolicyRequest } from '../decision/request.ts';
import { viewOf } from './read-buffer.ts';
import { MAX_KEPT, RepeatedText } from './repeated-text.ts';
import { MAX_REQUEST_ATTRIBUTES, MAX_REQUEST_BYTES, type RequestTrouble } from './trouble.ts';

/** Who takes the requests that the parser finds, in order. */
export interface RequestSink {
  /**
   * A request is whole: {@link RequestParser.request} holds it until the call returns. `isAccessPolicy` tells whether
   * it is of type smtpd_access_policy; what it holds means nothing otherwise. False stops the parsing, see
   * {@link RequestParser.stoppedAt}.
   */
  requested(isAccessPolicy: boolean): boolean;
}

const NUL = 0x00;
const LF = 0x0a;
const EQUALS = 0x3d;

/** In each byte of a word: one more than LF; the highest bit. */
const ABOVE_LF = 0x0b0b0b0b;
const HIGH_BITS = 0x80808080;

/** Four bytes of ASCII, as a view reads them. */
function word(text: string): number {
  return Buffer.from(text, 'latin1').readInt32BE(0);
}

// The names that count, in words. The last one ends in the name's `=`, and may overlap the one before.
const CLIE = word('clie');
const NT_A = word('nt_a');
const DDRE = word('ddre');
const ESS_ = word('ess=');

const ENCR = word('encr');
const YPTI = word('ypti');
const ON_K = word('on_k');
const EYSI = word('eysi');
const IZE_ = word('ize=');
const ON_P = word('on_p');
const ROTO = word('roto');
const COL_ = word('col=');

const INST = word('inst');
const ANCE = word('ance');
const NCE_ = word('nce=');

const POLI = word('poli');
const CY_C = word('cy_c');
const ONTE = word('onte');
const EXT_ = word('ext=');

const PROT = word('prot');
const OCOL = word('ocol');
const _STA = word('_sta');
const ATE_ = word('ate=');

const RECI = word('reci');
const PIEN = word('pien');
const ENT_ = word('ent=');
const T_CO = word('t_co');
const UNT_ = word('unt=');

const REQU = word('requ');
const EST_ = word('est=');

const SASL = word('sasl');
const _USE = word('_use');
const RNAM = word('rnam');
const AME_ = word('ame=');

const SEND = word('send');
const DER_ = word('der=');

/** Lengths of the names, with their `=`. */
const CLIENT_ADDRESS = 'client_address='.length;
const ENCRYPTION_KEYSIZE = 'encryption_keysize='.length;
const ENCRYPTION_PROTOCOL = 'encryption_protocol='.length;
const INSTANCE = 'instance='.length;
const POLICY_CONTEXT = 'policy_context='.length;
const PROTOCOL_STATE = 'protocol_state='.length;
const RECIPIENT = 'recipient='.length;
const RECIPIENT_COUNT = 'recipient_count='.length;
const REQUEST = 'request='.length;
const SASL_USERNAME = 'sasl_username='.length;
const SENDER = 'sender='.length;

// The values that count, likewise.
const SMTP = word('smtp');
const D_AC = word('d_ac');
const CESS = word('cess');
const _POL = word('_pol');
const LICY = word('licy');
const SMTPD_ACCESS_POLICY = 'smtpd_access_policy'.length;

const RCPT = word('RCPT');
const DATA = word('DATA');

const RECE = word('rece');
const EIPT = word('eipt');
const DELI = word('deli');
const VERY = word('very');

const TLSV = word('TLSv');
const V1_1 = word('v1.1');
const V1_2 = word('v1.2');
const V1_3 = word('v1.3');

/** A number of more digits than this is garbage. */
const MAX_DIGITS = 9;

const NOTHING = Buffer.alloc(0);

/** No place in a chunk. */
const NOWHERE = -1;

/**
 * Where the `=` stood in the n-th line of some request before. Every Postfix sends its attributes in one order, so it
 * mostly stands there again, and the names that do not count need not be read. Always verified; shared by all parsers.
 */
const likelyEquals = new Uint8Array(MAX_REQUEST_ATTRIBUTES + 1);

/** One connection's parser. After trouble it must not be used again. */
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
    found: undefined,
  };

  readonly #kept = new DataView(new ArrayBuffer(4 * MAX_KEPT));
  readonly #client = new RepeatedText(this.#kept, 0);
  readonly #sender = new RepeatedText(this.#kept, MAX_KEPT);
  readonly #recipient = new RepeatedText(this.#kept, 2 * MAX_KEPT);
  readonly #instance = new RepeatedText(this.#kept, 3 * MAX_KEPT);

  /** Of the unfinished request: where in the chunk it began, below 0 if that was in an earlier chunk. */
  #began = 0;
  #attributes = 0;
  #isAccessPolicy = false;
  /** The beginning of a line that the next chunk goes on with, `#splitLength` bytes long. */
  #split: Buffer = NOTHING;
  #splitLength = 0;
  #stoppedAt = NOWHERE;

  /**
   * Where in the chunk that was read last the sink has stopped the parsing, at the end of a request; below 0 if it has
   * not. What follows there has to be read again, if it is to be read at all.
   */
  get stoppedAt(): number {
    return this.#stoppedAt;
  }

  /** Whether part of a request has been read, and not its end. To be asked between chunks. */
  get midRequest(): boolean {
    return this.#began !== 0;
  }

  /**
   * Reads the connection's next bytes, the first `length` of `bytes`, of which `view` is a view, and gives the sink all
   * requests that they end. It keeps neither.
   */
  read(bytes: Buffer, view: DataView, length: number, sink: RequestSink): RequestTrouble | undefined {
    let at = 0;
    this.#stoppedAt = NOWHERE;
    if (this.#splitLength !== 0) {
      const chunk = bytes.subarray(0, length);
      const lineEnd = chunk.indexOf(LF);
      at = lineEnd < 0 ? length : lineEnd + 1;
      if (at - this.#began > MAX_REQUEST_BYTES) return 'too-large';
      this.#keep(chunk, 0, at);
      if (lineEnd < 0) {
        this.#began -= length;
        return chunk.includes(NUL) ? 'nul' : undefined;
      }
      const split = this.#split;
      const splitLength = this.#splitLength;
      this.#split = NOTHING;
      this.#splitLength = 0;
      const trouble = this.#parse(split, viewOf(split), 0, splitLength, sink);
      if (trouble !== undefined) return trouble;
    }
    const trouble = this.#parse(bytes, view, at, length, sink);
    if (trouble !== undefined) return trouble;
    if (this.#stoppedAt !== NOWHERE) {
      this.#began = 0;
      return undefined;
    }
    this.#began -= length;
    return -this.#began >= MAX_REQUEST_BYTES ? 'too-large' : undefined;
  }

  /** Copies a piece of a split line behind the pieces kept so far. */
  #keep(chunk: Buffer, from: number, to: number): void {
    const length = this.#splitLength + to - from;
    if (length > this.#split.length) {
      // Doubling keeps the copying linear for a line that comes byte by byte. Never from Buffer's shared pool: a small
      // piece kept by an idle connection would keep the whole slab.
      const larger = Buffer.alloc(Math.max(length, 2 * this.#split.length, 256));
      this.#split.copy(larger, 0, 0, this.#splitLength);
      this.#split = larger;
    }
    chunk.copy(this.#split, this.#splitLength, from, to);
    this.#splitLength = length;
  }

  /** Reads [from, end), which begins with a line, and keeps the line that is not whole at its end. */
  #parse(bytes: Buffer, view: DataView, from: number, end: number, sink: RequestSink): RequestTrouble | undefined {
    const { request } = this;
    const lastWord = end - 4;
    // Whether an earlier chunk held a part of the request; what that part said is in `request`.
    let continued = this.#attributes !== 0;
    let attributes = this.#attributes;
    let isAccessPolicy = this.#isAccessPolicy;
    let protocolState: PolicyRequest['protocolState'] = continued ? request.protocolState : 'other';
    let recipientCount = continued ? request.recipientCount : 0;
    let encryptionProtocol = continued ? request.encryptionProtocol : '';
    let encryptionKeysize = continued ? request.encryptionKeysize : 0;
    let authenticated = continued ? request.authenticated : false;
    let policyContext: PolicyRequest['policyContext'] = continued ? request.policyContext : 'both';
    // Where the texts lie that are not strings yet; the end is 0 if there is none.
    let clientAt = 0;
    let clientEnd = 0;
    let senderAt = 0;
    let senderEnd = 0;
    let recipientAt = 0;
    let recipientEnd = 0;
    let instanceAt = 0;
    let instanceEnd = 0;
    let at = from;
    let next = from;
    /** Has a high bit somewhere if a byte of the texts has one. */
    let bits = 0;

    while (at < end) {
      // Four bytes at a time up to one that is LF or below: the borrow shows in the high bit of each byte that is, and
      // perhaps of bytes above it.
      while (at <= lastWord) {
        const four = view.getInt32(at, true);
        bits |= four;
        const low = (four - ABOVE_LF) & ~four & HIGH_BITS;
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

      const line = next;
      const lineEnd = at;
      const length = lineEnd - line;
      at += 1;
      next = at;

      if (length === 0) {
        if (next - this.#began > MAX_REQUEST_BYTES) return 'too-large';
        this.#began = next;
        if (isAccessPolicy) {
          request.protocolState = protocolState;
          request.recipientCount = recipientCount;
          request.encryptionProtocol = encryptionProtocol;
          request.encryptionKeysize = encryptionKeysize;
          request.authenticated = authenticated;
          request.policyContext = policyContext;
          if (clientEnd !== 0 || !continued) {
            request.clientAddress = this.#client.read(bytes, view, clientAt, clientEnd, bits);
          }
          if (senderEnd !== 0 || !continued) request.sender = this.#sender.read(bytes, view, senderAt, senderEnd, bits);
          if (recipientEnd !== 0 || !continued) {
            request.recipient = this.#recipient.read(bytes, view, recipientAt, recipientEnd, bits);
          }
          if (instanceEnd !== 0 || !continued) {
            request.instance = this.#instance.read(bytes, view, instanceAt, instanceEnd, bits);
          }
        }
        if (!sink.requested(isAccessPolicy)) {
          this.#attributes = 0;
          this.#isAccessPolicy = false;
          this.#stoppedAt = next;
          return undefined;
        }
        continued = false;
        bits = 0;
        attributes = 0;
        isAccessPolicy = false;
        protocolState = 'other';
        recipientCount = 0;
        encryptionProtocol = '';
        encryptionKeysize = 0;
        authenticated = false;
        policyContext = 'both';
        clientAt = clientEnd = senderAt = senderEnd = 0;
        recipientAt = recipientEnd = instanceAt = instanceEnd = 0;
        continue;
      }

      attributes += 1;
      if (attributes > MAX_REQUEST_ATTRIBUTES) return 'too-many-attributes';
      if (length >= SENDER) {
        switch (view.getInt32(line)) {
          case CLIE:
            if (
              length >= CLIENT_ADDRESS &&
              view.getInt32(line + 4) === NT_A &&
              view.getInt32(line + 8) === DDRE &&
              view.getInt32(line + 11) === ESS_
            ) {
              clientAt = line + CLIENT_ADDRESS;
              clientEnd = lineEnd;
              continue;
            }
            break;
          case SASL:
            if (
              length >= SASL_USERNAME &&
              view.getInt32(line + 4) === _USE &&
              view.getInt32(line + 8) === RNAM &&
              view.getInt32(line + 10) === AME_
            ) {
              authenticated = length > SASL_USERNAME;
              continue;
            }
            break;
          case ENCR:
            if (length < ENCRYPTION_KEYSIZE || view.getInt32(line + 4) !== YPTI) break;
            if (
              view.getInt32(line + 8) === ON_K &&
              view.getInt32(line + 12) === EYSI &&
              view.getInt32(line + 15) === IZE_
            ) {
              encryptionKeysize = count(bytes, line + ENCRYPTION_KEYSIZE, lineEnd);
              continue;
            }
            if (
              length >= ENCRYPTION_PROTOCOL &&
              view.getInt32(line + 8) === ON_P &&
              view.getInt32(line + 12) === ROTO &&
              view.getInt32(line + 16) === COL_
            ) {
              encryptionProtocol = protocolName(bytes, view, line + ENCRYPTION_PROTOCOL, lineEnd);
              continue;
            }
            break;
          case RECI:
            if (length < RECIPIENT || view.getInt32(line + 4) !== PIEN) break;
            if (view.getInt32(line + 6) === ENT_) {
              recipientAt = line + RECIPIENT;
              recipientEnd = lineEnd;
              continue;
            }
            if (length >= RECIPIENT_COUNT && view.getInt32(line + 8) === T_CO && view.getInt32(line + 12) === UNT_) {
              recipientCount = count(bytes, line + RECIPIENT_COUNT, lineEnd);
              continue;
            }
            break;
          case SEND:
            if (view.getInt32(line + 3) === DER_) {
              senderAt = line + SENDER;
              senderEnd = lineEnd;
              continue;
            }
            break;
          case INST:
            if (length >= INSTANCE && view.getInt32(line + 4) === ANCE && view.getInt32(line + 5) === NCE_) {
              instanceAt = line + INSTANCE;
              instanceEnd = lineEnd;
              continue;
            }
            break;
          case PROT:
            if (
              length >= PROTOCOL_STATE &&
              view.getInt32(line + 4) === OCOL &&
              view.getInt32(line + 8) === _STA &&
              view.getInt32(line + 11) === ATE_
            ) {
              protocolState = stateOf(view, line + PROTOCOL_STATE, lineEnd);
              continue;
            }
            break;
          case POLI:
            if (
              length >= POLICY_CONTEXT &&
              view.getInt32(line + 4) === CY_C &&
              view.getInt32(line + 8) === ONTE &&
              view.getInt32(line + 11) === EXT_
            ) {
              policyContext = contextOf(view, line + POLICY_CONTEXT, lineEnd);
              continue;
            }
            break;
          case REQU:
            if (length >= REQUEST && view.getInt32(line + 4) === EST_) {
              isAccessPolicy = isSmtpdAccessPolicy(view, line + REQUEST, lineEnd);
              continue;
            }
            break;
        }
      }
      // Not one that counts, but it has to be an attribute.
      const likely = line + (likelyEquals[attributes] as number);
      if (likely < lineEnd && bytes[likely] === EQUALS) continue;
      const equals = bytes.indexOf(EQUALS, line);
      if (equals < 0 || equals > lineEnd) return 'no-equals';
      likelyEquals[attributes] = equals - line;
    }

    this.#attributes = attributes;
    this.#isAccessPolicy = isAccessPolicy;
    if (attributes !== 0) {
      // The chunk goes away, the request goes on.
      request.protocolState = protocolState;
      request.recipientCount = recipientCount;
      request.encryptionProtocol = encryptionProtocol;
      request.encryptionKeysize = encryptionKeysize;
      request.authenticated = authenticated;
      request.policyContext = policyContext;
      if (clientEnd !== 0 || !continued) {
        request.clientAddress = this.#client.read(bytes, view, clientAt, clientEnd, bits);
      }
      if (senderEnd !== 0 || !continued) request.sender = this.#sender.read(bytes, view, senderAt, senderEnd, bits);
      if (recipientEnd !== 0 || !continued) {
        request.recipient = this.#recipient.read(bytes, view, recipientAt, recipientEnd, bits);
      }
      if (instanceEnd !== 0 || !continued) {
        request.instance = this.#instance.read(bytes, view, instanceAt, instanceEnd, bits);
      }
    }
    if (next < end) this.#keep(bytes, next, end);
    return undefined;
  }
}

function isSmtpdAccessPolicy(view: DataView, start: number, end: number): boolean {
  return (
    end - start === SMTPD_ACCESS_POLICY &&
    view.getInt32(start) === SMTP &&
    view.getInt32(start + 4) === D_AC &&
    view.getInt32(start + 8) === CESS &&
    view.getInt32(start + 12) === _POL &&
    view.getInt32(start + 15) === LICY
  );
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

function stateOf(view: DataView, start: number, end: number): PolicyRequest['protocolState'] {
  if (end - start !== 4) return 'other';
  const state = view.getInt32(start);
  if (state === RCPT) return 'RCPT';
  return state === DATA ? 'DATA' : 'other';
}

function contextOf(view: DataView, start: number, end: number): PolicyRequest['policyContext'] {
  if (end - start === 7 && view.getInt32(start) === RECE && view.getInt32(start + 3) === EIPT) return 'receipt';
  if (end - start === 8 && view.getInt32(start) === DELI && view.getInt32(start + 4) === VERY) return 'delivery';
  return 'both';
}

/** The protocols that are in use today need no new string. */
function protocolName(bytes: Buffer, view: DataView, start: number, end: number): string {
  if (end - start === 7 && view.getInt32(start) === TLSV) {
    const version = view.getInt32(start + 3);
    if (version === V1_3) return 'TLSv1.3';
    if (version === V1_2) return 'TLSv1.2';
    if (version === V1_1) return 'TLSv1.1';
  }
  return start === end ? '' : bytes.toString('utf8', start, end);
}
