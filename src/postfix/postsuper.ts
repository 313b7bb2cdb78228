/**
 * postsuper(1): takes messages out of the queue.
 */
import { QueueError, reasonOf, runOnQueue } from './queue-program.ts';

/** Deletes these messages; those that have left the queue meanwhile are no trouble. Rejects with {@link QueueError}. */
export async function deleteMessages(configDirectory: string, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  const ended = await runOnQueue('postsuper', ['-c', configDirectory, ...ids.flatMap((id) => ['-d', id])]);
  if (ended.failure !== undefined) throw new QueueError(reasonOf('postsuper', ended));
}
