/**
 * What a stranger's server, certificate, settings or request says, made fit for a terminal, a log and a document: bounded, and
 * without anything that moves a cursor or turns text around. It judges nothing.
 */

/** Longest text of a stranger that is repeated. */
const MAX_LENGTH = 200;

/** Control and format characters, lone surrogates, separators other than the space, and what decoding put for broken bytes. */
const UNFIT = /[\p{C}\p{Zl}\p{Zp}\ufffd]/gu;

/** Longest text of a setting that a complaint repeats. */
const MAX_QUOTED = 100;

/** The text in quotes, for a sentence about it. */
export function quoted(text: string): string {
  return `"${printable(text, MAX_QUOTED)}"`;
}

/** What most of it is. Looked for first, since the classes of Unicode take long. */
const FIT = /^[\x20-\x7e]*$/;

/** The text with unfit characters as `\xNN` or `\u{NNNN}`, cut where it is too long. */
export function printable(text: string, maxLength = MAX_LENGTH): string {
  const cut = text.length > maxLength;
  if (!cut && FIT.test(text)) return text;
  const fit = text.slice(0, maxLength).replace(UNFIT, (character) => {
    const code = character.codePointAt(0) ?? 0;
    const hex = code.toString(16);
    return code < 0x100 ? `\\x${hex.padStart(2, '0')}` : `\\u{${hex}}`;
  });
  return cut ? `${fit}…` : fit;
}
