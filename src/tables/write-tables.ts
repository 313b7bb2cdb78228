/**
 * Writes the tables, all of them or none: a new generation is built beside the one in force, compiled, brought to the
 * disk and put in force by one rename; `stamp.json`, which says what they hold, comes last. Whatever goes wrong, a crash
 * included, leaves a whole set in force and, if it is not proven which, no stamp. Two writers take turns.
 */
import { createHash } from 'node:crypto';
import { chmod, mkdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import type { DomainName } from '../address/domain-name.ts';
import { syncTree } from '../files/bring-to-disk.ts';
import { LockError, withExclusiveLock } from '../files/exclusive-lock.ts';
import { replaceFile } from '../files/replace-file.ts';
import { ReloadError, reloadPostfix } from '../postfix/master.ts';
import type { Settings } from '../settings/settings.ts';
import { checkTables, type TablesOptions } from './check-tables.ts';
import { compiledSuffix, compileTable } from './compiled-table.ts';
import { BUILDING, LOCK_FILE, MapsDirectory, NEW_STAMP } from './maps-directory.ts';
import { type Rendering, render } from './render.ts';
import {
  CURRENT_LINK,
  DOMAINS_FILE,
  formatStamp,
  STAMP_FORMAT,
  type Stamp,
  stampFile,
  type TableStamp,
} from './stamp.ts';
import type { Table } from './table.ts';
import { TablesError, wordSystemError } from './tables-error.ts';
import { writeLines } from './text-file.ts';

/** What a long run tells while it goes on. */
export type TablesProgress =
  /** Another writer is at work in this directory. */
  | { readonly kind: 'waiting' }
  /** A table's text stands, and how many of how many tables are done. */
  | { readonly kind: 'written'; readonly table: string; readonly lines: number; readonly of: number }
  | { readonly kind: 'compiled'; readonly table: string; readonly done: number; readonly of: number };

/** What stands there now, and how it came to. */
export interface TablesWritten {
  /** Whether anything was written. */
  readonly changed: boolean;
  /** Whether Postfix was told to reload, since it does not see by itself that texts have changed. */
  readonly reloaded: boolean;
  /** By name. */
  readonly tables: Readonly<Record<string, TableStamp>>;
}

/** Brings the tables to what the settings ask for. Rejects with {@link TablesError}. */
export async function writeTables(
  settings: Settings,
  options: TablesOptions,
  progress: (event: TablesProgress) => void = () => {},
): Promise<TablesWritten> {
  compiledSuffix(options.type, options.directory);
  const directory = new MapsDirectory(options.directory);
  await directory.ensure();
  const lockFile = directory.file(LOCK_FILE);
  try {
    return await withExclusiveLock(
      lockFile,
      () => progress({ kind: 'waiting' }),
      async (lockFd) => {
        await directory.clean();
        if (!(await checkTables(settings, options)).current) {
          await keepWithheld(settings, directory);
          return await replaceTables(settings, options, directory, lockFd, progress);
        }
        return { changed: false, reloaded: false, tables: (await directory.stamp())?.tables ?? {} };
      },
    );
  } catch (error) {
    if (error instanceof TablesError) throw error;
    if (error instanceof LockError) throw new TablesError('lock', options.directory, error.message, error);
    const path = (error as NodeJS.ErrnoException).path ?? options.directory;
    throw new TablesError('write', path, wordSystemError(error), error);
  }
}

/**
 * Rejects where a domain whose settings cannot be used now would lose its entries: mail of it that passes no policy service,
 * or that waits in the queue, has nothing else.
 */
async function keepWithheld({ withheld }: Settings, directory: MapsDirectory): Promise<void> {
  if (withheld.size === 0) return;
  const held = await directory.digests(CURRENT_LINK).catch(() => new Map<DomainName, number>());
  for (const name of held.keys()) {
    if (!withheld.has(name)) continue;
    const message = `hold ${name}, whose settings cannot be used; all tables stay as they are until it is mended or taken away`;
    throw new TablesError('withheld', directory.path, message);
  }
}

async function replaceTables(
  settings: Settings,
  options: TablesOptions,
  directory: MapsDirectory,
  lockFd: number,
  progress: (event: TablesProgress) => void,
): Promise<TablesWritten> {
  const before = await directory.stamp();
  const wasInForce = before !== undefined || (await directory.current()) !== undefined;
  const keep = await directory.policiesKept();
  const rendering = render(settings, { exemptClients: options.exemptClients, keep });
  const { tables } = rendering;
  let stamp: Stamp;
  try {
    const stamps = await build(rendering, options, directory, lockFd, progress);
    stamp = stampFor(settings, options, stamps);
    await directory.swap(stamp.generation);
  } catch (error) {
    // What is left here the next writer removes; the first trouble is the one to tell of.
    await directory.clean().catch(() => {});
    throw error;
  }
  // Where nothing was in force Postfix has nothing open, and main.cf hardly refers to it.
  const isTold = wasInForce && tables.some((table) => isUnseen(table, options.type) && differs(table, before, stamp));
  const reloaded = isTold && (await tellPostfix(options.configDirectory));
  await replaceFile(stampFile(options.directory), directory.file(NEW_STAMP), formatStamp(stamp), 0o644);
  return { changed: true, reloaded, tables: stamp.tables };
}

async function tellPostfix(configDirectory: string): Promise<boolean> {
  try {
    return await reloadPostfix(configDirectory);
  } catch (error) {
    if (!(error instanceof ReloadError)) throw error;
    const message = `the tables are written, but Postfix could not be told: ${error.message}`;
    throw new TablesError('reload', configDirectory, message, error);
  }
}

/** Whether Postfix keeps what it has read of such a table until it is reloaded (dict_thash.c, dict_cidr.c, dict_regexp.c). */
function isUnseen(table: Table, type: string): boolean {
  return table.kind !== 'indexed' || type === 'texthash';
}

function differs({ name }: Table, before: Stamp | undefined, after: Stamp): boolean {
  return before?.tables[name]?.sha256 !== after.tables[name]?.sha256;
}

function stampFor(settings: Settings, options: TablesOptions, tables: Readonly<Record<string, TableStamp>>): Stamp {
  const content = {
    format: STAMP_FORMAT,
    settings: settings.tableDigest,
    relayhost: settings.relayhost,
    type: options.type,
  };
  const generation = createHash('sha256')
    .update(JSON.stringify({ ...content, tables }))
    .digest('hex')
    .slice(0, 16);
  return { ...content, generation, tables };
}

/** Builds a generation in {@link BUILDING}: texts one after the other, compiled by several postmaps meanwhile. */
async function build(
  { tables, domains }: Rendering,
  options: TablesOptions,
  directory: MapsDirectory,
  lockFd: number,
  progress: (event: TablesProgress) => void,
): Promise<Readonly<Record<string, TableStamp>>> {
  const suffix = compiledSuffix(options.type, options.directory);
  const of = tables.length;
  const stamps: Record<string, TableStamp> = {};
  const compilers = new Compilers(availableParallelism());
  let done = 0;
  await mkdir(directory.file(BUILDING), 0o755);
  try {
    await chmod(directory.file(BUILDING), 0o755);
    for (const table of tables) {
      const file = directory.file(BUILDING, table.name);
      const stamp = await writeLines(file, table.text());
      stamps[table.name] = stamp;
      progress({ kind: 'written', table: table.name, lines: stamp.lines, of });
      if (table.kind !== 'indexed' || suffix === undefined) done += 1;
      else {
        compilers.add(async (signal) => {
          await compileTable(options.type, file, options.configDirectory, lockFd, signal);
          done += 1;
          progress({ kind: 'compiled', table: table.name, done, of });
        });
      }
    }
    await writeLines(directory.file(BUILDING, DOMAINS_FILE), domains());
  } catch (error) {
    await compilers.stop();
    throw error;
  }
  await compilers.finish();
  await syncTree(directory.file(BUILDING));
  return stamps;
}

/** Runs so many compilations at once, in order; after a failure it starts no more and ends those that run. */
class Compilers {
  readonly #waiting: ((signal: AbortSignal) => Promise<void>)[] = [];
  readonly #running = new Set<Promise<void>>();
  readonly #limit: number;
  readonly #stop = new AbortController();
  #failure: { readonly error: unknown } | undefined;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Does not wait for it. Throws if one failed before: there is no use in going on. */
  add(compile: (signal: AbortSignal) => Promise<void>): void {
    this.#throwFailure();
    this.#waiting.push(compile);
    this.#startSome();
  }

  async finish(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
    this.#throwFailure();
  }

  async stop(): Promise<void> {
    this.#waiting.length = 0;
    this.#stop.abort();
    await Promise.all(this.#running);
  }

  #startSome(): void {
    while (this.#running.size < this.#limit) {
      const compile = this.#waiting.shift();
      if (compile === undefined) return;
      const run = compile(this.#stop.signal)
        .catch((error: unknown) => {
          this.#failure ??= { error };
          this.#waiting.length = 0;
          this.#stop.abort();
        })
        .finally(() => {
          this.#running.delete(run);
          this.#startSome();
        });
      this.#running.add(run);
    }
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}
