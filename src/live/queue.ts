/**
 * Doctor's own messages in the queue of Postfix: found by the domain of their recipients.
 */
import { queuedMessages } from '../postfix/postqueue.ts';

/** A message that waits in the queue; `delayReason` is undefined until Postfix has tried to deliver it. */
export interface QueuedTrial {
  readonly id: string;
  readonly recipients: readonly { readonly address: string; readonly delayReason: string | undefined }[];
}

/** The messages of which all recipients are at domains that `isOurs` knows. Rejects with QueueError. */
export async function queuedTrials(
  configDirectory: string,
  isOurs: (domain: string) => boolean,
): Promise<readonly QueuedTrial[]> {
  const found: QueuedTrial[] = [];
  await queuedMessages(configDirectory, (message) => {
    const recipients = message.recipients.map(({ address, delay_reason }) => ({ address, delayReason: delay_reason }));
    const domains = recipients.map(({ address }) => address.slice(address.lastIndexOf('@') + 1).toLowerCase());
    if (domains.length > 0 && domains.every(isOurs)) found.push({ id: message.queue_id, recipients });
  });
  return found;
}
