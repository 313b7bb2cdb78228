/**
 * Commands for people to type, wherever one is suggested. It runs none.
 */

/** One line that a POSIX shell reads back as these words. */
export function shellWords(...words: readonly string[]): string {
  return words.map((word) => (/^[\w@%+=:,./-]+$/u.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)).join(' ');
}
