// The policy delegation protocol again (contract section 6), slow and obvious: what the bytes of one connection ask, and
// whether they are in order. Never used by the program.

import type { PolicyRequest } from '../../src/decision/request.ts';

/** One request that is whole: what it says, or that it is of another type, which gets DUNNO. */
export type SlowRequest = PolicyRequest | 'foreign';

export interface SlowReading {
  /** Those that are whole and come before any trouble: each gets one reply. */
  readonly requests: readonly SlowRequest[];
  /** Whether something follows them for which the connection is closed without a reply. */
  readonly isInTrouble: boolean;
  /** Whether they are followed by a request that is not whole. */
  readonly isUnfinished: boolean;
}

const MAX_BYTES = 65_536;
const MAX_ATTRIBUTES = 200;

export function readSlowly(bytes: Buffer): SlowReading {
  const requests: SlowRequest[] = [];
  let from = 0;
  while (from < bytes.length) {
    const lines: Buffer[] = [];
    let at = from;
    let isWhole = false;
    for (;;) {
      const end = bytes.indexOf('\n', at);
      if (end < 0) break;
      const line = bytes.subarray(at, end);
      at = end + 1;
      if (line.length === 0) {
        isWhole = true;
        break;
      }
      lines.push(line);
    }
    const end = isWhole ? at : bytes.length;
    const isBad =
      lines.some((line) => !line.includes('=')) ||
      bytes.subarray(from, end).includes(0) ||
      lines.length > MAX_ATTRIBUTES ||
      end - from > MAX_BYTES ||
      (!isWhole && end - from === MAX_BYTES);
    if (isBad) return { requests, isInTrouble: true, isUnfinished: false };
    if (!isWhole) return { requests, isInTrouble: false, isUnfinished: true };
    requests.push(meaningOf(lines.map((line) => line.toString())));
    from = at;
  }
  return { requests, isInTrouble: false, isUnfinished: false };
}

/** What a request of these lines says. */
export function meaningOf(lines: readonly string[]): SlowRequest {
  // The last of two counts.
  const values = new Map(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
  const text = (name: string): string => values.get(name) ?? '';
  const count = (name: string): number => (/^\d{1,9}$/.test(text(name)) ? Number(text(name)) : 0);
  if (text('request') !== 'smtpd_access_policy') return 'foreign';
  const state = text('protocol_state');
  const context = text('policy_context');
  return {
    protocolState: state === 'RCPT' || state === 'DATA' ? state : 'other',
    sender: text('sender'),
    recipient: text('recipient'),
    recipientCount: count('recipient_count'),
    clientAddress: text('client_address'),
    encryptionProtocol: text('encryption_protocol'),
    encryptionKeysize: count('encryption_keysize'),
    authenticated: text('sasl_username') !== '',
    instance: text('instance'),
    policyContext: context === 'receipt' || context === 'delivery' ? context : 'both',
  };
}
