/**
 * Words what came of doctor's own mail: a table. It says nothing that is not in the data.
 */
import type { Outcome, Trial } from './trial.ts';

const WORDS: Readonly<Record<Outcome, string>> = {
  held: 'held',
  broken: 'BROKEN',
  failed: 'failed',
  'not tried': 'not tried',
};

/** Two lines a trial below a heading, without a newline at the end. */
export function wordLive(trials: readonly Trial[]): string {
  const width = Math.max(...trials.map(({ outcome }) => WORDS[outcome].length));
  const lines = trials.flatMap(({ what, expected, outcome, seen }) => [
    `  ${WORDS[outcome].padEnd(width)}  ${what}`,
    `  ${''.padEnd(width)}  ${outcome === 'not tried' ? '' : `should be: ${expected}; was: `}${seen}`,
  ]);
  return ['LIVE: messages of its own through the running Postfix', '', ...lines].join('\n');
}
