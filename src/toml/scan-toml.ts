/**
 * Finds where the statements of a TOML text stand: table headers and key/value pairs, with line and offsets. For text
 * that a parser has accepted already; of other text it finds what it can. It gives no values and never throws.
 */

/** A header (`[a.b]`, `[[a.b]]`) or a pair (`a.b = …`). */
export interface Statement {
  readonly kind: 'table' | 'array of tables' | 'pair';
  /** The dotted key as written, unquoted: a pair's is relative to the table above it. */
  readonly path: readonly string[];
  /** From 1. */
  readonly line: number;
  /** Offset of the first character of the statement's first line. */
  readonly start: number;
  /** Of a pair: from the first character of the value to the one after its last. Of a header: its own extent. */
  readonly valueStart: number;
  readonly valueEnd: number;
  /** Offset after the newline that ends the statement, a comment behind it included. */
  readonly end: number;
}

/** All of them, in order; a pair within an inline table is none. */
export function scanToml(text: string): readonly Statement[] {
  return new Scanner(text).statements();
}

class Scanner {
  readonly #text: string;
  #at = 0;
  #line = 1;
  #counted = 0;

  constructor(text: string) {
    this.#text = text;
    if (text.charCodeAt(0) === 0xfeff) this.#at = 1;
  }

  statements(): readonly Statement[] {
    const found: Statement[] = [];
    while (this.#at < this.#text.length) {
      const start = this.#at;
      this.#skipBlanks();
      const char = this.#text[this.#at];
      if (char === '\n' || char === '\r' || char === '#' || char === undefined) {
        this.#skipLine();
        continue;
      }
      found.push(char === '[' ? this.#header(start) : this.#pair(start));
    }
    return found;
  }

  #header(start: number): Statement {
    const line = this.#lineAt(start);
    const valueStart = this.#at;
    const array = this.#text[this.#at + 1] === '[';
    this.#at += array ? 2 : 1;
    const path = this.#dottedKey();
    while (this.#text[this.#at] === ']') this.#at += 1;
    const valueEnd = this.#at;
    this.#skipLine();
    return { kind: array ? 'array of tables' : 'table', path, line, start, valueStart, valueEnd, end: this.#at };
  }

  #pair(start: number): Statement {
    const line = this.#lineAt(start);
    const path = this.#dottedKey();
    if (this.#text[this.#at] === '=') this.#at += 1;
    this.#skipBlanks();
    const valueStart = this.#at;
    this.#skipValue();
    const valueEnd = this.#at;
    this.#skipLine();
    return { kind: 'pair', path, line, start, valueStart, valueEnd, end: this.#at };
  }

  #dottedKey(): readonly string[] {
    const path: string[] = [];
    for (;;) {
      this.#skipBlanks();
      const from = this.#at;
      const quote = this.#text[from];
      if (quote === '"' || quote === "'") {
        this.#skipString();
        path.push(unquote(this.#text.slice(from, this.#at), quote));
      } else {
        while (/[A-Za-z0-9_-]/u.test(this.#text[this.#at] ?? '')) this.#at += 1;
        if (this.#at === from) this.#at += 1;
        path.push(this.#text.slice(from, this.#at));
      }
      this.#skipBlanks();
      if (this.#text[this.#at] !== '.') return path;
      this.#at += 1;
    }
  }

  /** Up to the end of the value: a newline or comment outside of brackets and strings. */
  #skipValue(): void {
    let depth = 0;
    let end = this.#at;
    while (this.#at < this.#text.length) {
      const char = this.#text[this.#at];
      if (char === '"' || char === "'") this.#skipString();
      else if (char === '#' && depth > 0) this.#skipLine();
      else if (depth === 0 && (char === '\n' || char === '\r' || char === '#')) break;
      else {
        if (char === '[' || char === '{') depth += 1;
        if (char === ']' || char === '}') depth -= 1;
        this.#at += 1;
        if (char === ' ' || char === '\t') continue;
      }
      end = this.#at;
    }
    this.#at = end;
  }

  #skipString(): void {
    const quote = this.#text[this.#at] ?? '';
    const triple = this.#text.startsWith(quote.repeat(3), this.#at);
    const mark = triple ? quote.repeat(3) : quote;
    this.#at += mark.length;
    while (this.#at < this.#text.length && !this.#text.startsWith(mark, this.#at)) {
      // A basic string does not end at the newline that it must not have: the rest of the text would be lost with it.
      if (!triple && this.#text[this.#at] === '\n') return;
      this.#at += quote === '"' && this.#text[this.#at] === '\\' ? 2 : 1;
    }
    this.#at += mark.length;
    // Up to two more quotes belong to a multi-line string's content.
    if (triple) while (this.#text[this.#at] === quote) this.#at += 1;
    this.#at = Math.min(this.#at, this.#text.length);
  }

  #skipBlanks(): void {
    while (this.#text[this.#at] === ' ' || this.#text[this.#at] === '\t') this.#at += 1;
  }

  #skipLine(): void {
    const newline = this.#text.indexOf('\n', this.#at);
    this.#at = newline < 0 ? this.#text.length : newline + 1;
  }

  #lineAt(offset: number): number {
    for (; this.#counted < offset; this.#counted++) if (this.#text.charCodeAt(this.#counted) === 0x0a) this.#line += 1;
    return this.#line;
  }
}

function unquote(written: string, quote: string): string {
  if (quote === "'") return written.slice(1, -1);
  try {
    return JSON.parse(
      written.replace(/\\U([0-9a-f]{8})/giu, (_, hex) => String.fromCodePoint(Number.parseInt(hex, 16))),
    );
  } catch {
    return written.slice(1, -1);
  }
}
