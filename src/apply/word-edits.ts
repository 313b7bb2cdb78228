/**
 * Edits as a human reads them: what goes with a minus, what comes with a plus, lists one element a line. Pure.
 */
import { splitRestrictions } from '../fragments/restrictions.ts';
import type { Edits } from './edits.ts';
import { stepsBetween } from './sequence.ts';

const INDENT = '    ';

/** Without the last newline; '' where nothing changes. */
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

function differences(from: readonly string[], to: readonly string[]): readonly string[] {
  return stepsBetween(from, to).map((step) => {
    if (step.kind === 'keep') return ` ${from[step.from]}`;
    return step.kind === 'remove' ? `-${from[step.from]}` : `+${to[step.to]}`;
  });
}
