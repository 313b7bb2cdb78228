#!/usr/bin/env node
/**
 * The program `tlswarden`: runs the command that is asked for. Here is only that wrong usage is exit status 2, and what
 * becomes of output that nobody reads.
 */
import { CommanderError } from 'commander';
import { CommandContext, FAILED, MISUSED, WELL } from './commands/command-context.ts';
import { makeProgram } from './program.ts';

/** `| head` ends the reading, not the program; what is still written goes nowhere. */
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') return;
    // A result that could not be written is none, whatever the command thinks of it.
    if (stream === process.stdout) process.stderr.write(`tlswarden: the result cannot be written: ${error.message}\n`);
    process.exit(FAILED);
  });
}

const wantsJson = process.argv.includes('--json');
try {
  await makeProgram(wantsJson).parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  if (error.code === 'commander.help' && error.exitCode !== 0 && wantsJson) {
    new CommandContext({ json: true }).complain(
      [{ message: 'no command is given; --help names those there are' }],
      'usage',
    );
  }
  process.exitCode = error.exitCode === 0 ? WELL : MISUSED;
}
