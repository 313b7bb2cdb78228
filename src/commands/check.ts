/**
 * `tlswarden check`: whether main file and settings can be used, and what is in them. It changes nothing.
 */

import type { Command } from 'commander';
import { type MainFile, UnusableMainFile } from '../main-file/main-file.ts';
import { loadSettings } from '../main-file/open-source.ts';
import { RedisTrouble } from '../redis/redis-link.ts';
import type { People } from '../settings/people.ts';
import { FLOWS, type Flow, HOPS, type Hop, listName, type Setting } from '../settings/setting.ts';
import type { Settings } from '../settings/settings.ts';
import { closedFiles } from '../source/closed-files.ts';
import { overlookedFiles } from '../source/overlooked-files.ts';
import { quoted } from '../text/printable.ts';
import { type Complaint, ComplaintError, type Place } from '../toml/complaint.ts';
import { action, type CommandContext, WELL } from './command-context.ts';
import { placeComplaints } from './place-complaints.ts';
import { readServerAddresses } from './server-addresses.ts';

const HELP = `
Run it after every change by hand. The service makes the same checks: on start a mistake stops it, later the settings in
force stay. Everything that is wrong with main file and settings is said at once, a line each; what can be meant but probably
is not is a warning, and no mistake; so is a file beside the settings that has another ending than .toml, and one that only
root can read, since the service seldom is root.

Examples:
  $ tlswarden check
  2 domains and 1 alias in /etc/tlswarden/domains.d
                     always  specific  never  under monitor
  incoming.receipt        1         1      0              0
  incoming.delivery       1         0      1              0
  outgoing.receipt        0         0      2              0
  outgoing.delivery       0         1      1              0
  Delivery: 1 held by tables, 1 in part, 0 by FILTER only.

  $ tlswarden check
  example.com.toml:4: example.com: incoming.receipt.sender: unknown key; did you mean "senders"?

  $ tlswarden --json check
  {"domains": 2, "aliases": 1, "settings": {"incoming.receipt": {always, specific, never, monitor}, …},
   "delivery": {static, mixed, dynamic}, "warnings": [{file, line, domain, key, message}]}

Exit status: 0; 1 if Redis is away or holds no settings yet; 2 if anything is wrong.`;

/** What there is of one setting of one hop of one flow, over all domains. */
interface Count {
  always: number;
  specific: number;
  never: number;
  /** Of those that ask, the ones that only watch. */
  monitor: number;
}

interface Counts {
  domains: number;
  aliases: number;
  readonly settings: Record<string, Count>;
  /** Delivery settings that are enforced, by how much of each the tables can hold. */
  readonly delivery: { static: number; mixed: number; dynamic: number };
}

/** Makes `tlswarden check` a command of `program` (contract section 8). With --json: the counts and `warnings`. */
export function addCheck(program: Command): void {
  program
    .command('check')
    .summary('read main file and settings, and say what is wrong or what is there')
    .description('Reads main file and settings, and says everything that is wrong, or counts of what is there.')
    .addHelpText('after', HELP)
    .action(
      action(async (context) => {
        const main = await readMain(context);
        const settings = await loadSettings(main);
        const counts = count(settings);
        const { source } = main.settings;
        const directory = source.kind === 'directory' ? source.path : undefined;
        const overlooked = directory === undefined ? [] : await overlookedFiles(directory);
        const closed = await closedFiles(main.path, directory);
        const suspicious = await placeComplaints(findSuspicious(main, settings), directory);
        const warnings = [...suspicious, ...overlooked, ...closed];
        if (context.json) {
          context.printJson({ ...counts, warnings });
          return WELL;
        }
        context.warn(warnings);
        context.print(report(counts, main));
        return WELL;
      }),
    );
}

/** Throws what is wrong with the main file, and with the settings as far as it says where they are. */
async function readMain(context: CommandContext): Promise<MainFile> {
  try {
    return await context.readMain((read) => readServerAddresses(read).complaints);
  } catch (error) {
    if (!(error instanceof UnusableMainFile) || error.lookFurther === undefined) throw error;
    throw new ComplaintError([...error.complaints, ...(await mistakesInSettings(error.lookFurther))]);
  }
}

async function mistakesInSettings(main: MainFile): Promise<readonly Complaint[]> {
  try {
    await loadSettings(main);
    return [];
  } catch (error) {
    if (error instanceof ComplaintError) return error.complaints;
    if (error instanceof RedisTrouble) return [{ message: `the settings were not looked at: ${error.message}` }];
    throw error;
  }
}

function count(settings: Settings): Counts {
  const counts: Counts = { domains: 0, aliases: 0, settings: {}, delivery: { static: 0, mixed: 0, dynamic: 0 } };
  for (const [flow, hop] of hops())
    counts.settings[`${flow}.${hop}`] = { always: 0, specific: 0, never: 0, monitor: 0 };
  for (const domain of settings.domains()) {
    counts.domains += 1;
    counts.aliases += domain.aliases.length;
    for (const [flow, hop] of hops()) {
      const setting = domain.settings[flow][hop];
      const one = counts.settings[`${flow}.${hop}`];
      if (one === undefined) continue;
      if (setting === undefined) one.never += 1;
      else one[setting.condition.kind === 'always' ? 'always' : 'specific'] += 1;
      if (setting?.enforcement === 'monitor') one.monitor += 1;
      else if (setting?.hop === 'delivery') counts.delivery[shareOfTables(setting)] += 1;
    }
  }
  return counts;
}

function* hops(): IterableIterator<readonly [Flow, Hop]> {
  for (const flow of FLOWS) for (const hop of HOPS) yield [flow, hop];
}

function shareOfTables({ condition, tableKeys }: Setting): 'static' | 'mixed' | 'dynamic' {
  if (condition.kind === 'always' || tableKeys.everyone) return 'static';
  const held = tableKeys.localParts.length + tableKeys.domains.length;
  if (held === 0) return 'dynamic';
  const listed = condition.own.addresses.size + condition.own.domains.size;
  const dependsOnFar = condition.kind === 'both' ? !condition.far.everyone : !isNobody(condition.far);
  return held === listed && !dependsOnFar ? 'static' : 'mixed';
}

function isNobody(people: People): boolean {
  return (
    !people.everyone && !people.nullSender && people.addresses.size + people.domains.size + people.parents.size === 0
  );
}

/** What is valid, and yet probably not what was meant. */
function findSuspicious(main: MainFile, settings: Settings): readonly Complaint[] {
  const found: Complaint[] = [];
  if (main.settings.snapshot !== undefined && main.settings.source.kind === 'directory') {
    const message = 'has a meaning only with settings in Redis';
    found.push({ file: main.path, key: 'settings.snapshot', message });
  }
  for (const block of main.receipt.exemptClients) {
    if (!block.endsWith('/0')) continue;
    found.push({
      file: main.path,
      key: 'receipt.exempt_clients',
      message: `${quoted(block)} is everyone: nothing is asked for on receipt`,
    });
  }
  for (const [flow, hop] of hops()) {
    const setting = main.defaults[flow][hop];
    if (setting !== undefined)
      found.push(...suspicious(setting, flow, { file: main.path, key: `defaults.${flow}.${hop}` }));
  }
  for (const domain of settings.domains()) {
    for (const [flow, hop] of hops()) {
      const setting = domain.settings[flow][hop];
      if (setting === undefined || setting === main.defaults[flow][hop]) continue;
      found.push(...suspicious(setting, flow, { file: domain.file, domain: domain.name, key: `${flow}.${hop}` }));
    }
  }
  return found;
}

function* suspicious(setting: Setting, flow: Flow, place: Place): IterableIterator<Complaint> {
  const { condition } = setting;
  if (condition.kind !== 'always') {
    for (const side of ['own', 'far'] as const) {
      const list = listName(flow, side);
      if (!condition[side].nullSender || (flow === 'incoming' && side === 'far')) continue;
      const why =
        list === 'recipients'
          ? 'no recipient is empty'
          : 'the null sender is at no domain, so it sends no mail from this one';
      yield { ...place, key: `${place.key}.${list}`, message: `"<>" can never match: ${why}` };
    }
  }
  if (setting.hop === 'receipt' && setting.minCipherBits > 256) {
    const message = 'no TLS cipher has more than 256 bits: every session is refused';
    yield { ...place, key: `${place.key}.min_cipher_bits`, message };
  }
}

function report(counts: Counts, main: MainFile): string {
  const { source } = main.settings;
  const where = source.kind === 'directory' ? ` in ${source.path}` : '';
  const plural = (n: number, one: string, many: string): string => `${n} ${n === 1 ? one : many}`;
  const rows = [
    ['', 'always', 'specific', 'never', 'under monitor'],
    ...Object.entries(counts.settings).map(([name, one]) =>
      [name, one.always, one.specific, one.never, one.monitor].map(String),
    ),
  ];
  const widths = [17, 6, 8, 5, 13].map((width, i) => Math.max(width, ...rows.map((row) => row[i]?.length ?? 0)));
  const table = rows.map((row) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[i] ?? 0))).join('  '),
  );
  const { delivery } = counts;
  const enforced = delivery.static + delivery.mixed + delivery.dynamic;
  const byWhom =
    main.maps === undefined
      ? `Delivery: ${enforced} by FILTER, since there is no [maps] directory.`
      : `Delivery: ${delivery.static} held by tables, ${delivery.mixed} in part, ${delivery.dynamic} by FILTER only.`;
  const head = `${plural(counts.domains, 'domain', 'domains')} and ${plural(counts.aliases, 'alias', 'aliases')}${where}`;
  return [head, ...table, byWhom].join('\n');
}
