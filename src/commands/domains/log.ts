/**
 * `tlswarden domains log`: who changed what and when, from the stream of changes in Redis. Reads only.
 */
import type { Command } from 'commander';
import type { ChangeEntry } from '../../redis/layout.ts';
import { action, openRedisStore, UsageError, WELL } from '../command-context.ts';
import { domainArgument } from './find-domain.ts';

const HELP = `
The newest change comes first. Redis keeps about the last 10,000; an import is one change for each 500 domains, and tells
only which. With settings in a directory there is no such log: keep that in a version control system.

Examples:
  $ tlswarden domains log example.com
  2026-03-01 14:02:11  alice@mx1  domains set  example.com: incoming.receipt.require_tls: "always" → "never"
  2026-02-11 09:30:00  root@mx2  domains import  example.com and 499 others
  $ tlswarden --json domains log example.com
  {"time":"…","id":"…","by":"alice","host":"mx1","command":"domains set","domains":["example.com"],"differences":["…"]}

Exit status: 0; 1 if Redis is away; 2 if the settings are not in Redis.`;

/** Makes `log` a command of `domains`; times in UTC. With settings in a directory it is wrong usage. */
export function addLog(domains: Command): void {
  domains
    .command('log')
    .argument('[domain]', 'a domain, by its own name; all, if none is named')
    .option('-n, --number <count>', 'so many changes at most')
    .summary('who changed what, and when (settings in Redis)')
    .description('Prints who changed what, and when (UTC), newest first. For settings in Redis.')
    .addHelpText('after', HELP)
    .action(
      action(async (context, text: string | undefined, options: { readonly number?: string }) => {
        const name = text === undefined ? undefined : domainArgument(text);
        const most = Number(options.number ?? Number.POSITIVE_INFINITY);
        if (!(most > 0)) throw new UsageError(`"${options.number}" is no number of changes`);
        const main = await context.readMain();
        let shown = 0;
        for await (const entry of openRedisStore(main, 'only settings in Redis have a log of changes').log(name)) {
          context.print(context.json ? JSON.stringify(document(entry)) : words(entry, name));
          await context.written();
          shown += 1;
          if (shown >= most || context.isUnread) break;
        }
        return WELL;
      }),
    );
}

/** An id of a stream begins with the time, in milliseconds since the epoch. */
const timeOf = ({ id }: ChangeEntry): Date => new Date(Number(id.split('-')[0]));

function document(entry: ChangeEntry): unknown {
  const { id, by, host, command, names, differences } = entry;
  return { time: timeOf(entry).toISOString(), id, by, host, command, domains: names, differences };
}

function words(entry: ChangeEntry, name: string | undefined): string {
  const time = timeOf(entry).toISOString().slice(0, 19).replace('T', ' ');
  const head = `${time}  ${entry.by}@${entry.host}  ${entry.command}`;
  const lines = entry.differences.filter((line) => name === undefined || line.startsWith(`${name}: `));
  if (lines.length > 0) return lines.map((line) => `${head}  ${line}`).join('\n');
  const first = name ?? entry.names[0];
  if (first === undefined) return head;
  const others = entry.names.length - 1;
  return `${head}  ${first}${others > 0 ? ` and ${others} ${others === 1 ? 'other' : 'others'}` : ''}`;
}
