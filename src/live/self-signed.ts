/**
 * A certificate for one run on loopback, made and forgotten: nobody vouches for it, and its key never leaves this process.
 * Node.js makes keys but no certificates, so the few fields are written here in DER (RFC 5280, X.690).
 */
import { generateKeyPairSync, randomBytes, sign, X509Certificate } from 'node:crypto';

/** A key on P-256 and its certificate. */
export interface SelfSigned {
  /** PEM. */
  readonly key: string;
  /** PEM. */
  readonly certificate: string;
  /** SHA-256, as Postfix writes it: `AB:CD:…`. */
  readonly fingerprint: string;
}

const SEQUENCE = 0x30;
const SET = 0x31;
const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OBJECT_IDENTIFIER = 0x06;
const UTF8_STRING = 0x0c;
const UTC_TIME = 0x17;
const EXPLICIT_0 = 0xa0;

/** 1.2.840.10045.4.3.2 */
const ECDSA_WITH_SHA256 = element(SEQUENCE, element(OBJECT_IDENTIFIER, Buffer.from('2a8648ce3d040302', 'hex')));
/** 2.5.4.3 */
const COMMON_NAME = element(OBJECT_IDENTIFIER, Buffer.from('550403', 'hex'));

/** For one host name; valid for a day around `now` (milliseconds since the epoch). */
export function selfSigned(name: string, now: number): SelfSigned {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const subject = element(
    SEQUENCE,
    element(SET, element(SEQUENCE, COMMON_NAME, element(UTF8_STRING, Buffer.from(name)))),
  );
  const day = 86_400_000;
  const content = element(
    SEQUENCE,
    // Version 3.
    element(EXPLICIT_0, element(INTEGER, Buffer.from([2]))),
    // Positive: its first bit is not set.
    element(INTEGER, Buffer.concat([Buffer.from([1]), randomBytes(15)])),
    ECDSA_WITH_SHA256,
    subject,
    element(SEQUENCE, time(now - day), time(now + day)),
    subject,
    publicKey.export({ type: 'spki', format: 'der' }),
  );
  const signature = Buffer.concat([Buffer.from([0]), sign('sha256', content, privateKey)]);
  const made = new X509Certificate(element(SEQUENCE, content, ECDSA_WITH_SHA256, element(BIT_STRING, signature)));
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    certificate: made.toString(),
    fingerprint: made.fingerprint256,
  };
}

/** Tag, length, content (X.690 section 8.1). */
function element(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const head =
    length < 0x80 ? [tag, length] : length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(head), content]);
}

/** YYMMDDHHMMSSZ */
function time(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replaceAll(/[-:T]|\.\d+/gu, '');
  return element(UTC_TIME, Buffer.from(digits.slice(2)));
}
