/**
 * `tlswarden postfix apply`: sets the lines that `postfix show` prints. How stands in src/apply.
 */
import type { Command } from 'commander';
import { applyFragments } from '../../apply/apply-fragments.ts';
import { whatRuns } from '../../doctor/daemons.ts';
import { Mending } from '../../doctor/mending.ts';
import type { MainFile } from '../../main-file/main-file.ts';
import { loadSettings } from '../../main-file/open-source.ts';
import { reachService } from '../../service/reach-service.ts';
import { action, type CommandContext, CommandFailure, type ExitStatus, WELL } from '../command-context.ts';
import { addChangeOptions, type ChangeFlags, needsRoot, reloadIfAsked, tellChange } from './change.ts';
import { thisHost } from './this-host.ts';

const HELP = `
What stands in main.cf and master.cf is kept: tlswarden's tables come first in their lists, its restrictions before
whatever may permit, a service with restrictions of its own gets the same in them. Both files are copied to
tlswarden-backup beside them first, and put back if "postfix check" fails or this program is interrupted; if it is killed,
the next run puts them back. A transport that the settings do not need any more stays, since mail may be queued for it.
A running Postfix goes by the new lines from "postfix reload" on, or by --reload. With that, nothing is changed if the
policy service does not answer, since Postfix would defer all mail until it does; with --force it is done all the same.

Examples:
  $ tlswarden postfix apply --dry-run
  --- main.cf
  # offer STARTTLS: who is asked for TLS must be able to use it
  +smtpd_tls_security_level = may
  …
  $ tlswarden postfix apply --reload
  $ tlswarden --json postfix apply    {"changed": true, "main.cf": [{parameter, from, to, reason}], …}

Exit status: 0 done, or nothing to change; 1 it did not work, and both files are as they were; 2 main file or settings
that cannot be used.`;

interface ApplyFlags extends ChangeFlags {
  readonly force?: boolean;
}

/** How long a service that has just been started may take until it answers. */
const START_MS = 3_000;

/** Makes `apply` a command of `postfix`; it needs root, but for --dry-run. */
export function addApply(postfix: Command): void {
  addChangeOptions(
    postfix
      .command('apply')
      .summary('set these lines with postconf, keeping what is there')
      .description(
        'Sets what main.cf and master.cf need for the settings as they are, after a backup. A second run changes nothing. ' +
          'It is to be run again when the settings use a new level, which needs a new transport, or the main file changes.',
      ),
  )
    .option('--force', 'with --reload: also if the policy service does not answer')
    .addHelpText('after', HELP)
    .action(action((context, flags: ApplyFlags) => apply(context, flags)));
}

async function apply(context: CommandContext, flags: ApplyFlags): Promise<ExitStatus> {
  const main = await context.readMain();
  const settings = await loadSettings(main);
  needsRoot(flags);
  const host = await thisHost(main);
  const isNeeded = flags.reload === true && flags.force !== true && flags.dryRun !== true;
  const unreached = await reachService(host.policyService, isNeeded ? START_MS : 0);
  if (isNeeded && unreached !== undefined) throw await unreachedFailure(main, `${unreached} (${host.policyService})`);
  const applied = await applyFragments(settings, {
    ...host,
    dryRun: flags.dryRun === true,
    waiting: () => context.note('waiting for another tlswarden that is changing main.cf and master.cf'),
  });
  const notes = [...applied.notes];
  if (unreached !== undefined) {
    notes.push(`The policy service ${unreached} (${host.policyService}): until it answers, Postfix defers all mail.`);
  }
  const reload = await reloadIfAsked(host.configDirectory, applied, flags);
  await tellChange(context, host.configDirectory, { ...applied, notes, reload, queued: [] });
  return WELL;
}

async function unreachedFailure(main: MainFile, unreached: string): Promise<CommandFailure> {
  const mending = new Mending({
    mainPath: main.path,
    mainText: '',
    configDirectory: main.postfix.configDirectory,
    isRunning: true,
    isServiceSilent: true,
    daemons: await whatRuns(main.path),
    areTablesDue: false,
  });
  return new CommandFailure(
    `the policy service ${unreached}; Postfix would defer all mail, so nothing was changed. Start it, or give --force:\n${mending.startService.join('\n')}`,
  );
}
