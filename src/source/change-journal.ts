/**
 * Makes one change of several settings files: before the first of them is replaced, a journal beside them says what each is
 * to be. From then on the change holds, for whoever reads, also where its writer was killed half-way; the next writer
 * brings it to its end. It names nothing outside of its directory, and decides no content.
 */
import { randomUUID } from 'node:crypto';
import { readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { sync } from '../files/bring-to-disk.ts';
import { replaceFile } from '../files/replace-file.ts';
import { type FileReplacement, isTemporary, targetOf } from '../files/replace-files.ts';
import { isTable } from '../toml/table-reader.ts';

/** Held by the one writer; it stays. No loader reads it as settings. */
export const LOCK_FILE = '.tlswarden.lock';
const JOURNAL_FILE = '.tlswarden-change.json';
const NEW_JOURNAL = '.tlswarden-change.new';
const FORMAT = 1;

/** The journal of one settings directory. To write it takes the lock on {@link LOCK_FILE}, to read it takes nothing. */
export class ChangeJournal {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** The change holds from now on, unless this fails: then there is none. One file needs no journal. */
  async begin(files: readonly FileReplacement[]): Promise<void> {
    if (files.length < 2) return;
    const changes = Object.fromEntries(files.map(({ name, temporary }) => [name, temporary ?? null]));
    const text = `${JSON.stringify({ format: FORMAT, changes })}\n`;
    try {
      await replaceFile(this.#file(JOURNAL_FILE), this.#file(NEW_JOURNAL), text, 0o644);
      // Before the first file is replaced: whoever has begun to read without the journal can tell that he has to again.
      await writeFile(this.#file(LOCK_FILE), randomUUID());
    } catch (error) {
      await this.end();
      throw error;
    }
  }

  /** Changes whenever a change of several files begins; it stands in the lock file. */
  async token(): Promise<string> {
    return await readFile(this.#file(LOCK_FILE), 'utf8').catch(() => '');
  }

  /** Reads a file where {@link places} has found it, or where it stands if it has gone there since. */
  async read<T>(name: string, place: string, body: (place: string) => Promise<T>): Promise<T> {
    try {
      return await body(place);
    } catch (error) {
      const file = this.#file(name);
      if (place === file || (await exists(place))) throw error;
      return await body(file);
    }
  }

  /** All files are what they are to be. */
  async end(): Promise<void> {
    await rm(this.#file(JOURNAL_FILE), { force: true });
  }

  /** Brings a change to its end whose writer did not. The caller holds the lock. */
  async finish(): Promise<void> {
    const touched = new Set([this.#directory]);
    for (const [name, temporary] of await this.#changes()) {
      const target = await targetOf(this.#file(name));
      touched.add(dirname(target));
      if (temporary === null) await rm(target, { force: true });
      else await rename(join(dirname(target), temporary), target).catch(unlessMissing);
    }
    for (const directory of touched) await sync(directory);
    await rm(this.#file(NEW_JOURNAL), { force: true });
    await this.end();
  }

  /** Where what these files are to hold stands now; a file of a change that is under way may be elsewhere, new, or gone. */
  async places(names: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const places = new Map(names.map((name) => [name, this.#file(name)]));
    const changes = await this.#changes();
    if (changes.size === 0) return places;
    for (const [name, temporary] of changes) {
      if (temporary === null) places.delete(name);
      else {
        const file = this.#file(name);
        const waiting = join(dirname(await targetOf(file)), temporary);
        places.set(name, (await exists(waiting)) ? waiting : file);
      }
    }
    return new Map([...places].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** By name: the file that is to take its place, null for none. Nothing that could not be ours is believed. */
  async #changes(): Promise<ReadonlyMap<string, string | null>> {
    const changes = new Map<string, string | null>();
    const text = await readFile(this.#file(JOURNAL_FILE), 'utf8').catch(() => '');
    let value: unknown;
    try {
      value = text === '' ? undefined : JSON.parse(text);
    } catch {
      return changes;
    }
    if (!isTable(value) || value['format'] !== FORMAT || !isTable(value['changes'])) return changes;
    for (const [name, temporary] of Object.entries(value['changes'])) {
      const isOurs = temporary === null || (typeof temporary === 'string' && isTemporary(temporary));
      if (isOurs && name.endsWith('.toml') && !name.startsWith('.') && !name.includes('/'))
        changes.set(name, temporary);
    }
    return changes;
  }

  #file(name: string): string {
    return join(this.#directory, name);
  }
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}

function unlessMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}
