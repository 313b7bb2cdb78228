/**
 * `tlswarden domains unset`: takes away one setting of a domain, or the domain.
 */
import type { Command } from 'commander';
import { normalRecord } from '../../settings/domain-record.ts';
import { isTable, type Table } from '../../toml/table-reader.ts';
import { action, CommandFailure, openStore, UsageError, WELL } from '../command-context.ts';
import { type Hops, parseHopName, wordsBeforeKey } from './assignments.ts';
import { domainArgument, hostedDomain } from './find-domain.ts';

const HELP = `
Without FLOW.HOP the domain goes, with its aliases: it is not hosted here any more, and nothing is asked for its mail.
With FLOW.HOP that one setting goes, and what [defaults] says holds again.

Examples:
  $ tlswarden domains unset example.com outgoing.receipt
  example.com: outgoing.receipt removed
  $ tlswarden domains unset example.com
  example.com: removed
  $ tlswarden --json domains unset example.org incoming.receipt
  {"domain": "example.org", "removed": "incoming.receipt", "was": {"require_tls": "always"}}

Exit status: 0; 1 if there is no such domain or setting, or it cannot be written; 2 if the rest would not be valid.`;

/**
 * Makes `unset` a command of `domains`; an alias cannot be unset, and the error names the command that takes it away.
 */
export function addUnset(domains: Command): void {
  domains
    .command('unset')
    .argument('<domain>', 'a hosted domain')
    .argument('[flow.hop]', 'one of its settings')
    .summary('take away a domain, or one of its settings')
    .description('Takes away one setting of a domain, or the whole domain. It takes effect at once.')
    .addHelpText('after', HELP)
    .action(
      action(
        async (context, text: string, word: string | undefined) => {
          const name = domainArgument(text);
          const hops = word === undefined ? undefined : settingNamed(word, name);
          const main = await context.readMain();
          let was: unknown;
          await openStore(main).change(
            (present) => {
              const stored = hostedDomain(present, name);
              if (stored.name !== name) {
                throw new UsageError(
                  `${name} is an alias of ${stored.name}: see "tlswarden domains set ${stored.name} aliases-=${name}"`,
                );
              }
              const record = normalRecord(stored.table);
              was = hops === undefined ? record : (record[hops.flow] as Table | undefined)?.[hops.hop];
              return new Map([[name, hops === undefined ? undefined : without(stored.table, hops, name)]]);
            },
            { concerns: [name], command: 'domains unset', waiting: context.waiting },
          );
          if (context.json) context.printJson({ domain: name, removed: word ?? 'domain', was });
          else context.print(`${name}: ${word === undefined ? '' : `${word} `}removed`);
          return WELL;
        },
        { changesSettings: true },
      ),
    );
}

function settingNamed(word: string, name: string): Hops {
  const before = wordsBeforeKey(word);
  if (before === undefined) return parseHopName(word);
  throw new UsageError(`"${word}" is a key: take it away by "tlswarden domains set ${name} ${before}${word}="`);
}

function without(table: Table, { flow, hop }: Hops, name: string): Table {
  const hops = table[flow];
  if (!isTable(hops) || !Object.hasOwn(hops, hop)) {
    throw new CommandFailure(`${name} has no setting ${flow}.${hop} of its own`);
  }
  return { ...table, [flow]: Object.fromEntries(Object.entries(hops).filter(([key]) => key !== hop)) };
}
