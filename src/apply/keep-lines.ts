/**
 * Edits values that stand over many lines where they stand, so that line breaks and comments stay: postconf(1) would make
 * one line of them. What it does not do here, because it is one line or stands twice, is for postconf. Pure.
 */
import { groupRestrictions } from '../fragments/restrictions.ts';
import { splitValue } from '../fragments/value-list.ts';
import type { Edits } from './edits.ts';
import { type LogicalLine, logicalLines, parameterAt, type Word, wordsOf } from './logical-lines.ts';
import { formatOption } from './master-entry.ts';
import { stepsBetween } from './sequence.ts';

/** What is to stand in the place of a range of the text. */
interface Replacement {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** main.cf with those of the parameters changed that stand over many lines. */
export function keepLinesOfMain(text: string, { parameters }: Edits): string {
  let changed = text;
  for (const { parameter, to } of parameters) if (to !== undefined) changed = withList(changed, parameter, to);
  return changed;
}

/** master.cf with these options changed of services that stand over many lines. */
export function keepLinesOfMaster(text: string, { overrides }: Edits): string {
  let changed = text;
  for (const { service, parameter, to } of overrides) changed = withOption(changed, service, parameter, to);
  return changed;
}

function withList(text: string, parameter: string, to: string): string {
  const found = logicalLines(text).filter((line) => parameterAt(text, line) === parameter);
  const [line] = found;
  if (line === undefined || found.length > 1 || line.pieces.length < 2) return text;
  const equals = text.indexOf('=', line.start);
  const from = restrictionsOf(wordsOf(text, line, equals + 1, (character) => /[\s,]/u.test(character)));
  const wanted = groupRestrictions(splitValue(to).map((element) => element.replace(/\s+/gu, ' '))).map((group) =>
    group.join(' '),
  );
  const replacements = listReplacements(text, line, from, wanted);
  return replacements === undefined ? text : replaced(text, replacements);
}

/** Restrictions with their arguments, or other elements, as words. */
function restrictionsOf(words: readonly Word[]): readonly Word[] {
  let next = 0;
  return groupRestrictions(words.map(({ text }) => text)).map((group) => {
    const [first, last] = [words[next] as Word, words[next + group.length - 1] as Word];
    next += group.length;
    return { text: group.join(' '), start: first.start, end: last.end };
  });
}

/** undefined: nothing of what stands there stays, so there is no place to keep. */
function listReplacements(
  text: string,
  line: LogicalLine,
  from: readonly Word[],
  wanted: readonly string[],
): readonly Replacement[] | undefined {
  const indent = indentOf(text, line);
  const found: Replacement[] = [];
  let added: string[] = [];
  let lastKept: Word | undefined;
  const steps = stepsBetween(
    from.map((word) => word.text),
    wanted,
  );
  for (const [n, step] of steps.entries()) {
    if (step.kind === 'add') added.push(wanted[step.to] as string);
    else if (step.kind === 'remove') found.push(removal(text, from, step.from, steps[n + 1]?.kind === 'keep'));
    else {
      lastKept = from[step.from] as Word;
      const { start } = lastKept;
      if (added.length > 0) found.push({ start, end: start, text: added.map((one) => `${one},\n${indent}`).join('') });
      added = [];
    }
  }
  if (lastKept === undefined) return undefined;
  if (added.length > 0) {
    const { end } = lastKept;
    const comma = /^\s*,/u.test(text.slice(end)) ? '' : ',';
    const at = comma === '' ? text.indexOf(',', end) + 1 : end;
    found.push({ start: at, end: at, text: `${comma}\n${indent}${added.join(`,\n${indent}`)}` });
  }
  return found.sort((a, b) => a.start - b.start);
}

/** The white space before the first element that begins a line of its own. */
function indentOf(text: string, { pieces }: LogicalLine): string {
  const [start = 0, end = 0] = pieces[1] ?? [];
  return /^\s*/u.exec(text.slice(start, end))?.[0] ?? ' ';
}

/** What goes with an element: its lines, where it has them for itself; else what parts it from the next one. */
function removal(text: string, words: readonly Word[], i: number, isNextKept: boolean): Replacement {
  const { start, end } = words[i] as Word;
  const lineStart = text.lastIndexOf('\n', start - 1) + 1;
  const newline = text.indexOf('\n', end);
  const lineEnd = newline < 0 ? text.length : newline + 1;
  const isAlone = text.slice(lineStart, start).trim() === '' && /^[\s,]*$/u.test(text.slice(end, lineEnd));
  if (isAlone) return { start: lineStart, end: lineEnd, text: '' };
  const next = words[i + 1];
  const isNextToIt = isNextKept && next !== undefined && /^[\s,]*$/u.test(text.slice(end, next.start));
  if (isNextToIt) return { start, end: next.start, text: '' };
  const separator = /^[^\S\n]*,?/u.exec(text.slice(end))?.[0] ?? '';
  return { start, end: end + separator.length, text: '' };
}

function withOption(text: string, service: string, parameter: string, to: string): string {
  const isBlank = (character: string): boolean => /\s/u.test(character);
  const found = logicalLines(text).flatMap((line) => {
    const words = wordsOf(text, line, line.start, isBlank);
    return `${words[0]?.text}/${words[1]?.text}` === service ? [{ line, words }] : [];
  });
  const [entry] = found;
  if (entry === undefined || found.length > 1 || entry.line.pieces.length < 2) return text;
  const replacements = entry.words.flatMap((word, i): Replacement[] => {
    if (entry.words[i - 1]?.text !== '-o') return [];
    const assignment = word.text.replace(/^\{\s*/u, '');
    const name = assignment.slice(0, Math.max(0, assignment.indexOf('='))).trim();
    return name === parameter ? [{ start: word.start, end: word.end, text: formatOption(parameter, to) }] : [];
  });
  return replaced(text, replacements);
}

/** `replacements` do not overlap, and are in order. */
function replaced(text: string, replacements: readonly Replacement[]): string {
  let result = '';
  let at = 0;
  for (const { start, end, text: put } of replacements) {
    result += text.slice(at, start) + put;
    at = end;
  }
  return result + text.slice(at);
}
