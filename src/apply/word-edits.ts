/**
 * Edits as a human reads them: what goes with a minus, what comes with a plus, lists one element a line. Pure.
 */
import { splitRestrictions } from '../fragments/restrictions.ts';
import type { Edits } from './edits.ts';

const INDENT = '    ';

export function wordEdits({ parameters, services, overrides }: Edits): string {
  const main = parameters.map(({ parameter, from, to, reason }) => [
    `# ${reason}`,
    ...assignments(`${parameter} =`, from, to),
  ]);
  const entries = services.map(({ from, to, reason }) => [`# ${reason}`, ...differences(entry(from), entry(to))]);
  const own = overrides.map(({ service, parameter, from, to, reason }) => [
    `# ${reason}`,
    ...assignments(`${service}: -o ${parameter} =`, from, to),
  ]);
  const master = [...entries, ...own];
  return [
    ...(main.length === 0 ? [] : ['--- main.cf', ...main.flat()]),
    ...(master.length === 0 ? [] : ['--- master.cf', ...master.flat()]),
  ].join('\n');
}

/** A value of one element stands behind its name, that of a list below it. */
function assignments(name: string, from: string | undefined, to: string | undefined): readonly string[] {
  const isList = [from, to].some((value) => splitRestrictions(value ?? '').length > 1);
  const lines = (value: string | undefined): readonly string[] => {
    if (value === undefined) return [];
    if (!isList) return [`${name} ${value}`.trimEnd()];
    return [name, ...splitRestrictions(value).map((part) => `${INDENT}${part}`)];
  };
  return differences(lines(from), lines(to));
}

function entry(line: string | undefined): readonly string[] {
  return line === undefined ? [] : line.replaceAll(' -o ', `\n${INDENT}-o `).split('\n');
}

/** The lines of both, those that both have once: the longest sequence in common stays. */
function differences(from: readonly string[], to: readonly string[]): readonly string[] {
  // common[i][j]: how long it is from line i and line j on.
  const common = Array.from({ length: from.length + 1 }, () => new Array<number>(to.length + 1).fill(0));
  const at = (i: number, j: number): number => common[i]?.[j] ?? 0;
  for (let i = from.length - 1; i >= 0; i--) {
    for (let j = to.length - 1; j >= 0; j--) {
      (common[i] as number[])[j] = from[i] === to[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const lines: string[] = [];
  let [i, j] = [0, 0];
  while (i < from.length || j < to.length) {
    if (i < from.length && j < to.length && from[i] === to[j]) {
      lines.push(` ${from[i]}`);
      i += 1;
      j += 1;
    } else if (i < from.length && (j === to.length || at(i + 1, j) >= at(i, j + 1))) lines.push(`-${from[i++]}`);
    else lines.push(`+${to[j++]}`);
  }
  return lines;
}
