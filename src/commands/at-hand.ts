/**
 * The settings for a command that looks at them and changes nothing: while Redis is away those of the snapshot, by which the
 * service goes after a start.
 */
import type { MainFile } from '../main-file/main-file.ts';
import { settingsAtHand } from '../main-file/open-source.ts';
import type { Settings } from '../settings/settings.ts';
import { type CommandContext, CommandFailure } from './command-context.ts';

/** What there is to look at. */
export interface AtHand {
  readonly settings: Settings;
  /** They are the snapshot's, which was said. */
  readonly isSnapshot: boolean;
}

/** Throws {@link CommandFailure} where Redis is away and there is no snapshot, and what is wrong with the settings. */
export async function atHand(context: CommandContext, main: MainFile): Promise<AtHand> {
  const { settings, away } = await settingsAtHand(main);
  if (away === undefined) return { settings, isSnapshot: false };
  const said = `${away.trouble}; ${away.instead}`;
  if (settings === undefined) throw new CommandFailure(said);
  context.note(said);
  return { settings, isSnapshot: true };
}
