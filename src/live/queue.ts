/**
 * Doctor's own messages in the queue of Postfix: found by the domain of their recipients, deleted by their ids.
 */
import { execFile } from 'node:child_process';
import { QueueError, queuedMessages } from '../queue/postqueue.ts';

/** A message that waits in the queue; `delayReason` is undefined until Postfix has tried to deliver it. */
export interface QueuedTrial {
  readonly id: string;
  readonly recipients: readonly { readonly address: string; readonly delayReason: string | undefined }[];
}

/** The messages of which all recipients are at domains that `isOurs` knows. Rejects with {@link QueueError}. */
export async function queuedTrials(
  configDirectory: string,
  isOurs: (domain: string) => boolean,
): Promise<readonly QueuedTrial[]> {
  const found: QueuedTrial[] = [];
  for await (const message of queuedMessages(configDirectory)) {
    const recipients = message.recipients.map(({ address, delay_reason }) => ({ address, delayReason: delay_reason }));
    const domains = recipients.map(({ address }) => address.slice(address.lastIndexOf('@') + 1).toLowerCase());
    if (domains.length > 0 && domains.every(isOurs)) found.push({ id: message.queue_id, recipients });
  }
  return found;
}

/** Takes messages out of the queue; those that have left it meanwhile are no trouble. */
export function deleteTrials(configDirectory: string, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return Promise.resolve();
  return new Promise((resolve, reject) => {
    execFile('postsuper', ['-c', configDirectory, ...ids.flatMap((id) => ['-d', id])], (error, _stdout, stderr) => {
      if (error === null) resolve();
      else reject(new QueueError(stderr.trim() || error.message));
    });
  });
}
