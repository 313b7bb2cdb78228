// A policy request as Postfix sends it for a stranger's recipient in plaintext, for tests that need one without the wire.

import type { PolicyRequest } from '../../src/decision/request.ts';

/** The request for a recipient; `instance` is '' where no message is meant to be remembered. */
export function rcpt(instance: string, recipient: string, sender = 'someone@partner.example'): PolicyRequest {
  return {
    protocolState: 'RCPT',
    sender,
    recipient,
    recipientCount: 0,
    clientAddress: '192.0.2.1',
    encryptionProtocol: '',
    encryptionKeysize: 0,
    authenticated: false,
    instance,
    policyContext: 'both',
  };
}
