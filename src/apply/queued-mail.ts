/**
 * Messages in the queue that FILTER has bound to a transport of tlswarden's: they name it themselves, so they wait for it
 * when it is gone. (What tables have routed is routed anew at each attempt.) It changes nothing in the queue.
 */
import { transportOfService } from '../fragments/ours.ts';
import { type FilteredMessage, filteredMessages } from '../postfix/postcat.ts';
import { queuedMessages } from '../postfix/postqueue.ts';

/** How many messages one postcat(1) is given. */
const AT_ONCE = 500;

/** Rejects with QueueError. `progress` gets how many of how many messages were looked at. */
export async function queuedMail(
  configDirectory: string,
  progress: (done: number, all: number) => void,
): Promise<readonly FilteredMessage[]> {
  const ids: string[] = [];
  await queuedMessages(configDirectory, ({ queue_id: id }) => ids.push(id));
  const found: FilteredMessage[] = [];
  for (let done = 0; done < ids.length; done += AT_ONCE) {
    progress(done, ids.length);
    const filtered = await filteredMessages(configDirectory, ids.slice(done, done + AT_ONCE));
    found.push(...filtered.filter(({ transport }) => transportOfService(`${transport}/unix`) !== undefined));
  }
  return found;
}
