/**
 * postqueue(1): the queue of Postfix as it lists it, message by message. It changes nothing in it.
 */
import { quoted } from '../text/printable.ts';
import { QueueError, reasonOf, runOnQueue } from './queue-program.ts';

/** One message, as `postqueue -j` prints it: what is used of it. */
export interface QueuedMessage {
  readonly queue_id: string;
  readonly recipients: readonly { readonly address: string; readonly delay_reason?: string }[];
}

/**
 * Hands over all messages in the queue, however many, one after the other. Rejects with {@link QueueError}, be it after some
 * of them.
 */
export async function queuedMessages(configDirectory: string, each: (message: QueuedMessage) => void): Promise<void> {
  let broken: string | undefined;
  const ended = await runOnQueue('postqueue', ['-c', configDirectory, '-j'], {
    eachLine(line) {
      const message = parseMessage(line);
      if (message === undefined) broken ??= line;
      else each(message);
      return true;
    },
  });
  if (ended.failure !== undefined) throw new QueueError(reasonOf('postqueue', ended));
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
