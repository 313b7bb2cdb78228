/**
 * Blocks as a manual page in the man(7) macros: plain ASCII, fit for groff and mandoc. It decides no content.
 */
import { type Block, parseText, plainText, type Span, type Text } from './markdown.ts';

export interface ManualPage {
  readonly name: string;
  readonly section: number;
  /** Of the program, at the bottom of the page. */
  readonly version: string;
  /** One line, for apropos(1): the names, and what they are. */
  readonly summary: string;
  readonly blocks: readonly Block[];
}

const SECTIONS: Readonly<Record<number, string>> = { 5: 'File Formats', 8: 'System Administration' };
const FONTS: Readonly<Record<Span['style'], string>> = { plain: '', bold: 'B', italic: 'I', code: 'B' };

/** The source of a page. A heading of level 2 begins a section, one of level 3 a part of it. */
export function formatPage({ name, section, version, summary, blocks }: ManualPage): string {
  const title = [name.toUpperCase(), section, '', `tlswarden ${version}`, SECTIONS[section] ?? ''];
  const lines = [
    '.\\" Made of the README and of the program itself: edit those.',
    `.TH ${title.map((part) => `"${escaped(String(part))}"`).join(' ')}`,
    // Ragged right: what is justified around long names of options has holes.
    '.ad l',
    '.nh',
    '.SH NAME',
    `${escaped(name)} \\- ${escaped(summary)}`,
    ...blocks.flatMap((block, i) => formatBlock(block, blocks[i - 1])),
  ];
  return `${lines.join('\n')}\n`;
}

/** A block; behind a heading a paragraph needs no macro of its own. */
function formatBlock(block: Block, before?: Block): readonly string[] {
  const paragraph = before?.kind === 'heading' ? [] : ['.PP'];
  switch (block.kind) {
    case 'heading':
      return [block.level === 2 ? `.SH ${argument(block.text.toUpperCase())}` : `.SS ${argument(block.text)}`];
    case 'paragraph':
      return [...paragraph, formatText(block.text)];
    case 'code':
      return [...paragraph, '.RS 4', '.nf', ...block.lines.map((line) => noRequest(literal(line))), '.fi', '.RE'];
    case 'list':
      return block.items.flatMap(formatItem);
    case 'table':
      return block.rows.flatMap(([first = [], ...rest]) => formatRow(block.header, first, rest));
  }
}

/** One item: its first paragraph beside the bullet, the rest below. */
function formatItem([first, ...rest]: readonly Block[]): readonly string[] {
  if (first?.kind !== 'paragraph') throw new Error('an item that does not begin with a paragraph');
  const more = rest.flatMap((block) => formatBlock(block));
  return ['.IP \\(bu 2', formatText(first.text), ...(more.length > 0 ? ['.RS', ...more, '.RE'] : [])];
}

/** A row: its first cell as a tag, the others below, each with the name of its column where there are several. */
function formatRow([, ...names]: readonly string[], first: Text, rest: readonly Text[]): readonly string[] {
  const cells = rest.map((cell, column): Text => {
    const name = rest.length > 1 ? names[column] : undefined;
    return cell.length === 0 || name === undefined
      ? cell
      : [{ style: 'italic', text: name }, { style: 'plain', text: ': ' }, ...cell];
  });
  const [cell = '', ...more] = cells.filter((text) => text.length > 0).map(formatText);
  return ['.TP', formatTag(first), cell, ...more.flatMap((line) => ['.br', line])];
}

/** Running text. Where its lines end means nothing; they are short for those who look at the source. */
function formatText(text: Text): string {
  const lines = formatTag(text).match(/.{1,78}(?: +|$)|[^ ]+(?: +|$)/gu) ?? [];
  return lines.map((line) => noRequest(line.trimEnd())).join('\n');
}

/** The same on one line, as a tag has to be. */
function formatTag(text: Text): string {
  return noRequest(text.map(formatSpan).join(''));
}

/** A line that roff does not take for a request. */
function noRequest(line: string): string {
  return /^[.']/u.test(line) ? `\\&${line}` : line;
}

function formatSpan({ style, text }: Span): string {
  const font = FONTS[style];
  const inside = style === 'code' ? literal(text) : escaped(text);
  return font === '' ? inside : `\\f${font}${inside}\\fR`;
}

function argument(text: string): string {
  return `"${escaped(plainText(parseText(text))).replaceAll('"', '\\(dq')}"`;
}

/** Characters that roff would make nicer, and that are to be copied from the page as they are. */
const LITERAL: Readonly<Record<string, string>> = {
  '-': '\\-',
  "'": '\\(aq',
  '`': '\\(ga',
  '^': '\\(ha',
  '~': '\\(ti',
};

function literal(text: string): string {
  return escaped(text).replace(/[-'`^~]/gu, (character) => LITERAL[character] ?? character);
}

function escaped(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('…', '...')
    .replace(
      /[^\p{ASCII}]/gu,
      (character) => `\\[u${character.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')}]`,
    );
}
