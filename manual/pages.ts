/**
 * The two pages of the manual: which part of the README stands in which, beside what the program says of itself.
 */
import type { Command } from 'commander';
import { commandBlocks, optionRows } from './help.ts';
import { type Block, parseMarkdown, parseText, plainText } from './markdown.ts';
import type { ManualPage } from './roff.ts';

/** The section that is about the files, for tlswarden.toml(5). */
const FILES = 'Settings';
/** The section that says, in a table, what the manual says at length. */
const COMMANDS = 'Commands';
/** Sections for those who have no manual yet, or want to change the program. */
const NOT_IN_THE_MANUAL = ['Install on a mail host', 'For developers'];
/** How the part of the README begins that is for those who have just found it. */
const FOUND_IT = 'Try it';

interface Section {
  readonly title: string;
  readonly blocks: readonly Block[];
}

/** tlswarden(8) and tlswarden.toml(5). */
export function makePages(readme: string, program: Command, description: string): readonly ManualPage[] {
  const version = program.version() ?? '';
  const [introduction, ...sections] = sectionsOf(parseMarkdown(readme));
  const one = (title: string): Section => {
    const section = sections.find((candidate) => candidate.title === title);
    if (section === undefined) throw new Error(`the README has no section "${title}"`);
    return section;
  };
  const others = sections.filter(({ title }) => ![FILES, COMMANDS, ...NOT_IN_THE_MANUAL].includes(title));
  return [
    {
      name: 'tlswarden',
      section: 8,
      version,
      summary: description.charAt(0).toLowerCase() + description.slice(1),
      blocks: [
        heading('Synopsis'),
        { kind: 'code', lines: [`${program.name()} ${program.usage()}`] },
        heading('Description'),
        ...introductionOf(introduction?.blocks ?? []),
        heading('Options'),
        ...optionRows(program),
        heading(COMMANDS),
        ...withoutTable(one(COMMANDS).blocks, commandBlocks(program)),
        ...others.flatMap(({ title, blocks }) => [heading(title), ...blocks]),
        ...seeAlso('`tlswarden.toml`(5), `postfix`(1), `postconf`(5), `postmap`(1), `access`(5), `systemd.socket`(5)'),
      ],
    },
    {
      name: 'tlswarden.toml',
      section: 5,
      version,
      summary: 'main file and settings of tlswarden',
      blocks: [heading(FILES), ...promoted(one(FILES).blocks), ...seeAlso('`tlswarden`(8), `postconf`(5)')],
    },
  ];
}

function heading(text: string): Block {
  return { kind: 'heading', level: 2, text };
}

function seeAlso(text: string): readonly Block[] {
  return [heading('See also'), { kind: 'paragraph', text: parseText(text) }];
}

/** The README by its headings of level 2; first what stands above them. */
function sectionsOf(blocks: readonly Block[]): readonly Section[] {
  const sections: { title: string; blocks: Block[] }[] = [{ title: '', blocks: [] }];
  for (const block of blocks) {
    if (block.kind === 'heading' && block.level === 2) sections.push({ title: block.text, blocks: [] });
    else sections.at(-1)?.blocks.push(block);
  }
  return sections;
}

/** What tlswarden is, in words. */
function introductionOf(blocks: readonly Block[]): readonly Block[] {
  const end = blocks.findIndex((block) => block.kind === 'paragraph' && plainText(block.text).startsWith(FOUND_IT));
  if (end === -1) throw new Error(`the README has no paragraph that begins with "${FOUND_IT}"`);
  return blocks.slice(0, end).filter((block) => block.kind === 'paragraph');
}

/** The section with what is said at length in place of its first table. */
function withoutTable(blocks: readonly Block[], instead: readonly Block[]): readonly Block[] {
  const table = blocks.findIndex((block) => block.kind === 'table');
  return [...blocks.slice(0, table), ...instead, ...blocks.slice(table + 1)];
}

/** Parts as sections of their own. */
function promoted(blocks: readonly Block[]): readonly Block[] {
  return blocks.map((block) => (block.kind === 'heading' ? { ...block, level: block.level - 1 } : block));
}
