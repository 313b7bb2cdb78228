/**
 * postcat(1): what the envelopes of queued messages say. It changes nothing in the queue.
 */
import { QueueError, reasonOf, runOnQueue } from './queue-program.ts';

/** The envelopes of so many messages as one call is given. */
const MAX_OUTPUT = 256 * 1024 * 1024;

/** A message that FILTER, or content_filter, has bound to a transport. */
export interface FilteredMessage {
  readonly id: string;
  /** The transport that it names, without the next hop. */
  readonly transport: string;
}

/** Those of these messages that are bound to a transport; not those that have left the queue. Rejects with {@link QueueError}. */
export async function filteredMessages(
  configDirectory: string,
  ids: readonly string[],
): Promise<readonly FilteredMessage[]> {
  return filteredIn(await envelopes(configDirectory, ids));
}

/** What is printed of all of these that are still there: it ends at the first that has left the queue meanwhile. */
async function envelopes(configDirectory: string, ids: readonly string[]): Promise<string> {
  let printed = '';
  for (let rest = ids; rest.length > 0; ) {
    const ended = await runOnQueue('postcat', ['-c', configDirectory, '-eq', ...rest], { maxOutput: MAX_OUTPUT });
    printed += ended.stdout;
    if (ended.failure === undefined) break;
    const gone = /open queue file (\S+):/u.exec(ended.stderr)?.[1];
    const at = gone === undefined ? -1 : rest.indexOf(gone);
    if (at < 0) throw new QueueError(reasonOf('postcat', ended));
    rest = rest.slice(at + 1);
  }
  return printed;
}

/** `content_filter` among the records of each message is what FILTER has set. */
function filteredIn(text: string): readonly FilteredMessage[] {
  const found: FilteredMessage[] = [];
  let id = '';
  for (const line of text.split('\n')) {
    id = /^\*\*\* ENVELOPE RECORDS \S*?([^/\s]+) \*\*\*$/u.exec(line)?.[1] ?? id;
    const transport = /^content_filter: ([^:]+):/u.exec(line)?.[1];
    if (transport !== undefined) found.push({ id, transport });
  }
  return found;
}
