/**
 * The commands of the program as blocks, from what `--help` says of each. There is no second text about them.
 */
import type { Command } from 'commander';
import type { Block, Text } from './markdown.ts';

/** A part for each command, in the order in which help lists them. */
export function commandBlocks(program: Command): readonly Block[] {
  return program.commands.flatMap((command) =>
    command.commands.length === 0
      ? blocksOf(command, program)
      : [...blocksOf(command, program), ...command.commands.flatMap((sub) => blocksOf(sub, command))],
  );
}

/** Arguments and options of a command, or of the program itself. */
export function optionRows(command: Command): readonly Block[] {
  const help = command.createHelp();
  const row = (term: string, description: string): readonly Text[] => [
    [{ style: 'bold', text: term }],
    words(description),
  ];
  const rows = [
    ...help.visibleArguments(command).map((it) => row(help.argumentTerm(it), help.argumentDescription(it))),
    ...help
      .visibleOptions(command)
      // Every command has that one.
      .filter((option) => option.long !== '--help')
      .map((it) => row(help.optionTerm(it), help.optionDescription(it))),
  ];
  return rows.length === 0 ? [] : [{ kind: 'table', header: ['', ''], rows }];
}

function blocksOf(command: Command, parent: Command): readonly Block[] {
  const help = command.createHelp();
  const usage = help.commandUsage(command).replace(' [options]', command.options.length > 0 ? ' [OPTION…]' : '');
  const name = parent.parent === null ? command.name() : `${parent.name()} ${command.name()}`;
  const description =
    help.commandDescription(command).replaceAll('\n', ' ') || `${help.subcommandDescription(command)}.`;
  return [
    { kind: 'heading', level: 3, text: name },
    ...(command.commands.length > 0 ? [] : [{ kind: 'code', lines: [usage] } as const]),
    { kind: 'paragraph', text: words(description) },
    ...optionRows(command),
    ...afterHelp(command),
  ];
}

/** What a command's help says behind its options: lines that are set in stand as they are, others are running text. */
function afterHelp(command: Command): readonly Block[] {
  let whole = '';
  const { writeOut } = command.configureOutput();
  command.configureOutput({
    writeOut: (text) => {
      whole += text;
    },
  });
  command.outputHelp();
  if (writeOut !== undefined) command.configureOutput({ writeOut });
  const after = whole.slice(command.helpInformation().length);
  return after.split(/\n{2,}/u).flatMap((part): readonly Block[] => {
    const lines = part.split('\n').filter((line) => line !== '');
    const from = lines.findIndex((line) => line.startsWith('  '));
    const text = (from === -1 ? lines : lines.slice(0, from)).join(' ');
    const code = from === -1 ? [] : lines.slice(from).map((line) => line.replace(/^ {2}/u, ''));
    return [
      ...(text === '' ? [] : [{ kind: 'paragraph', text: words(text) } as const]),
      ...(code.length === 0 ? [] : [{ kind: 'code', lines: code } as const]),
    ];
  });
}

/** Help is no Markdown: every character stands for itself. */
function words(text: string): Text {
  return [{ style: 'plain', text }];
}
