/**
 * DNS messages (RFC 1035, EDNS0 of RFC 6891, TLSA of RFC 6698), as far as mail delivery asks for them: writes one
 * question, reads its answer with the AD bit, which Node's resolver does not show. No I/O; a message is a stranger's, so
 * every length in it is checked, and a malformed one is a {@link DnsTrouble}.
 */
import { isIPv4 } from 'node:net';

/** By their numbers in the DNS (RFC 1035 section 3.2.2, RFC 3596, RFC 6698 section 7.1). */
export const RECORD_TYPES = { A: 1, CNAME: 5, MX: 15, AAAA: 28, TLSA: 52 } as const;
/** A type that can be asked for. */
export type RecordType = keyof typeof RECORD_TYPES;
const OPT = 41;
const CLASS_IN = 1;
/** What fits any path without fragments (DNS flag day 2020). */
const UDP_SIZE = 1232;
const MAX_RECORDS = 512;
const MAX_CNAMES = 10;

/** RFC 1035 section 3.3.9. */
export interface MxRecord {
  /** The lowest is tried first. */
  readonly preference: number;
  /** '' is the root: the null MX of RFC 7505. */
  readonly exchange: string;
}

/** RFC 6698 section 2.1. */
export interface TlsaRecord {
  readonly usage: number;
  readonly selector: number;
  readonly matching: number;
  /** Hexadecimal digits, lower case. */
  readonly data: string;
}

/**
 * What a record of each type holds: addresses as RFC 5952 writes them, names in lower case and without the last dot.
 */
export interface RecordData {
  readonly A: string;
  readonly AAAA: string;
  readonly CNAME: string;
  readonly MX: MxRecord;
  readonly TLSA: TlsaRecord;
}

/** One answer to one question. */
export interface DnsAnswer<T extends RecordType> {
  /** found: there are records. none: the name has none of this type. no-name: there is no such name. */
  readonly outcome: 'found' | 'none' | 'no-name';
  readonly records: readonly RecordData[T][];
  /** The resolver vouches for it by DNSSEC (the AD bit, RFC 4035 section 3.2.3). */
  readonly authenticated: boolean;
  /** The name that has the records: where CNAMEs led. */
  readonly canonical: string;
}

/** The DNS gave no answer that can be used; the message is half a sentence. */
export class DnsTrouble extends Error {}

/** A message that is another question's answer, or cut off: not trouble, but no answer either. */
export type Reading<T extends RecordType> = DnsAnswer<T> | 'another' | 'truncated';

/** The question, asking for recursion and for the AD bit (RFC 6840 section 5.7). */
export function writeQuestion(id: number, name: string, type: RecordType): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(0x0120, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(1, 10);
  const question = Buffer.alloc(4);
  question.writeUInt16BE(RECORD_TYPES[type], 0);
  question.writeUInt16BE(CLASS_IN, 2);
  const opt = Buffer.from([0, 0, OPT, UDP_SIZE >> 8, UDP_SIZE & 0xff, 0, 0, 0, 0, 0, 0]);
  return Buffer.concat([header, writeName(name), question, opt]);
}

function writeName(name: string): Buffer {
  const labels = name.split('.').filter((label) => label !== '');
  const parts = labels.map((label) => {
    const bytes = Buffer.from(label, 'latin1');
    if (bytes.length > 63) throw new DnsTrouble(`"${name}" is no domain name`);
    return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  });
  const whole = Buffer.concat([...parts, Buffer.from([0])]);
  if (whole.length > 255) throw new DnsTrouble(`"${name}" is no domain name`);
  return whole;
}

/** Reads what came for this question; throws {@link DnsTrouble} if the answer is an error or malformed. */
export function readAnswer<T extends RecordType>(message: Buffer, id: number, name: string, type: T): Reading<T> {
  try {
    return read(message, id, name.toLowerCase(), type);
  } catch (error) {
    if (error instanceof RangeError) throw new DnsTrouble('its name server answers with a malformed message');
    throw error;
  }
}

interface Record {
  readonly name: string;
  readonly type: number;
  readonly at: number;
  readonly length: number;
}

function read<T extends RecordType>(message: Buffer, id: number, name: string, type: T): Reading<T> {
  const flags = message.readUInt16BE(2);
  const isAnswer = (flags & 0x8000) !== 0;
  if (message.readUInt16BE(0) !== id || !isAnswer || message.readUInt16BE(4) !== 1) return 'another';
  const question = readName(message, 12);
  if (question.name !== name || message.readUInt16BE(question.end) !== RECORD_TYPES[type]) return 'another';
  if ((flags & 0x0200) !== 0) return 'truncated';
  const code = flags & 0x000f;
  if (code !== 0 && code !== 3) throw new DnsTrouble(`its name server answers ${codeName(code)}`);
  const records = readRecords(message, question.end + 4);
  const canonical = followCnames(message, records, name);
  const found = records
    .filter((record) => record.type === RECORD_TYPES[type] && record.name === canonical)
    .map((record) => readData(message, record, type));
  const outcome = found.length > 0 ? 'found' : code === 3 ? 'no-name' : 'none';
  return { outcome, records: found, authenticated: (flags & 0x0020) !== 0, canonical };
}

function readRecords(message: Buffer, start: number): readonly Record[] {
  const count = Math.min(message.readUInt16BE(6), MAX_RECORDS);
  const records: Record[] = [];
  let at = start;
  for (let i = 0; i < count; i++) {
    const { name, end } = readName(message, at);
    const length = message.readUInt16BE(end + 8);
    const data = end + 10;
    if (data + length > message.length) throw new RangeError('a record beyond the end');
    if (message.readUInt16BE(end + 2) === CLASS_IN) {
      records.push({ name, type: message.readUInt16BE(end), at: data, length });
    }
    at = data + length;
  }
  return records;
}

function followCnames(message: Buffer, records: readonly Record[], name: string): string {
  let canonical = name;
  for (let i = 0; i < MAX_CNAMES; i++) {
    const alias = records.find((record) => record.type === RECORD_TYPES.CNAME && record.name === canonical);
    if (alias === undefined) return canonical;
    canonical = readName(message, alias.at).name;
  }
  throw new DnsTrouble('its CNAME records lead nowhere');
}

function readData<T extends RecordType>(message: Buffer, record: Record, type: T): RecordData[T];
function readData(message: Buffer, { at, length }: Record, type: RecordType): RecordData[RecordType] {
  const data = message.subarray(at, at + length);
  switch (type) {
    case 'A': {
      const text = data.join('.');
      if (!isIPv4(text)) throw new RangeError('no IPv4 address');
      return text;
    }
    case 'AAAA': {
      if (length !== 16) throw new RangeError('no IPv6 address');
      const groups = Array.from({ length: 8 }, (_, i) => data.readUInt16BE(i * 2).toString(16));
      // The URL parser writes IPv6 addresses as RFC 5952 wants them.
      return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1);
    }
    case 'CNAME':
      return readName(message, at).name;
    case 'MX':
      return { preference: data.readUInt16BE(0), exchange: readName(message, at + 2).name };
    case 'TLSA':
      return {
        usage: data.readUInt8(0),
        selector: data.readUInt8(1),
        matching: data.readUInt8(2),
        data: data.subarray(3).toString('hex'),
      };
  }
}

/** A name, lower case, and where it ends; bytes that no host name has come as `\DDD` (RFC 1035 section 5.1). */
function readName(message: Buffer, start: number): { readonly name: string; readonly end: number } {
  const labels: string[] = [];
  let at = start;
  let end: number | undefined;
  let size = 0;
  for (;;) {
    const length = message.readUInt8(at);
    if (length >= 0xc0) {
      const target = message.readUInt16BE(at) & 0x3fff;
      end ??= at + 2;
      // A pointer leads backwards (section 4.1.4), so no name is read for ever.
      if (target >= at) throw new RangeError('a pointer forwards');
      at = target;
      continue;
    }
    if (length > 63) throw new RangeError('a label of an unknown kind');
    if (length === 0) return { name: labels.join('.'), end: end ?? at + 1 };
    size += length + 1;
    if (size > 254 || at + 1 + length > message.length) throw new RangeError('a name too long');
    labels.push(readLabel(message.subarray(at + 1, at + 1 + length)));
    at += 1 + length;
  }
}

function readLabel(bytes: Buffer): string {
  return bytes
    .toString('latin1')
    .toLowerCase()
    .replace(/[^a-z0-9_-]/gu, (character) => `\\${String(character.charCodeAt(0)).padStart(3, '0')}`);
}

function codeName(code: number): string {
  return { 1: 'FORMERR', 2: 'SERVFAIL', 4: 'NOTIMP', 5: 'REFUSED' }[code] ?? `with error ${code}`;
}
