// Sends one message the way a mail server does some of whose recipients are refused for now: again, at once, in a transaction
// of their own, until each is accepted or refused for good. Never gives up a transaction that loses nobody.

import { type Sending, type Sent, sendMessage } from './send-message.ts';
import type { Server } from './smtp-client.ts';

/** What came of one transaction: who was accepted, with the reply to the message. */
export interface Transaction {
  readonly accepted: readonly string[];
  readonly sent: Sent;
}

/** Throws what the server says if it refuses a recipient for good, or all of a transaction's for now. */
export async function sendSplitting(server: Server, sending: Sending): Promise<readonly Transaction[]> {
  const transactions: Transaction[] = [];
  let left = sending.to;
  while (left.length > 0) {
    const sent = await sendMessage(server, { ...sending, to: left });
    const accepted = left.filter((_, i) => sent.recipients[i]?.code === 250);
    const later = left.filter((_, i) => sent.recipients[i]?.text.startsWith('452 4.5.3 ') === true);
    if (accepted.length + later.length !== left.length || accepted.length === 0 || sent.data?.code !== 250) {
      const replies = [sent.mail, ...sent.recipients, sent.data].map((reply) => reply?.text ?? 'no reply');
      throw new Error(`${sending.id} to ${left.join(', ')}:\n${replies.join('\n')}`);
    }
    transactions.push({ accepted, sent });
    left = later;
  }
  return transactions;
}
