/**
 * `tlswarden domains show`: one domain's settings as they stand, and what the defaults add. Reads only.
 */
import type { Command } from 'commander';
import type { MainFile } from '../../main-file/main-file.ts';
import { formatRecord, formatTable, normalRecord } from '../../settings/domain-record.ts';
import { FLOWS, HOPS } from '../../settings/setting.ts';
import { readToml } from '../../toml/read-toml.ts';
import { isTable, type Table } from '../../toml/table-reader.ts';
import { action, openStore, WELL } from '../command-context.ts';
import { domainArgument, hostedDomain } from './find-domain.ts';

const HELP = `
An alias shows the domain whose alias it is. What the main file's [defaults] add is shown as comments: the output says
what stands in the settings and nothing else, and can be given to "domains import".

Examples:
  $ tlswarden domains show example.net
  # example.com, in example.com.toml
  [domains."example.com"]
  aliases = ["example.net"]

  [domains."example.com".incoming.receipt]
  require_tls = "always"

  # from [defaults] of /etc/tlswarden/tlswarden.toml:
  # [domains."example.com".outgoing.delivery]
  # require_tls = "always"

  $ tlswarden --json domains show example.net
  {"domain": "example.com", "file": "example.com.toml", "settings": {…}, "defaults": {…}}

Exit status: 0; 1 if the domain is not hosted here; 2 if the settings cannot be read.`;

/**
 * Makes `show` a command of `domains`: settings as they stand, also where others have mistakes, which are warned of.
 */
export function addShow(domains: Command): void {
  domains
    .command('show')
    .argument('<domain>', 'a hosted domain or alias')
    .summary("one domain's settings as they stand, and what the defaults add")
    .description('Prints the settings of one domain as TOML, as they stand, and what the defaults add.')
    .addHelpText('after', HELP)
    .action(
      action(async (context, text: string) => {
        const name = domainArgument(text);
        const main = await context.readMain();
        const { domains: stored, complaints } = await openStore(main).read([name]);
        if (complaints.length > 0) context.warn(complaints);
        const domain = hostedDomain(stored, name);
        const record = normalRecord(domain.table);
        const added = await defaultsFor(main, record);
        if (context.json) {
          const defaults: Record<string, Record<string, unknown>> = {};
          for (const { path, table } of added) {
            const [flow = '', hop = ''] = path;
            defaults[flow] = { ...defaults[flow], [hop]: table };
          }
          context.printJson({ domain: domain.name, file: domain.place, settings: record, defaults });
          return WELL;
        }
        const parts = [`# ${domain.name}, in ${domain.place}\n${formatRecord(domain.name, record)}`];
        for (const { path, table } of added) {
          const toml = formatTable(['domains', domain.name, ...path], table);
          parts.push(`# from [defaults] of ${main.path}:\n${toml.replace(/^(?=.)/gmu, '# ')}`);
        }
        context.print(parts.join('\n'));
        return WELL;
      }),
    );
}

interface Default {
  readonly path: readonly string[];
  readonly table: Table;
}

/** The tables of [defaults] for which the domain has none of its own. */
async function defaultsFor(main: MainFile, record: Table): Promise<readonly Default[]> {
  const { table } = await readToml(main.path, main.path);
  const defaults = isTable(table['defaults']) ? normalRecord(table['defaults']) : {};
  return FLOWS.flatMap((flow) =>
    HOPS.flatMap((hop) => {
      const given = tableAt(defaults, flow, hop);
      return given === undefined || tableAt(record, flow, hop) !== undefined
        ? []
        : [{ path: [flow, hop], table: given }];
    }),
  );
}

function tableAt(record: Table, flow: string, hop: string): Table | undefined {
  const hops = record[flow];
  const table = isTable(hops) ? hops[hop] : undefined;
  return isTable(table) ? table : undefined;
}
