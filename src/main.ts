#!/usr/bin/env node
/**
 * The program `tlswarden`: its global options and its commands. What a command does stands in its own file; here is
 * only which there are, and that wrong usage is exit status 2.
 */
import { readFileSync } from 'node:fs';
import { Command, CommanderError, Option } from 'commander';
import { addCheck } from './commands/check.ts';
import { CommandContext, FAILED, MISUSED, WELL } from './commands/command-context.ts';
import { addCompletion } from './commands/completion.ts';
import { addDomains } from './commands/domains.ts';
import { addExplain } from './commands/explain.ts';
import { addMaps } from './commands/maps.ts';
import { addPostfix } from './commands/postfix.ts';
import { addProbe } from './commands/probe.ts';
import { addServe } from './commands/serve.ts';
import { DEFAULT_PATH } from './main-file/main-file.ts';

/** `| head` ends the reading, not the program; what is still written goes nowhere. */
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') return;
    // A result that could not be written is none, whatever the command thinks of it.
    if (stream === process.stdout) process.stderr.write(`tlswarden: the result cannot be written: ${error.message}\n`);
    process.exit(FAILED);
  });
}

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
const wantsJson = process.argv.includes('--json');

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
addProbe(program);
addCompletion(program);

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode === 0 ? WELL : MISUSED;
}
