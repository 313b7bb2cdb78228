/**
 * Messages in the queue that FILTER has bound to a transport of tlswarden's: they name it themselves, so they wait for it
 * when it is gone. (What tables have routed is routed anew at each attempt.) It changes nothing in the queue.
 */
import { execFile, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { transportOfService } from '../fragments/ours.ts';

export interface QueuedMessage {
  readonly id: string;
  readonly transport: string;
}

/** The queue could not be looked at. The message is the reason. */
export class QueueError extends Error {}

/** How many messages one postcat(1) is given. */
const AT_ONCE = 500;

/** Rejects with {@link QueueError}. `progress` gets how many of how many messages were looked at. */
export async function queuedMail(
  configDirectory: string,
  progress: (done: number, all: number) => void,
): Promise<readonly QueuedMessage[]> {
  const ids = await queueIds(configDirectory);
  const found: QueuedMessage[] = [];
  for (let done = 0; done < ids.length; done += AT_ONCE) {
    progress(done, ids.length);
    found.push(...filteredIn(await envelopes(configDirectory, ids.slice(done, done + AT_ONCE))));
  }
  return found;
}

async function queueIds(configDirectory: string): Promise<readonly string[]> {
  const child = spawn('postqueue', ['-c', configDirectory, '-j'], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    if (said.length < 4096) said += text;
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', (error) => reject(new QueueError(error.message)));
    child.once('close', resolve);
  });
  const ids: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    const { queue_id: id } = JSON.parse(line) as { readonly queue_id?: unknown };
    if (typeof id === 'string') ids.push(id);
  }
  if ((await ended) !== 0) throw new QueueError(said.trim());
  return ids;
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
function filteredIn(text: string): readonly QueuedMessage[] {
  const found: QueuedMessage[] = [];
  let id = '';
  for (const line of text.split('\n')) {
    id = /^\*\*\* ENVELOPE RECORDS \S*?([^/\s]+) \*\*\*$/u.exec(line)?.[1] ?? id;
    const transport = /^content_filter: ([^:]+):/u.exec(line)?.[1];
    if (transport !== undefined && transportOfService(`${transport}/unix`) !== undefined) found.push({ id, transport });
  }
  return found;
}
