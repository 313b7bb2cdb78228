/**
 * main.cf and master.cf as text: logical lines, which go on where a physical one begins with white space, with comments and
 * empty lines anywhere among them (postconf(5)), and the words in them with their places. Pure.
 */

/** From the start of its first physical line to the end of its last one, without that one's newline. */
export interface LogicalLine {
  readonly start: number;
  readonly end: number;
  /** The physical lines that are neither comments nor empty: [start, end). */
  readonly pieces: readonly (readonly [number, number])[];
}

/** A part of a logical line, with its place in the text: [start, end). */
export interface Word {
  /** White space in it is one space each, comments in it are left out. */
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** In order. What begins with white space and has nothing before it is a line of its own. */
export function logicalLines(text: string): readonly LogicalLine[] {
  const lines: { start: number; end: number; pieces: [number, number][] }[] = [];
  for (let start = 0; start < text.length; ) {
    const newline = text.indexOf('\n', start);
    const end = newline < 0 ? text.length : newline;
    const line = text.slice(start, end);
    const last = lines.at(-1);
    if (!/^\s*(?:#|$)/u.test(line)) {
      if (/^\s/u.test(line) && last !== undefined) {
        last.pieces.push([start, end]);
        last.end = end;
      } else lines.push({ start, end, pieces: [[start, end]] });
    }
    start = end + 1;
  }
  return lines;
}

/** The parameter that a line of main.cf sets; '' if it sets none. */
export function parameterAt(text: string, { start, end }: LogicalLine): string {
  const equals = text.indexOf('=', start);
  return equals < 0 || equals > end ? '' : text.slice(start, equals).trim();
}

/** The words from `from` on, parted by characters that `isSeparator` knows but not within `{ … }`. */
export function wordsOf(
  text: string,
  line: LogicalLine,
  from: number,
  isSeparator: (character: string) => boolean,
): readonly Word[] {
  const words: Word[] = [];
  let open: { text: string; start: number; end: number } | undefined;
  let depth = 0;
  const close = (): void => {
    if (open !== undefined) words.push({ ...open, text: open.text.replace(/\s+/gu, ' ') });
    open = undefined;
  };
  for (const [start, end] of line.pieces) {
    for (let at = Math.max(start, from); at < end; at++) {
      const character = text.charAt(at);
      if (depth === 0 && isSeparator(character)) {
        close();
        continue;
      }
      if (character === '{') depth += 1;
      else if (character === '}' && depth > 0) depth -= 1;
      open ??= { text: '', start: at, end: at };
      open.text += character;
      open.end = at + 1;
    }
    // The end of a physical line is white space.
    if (depth === 0) close();
    else if (open !== undefined) open.text += ' ';
  }
  close();
  return words;
}
