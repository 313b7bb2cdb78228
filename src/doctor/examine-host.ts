/**
 * One examination of this host, from reading to findings: what doctor does, but for `--live`. It changes nothing.
 */

import { constants } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { readTables } from '../explain/read-tables.ts';
import { makeFragments } from '../fragments/make-fragments.ts';
import { policyServiceAt } from '../fragments/policy-service.ts';
import { isTableAt } from '../fragments/value-list.ts';
import type { MainFile } from '../main-file/main-file.ts';
import type { SettingsAtHand } from '../main-file/open-source.ts';
import { systemAuthoritiesFile } from '../probe/authorities.ts';
import type { ResolverAddress } from '../probe/dns-client.ts';
import { reachService } from '../service/reach-service.ts';
import type { Level } from '../settings/level.ts';
import type { Settings } from '../settings/settings.ts';
import { SettingsOwner } from '../settings/settings-owner.ts';
import { checkTables, type TablesCheck, type TablesOptions } from '../tables/check-tables.ts';
import { policySetting } from '../tables/render.ts';
import { tablePath } from '../tables/stamp.ts';
import { RECEIPT_ACCESS } from '../tables/table.ts';
import { TablesError } from '../tables/tables-error.ts';
import { whatRuns } from './daemons.ts';
import { readEntrances } from './entrance.ts';
import { examineAliases } from './examine-aliases.ts';
import { examineAuthorities } from './examine-authorities.ts';
import { examineCopies } from './examine-copies.ts';
import { examineEntrances } from './examine-entrances.ts';
import { examineLeft } from './examine-left.ts';
import { examineParameters } from './examine-parameters.ts';
import { examineRedis } from './examine-redis.ts';
import { examineResolver } from './examine-resolver.ts';
import { examineRoutes } from './examine-routes.ts';
import { examineRunning, readRunning } from './examine-running.ts';
import { examineService } from './examine-service.ts';
import { certificateFiles, examineSmtpdTls } from './examine-smtpd-tls.ts';
import { examineContents, examinePolicies, examineReferences, examineTroubles } from './examine-tables.ts';
import { examineTransports } from './examine-transports.ts';
import { bySeverity, type Finding, withoutRepeats } from './finding.ts';
import type { Host } from './host.ts';
import { Mending, type MendingContext } from './mending.ts';
import { readConfiguration } from './read-configuration.ts';
import { namesOf, type Sample, sampleOf } from './sample.ts';
import { TableLookups } from './table-lookups.ts';

/** How long one table may take to answer. */
const TABLE_MS = 10_000;
/** How long tables may lag behind the settings. */
const TABLES_MS = 2_000;
const LOOK_MS = 100;

const NOBODY: Sample = { domains: [], of: 0 };

/** What `doctor` tells: findings worst first, each once. */
export interface Diagnosis {
  readonly host: Host;
  readonly findings: readonly Finding[];
  /** Whether there were settings to go by. */
  readonly hasSettings: boolean;
  /** How many domains were looked at one by one, and of how many. */
  readonly domains: { readonly looked: number; readonly of: number };
}

/**
 * Without settings it finds what does not depend on them. `tables`: undefined without a maps directory. `resolvers`: those of this host. `progress`: is told what is looked at now. Rejects
 * with a PostconfError or a TablesError.
 */
export async function examineHost(
  main: MainFile,
  atHand: SettingsAtHand,
  tables: TablesOptions | undefined,
  resolvers: readonly ResolverAddress[],
  progress: (what: string) => void = () => {},
): Promise<Diagnosis> {
  const { away } = atHand;
  // No domain asks for anything, so nothing is found of what one would ask for.
  const settings = atHand.settings ?? new SettingsOwner(main.postfix.relayhost).settings;
  progress('reading main.cf and master.cf');
  const postfix = await readConfiguration(main.postfix.configDirectory);
  const running = await readRunning(postfix);
  progress('comparing the tables with the settings');
  const contents =
    tables === undefined || atHand.settings === undefined ? undefined : await checkContents(main, settings, tables);
  const policyService = policyServiceAt(main.server.listen[0] ?? '');
  const isRunning = running !== undefined && running !== 'hidden';
  const host = await readHost(main, settings, tables, postfix, {
    isRunning,
    isServiceSilent: isRunning && (await reachService(policyService)) !== undefined,
    areTablesDue: contents?.current === false,
  });
  const lookups = new TableLookups(main.postfix.configDirectory, TABLE_MS);
  const sample = sampleOf(settings);
  progress(`looking at ${sample.domains.length} domains`);
  const findings = [
    ...examineRedis(atHand),
    ...examineEntrances(host),
    ...examineSmtpdTls(host, await unreadable(certificateFiles(postfix))),
    ...examineParameters(host),
    ...examineAuthorities(host, await systemAuthoritiesFile()),
    ...examineTransports(host),
    ...examineReferences(host),
    ...(contents === undefined ? [] : examineContents(host, await readTables(main, settings), contents)),
    ...(await examinePolicies(host, lookups, levelsAsked(settings, sample))),
    ...(await examineRoutes(host, lookups, sample)),
    ...(await examineAliases(host, lookups, sample)),
    ...(await examineCopies(host, lookups, sample)),
    ...examineTroubles(host, await readability(host, lookups)),
    ...(await examineResolver(host, resolvers)),
    // The service may have newer settings than the snapshot.
    ...(await examineService(host, away === undefined ? sample : NOBODY)),
    ...examineLeft(host),
    ...(running === 'hidden' ? [] : examineRunning(host, running)),
  ];
  return {
    host,
    findings: bySeverity(withoutRepeats(findings)),
    hasSettings: atHand.settings !== undefined,
    domains: { looked: sample.domains.length, of: sample.of },
  };
}

async function readHost(
  main: MainFile,
  settings: Settings,
  tables: TablesOptions | undefined,
  postfix: Host['postfix'],
  state: Pick<MendingContext, 'isRunning' | 'isServiceSilent' | 'areTablesDue'>,
): Promise<Host> {
  const fragmentContext = {
    policyService: policyServiceAt(main.server.listen[0] ?? ''),
    maps: tables,
    present: postfix.present,
  };
  const names = {
    addresses: new Set(main.server.listen.map(policyServiceAt)),
    receiptAccess: tables === undefined ? undefined : tablePath(tables.directory, RECEIPT_ACCESS),
  };
  return {
    main,
    settings,
    postfix,
    fragments: makeFragments(settings, fragmentContext),
    fragmentContext,
    names,
    entrances: readEntrances(postfix, names),
    mending: new Mending({
      mainPath: main.path,
      mainText: await readFile(main.path, 'utf8'),
      configDirectory: main.postfix.configDirectory,
      ...state,
      daemons: await whatRuns(main.path),
    }),
  };
}

/**
 * A directory that is not there, or cannot be read, is no reason to look no further. Tables that follow the settings do so
 * within a moment.
 */
async function checkContents(main: MainFile, settings: Settings, tables: TablesOptions): Promise<TablesCheck> {
  const deadline = Date.now() + TABLES_MS;
  while ((await readTables(main, settings)) === 'outdated' && Date.now() < deadline) await pause(LOOK_MS);
  return await checkTables(settings, tables).catch((error: unknown) => {
    if (error instanceof TablesError) return { current: false, reasons: [error.message] };
    throw error;
  });
}

function levelsAsked(settings: Settings, { domains }: Sample): ReadonlyMap<string, Level> {
  const levels = new Map<string, Level>();
  for (const domain of domains) {
    const level = policySetting(settings, domain)?.level;
    if (level !== undefined) for (const name of namesOf(domain)) levels.set(name, level);
  }
  return levels;
}

/** Asks every table that mail is routed by for a name that none of them has. */
async function readability({ postfix, names }: Host, lookups: TableLookups): Promise<ReadonlyMap<string, string>> {
  const parameters = ['transport_maps', 'sender_dependent_default_transport_maps', 'smtp_tls_policy_maps'];
  const tables = parameters.flatMap((parameter) => postfix.list(parameter));
  const access = postfix
    .restrictions('smtpd_recipient_restrictions')
    .flatMap(({ text }) => text.split(' '))
    .filter((word) => names.receiptAccess !== undefined && isTableAt(word, names.receiptAccess));
  for (const table of [...tables, ...access]) await lookups.find(table, ['tlswarden.invalid']);
  return lookups.troubles;
}

async function unreadable(files: readonly string[]): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  for (const file of files) {
    await access(file, constants.R_OK).catch(({ code }: NodeJS.ErrnoException) => {
      // smtpd(8) reads it as root; whoever is not root cannot tell.
      if (code !== 'EACCES') found.add(file);
    });
  }
  return found;
}
