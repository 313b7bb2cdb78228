/**
 * `tlswarden domains list`: every hosted domain and what is asked for it, a line each. Reads only.
 */
import type { Command } from 'commander';
import { loadSettings } from '../../main-file/open-source.ts';
import type { HostedDomain } from '../../settings/hosted-domain.ts';
import { FLOWS, type Flow, HOPS, type Hop, type Setting } from '../../settings/setting.ts';
import { action, openStore, WELL } from '../command-context.ts';

const HELP = `
The headings are for a terminal only. With --json one JSON document a line (JSON Lines). --names prints the names alone,
also of domains with mistakes in them.

Examples:
  $ tlswarden domains list
  DOMAIN       INCOMING RECEIPT  INCOMING DELIVERY  OUTGOING RECEIPT  OUTGOING DELIVERY  NEXT HOP
  example.com  specific          always encrypt     never             always secure      [mx1.example.com]:25
  example.org  always, monitor   never              never             never              by MX

  $ tlswarden --json domains list
  {"domain":"example.com","aliases":["example.net"],"nexthop":"[mx1.example.com]:25","file":"example.com.toml","incoming":{"receipt":{…},…},"outgoing":{…}}

Exit status: 0; 1 if Redis is away or holds no settings yet; 2 if the settings cannot be read.`;

/** Makes `list` a command of `domains`; a header stands above the table on a terminal only. */
export function addList(domains: Command): void {
  domains
    .command('list')
    .summary('every hosted domain and its settings, a line each')
    .description('Prints every hosted domain with what is asked for it, defaults included, sorted by name.')
    .option('--names', 'names only, as they are read by shell completion')
    .addHelpText('after', HELP)
    .action(
      action(async (context, options: { readonly names?: true }) => {
        const main = await context.readMain();
        if (options.names) {
          const { domains: stored } = await openStore(main).read();
          context.print(
            [...stored.keys()]
              .sort()
              .map((name) => `${name}\n`)
              .join(''),
          );
          return WELL;
        }
        const settings = await loadSettings(main);
        const sorted = [...settings.domains()].sort((a, b) => (a.name < b.name ? -1 : 1));
        if (context.json) for (const domain of sorted) context.print(JSON.stringify(summary(domain)));
        else context.print(table(sorted, process.stdout.isTTY));
        return WELL;
      }),
    );
}

function table(domains: readonly HostedDomain[], withHeader: boolean): string {
  const rows = domains.map((domain) => [
    domain.name,
    ...FLOWS.flatMap((flow) => HOPS.map((hop) => words(domain.settings[flow][hop]))),
    domain.nexthop === '' ? 'by MX' : domain.nexthop,
  ]);
  if (withHeader && rows.length > 0) {
    rows.unshift(['DOMAIN', ...FLOWS.flatMap((flow) => HOPS.map((hop) => `${flow} ${hop}`.toUpperCase())), 'NEXT HOP']);
  }
  const widths: number[] = [];
  for (const row of rows) for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, i) => cell.padEnd(widths[i] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

function requireTlsOf(setting: Setting | undefined): 'never' | 'always' | 'specific' {
  if (setting === undefined) return 'never';
  return setting.condition.kind === 'always' ? 'always' : 'specific';
}

function words(setting: Setting | undefined): string {
  const level = setting?.hop === 'delivery' ? ` ${setting.level}` : '';
  return `${requireTlsOf(setting)}${level}${setting?.enforcement === 'monitor' ? ', monitor' : ''}`;
}

function summary(domain: HostedDomain): unknown {
  const one = (flow: Flow, hop: Hop): unknown => {
    const setting = domain.settings[flow][hop];
    const level = setting?.hop === 'delivery' ? { level: setting.level } : {};
    return { require_tls: requireTlsOf(setting), enforcement: setting?.enforcement ?? 'enforce', ...level };
  };
  return {
    domain: domain.name,
    aliases: domain.aliases,
    nexthop: domain.nexthop,
    file: domain.file,
    incoming: { receipt: one('incoming', 'receipt'), delivery: one('incoming', 'delivery') },
    outgoing: { receipt: one('outgoing', 'receipt'), delivery: one('outgoing', 'delivery') },
  };
}
