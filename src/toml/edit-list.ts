/**
 * Changes a list that is written with one entry a line, so that each line keeps what its author wrote behind it. It knows
 * that one form; for any other it says so, and the list is written anew.
 */
import { formatValue } from './format-toml.ts';

const FIRST_LINE = /^\[[ \t]*(?:#.*)?\r?$/u;
const LAST_LINE = /^[ \t]*\]$/u;
const ENTRY_LINE = /^([ \t]*)("(?:[^"\\]|\\.)*"|'[^']*')(?:[ \t]*,)?([ \t]*(?:#.*)?\r?)$/u;
const OTHER_LINE = /^[ \t]*(?:#.*)?\r?$/u;

/**
 * `value` with the entries `after` in the place of `before`, or undefined where that is not a matter of taking out lines
 * and adding some at the end.
 */
export function editList(value: string, before: readonly unknown[], after: readonly unknown[]): string | undefined {
  const lines = value.split('\n');
  const first = lines.shift();
  const last = lines.pop();
  if (first === undefined || last === undefined || !FIRST_LINE.test(first) || !LAST_LINE.test(last)) return undefined;
  const kept = before.filter((entry) => after.includes(entry));
  if (!kept.every((entry, i) => entry === after[i])) return undefined;
  const edited: string[] = [];
  let indent = '  ';
  let read = 0;
  for (const line of lines) {
    const match = ENTRY_LINE.exec(line);
    if (match === null && !OTHER_LINE.test(line)) return undefined;
    if (match === null) edited.push(line);
    else {
      const [, space = '', entry = '', rest = ''] = match;
      indent = space;
      if (after.includes(before[read++])) edited.push(`${space}${entry},${rest}`);
    }
  }
  if (read !== before.length) return undefined;
  edited.push(...after.slice(kept.length).map((entry) => `${indent}${formatValue(entry)},`));
  return [first, ...edited, last].join('\n');
}
