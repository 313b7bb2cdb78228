/**
 * `tlswarden domains set`: changes some keys of one domain, which it makes if it is new.
 */
import type { Command } from 'commander';
import type { Defaults } from '../../settings/hosted-domain.ts';
import { isTable, type Table } from '../../toml/table-reader.ts';
import { action, CommandFailure, openStore, UsageError, WELL } from '../command-context.ts';
import { type Assigned, assign, HOP_NAMES, parseHopName } from './assignments.ts';
import { domainArgument, findDomain } from './find-domain.ts';

const HELP = `
FLOW.HOP is ${HOP_NAMES.join(', ')}.
Lists are separated by commas. KEY+=VALUE adds to a list, KEY-=VALUE takes from it, KEY= takes the key away. aliases and
nexthop belong to the domain itself and need no FLOW.HOP. Several settings can be changed at once: each FLOW.HOP holds
for the keys behind it. When require_tls changes from "specific" the lists and "when" are dropped, which is said.

Examples:
  Accept mail for example.com over TLS only:
  $ tlswarden domains set example.com incoming.receipt require_tls=always

  Ask for TLS from the bank, and for whatever payroll gets; deliver to the customer's server over TLS only:
  $ tlswarden domains set example.com incoming.receipt require_tls=specific 'senders=*@bank.example' recipients=payroll \\
      incoming.delivery require_tls=always level=secure 'nexthop=[mx1.example.com]:25'

  One more sender:
  $ tlswarden domains set example.com incoming.receipt senders+=ceo@partner.example

A domain that stands in a file with others is changed there, and every other line of the file stays as it is; a new one
gets a file of its own.

Exit status: 0; 1 if it cannot be written; 2 if the settings would not be valid, in which case nothing is changed.`;

export function addSet(domains: Command): void {
  domains
    .command('set')
    .argument('<domain>', 'the domain; it is made if it is new')
    .argument('<assignments...>', '[FLOW.HOP] KEY=VALUE…')
    .usage('[options] DOMAIN [FLOW.HOP] KEY=VALUE…')
    .summary('change keys of one domain, which is made if it is new')
    .description('Changes keys of one domain, which is made if it is new. It takes effect at once.')
    .addHelpText('after', HELP)
    .action(
      action(async (context, text: string, words: readonly string[]) => {
        const name = domainArgument(text);
        const main = await context.readMain();
        let assigned: Assigned | undefined;
        let notes: readonly string[] = [];
        const count = await openStore(main).change(
          (present) => {
            const stored = findDomain(present, name);
            if (stored !== undefined && stored.name !== name) {
              throw new UsageError(`${name} is an alias of ${stored.name}, and has its settings: change those`);
            }
            assigned = assign(stored?.table ?? {}, words);
            notes = [...assigned.notes, ...defaultsReplaced(main.defaults, stored?.table ?? {}, words)];
            return new Map([[name, assigned.table]]);
          },
          { concerns: [name], command: 'domains set', waiting: context.waiting },
        );
        if (assigned === undefined) throw new CommandFailure('nothing was read');
        for (const note of notes) context.note(`${name}: ${note}`);
        if (context.json) context.printJson({ domain: name, changed: count > 0, notes });
        else context.print(count > 0 ? `${name}: changed` : `${name}: nothing to change`);
        return WELL;
      }),
    );
}

/** A setting of the domain's own takes the place of the whole default, which one may not think of. */
function defaultsReplaced(defaults: Defaults, table: Table, words: readonly string[]): readonly string[] {
  return words
    .filter((word) => HOP_NAMES.includes(word))
    .filter((word) => {
      const { flow, hop } = parseHopName(word);
      const hops = table[flow];
      return defaults[flow][hop] !== undefined && !(isTable(hops) && Object.hasOwn(hops, hop));
    })
    .map((word) => `${word} is now a setting of its own, which replaces that of [defaults] whole`);
}
