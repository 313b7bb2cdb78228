/**
 * `tlswarden postfix`: what Postfix has to be told. Only gathers its commands; each stands in a file of its own.
 */
import type { Command } from 'commander';
import { addApply } from './postfix/apply.ts';
import { addRevert } from './postfix/revert.ts';
import { addShow } from './postfix/show.ts';

/** Makes `tlswarden postfix` and its own commands part of `program`. */
export function addPostfix(program: Command): void {
  const postfix = program
    .command('postfix')
    .summary('what Postfix has to be told: show it, set it, take it out again')
    .description('The main.cf and master.cf lines by which Postfix enforces the settings.');
  addShow(postfix);
  addApply(postfix);
  addRevert(postfix);
}
