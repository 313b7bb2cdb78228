/**
 * Whether the tables are what the settings ask for. It reads everything that Postfix would read but the compiled tables
 * themselves, of which it checks that they are there and not older than their texts. It writes nothing.
 */
import { stat } from 'node:fs/promises';
import type { Settings } from '../settings/settings.ts';
import { compiledSuffix } from './compiled-table.ts';
import { MapsDirectory } from './maps-directory.ts';
import { render } from './render.ts';
import { CURRENT_LINK, DOMAINS_FILE, type Stamp } from './stamp.ts';
import type { Table } from './table.ts';
import { errorCode, type TablesError } from './tables-error.ts';
import { digestOfFile, stampOf } from './text-file.ts';

/** Where tables are written, and how. */
export interface TablesOptions {
  /** `maps.directory`. */
  readonly directory: string;
  /** `maps.type`, or Postfix's default_database_type. */
  readonly type: string;
  /** `postfix.config_directory`. */
  readonly configDirectory: string;
  /** `receipt.exempt_clients`. */
  readonly exemptClients: readonly string[];
}

/** The answer of `maps --check`. */
export interface TablesCheck {
  readonly current: boolean;
  /** Why not: sentences without a full stop. */
  readonly reasons: readonly string[];
}

/** Rejects with {@link TablesError} where the directory cannot be read, or the type is none that is known. */
export async function checkTables(settings: Settings, options: TablesOptions): Promise<TablesCheck> {
  const directory = new MapsDirectory(options.directory);
  const suffix = compiledSuffix(options.type, options.directory);
  await directory.entries().catch((error: TablesError) => {
    // Written for the first time it is made.
    if (errorCode(error.cause) !== 'ENOENT') throw error;
  });
  const stamp = await directory.stamp();
  const reasons = stamp === undefined ? [await noStampReason(directory)] : stampReasons(settings, options, stamp);
  if (stamp !== undefined && reasons.length === 0) {
    const keep = await directory.policiesKept();
    const { tables, domains } = render(settings, { exemptClients: options.exemptClients, keep });
    reasons.push(...(await fileReasons(directory, tables, stamp, suffix)));
    reasons.push(...(await textReasons(directory, DOMAINS_FILE, stampOf(domains()).sha256)));
  }
  return { current: reasons.length === 0, reasons };
}

async function noStampReason(directory: MapsDirectory): Promise<string> {
  return (await directory.current()) === undefined
    ? `there are no tables in ${directory.path} yet; "tlswarden maps" writes them`
    : 'there is no valid stamp.json beside the tables';
}

/** The cheap part: what the stamp alone tells. */
function stampReasons(settings: Settings, options: TablesOptions, stamp: Stamp): string[] {
  const reasons: string[] = [];
  if (stamp.settings !== settings.tableDigest) reasons.push('the settings have changed since');
  if (stamp.relayhost !== settings.relayhost) reasons.push('relayhost has changed since');
  if (stamp.type !== options.type) reasons.push(`the tables are of type ${stamp.type}, not ${options.type}`);
  return reasons;
}

async function fileReasons(
  directory: MapsDirectory,
  tables: readonly Table[],
  stamp: Stamp,
  suffix: string | undefined,
): Promise<readonly string[]> {
  const reasons: string[] = [];
  if ((await directory.current()) === undefined) reasons.push('there is no current set');
  for (const table of tables) {
    const wanted = stampOf(table.text());
    const written = stamp.tables[table.name]?.sha256;
    if (wanted.sha256 !== written) reasons.push(`${table.name} would have another content`);
    reasons.push(...(await textReasons(directory, table.name, written)));
    if (table.kind === 'indexed' && suffix !== undefined && (await isStale(directory, table.name, suffix))) {
      reasons.push(`${table.name}${suffix} is missing or older than its text`);
    }
  }
  return reasons;
}

/** `written`: the digest of what was written there. */
async function textReasons(
  directory: MapsDirectory,
  name: string,
  written: string | undefined,
): Promise<readonly string[]> {
  const found = await digestOfFile(directory.file(CURRENT_LINK, name)).catch(() => undefined);
  if (found === undefined) return [`${name} cannot be read`];
  return found === written ? [] : [`${name} was changed by somebody else`];
}

async function isStale(directory: MapsDirectory, name: string, suffix: string): Promise<boolean> {
  try {
    const text = await stat(directory.file(CURRENT_LINK, name));
    const compiled = await stat(directory.file(CURRENT_LINK, name + suffix));
    return compiled.size === 0 || compiled.mtimeMs < text.mtimeMs;
  } catch {
    return true;
  }
}
