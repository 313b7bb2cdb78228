/**
 * The fragments as text that one pastes into main.cf and master.cf: `postfix show`. Pure.
 */
import type { Fragments } from './fragment.ts';
import { splitRestrictions } from './restrictions.ts';

/** main.cf and master.cf continue a line that begins with white space. */
const INDENT = '    ';

/** Overrides are comments there: they belong into entries that master.cf has already. */
export function wordFragments({ parameters, services, overrides, notes }: Fragments): string {
  const main = parameters.map(({ parameter, value, reason }) => `# ${reason}\n${parameter} =${wordValue(value)}`);
  const master = services.map(({ line, reason }) => `# ${reason}\n${line.replaceAll(' -o ', `\n${INDENT}-o `)}`);
  const own = overrides.map(
    ({ service, parameter, value, reason }) =>
      `# ${reason}; at ${service} instead of its -o ${parameter}:\n#${INDENT}-o { ${parameter} = ${value} }`,
  );
  return [
    ...notes.map((note) => `# Note: ${note}\n`),
    '# --- main.cf ---\n',
    ...main.map((text) => `${text}\n`),
    ...(services.length + overrides.length === 0 ? [] : ['# --- master.cf ---\n']),
    ...[...master, ...own].map((text) => `${text}\n`),
  ].join('\n');
}

function wordValue(value: string): string {
  const parts = splitRestrictions(value);
  return parts.length < 2 ? ` ${value}` : parts.map((part) => `\n${INDENT}${part}`).join(',');
}
