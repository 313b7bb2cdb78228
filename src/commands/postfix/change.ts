/**
 * What `postfix apply` and `postfix revert` share: their options, the reload, and how they tell what they have done.
 */
import type { Command } from 'commander';
import { type Changed, markReloaded } from '../../apply/change-files.ts';
import { isNothing } from '../../apply/edits.ts';
import { wordEdits } from '../../apply/word-edits.ts';
import { ReloadError, reloadPostfix } from '../../postfix/master.ts';
import type { FilteredMessage } from '../../postfix/postcat.ts';
import { type CommandContext, CommandFailure } from '../command-context.ts';
import { commandFor } from './this-host.ts';

/** The options of {@link addChangeOptions}, as commander gives them. */
export interface ChangeFlags {
  /** --dry-run: nothing is to be changed. */
  readonly dryRun?: boolean;
  /** --reload: Postfix is to be told. */
  readonly reload?: boolean;
}

/**
 * - none: there is nothing that Postfix would have to be told.
 * - due: somebody else has to tell it.
 */
export type Reload = 'none' | 'due' | 'done' | 'not running';

/** What was done, for {@link tellChange}. */
export interface Told extends Changed {
  readonly reload: Reload;
  /** Messages that wait for a transport of tlswarden's. */
  readonly queued: readonly FilteredMessage[];
}

/** Adds --dry-run and --reload to `command`, and gives it back. */
export function addChangeOptions(command: Command): Command {
  return command
    .option('--dry-run', 'change nothing; show what would be changed')
    .option('--reload', 'have Postfix reload afterwards, if it runs and was not told yet');
}

/** Before anything of Postfix is looked at: main.cf is root's, and so is `postfix check`. */
export function needsRoot({ dryRun }: ChangeFlags): void {
  if (dryRun !== true && process.geteuid?.() !== 0) {
    throw new CommandFailure("main.cf and master.cf are root's: run this as root, or with --dry-run");
  }
}

/**
 * Reloads Postfix if the user asks for it and it has something to read. Throws {@link CommandFailure} if Postfix cannot
 * be told.
 */
export async function reloadIfAsked(
  configDirectory: string,
  { reloadDue, backup }: Changed,
  { dryRun, reload }: ChangeFlags,
): Promise<Reload> {
  if (dryRun === true || !reloadDue) return 'none';
  if (reload !== true) return 'due';
  try {
    const reloaded = await reloadPostfix(configDirectory);
    await markReloaded(configDirectory);
    return reloaded ? 'done' : 'not running';
  } catch (error) {
    if (!(error instanceof ReloadError)) throw error;
    const stands = backup === undefined ? 'stand' : 'are changed';
    throw new CommandFailure(`main.cf and master.cf ${stands}, but Postfix could not be told: ${error.message}`);
  }
}

/** Up to so many messages are named in the command that requeues them. */
const IDS_NAMED = 3;

/**
 * Prints what was changed, where the backup is, and what is left to do; as JSON `changed` is false for a dry run too.
 */
export async function tellChange(context: CommandContext, configDirectory: string, told: Told): Promise<void> {
  const { edits, notes, backup, reload, queued } = told;
  if (context.json) {
    context.printJson({
      changed: backup !== undefined,
      'main.cf': edits.parameters.map(({ from = null, to = null, ...rest }) => ({ ...rest, from, to })),
      'master.cf': edits.services.map(({ from = null, to = null, ...rest }) => ({ ...rest, from, to })),
      overrides: edits.overrides,
      notes,
      backup: backup ?? null,
      reload,
      queued,
    });
    return;
  }
  context.print(isNothing(edits) ? 'nothing to change' : wordEdits(edits));
  if (backup !== undefined) context.print(`\nThe files from before are in ${backup}`);
  if (reload !== 'none') context.print(await wordReload(reload, configDirectory, backup !== undefined));
  if (queued.length > 0) context.print(await wordQueued(queued, configDirectory));
  for (const note of notes) context.note(`Note: ${note}`);
}

async function wordReload(reload: Exclude<Reload, 'none'>, configDirectory: string, changed: boolean): Promise<string> {
  if (reload === 'done') return 'Postfix reloads.';
  if (reload === 'not running') return 'Postfix does not run: it reads them when it starts.';
  const command = await commandFor(configDirectory, 'postfix', 'reload');
  return changed ? `Now run: ${command}` : `If Postfix was not reloaded since the last change, run: ${command}`;
}

async function wordQueued(queued: readonly FilteredMessage[], configDirectory: string): Promise<string> {
  const transports = [...new Set(queued.map(({ transport }) => transport))].sort().join(', ');
  const ids = queued.length <= IDS_NAMED ? queued.map(({ id }) => id) : ['ALL'];
  const command = await commandFor(configDirectory, 'postsuper', ...ids.flatMap((id) => ['-r', id]));
  return (
    `Messages in the queue that FILTER has bound to ${transports}: ${queued.length}. What is bound to a transport that is gone\n` +
    `waits until it is requeued; if it may leave without TLS, run after the reload: ${command}`
  );
}
