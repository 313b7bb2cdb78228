/**
 * `tlswarden domains export`: domains as TOML or JSON Lines, in the form that import takes. Reads only.
 */
import { type Command, Option } from 'commander';
import type { DomainName } from '../../address/domain-name.ts';
import { domainContext } from '../../main-file/open-source.ts';
import { formatRecord, normalRecord } from '../../settings/domain-record.ts';
import { parseHostedDomain } from '../../settings/hosted-domain.ts';
import type { SettingsStore, StoredDomain } from '../../source/settings-store.ts';
import { type Complaint, ComplaintError } from '../../toml/complaint.ts';
import { action, openStore, WELL } from '../command-context.ts';
import { domainArgument, hostedDomain } from './find-domain.ts';

const HELP = `
Without names all domains are exported, sorted. What [defaults] adds is not: it stands in the main file. The same settings
give the same bytes, and "export | import" brings back exactly what was there.

Examples:
  $ tlswarden domains export > settings.toml
  $ tlswarden domains export --format jsonl example.com example.org
  {"domain":"example.com","incoming":{"receipt":{"require_tls":"always"}}}
  {"domain":"example.org","nexthop":"[mx.example.org]:25"}

Exit status: 0; 1 if a domain is not hosted here; 2 if the settings are not valid.`;

/** Makes `export` a command of `domains`; it prints while it reads, and stops when nobody reads on. */
export function addExport(domains: Command): void {
  domains
    .command('export')
    .argument('[domains...]', 'hosted domains; all, if none is named')
    .addOption(new Option('--format <format>', 'the form').choices(['toml', 'jsonl']).default('toml'))
    .summary('domains as TOML or JSON Lines, as import takes them')
    .description('Prints domains as TOML or JSON Lines, in the form that "domains import" takes.')
    .addHelpText('after', HELP)
    .action(
      action(async (context, names: readonly string[], options: { readonly format: 'toml' | 'jsonl' }) => {
        const wanted = names.map(domainArgument);
        const main = await context.readMain();
        const lines = context.json || options.format === 'jsonl';
        let isFirst = true;
        for await (const domains of chosen(openStore(main), wanted)) {
          const mistakes: Complaint[] = [];
          for (const { name, table, place } of domains)
            parseHostedDomain(name, table, place, domainContext(main), mistakes);
          if (mistakes.length > 0) throw new ComplaintError(mistakes);
          for (const domain of domains) {
            context.print(lines ? jsonLine(domain) : `${isFirst ? '' : '\n'}${tomlText(domain)}`);
            isFirst = false;
          }
          await context.written();
          if (context.isUnread) break;
        }
        return WELL;
      }),
    );
}

/** The domains that these names stand for, or all, sorted. */
async function* chosen(store: SettingsStore, names: readonly DomainName[]): AsyncIterable<readonly StoredDomain[]> {
  if (names.length === 0) {
    yield* store.all();
    return;
  }
  const { domains, complaints } = await store.read(names);
  if (complaints.length > 0) throw new ComplaintError(complaints);
  const found = new Set(names.map((name) => hostedDomain(domains, name)));
  yield [...found].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function jsonLine({ name, table }: StoredDomain): string {
  return JSON.stringify({ domain: name, ...normalRecord(table) });
}

function tomlText({ name, table }: StoredDomain): string {
  return formatRecord(name, normalRecord(table));
}
