/**
 * `tlswarden domains adopt`: has all hosts go by what stands in Redis, though they went by something else before.
 */
import type { Command } from 'commander';
import { action, openRedisStore, WELL } from '../command-context.ts';

const HELP = `
A Redis that is empty, lost its records, or holds settings that are not a continuation of those that hosts go by looks like a
loss of data: the services go on with the settings that they have, and log an error. If it is no loss, this command says
so. To bring settings back first, import an export of before, or what a host has on disk:
  $ grep '^{"domain"' /var/lib/tlswarden/snapshot | tlswarden domains import -

Examples:
  $ tlswarden domains adopt
  all hosts go by the 1200 domains in redis://settings.example:6379/0
  $ tlswarden --json domains adopt
  {"domains": 1200}

Exit status: 0; 1 if Redis is away; 2 if the settings are not in Redis.`;

const NOTHING_TO_ADOPT = 'all hosts that read that directory go by it: only settings in Redis can be lost and adopted';

/** Makes `adopt` a command of `domains`; with settings in a directory it is wrong usage. */
export function addAdopt(domains: Command): void {
  domains
    .command('adopt')
    .summary('have all hosts go by what is in Redis, after a loss of data')
    .description('Has all hosts go by what is in Redis now, though they went by other settings before.')
    .addHelpText('after', HELP)
    .action(
      action(async (context) => {
        const main = await context.readMain();
        const count = await openRedisStore(main, NOTHING_TO_ADOPT).adopt();
        const { source } = main.settings;
        if (context.json) context.printJson({ domains: count });
        else if (source.kind === 'redis') {
          const word = count === 1 ? 'domain' : 'domains';
          context.print(`all hosts go by the ${count} ${word} in ${source.address.name}`);
        }
        return WELL;
      }),
    );
}
