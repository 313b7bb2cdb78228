/**
 * What the decision knows of one policy request: the attributes of Postfix's policy delegation protocol
 * (SMTPD_POLICY_README) that count here, as strings and numbers. It never holds bytes or sockets.
 */

import type { FoundParties } from './parties.ts';

/** Which hop a request asks about: `policy_context` (contract section 5). */
export type PolicyContext = 'receipt' | 'delivery' | 'both';

/**
 * One request. The parser fills the same object again for every request, so whoever keeps something of it copies it.
 * Absent attributes are empty strings and zeros.
 */
export interface PolicyRequest {
  /** `RCPT` and `DATA` count; every other value of `protocol_state` is only told apart from them. */
  protocolState: 'RCPT' | 'DATA' | 'other';
  /** The envelope sender as Postfix passes it, unquoted, not normalised; '' is the null sender. */
  sender: string;
  /** The envelope recipient, likewise; at DATA '' when more than one recipient was accepted. */
  recipient: string;
  /** Recipients accepted so far; Postfix tells it at DATA only, at RCPT it is 0. */
  recipientCount: number;
  /** IPv4 or IPv6, without a port; `unknown` or '' where Postfix does not know it. */
  clientAddress: string;
  /** `TLSv1.3` and so on; '' for a plaintext session. */
  encryptionProtocol: string;
  /** Bits of the session's symmetric cipher. */
  encryptionKeysize: number;
  /** Whether `sasl_username` is present and not empty. */
  authenticated: boolean;
  /** The same for all requests of one message: `pid.seconds.microseconds.sequence` in hexadecimal. */
  instance: string;
  policyContext: PolicyContext;
  /** The decision's own, from one request of a connection to the next: whoever fills the object leaves it alone. */
  found?: FoundParties | undefined;
}
