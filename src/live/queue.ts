/**
 * Doctor's own messages in the queue of Postfix: found by the domain of their recipients.
 */
import { type QueuedMessage, queuedMessages } from '../postfix/postqueue.ts';

/** The messages of which all recipients are at domains that `isOurs` knows. Rejects with QueueError. */
export async function queuedTrials(
  configDirectory: string,
  isOurs: (domain: string) => boolean,
): Promise<readonly QueuedMessage[]> {
  const found: QueuedMessage[] = [];
  await queuedMessages(configDirectory, (message) => {
    const domains = message.recipients.map(({ address }) => address.slice(address.lastIndexOf('@') + 1).toLowerCase());
    if (domains.length > 0 && domains.every(isOurs)) found.push(message);
  });
  return found;
}
