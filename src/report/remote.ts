/**
 * The far side of mail by the name under which it is counted: the sender's domain of incoming mail, the recipient's of
 * outgoing. Strangers choose it, so only what looks like a name is kept, and nobody's local part unless asked for.
 */
import type { Address } from '../address/address.ts';
import { MAX_DOMAIN } from '../address/domain-name.ts';

/** The null sender: bounces and other notifications. */
const NULL_SENDER = '<>';
/** All that have no row of their own: there were too many, or they have no name that could stand in a table. */
export const OTHERS = '(others)';

/** RFC 5321, section 4.5.3.1.1. */
const MAX_LOCAL = 64;

/** What to look a remote up by; it may share memory with a request. */
export function remoteKey(far: Address, withLocalPart: boolean): string {
  if (far.isNull) return NULL_SENDER;
  return withLocalPart ? `${far.base ?? far.local}@${far.domain}` : far.domain;
}

const bytes = Buffer.alloc(MAX_LOCAL + 1 + MAX_DOMAIN);

/** A string of its own for a key of {@link remoteKey}; {@link OTHERS} for what is no name. */
export function remoteToKeep(key: string): string {
  if (key === NULL_SENDER) return NULL_SENDER;
  const at = key.lastIndexOf('@');
  const domainLength = key.length - at - 1;
  if (domainLength === 0 || domainLength > MAX_DOMAIN) return OTHERS;
  if (at > MAX_LOCAL || at === 0) return remoteToKeep(key.slice(at + 1));
  for (let i = 0; i < key.length; i++) {
    const code = key.charCodeAt(i);
    if (i > at ? !isDomainCode(code) : i < at && !isLocalCode(code, i)) {
      return i < at ? remoteToKeep(key.slice(at + 1)) : OTHERS;
    }
    bytes[i] = code;
  }
  return bytes.toString('latin1', 0, key.length);
}

/** Whether it is a name that {@link remoteToKeep} gives, for what was read from elsewhere. */
export function isRemote(text: string): boolean {
  return text === OTHERS || (text.length <= bytes.length && remoteToKeep(text) === text);
}

/** A remote without its local part. */
export const remoteDomain = (remote: string): string => remote.slice(remote.lastIndexOf('@') + 1);

/** a-z, 0-9, `-`, `.`, `_`; `[`, `]` and `:` of address literals. */
function isDomainCode(code: number): boolean {
  return (
    (code >= 0x61 && code <= 0x7a) ||
    (code >= 0x2d && code <= 0x3a && code !== 0x2f) ||
    code === 0x5f ||
    code === 0x5b ||
    code === 0x5d
  );
}

/** A local part that no shell, table or spreadsheet gives a meaning to: it begins with a letter or digit. */
function isLocalCode(code: number, i: number): boolean {
  const isAlphanumeric = (code >= 0x61 && code <= 0x7a) || (code >= 0x30 && code <= 0x39);
  return (
    isAlphanumeric || (i > 0 && (code === 0x2d || code === 0x2e || code === 0x5f || code === 0x2b || code === 0x3d))
  );
}
