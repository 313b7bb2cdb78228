/**
 * sendmail(1) of Postfix: mail that is submitted on this host.
 */
import { QueueError, reasonOf, runOnQueue } from './queue-program.ts';

/** Submits a message of the null sender by `program`, which is `sendmail_path`. Rejects with {@link QueueError}. */
export async function sendmail(
  program: string,
  configDirectory: string,
  recipient: string,
  text: string,
): Promise<void> {
  const args = ['-C', configDirectory, '-f', '<>', recipient];
  const ended = await runOnQueue(program, args, { input: `${text}\n` });
  if (ended.failure !== undefined) throw new QueueError(`sendmail: ${reasonOf(program, ended)}`);
}
