/**
 * The queue of Postfix as postqueue(1) lists it, message by message. It changes nothing in it.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** One message, as `postqueue -j` prints it: what is used of it. */
export interface QueuedMessage {
  readonly queue_id: string;
  readonly recipients: readonly { readonly address: string; readonly delay_reason?: string }[];
}

/** The queue could not be read or changed. The message is the reason. */
export class QueueError extends Error {}

/** All messages in the queue, however many. Throws {@link QueueError}, be it after some of them. */
export async function* queuedMessages(configDirectory: string): AsyncIterableIterator<QueuedMessage> {
  const child = spawn('postqueue', ['-c', configDirectory, '-j'], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    if (said.length < 4096) said += text;
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', (error) => reject(new QueueError(error.message)));
    child.once('close', resolve);
  });
  // It is waited for when all that was printed has been read; a program that is not there fails before.
  ended.catch(() => {});
  for await (const line of createInterface({ input: child.stdout })) yield JSON.parse(line) as QueuedMessage;
  if ((await ended) !== 0) throw new QueueError(said.trim() || 'postqueue failed');
}
