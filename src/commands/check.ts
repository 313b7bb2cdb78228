/**
 * `tlswarden check`: whether main file and settings can be used, and what is in them. It changes nothing.
 */
import type { Command } from 'commander';
import { openSource } from '../source/open-source.ts';
import { action, WELL } from './command-context.ts';

export function addCheck(program: Command): void {
  program
    .command('check')
    .summary('read main file and settings, and say what is wrong or what is there')
    .action(
      action(async (context) => {
        const main = await context.readMain();
        const settings = await openSource(main).load();
        context.print(`${settings.size} domains`);
        return WELL;
      }),
    );
}
