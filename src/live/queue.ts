/**
 * Doctor's own messages in the queue of Postfix: found by the domain of their recipients, deleted by their ids.
 */
import { execFile, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export interface QueuedTrial {
  readonly id: string;
  readonly recipients: readonly { readonly address: string; readonly delayReason: string | undefined }[];
}

/** The queue could not be read or changed. The message is the reason. */
export class QueueTrouble extends Error {}

/** The messages of which all recipients are at domains that `isOurs` knows. Rejects with {@link QueueTrouble}. */
export async function queuedTrials(
  configDirectory: string,
  isOurs: (domain: string) => boolean,
): Promise<readonly QueuedTrial[]> {
  const child = spawn('postqueue', ['-c', configDirectory, '-j'], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    if (said.length < 4096) said += text;
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', (error) => reject(new QueueTrouble(error.message)));
    child.once('close', resolve);
  });
  // Whoever reads what it prints hears of that first.
  ended.catch(() => {});
  const found: QueuedTrial[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    const message = JSON.parse(line) as {
      readonly queue_id: string;
      readonly recipients: readonly { readonly address: string; readonly delay_reason?: string }[];
    };
    const recipients = message.recipients.map(({ address, delay_reason }) => ({ address, delayReason: delay_reason }));
    const domains = recipients.map(({ address }) => address.slice(address.lastIndexOf('@') + 1).toLowerCase());
    if (domains.length > 0 && domains.every(isOurs)) found.push({ id: message.queue_id, recipients });
  }
  if ((await ended) !== 0) throw new QueueTrouble(said.trim() || 'postqueue failed');
  return found;
}

/** Takes messages out of the queue; those that have left it meanwhile are no trouble. */
export function deleteTrials(configDirectory: string, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return Promise.resolve();
  return new Promise((resolve, reject) => {
    execFile('postsuper', ['-c', configDirectory, ...ids.flatMap((id) => ['-d', id])], (error, _stdout, stderr) => {
      if (error === null) resolve();
      else reject(new QueueTrouble(stderr.trim() || error.message));
    });
  });
}
