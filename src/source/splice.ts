/**
 * Edits of a text as a list of replacements, so that every byte between them stays. Pure.
 */

/** `text` in the place of [from, to). */
export interface Splice {
  readonly from: number;
  readonly to: number;
  readonly text: string;
  /** It begins a table: pairs that are put in at the same place are of the table before it. */
  readonly isTable?: boolean;
}

/** The text with all of the replacements; what is put in at a place goes before what is taken out from there. */
export function applySplices(text: string, splices: readonly Splice[]): string {
  const native = text.includes('\r\n');
  const sorted = [...splices].sort(
    (a, b) => a.from - b.from || a.to - b.to || Number(a.isTable ?? false) - Number(b.isTable ?? false),
  );
  const parts: string[] = [];
  let at = 0;
  for (const { from, to, text: replacement } of sorted) {
    parts.push(text.slice(at, from), native ? replacement.replaceAll(/\r?\n/gu, '\r\n') : replacement);
    at = Math.max(at, to);
  }
  parts.push(text.slice(at));
  return parts.join('');
}

/** What is to stand in lines of its own, for a place that may be behind a last line without an end. */
export function onNewLine(text: string, at: number, addition: string): string {
  return at === 0 || text[at - 1] === '\n' ? addition : `\n${addition}`;
}
