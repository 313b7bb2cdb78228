/**
 * Messages in the queue that FILTER has bound to a transport of tlswarden's: they name it themselves, so they wait for it
 * when it is gone. (What tables have routed is routed anew at each attempt.) It changes nothing in the queue.
 */
import { execFile } from 'node:child_process';
import { transportOfService } from '../fragments/ours.ts';
import { QueueError, queuedMessages } from '../queue/postqueue.ts';

/** A message and the transport that it waits for. */
export interface BoundMessage {
  readonly id: string;
  readonly transport: string;
}

/** How many messages one postcat(1) is given. */
const AT_ONCE = 500;

/** Rejects with {@link QueueError}. `progress` gets how many of how many messages were looked at. */
export async function queuedMail(
  configDirectory: string,
  progress: (done: number, all: number) => void,
): Promise<readonly BoundMessage[]> {
  const ids: string[] = [];
  for await (const { queue_id: id } of queuedMessages(configDirectory)) ids.push(id);
  const found: BoundMessage[] = [];
  for (let done = 0; done < ids.length; done += AT_ONCE) {
    progress(done, ids.length);
    found.push(...filteredIn(await envelopes(configDirectory, ids.slice(done, done + AT_ONCE))));
  }
  return found;
}

/** What postcat(1) prints of all of these that are still there: it ends at the first that has left the queue meanwhile. */
async function envelopes(configDirectory: string, ids: readonly string[]): Promise<string> {
  let printed = '';
  for (let rest = ids; rest.length > 0; ) {
    const { stdout, stderr, failed } = await postcat(configDirectory, rest);
    printed += stdout;
    if (!failed) break;
    const gone = /open queue file (\S+):/u.exec(stderr)?.[1];
    const at = gone === undefined ? -1 : rest.indexOf(gone);
    if (at < 0) throw new QueueError(stderr.trim());
    rest = rest.slice(at + 1);
  }
  return printed;
}

function postcat(
  configDirectory: string,
  ids: readonly string[],
): Promise<{ readonly stdout: string; readonly stderr: string; readonly failed: boolean }> {
  return new Promise((resolve, reject) => {
    const args = ['-c', configDirectory, '-eq', ...ids];
    execFile('postcat', args, { maxBuffer: 256 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (typeof error?.code === 'string') reject(new QueueError(error.message));
      else resolve({ stdout, stderr, failed: error !== null });
    });
  });
}

/** `content_filter` among the records of each message is what FILTER has set. */
function filteredIn(text: string): readonly BoundMessage[] {
  const found: BoundMessage[] = [];
  let id = '';
  for (const line of text.split('\n')) {
    id = /^\*\*\* ENVELOPE RECORDS \S*?([^/\s]+) \*\*\*$/u.exec(line)?.[1] ?? id;
    const transport = /^content_filter: ([^:]+):/u.exec(line)?.[1];
    if (transport !== undefined && transportOfService(`${transport}/unix`) !== undefined) found.push({ id, transport });
  }
  return found;
}
