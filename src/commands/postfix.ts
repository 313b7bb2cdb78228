/**
 * `tlswarden postfix show`: the lines of main.cf and master.cf for this very host. What they are stands in src/fragments.
 */
import type { Command } from 'commander';
import type { FragmentContext, Fragments } from '../fragments/fragment.ts';
import { makeFragments } from '../fragments/make-fragments.ts';
import { policyServiceAt } from '../fragments/policy-service.ts';
import { PostconfError } from '../fragments/postconf.ts';
import { readPresentConfiguration } from '../fragments/present-configuration.ts';
import { wordFragments } from '../fragments/word-fragments.ts';
import type { MainFile } from '../main-file/main-file.ts';
import { loadSettings } from '../source/open-source.ts';
import { action, type CommandContext, CommandFailure, type ExitStatus, WELL } from './command-context.ts';
import { tablesOptions } from './maps.ts';

export function addPostfix(program: Command): void {
  const postfix = program.command('postfix').summary('what Postfix has to be told');
  postfix
    .command('show')
    .summary('print the main.cf and master.cf lines for this host')
    .description(
      'Prints what main.cf and master.cf need for the settings as they are, with what stands there now kept, and says of each\n' +
        'line what it is for. It changes nothing. A new level in the settings needs a new transport: run it again then.',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  tlswarden postfix show\n  tlswarden --json postfix show     {"main.cf": [{parameter, value, reason}], "master.cf": [{service, lines, reason}], …}\n\n' +
        'Exit status: 0 well; 1 postconf does not work; 2 main file or settings that cannot be used.',
    )
    .action(action((context) => show(context)));
}

async function show(context: CommandContext): Promise<ExitStatus> {
  const fragments = await readFragments(await context.readMain());
  if (context.json) context.printJson(fragmentsToJson(fragments));
  else context.print(wordFragments(fragments));
  return WELL;
}

/** The fragments for this host. Throws {@link CommandFailure} if postconf does not answer. */
async function readFragments(main: MainFile): Promise<Fragments> {
  const settings = await loadSettings(main);
  try {
    const context: FragmentContext = {
      policyService: policyServiceAt(main.server.listen[0] ?? ''),
      maps: main.maps === undefined ? undefined : await tablesOptions(main),
      present: await readPresentConfiguration(main.postfix.configDirectory),
    };
    return makeFragments(settings, context);
  } catch (error) {
    if (error instanceof PostconfError) throw new CommandFailure(error.message);
    throw error;
  }
}

function fragmentsToJson({ parameters, services, overrides, notes }: Fragments): object {
  return {
    'main.cf': parameters,
    'master.cf': services.map(({ service, line, reason }) => ({ service, lines: line, reason })),
    overrides,
    notes,
  };
}
