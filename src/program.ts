/**
 * The command line of `tlswarden` as a value: its global options and its commands. What a command does stands in its own
 * file. It parses nothing and ends nothing.
 */
import { readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import { addCheck } from './commands/check.ts';
import { CommandContext } from './commands/command-context.ts';
import { addCompletion } from './commands/completion.ts';
import { addDoctor } from './commands/doctor.ts';
import { addDomains } from './commands/domains.ts';
import { addExplain } from './commands/explain.ts';
import { addMaps } from './commands/maps.ts';
import { addPostfix } from './commands/postfix.ts';
import { addProbe } from './commands/probe.ts';
import { addReport } from './commands/report.ts';
import { addServe } from './commands/serve.ts';
import { DEFAULT_PATH } from './main-file/main-file.ts';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

/** The program. With `wantsJson` wrong usage is told as JSON; it throws CommanderError where commander would exit. */
export function makeProgram(wantsJson: boolean): Command {
  const program = new Command('tlswarden')
    .description(
      'Makes TLS compulsory in Postfix, per domain, per sender and per recipient, on both hops: mail that arrives here and ' +
        'mail that leaves here.',
    )
    .usage('[--config FILE] [--json] COMMAND')
    .version(version, '--version', 'print the version')
    .addOption(
      new Option('--config <file>', 'the main file; relative paths in it are relative to it')
        .env('TLSWARDEN_CONFIG')
        .default(DEFAULT_PATH),
    )
    .option('--json', 'results, and errors, as JSON')
    .helpOption('-h, --help', 'print this help, or that of the command before it')
    .exitOverride()
    .configureOutput({
      // Only errors come here, and the help where no command is given, which main.ts words for a program.
      writeErr: (text) => void (wantsJson || process.stderr.write(text)),
      // Commander's errors begin with "error: " and end with a newline.
      outputError: (text, write) => {
        const message = text.trim().replace(/^error: /u, '');
        if (wantsJson) new CommandContext({ json: true }).complain([{ message }], 'usage');
        else write(`tlswarden: ${message}\n`);
      },
    })
    .addHelpText(
      'after',
      '\nExit status: 0 well; 1 it did not work, or the answer is no; 2 wrong usage, configuration or settings.',
    );

  addServe(program);
  addMaps(program);
  addPostfix(program);
  addCheck(program);
  addDomains(program);
  addExplain(program);
  addDoctor(program);
  addProbe(program);
  addReport(program);
  addCompletion(program);
  return program;
}
