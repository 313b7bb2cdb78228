/**
 * `tlswarden maps`: writes the tables, says whether they are what the settings ask for, or stays and keeps them so. How
 * tables are made stands in src/tables.
 */
import type { Command } from 'commander';
import { openLog } from '../log/logger.ts';
import type { MainFile } from '../main-file/main-file.ts';
import { loadSettings, openSource } from '../main-file/open-source.ts';
import { defaultDatabaseType } from '../postfix/postconf.ts';
import type { Settings } from '../settings/settings.ts';
import { SettingsInForce } from '../source/settings-in-force.ts';
import { checkTables, type TablesOptions } from '../tables/check-tables.ts';
import { diffTables } from '../tables/diff-tables.ts';
import { TablesWriter } from '../tables/tables-writer.ts';
import { type TablesProgress, type TablesWritten, writeTables } from '../tables/write-tables.ts';
import { ComplaintError, complaintFields } from '../toml/complaint.ts';
import { atHand } from './at-hand.ts';
import { action, type CommandContext, type ExitStatus, FAILED, UsageError, WELL } from './command-context.ts';
import { showProgress } from './progress.ts';
import { untilStopped } from './until-stopped.ts';

/** Changes that follow one another so closely become one set of tables. */
const QUIET_MS = 200;

interface MapsFlags {
  readonly check?: boolean;
  readonly diff?: boolean;
  readonly watch?: boolean;
}

/** Makes `tlswarden maps` a command of `program`; without a maps directory it is a mistake of the main file. */
export function addMaps(program: Command): void {
  program
    .command('maps')
    .summary("write Postfix's tables from the settings")
    .description(
      'Writes the tables with which Postfix enforces what needs no policy service, and compiles them with postmap. The new set ' +
        'takes the place of the old one whole, in one step, and only if something changed; Postfix notices by itself.',
    )
    .option('--check', 'write nothing; exit status 1 if the tables are not what the settings ask for')
    .option('--diff', 'write nothing; print what would change, as - and + lines')
    .option('--watch', 'stay, and write them whenever the settings change')
    .addHelpText(
      'after',
      '\nExamples:\n  tlswarden maps\n  tlswarden maps --diff\n  tlswarden maps --watch          under whatever starts your daemons\n' +
        '  tlswarden --json maps           {"changed": true, "reloaded": false, "tables": {receipt_access: {lines, sha256}, …}}\n' +
        '  tlswarden --json maps --check   {"current": true, "reasons": []}\n' +
        '  tlswarden --json maps --diff    {"table": "transport", "sign": "+", "line": "…"}, one a line\n\n' +
        '--check and --diff go by the snapshot while Redis is away, and say so.\n\n' +
        'Exit status: 0 well; 1 it failed, or --check says no; 2 settings that cannot be used. Where writing failed the old tables are in force.',
    )
    .action(action((context, flags: MapsFlags) => maps(context, flags)));
}

async function maps(context: CommandContext, flags: MapsFlags): Promise<ExitStatus> {
  if ([flags.check, flags.diff, flags.watch].filter((flag) => flag === true).length > 1) {
    throw new UsageError('--check, --diff and --watch go each by itself');
  }
  const main = await context.readMain();
  const options = await tablesOptions(main);
  if (flags.watch === true) return await watch(main, options);
  if (flags.check === true) return await check(context, (await atHand(context, main)).settings, options);
  if (flags.diff === true) return await diff(context, (await atHand(context, main)).settings, options);
  return await write(context, await loadSettings(main), options);
}

/** What the tables need of the main file; without `maps.type` Postfix is asked. */
export async function tablesOptions(main: MainFile): Promise<TablesOptions> {
  if (main.maps === undefined) {
    throw new ComplaintError([
      {
        file: main.path,
        key: 'maps.directory',
        message: 'is not set, so there are no tables: the service answers everything by FILTER',
      },
    ]);
  }
  const { configDirectory } = main.postfix;
  return {
    directory: main.maps.directory,
    type: main.maps.type ?? (await defaultDatabaseType(configDirectory)),
    configDirectory,
    exemptClients: main.receipt.exemptClients,
  };
}

async function check(context: CommandContext, settings: Settings, options: TablesOptions): Promise<ExitStatus> {
  const { current, reasons } = await checkTables(settings, options);
  if (context.json) context.printJson({ current, reasons });
  else if (current) context.print('the tables are what the settings ask for');
  else for (const reason of reasons) context.print(reason);
  return current ? WELL : FAILED;
}

async function diff(context: CommandContext, settings: Settings, options: TablesOptions): Promise<ExitStatus> {
  for await (const { table, sign, line } of diffTables(settings, options)) {
    context.print(context.json ? JSON.stringify({ table, sign, line }) : `${table}: ${sign}${line}`);
    await context.written();
    if (context.isUnread) break;
  }
  return WELL;
}

async function write(context: CommandContext, settings: Settings, options: TablesOptions): Promise<ExitStatus> {
  const written = await writeTables(settings, options, (event) => {
    if (event.kind === 'waiting') context.note('another writer is at work in this directory; waiting for it');
    else showProgress(wordProgress(event));
  }).finally(() => showProgress(''));
  if (context.json) context.printJson(written);
  else context.print(wordWritten(written, options.directory));
  return WELL;
}

function wordProgress(event: Exclude<TablesProgress, { kind: 'waiting' }>): string {
  if (event.kind === 'written') return `${event.table}: ${event.lines} lines written`;
  return `${event.table}: compiled (${event.done} of ${event.of} tables)`;
}

function wordWritten(written: TablesWritten, directory: string): string {
  if (!written.changed) return 'nothing to change';
  const tables = Object.entries(written.tables);
  const width = Math.max(...tables.map(([name]) => name.length));
  return [
    `written in ${directory}`,
    ...tables.map(([name, { lines }]) => `  ${name.padEnd(width)}  ${lines} ${lines === 1 ? 'entry' : 'entries'}`),
  ].join('\n');
}

/** Keeps the tables what the settings ask for until it is told to stop. A failure is logged and tried again. */
async function watch(main: MainFile, options: TablesOptions): Promise<ExitStatus> {
  const log = openLog(main.log.level);
  // As in serve: until there is something to reload.
  process.on('SIGHUP', () => {});
  const writer = new TablesWriter(log.logger, options);
  const inForce = new SettingsInForce(openSource(main, { log: log.logger, keepsSnapshot: false, quietMs: QUIET_MS }), {
    changed: (settings) => writer.want(settings),
    failed: (error) => log.logger.error(complaintFields(error), 'settings cannot be used; the tables stay'),
  });
  try {
    await inForce.start();
    log.logger.info({ directory: options.directory }, 'watching');
    await untilStopped(() => void inForce.refresh());
    log.logger.info('stopping');
    return WELL;
  } finally {
    inForce.stop();
    await writer.stop();
    log.flush();
  }
}
