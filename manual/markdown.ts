/**
 * The Markdown that the README is written in, as blocks. It knows what stands there and no more: of anything else it throws,
 * rather than have it come out wrong in the manual.
 */

export type Block =
  | { readonly kind: 'heading'; readonly level: number; readonly text: string }
  | { readonly kind: 'paragraph'; readonly text: Text }
  | { readonly kind: 'code'; readonly lines: readonly string[] }
  | { readonly kind: 'list'; readonly items: readonly (readonly Block[])[] }
  | { readonly kind: 'table'; readonly header: readonly string[]; readonly rows: readonly (readonly Text[])[] };

/** What a paragraph or a cell says. */
export type Text = readonly Span[];

/** A stretch of it. */
export interface Span {
  readonly style: 'plain' | 'bold' | 'italic' | 'code';
  readonly text: string;
}

/** How a block begins that is no paragraph. */
const FENCE = /^```(\w*)$/u;
const HEADING = /^(#{1,6}) (.+)$/u;
const ITEM = /^(- |\d+\. +)(.*)$/u;
const ROW = /^\|.*\|$/u;
const RULE = /^\|(?: *:?-+:? *\|)+$/u;
const UNKNOWN = /^(?:>|!\[|<|\t| {4}|---|===)/u;

/** The blocks of a text, in order. */
export function parseMarkdown(text: string): readonly Block[] {
  return new Parser(text.split('\n')).blocks();
}

class Parser {
  readonly #lines: readonly string[];
  #at = 0;

  constructor(lines: readonly string[]) {
    this.#lines = lines;
  }

  blocks(): readonly Block[] {
    const blocks: Block[] = [];
    for (let line = this.#line(); line !== undefined; line = this.#line()) {
      if (line.trim() === '') this.#at += 1;
      else blocks.push(this.#block(line));
    }
    return blocks;
  }

  #line(): string | undefined {
    return this.#lines[this.#at];
  }

  /** Takes lines for as long as they are such. */
  #takeWhile(holds: (line: string) => boolean): readonly string[] {
    const from = this.#at;
    for (let line = this.#line(); line !== undefined && holds(line); line = this.#line()) this.#at += 1;
    return this.#lines.slice(from, this.#at);
  }

  #block(line: string): Block {
    const [, marks, text] = HEADING.exec(line) ?? [];
    if (marks !== undefined && text !== undefined) {
      this.#at += 1;
      return { kind: 'heading', level: marks.length, text };
    }
    if (FENCE.test(line)) return this.#code();
    if (ROW.test(line)) return this.#table();
    if (ITEM.test(line)) return this.#list();
    if (UNKNOWN.test(line)) throw new Error(`line ${this.#at + 1} is Markdown that is not known here: ${line}`);
    const lines = this.#takeWhile(
      (next) => next.trim() !== '' && ![FENCE, ROW, HEADING].some((other) => other.test(next)),
    );
    return { kind: 'paragraph', text: parseText(lines.map((part) => part.trim()).join(' ')) };
  }

  #code(): Block {
    this.#at += 1;
    const lines = this.#takeWhile((line) => line !== '```');
    if (this.#line() === undefined) throw new Error('a block of code has no end');
    this.#at += 1;
    return { kind: 'code', lines };
  }

  #table(): Block {
    const [header = '', rule = '', ...rows] = this.#takeWhile((line) => ROW.test(line));
    if (!RULE.test(rule)) throw new Error(`a table without a rule below its header: ${header}`);
    const width = cells(header).length;
    for (const row of rows)
      if (cells(row).length !== width) throw new Error(`a row is not as wide as its table: ${row}`);
    return { kind: 'table', header: cells(header), rows: rows.map((row) => cells(row).map(parseText)) };
  }

  #list(): Block {
    const items: (readonly Block[])[] = [];
    for (let line = this.#line(); line !== undefined; line = this.#line()) {
      const [, mark, first] = ITEM.exec(line) ?? [];
      if (mark === undefined || first === undefined) break;
      this.#at += 1;
      const indent = ' '.repeat(mark.length);
      const rest = this.#takeWhile((next) => next.startsWith(indent) || next.trim() === '');
      items.push(parseMarkdown([first, ...rest.map((next) => next.slice(indent.length))].join('\n')));
    }
    return { kind: 'list', items };
  }
}

/** The cells of a row; a `|` in code, or behind a backslash, ends none. */
function cells(row: string): readonly string[] {
  const parts = row.slice(1, -1).match(/(?:`[^`]*`|\\\||[^|])*/gu) ?? [];
  // Between two separators an empty match follows each full one.
  return parts.filter((part) => part !== '').map((part) => part.trim().replaceAll('\\|', '|'));
}

/** The spans of a paragraph or a cell; of a link its words are left. */
export function parseText(text: string): Text {
  const spans: Span[] = [];
  const pattern = /`([^`]+)`|\*\*(.+?)\*\*|\*(.+?)\*|\[([^\]`]+)\]\([^)]+\)/gu;
  let end = 0;
  const plain = (to: number): void => {
    if (to > end) spans.push({ style: 'plain', text: text.slice(end, to) });
  };
  for (const match of text.matchAll(pattern)) {
    const [whole, code, bold, italic, link] = match;
    plain(match.index);
    end = match.index + whole.length;
    if (code !== undefined) spans.push({ style: 'code', text: code });
    // What is bold or a link may have code in it, which is bold anyway.
    else if (bold !== undefined) spans.push({ style: 'bold', text: bold.replaceAll('`', '') });
    else if (italic !== undefined) spans.push({ style: 'italic', text: italic });
    else if (link !== undefined) spans.push(...parseText(link));
  }
  plain(text.length);
  return spans;
}

/** The words without their styles. */
export function plainText(text: Text): string {
  return text.map((span) => span.text).join('');
}
