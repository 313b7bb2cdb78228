/**
 * `tlswarden postfix show`: the lines of main.cf and master.cf for this very host. What they are stands in src/fragments.
 */
import type { Command } from 'commander';
import type { Fragments } from '../../fragments/fragment.ts';
import { makeFragments } from '../../fragments/make-fragments.ts';
import { readPresentConfiguration } from '../../fragments/present-configuration.ts';
import { wordFragments } from '../../fragments/word-fragments.ts';
import type { MainFile } from '../../main-file/main-file.ts';
import { loadSettings } from '../../main-file/open-source.ts';
import { action, type CommandContext, type ExitStatus, WELL } from '../command-context.ts';
import { thisHost } from './this-host.ts';

const HELP = `
Examples:
  $ tlswarden postfix show
  $ tlswarden --json postfix show     {"main.cf": [{parameter, value, reason}], "master.cf": [{service, lines, reason}], …}

Exit status: 0 well; 1 postconf does not work; 2 main file or settings that cannot be used.`;

/** Makes `show` a command of `postfix`; it reads main.cf and master.cf, and needs no root. */
export function addShow(postfix: Command): void {
  postfix
    .command('show')
    .summary('print the main.cf and master.cf lines for this host')
    .description(
      'Prints what main.cf and master.cf need for the settings as they are, with what stands there now kept, and says of each ' +
        'line what it is for. It changes nothing: that is what "postfix apply" is for. A new level in the settings needs a new ' +
        'transport: run it again then.',
    )
    .addHelpText('after', HELP)
    .action(action((context) => show(context)));
}

async function show(context: CommandContext): Promise<ExitStatus> {
  const fragments = await readFragments(await context.readMain());
  if (context.json) context.printJson(fragmentsToJson(fragments));
  else context.print(wordFragments(fragments));
  return WELL;
}

/** The fragments for this host. Throws a PostconfError if postconf does not answer. */
async function readFragments(main: MainFile): Promise<Fragments> {
  const settings = await loadSettings(main);
  const { configDirectory, ...host } = await thisHost(main);
  return makeFragments(settings, { ...host, present: await readPresentConfiguration(configDirectory) });
}

function fragmentsToJson({ parameters, services, overrides, notes }: Fragments): object {
  return {
    'main.cf': parameters,
    'master.cf': services.map(({ service, line, reason }) => ({ service, lines: line, reason })),
    overrides,
    notes,
  };
}
