/**
 * `tlswarden domains`: the settings, domain by domain. Only gathers its commands; each stands in a file of its own.
 */
import type { Command } from 'commander';
import { addAdopt } from './domains/adopt.ts';
import { addExport } from './domains/export.ts';
import { addImport } from './domains/import.ts';
import { addList } from './domains/list.ts';
import { addLog } from './domains/log.ts';
import { addSet } from './domains/set.ts';
import { addShow } from './domains/show.ts';
import { addUnset } from './domains/unset.ts';

/** Makes `tlswarden domains` and its own commands part of `program`. */
export function addDomains(program: Command): void {
  const domains = program
    .command('domains')
    .summary('list, show, change, import and export the settings of domains')
    .description(
      'The settings of the hosted domains, wherever they live. A change is validated together with everything else that ' +
        'stands there before anything is written, and takes effect at once: the service follows within a second.',
    );
  addList(domains);
  addShow(domains);
  addSet(domains);
  addUnset(domains);
  addImport(domains);
  addExport(domains);
  addLog(domains);
  addAdopt(domains);
}
