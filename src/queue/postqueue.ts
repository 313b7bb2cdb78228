/**
 * The queue of Postfix as postqueue(1) lists it, message by message. It changes nothing in it.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { quoted } from '../log/printable.ts';

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
  let broken: string | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    const message = parseMessage(line);
    if (message === undefined) broken ??= line;
    else yield message;
  }
  if ((await ended) !== 0) throw new QueueError(said.trim() || 'postqueue failed');
  if (broken !== undefined) throw new QueueError(`postqueue printed what is no message: ${quoted(broken)}`);
}

/** undefined: a line that is not whole, which postqueue(1) prints when Postfix leaves off in the middle of it. */
function parseMessage(line: string): QueuedMessage | undefined {
  try {
    return JSON.parse(line) as QueuedMessage;
  } catch {
    return undefined;
  }
}
