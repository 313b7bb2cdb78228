// DNS messages (RFC 1035), as far as a test's name server needs them: reads one question, writes the answer to it.
// Never compresses names, and knows no record types but those that mail delivery asks for.

/** Record types by name, with their numbers. */
export const recordTypes = { A: 1, NS: 2, CNAME: 5, MX: 15, TXT: 16, AAAA: 28, TLSA: 52 } as const;

/** A record type that the name server can answer. */
export type RecordType = keyof typeof recordTypes;

/** One question, and what came with it. */
export interface Question {
  readonly id: number;
  /** Lower case, without trailing dot; the root is the empty string. */
  readonly name: string;
  readonly type: number;
  readonly recursionDesired: boolean;
  /** Whether the client wants to know if the answer is authenticated: it set AD, or DO (RFC 6840, section 5.7). */
  readonly wantsAuthenticated: boolean;
  /** Whether it speaks EDNS, and the size of answer that it takes. */
  readonly edns: boolean;
  readonly maxSize: number;
  /** The question section as it came, to be sent back with the case of its letters. */
  readonly section: Buffer;
}

/** The answer to a question. */
export interface Answer {
  readonly code: 'NOERROR' | 'SERVFAIL' | 'NXDOMAIN';
  readonly authenticated: boolean;
  readonly records: readonly { readonly name: string; readonly type: RecordType; readonly data: string }[];
}

const codes = { NOERROR: 0, SERVFAIL: 2, NXDOMAIN: 3 } as const;
const optType = 41;
/** Nobody may keep an answer: the test may change it at once. */
const ttl = 0;

/** Reads a query; undefined if it is none that we can answer. */
export function readQuestion(message: Buffer): Question | undefined {
  if (message.length < 17 || message.readUInt16BE(4) !== 1 || (message.readUInt8(2) & 0x80) !== 0) {
    return undefined;
  }
  const labels: string[] = [];
  let at = 12;
  for (;;) {
    const length = message.readUInt8(at);
    at += 1;
    if (length === 0) {
      break;
    }
    if (length > 63 || at + length >= message.length) {
      return undefined;
    }
    labels.push(message.toString('latin1', at, at + length));
    at += length;
  }
  if (at + 4 > message.length) {
    return undefined;
  }
  const end = at + 4;
  // The only additional record of a query is OPT: root, type 41, size, then flags of which the third byte has DO.
  const edns =
    message.readUInt16BE(10) > 0 &&
    end + 11 <= message.length &&
    message.readUInt8(end) === 0 &&
    message.readUInt16BE(end + 1) === optType;
  const dnssecOk = edns && (message.readUInt8(end + 7) & 0x80) !== 0;
  return {
    id: message.readUInt16BE(0),
    name: labels.join('.').toLowerCase(),
    type: message.readUInt16BE(at),
    recursionDesired: (message.readUInt8(2) & 0x01) !== 0,
    wantsAuthenticated: dnssecOk || (message.readUInt8(3) & 0x20) !== 0,
    edns,
    maxSize: edns ? Math.max(512, message.readUInt16BE(end + 3)) : 512,
    section: message.subarray(12, end),
  };
}

/** Writes the answer to a question; if it is longer than maxSize, without records and marked as cut off. */
export function writeAnswer(question: Question, answer: Answer, maxSize: number): Buffer {
  const records = answer.records.map((record) => {
    const data = recordData(record.type, record.data);
    const fixed = Buffer.alloc(10);
    fixed.writeUInt16BE(recordTypes[record.type], 0);
    fixed.writeUInt16BE(1, 2);
    fixed.writeUInt32BE(ttl, 4);
    fixed.writeUInt16BE(data.length, 8);
    return Buffer.concat([domainName(record.name), fixed, data]);
  });
  const opt = question.edns ? Buffer.from([0, 0, optType, 0x10, 0, 0, 0, 0, 0, 0, 0]) : Buffer.alloc(0);
  const size = 12 + question.section.length + records.reduce((sum, record) => sum + record.length, 0) + opt.length;
  const cutOff = size > maxSize;
  const header = Buffer.alloc(12);
  header.writeUInt16BE(question.id, 0);
  // QR, AA, TC, RD; then RA, AD and the code.
  header.writeUInt8(0x84 | (cutOff ? 0x02 : 0) | (question.recursionDesired ? 0x01 : 0), 2);
  header.writeUInt8(0x80 | (answer.authenticated && question.wantsAuthenticated ? 0x20 : 0) | codes[answer.code], 3);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(cutOff ? 0 : records.length, 6);
  header.writeUInt16BE(question.edns ? 1 : 0, 10);
  return Buffer.concat([header, question.section, ...(cutOff ? [] : records), opt]);
}

/** The data of a record, from how it is written in a zone file. */
function recordData(type: RecordType, text: string): Buffer {
  const words = text.trim().split(/\s+/);
  switch (type) {
    case 'A':
      return Buffer.from(text.split('.').map(Number));
    case 'AAAA':
      throw new Error('AAAA records are always absent');
    case 'NS':
    case 'CNAME':
      return domainName(text);
    case 'MX': {
      const [preference, host] = words;
      const number = Buffer.alloc(2);
      number.writeUInt16BE(Number(preference));
      return Buffer.concat([number, domainName(host ?? '')]);
    }
    case 'TLSA': {
      const [usage, selector, matching, ...hex] = words;
      return Buffer.concat([
        Buffer.from([Number(usage), Number(selector), Number(matching)]),
        Buffer.from(hex.join(''), 'hex'),
      ]);
    }
    case 'TXT': {
      const bytes = Buffer.from(text);
      const pieces: Buffer[] = [];
      for (let at = 0; at < bytes.length || at === 0; at += 255) {
        const piece = bytes.subarray(at, at + 255);
        pieces.push(Buffer.from([piece.length]), piece);
      }
      return Buffer.concat(pieces);
    }
  }
}

function domainName(name: string): Buffer {
  const labels = name.split('.').filter((label) => label !== '');
  const parts = labels.map((label) => {
    const bytes = Buffer.from(label, 'latin1');
    return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  });
  return Buffer.concat([...parts, Buffer.from([0])]);
}
