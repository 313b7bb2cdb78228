/**
 * `tlswarden postfix revert`: takes out of main.cf and master.cf what apply has put in. How stands in src/apply.
 */
import type { Command } from 'commander';
import { queuedMail } from '../../apply/queued-mail.ts';
import { revertFragments } from '../../apply/revert-fragments.ts';
import type { FilteredMessage } from '../../postfix/postcat.ts';
import { QueueError } from '../../postfix/queue-program.ts';
import { action, type CommandContext, type ExitStatus, WELL } from '../command-context.ts';
import { Progress } from '../progress.ts';
import { addChangeOptions, type ChangeFlags, needsRoot, reloadIfAsked, tellChange } from './change.ts';
import { thisHost } from './this-host.ts';

const HELP = `
tlswarden's tables, restrictions and transports go; what apply has replaced comes back, unless somebody has changed it
since. A call of the service that somebody had written before apply stays, and is told of. Where nobody has changed anything
since, both files are as they were before the first apply, to the byte. The settings are not read, and the tables and the
service are left alone. If the main file is gone, an empty one does.

Messages that were sent to a tlswarden transport by FILTER stay in the queue until they are requeued: they are told of,
and the command for it. They may leave without TLS then.

Examples:
  $ tlswarden postfix revert --dry-run
  $ tlswarden postfix revert --reload

Exit status: 0 done, or nothing to take out; 1 it did not work, and both files are as they were; 2 a main file that cannot
be used.`;

/** Makes `revert` a command of `postfix`; it needs root, but for --dry-run. */
export function addRevert(postfix: Command): void {
  addChangeOptions(
    postfix
      .command('revert')
      .summary('take out what apply put in')
      .description(
        'Takes out of main.cf and master.cf what "postfix apply" has put in, after a backup, and keeps all else.',
      ),
  )
    .addHelpText('after', HELP)
    .action(action((context, flags: ChangeFlags) => revert(context, flags)));
}

async function revert(context: CommandContext, flags: ChangeFlags): Promise<ExitStatus> {
  const main = await context.readMain();
  needsRoot(flags);
  const host = await thisHost(main);
  const reverted = await revertFragments({
    ...host,
    dryRun: flags.dryRun === true,
    waiting: () => context.note('waiting for another tlswarden that is changing main.cf and master.cf'),
  });
  const reload = await reloadIfAsked(host.configDirectory, reverted, flags);
  const { queued, notes } = await lookAtQueue(host.configDirectory);
  await tellChange(context, host.configDirectory, {
    ...reverted,
    notes: [...reverted.notes, ...notes],
    reload,
    queued,
  });
  return WELL;
}

/** The files are changed by now: that the queue cannot be read is no reason to fail. */
async function lookAtQueue(
  configDirectory: string,
): Promise<{ readonly queued: readonly FilteredMessage[]; readonly notes: readonly string[] }> {
  const progress = new Progress('messages in the queue looked at');
  try {
    return { queued: await queuedMail(configDirectory, progress.show), notes: [] };
  } catch (error) {
    if (!(error instanceof QueueError)) throw error;
    return {
      queued: [],
      notes: [`Whether mail is queued for tlswarden's transports cannot be told: ${error.message}`],
    };
  } finally {
    progress.end();
  }
}
