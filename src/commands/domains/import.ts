/**
 * `tlswarden domains import`: takes over domains from a file.
 */
import { createReadStream } from 'node:fs';
import type { Command } from 'commander';
import type { MainFile } from '../../main-file/main-file.ts';
import { domainContext } from '../../main-file/open-source.ts';
import { parseHostedDomain } from '../../settings/hosted-domain.ts';
import { SettingsOwner } from '../../settings/settings-owner.ts';
import { RejectedChange, type Replaced } from '../../source/settings-store.ts';
import { type Complaint, MAX_COMPLAINTS } from '../../toml/complaint.ts';
import { action, type CommandContext, CommandFailure, openStore, WELL } from '../command-context.ts';
import { Progress } from '../progress.ts';
import { type ImportedDomains, readImport } from './import-text.ts';

const HELP = `
Domains of the same name are replaced whole, all others stay. Everything is validated before anything is written, with
what stands there already: one mistake, and nothing is changed. A new domain gets a file of its own, <domain>.toml; one
that stands in a file with others is replaced there. However many files it takes, it is one change: whoever reads them
finds all of it or nothing, also if it was cut short. FILE "-" is standard input.

In Redis domains are written some hundreds at a time, each whole: an import that was cut short is taken up by giving it
again, since domains that are as they should be are left alone. With --all-or-nothing all are written in one step.

The form is told by the ending (.toml, .jsonl, .ndjson, .json) or else by the text. A line of JSON Lines is one domain:
  {"domain":"example.com","aliases":["example.net"],"incoming":{"receipt":{"require_tls":"always"}}}

Examples:
  $ tlswarden domains import customers.jsonl
  1200 domains read: 37 new, 4 replaced, 1159 as they were
  $ tlswarden --config old.toml domains export | tlswarden --config new.toml domains import -
  $ tlswarden --json domains import customers.jsonl
  {"read": 1200, "added": 37, "replaced": 4, "unchanged": 1159}

Exit status: 0; 1 if a file cannot be read or written; 2 if anything in it is wrong, in which case nothing is changed.`;

/** Makes `import` a command of `domains`: all that is wrong with the text is told before anything is written. */
export function addImport(domains: Command): void {
  domains
    .command('import')
    .argument('<file>', 'TOML or JSON Lines; - is standard input')
    .summary('take over domains from TOML or JSON Lines')
    .description('Takes over the domains of a file, TOML or JSON Lines.')
    .option('--all-or-nothing', 'in Redis too: one step, for which Redis does nothing else meanwhile')
    .addHelpText('after', HELP)
    .action(
      action(
        async (context, file: string, options: { readonly allOrNothing?: boolean }) => {
          const main = await context.readMain();
          const name = file === '-' ? 'standard input' : file;
          const imported = readImport(await readText(file), name);
          if (imported.complaints.length > 0) throw new RejectedChange(allThatIsWrong(imported, name, main));
          const progress = new Progress('writing');
          const replaced = await openStore(main)
            .replace(imported.domains, {
              origin: name,
              command: 'domains import',
              allOrNothing: options.allOrNothing === true,
              waiting: context.waiting,
              progress: progress.show,
            })
            .catch((error: unknown) => {
              throw error instanceof RejectedChange ? placed(error, imported, name) : error;
            })
            .finally(() => progress.end());
          count(context, imported, replaced);
          return WELL;
        },
        { changesSettings: true },
      ),
    );
}

/** With what cannot be read, what could not be used: it is told once, and not in rounds. */
function allThatIsWrong(imported: ImportedDomains, name: string, main: MainFile): readonly Complaint[] {
  const complaints = [...imported.complaints];
  const owner = new SettingsOwner(main.postfix.relayhost);
  for (const [domain, table] of imported.domains) {
    if (complaints.length > MAX_COMPLAINTS) break;
    const hosted = parseHostedDomain(domain, table, name, domainContext(main), complaints);
    if (hosted !== undefined) complaints.push(...owner.add(hosted));
  }
  return complaints.map((complaint) => withLine(complaint, imported)).sort((a, b) => (a.line ?? 0) - (b.line ?? 0));
}

function count(context: CommandContext, imported: ImportedDomains, { added, replaced, unchanged }: Replaced): void {
  const read = imported.domains.size;
  if (context.json) context.printJson({ read, added, replaced, unchanged });
  else {
    const domains = read === 1 ? 'domain' : 'domains';
    context.print(`${read} ${domains} read: ${added} new, ${replaced} replaced, ${unchanged} as they were`);
  }
}

/** Gives complaints about the imported text the lines that only its reader knows. */
function placed(rejected: RejectedChange, imported: ImportedDomains, name: string): RejectedChange {
  return new RejectedChange(
    rejected.complaints.map((complaint) => (complaint.file === name ? withLine(complaint, imported) : complaint)),
  );
}

function withLine(complaint: Complaint, imported: ImportedDomains): Complaint {
  const line = complaint.line ?? imported.lineOf(complaint);
  return line === undefined ? complaint : { ...complaint, line };
}

/** Less than the longest string that there is. */
const MAX_BYTES = 256 * 1024 * 1024;

async function readText(file: string): Promise<string> {
  const place = file === '-' ? 'standard input' : file;
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const parts: string[] = [];
  try {
    let length = 0;
    for await (const chunk of file === '-' ? process.stdin : createReadStream(file)) {
      length += (chunk as Buffer).length;
      if (length > MAX_BYTES)
        throw new CommandFailure(`${place} is larger than ${MAX_BYTES / 1024 / 1024} MiB; split it`);
      parts.push(decoder.decode(chunk as Buffer, { stream: true }));
    }
    parts.push(decoder.decode());
  } catch (error) {
    if (error instanceof CommandFailure) throw error;
    const reason = error instanceof TypeError ? 'is not valid UTF-8' : `cannot be read: ${(error as Error).message}`;
    throw new CommandFailure(`${place} ${reason}`);
  }
  return parts.join('');
}
