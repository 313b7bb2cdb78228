/**
 * `tlswarden-backup` beside main.cf: the files as they were before each change, the record of what apply has changed, and
 * the lock by which changes take turns. A change that is cut short leaves `pending.json` here, by which the next run takes
 * it back. main.cf and master.cf themselves are somebody else's.
 */
import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { sync, writeSynced } from '../files/bring-to-disk.ts';
import { withExclusiveLock } from '../files/exclusive-lock.ts';
import { putInPlace, replaceFile } from '../files/replace-file.ts';
import { isTable } from '../toml/table-reader.ts';
import { type AppliedRecord, isDigests, parseRecord } from './applied-record.ts';
import { type ConfigurationFiles, type Digests, FILES, readConfigurationFiles } from './configuration-files.ts';

const APPLY_DIRECTORY = 'tlswarden-backup';
const LOCK_FILE = '.lock';
const RECORD_FILE = 'applied.json';
const PENDING_FILE = 'pending.json';

/** How many backups are kept, besides the one from before the first apply. */
const BACKUPS_KEPT = 5;

/** A change that was begun. */
export interface Pending {
  /** The backup that was taken before. */
  readonly backup: string;
  /** The files as the change leaves them. */
  readonly after: Digests;
  /** What is on record when it is done; undefined: nothing. */
  readonly record: AppliedRecord | undefined;
}

/** For one main.cf. Without the lock ({@link locked}) it is only read, as a dry run does. */
export class ApplyDirectory {
  readonly path: string;

  constructor(configDirectory: string) {
    this.path = join(configDirectory, APPLY_DIRECTORY);
  }

  /** Runs `body` while no other process changes anything here. */
  async locked<T>(waiting: () => void, body: () => Promise<T>): Promise<T> {
    await mkdir(this.path, 0o700).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    });
    return await withExclusiveLock(this.#file(LOCK_FILE), waiting, body);
  }

  /** undefined: nothing is applied, or whoever asks may not know. */
  async record(): Promise<AppliedRecord | undefined> {
    const value = await this.#readJson(RECORD_FILE);
    return isTable(value) ? parseRecord(value['record']) : undefined;
  }

  /** The change that was cut short; without the lock, perhaps one that is under way. undefined: none. */
  async pending(): Promise<Pending | undefined> {
    const value = await this.#readJson(PENDING_FILE);
    if (!isTable(value)) return undefined;
    const { backup, after, record } = value;
    if (typeof backup !== 'string' || !isDigests(after)) return undefined;
    return { backup, after, record: parseRecord(record) };
  }

  /** Where the copy is that is worked on: for whoever has the lock. */
  get stagingPath(): string {
    return this.#file('.staging');
  }

  /** The directory of a backup, for messages. */
  backupPath(name: string): string {
    return this.#file(name);
  }

  /** The files of a backup, or undefined if it is not there any more. */
  async backup(name: string): Promise<ConfigurationFiles | undefined> {
    return await readConfigurationFiles(this.#file(name)).catch(() => undefined);
  }

  /** Keeps a copy of the files, and removes the oldest copies but those that `kept` names. Gives its name. */
  async backUp(files: ConfigurationFiles, kept: readonly string[]): Promise<string> {
    const name = new Date().toISOString().replace(/[-:]/gu, '');
    await mkdir(this.#file(name), 0o700);
    for (const file of FILES) {
      const { mode } = await stat(join(dirname(this.path), file));
      await writeSynced(this.#file(name, file), files[file], mode & 0o777);
    }
    await sync(this.#file(name));
    await sync(this.path);
    const others = (await this.#backups()).filter((other) => other !== name && !kept.includes(other));
    for (const old of others.slice(0, Math.max(0, others.length - BACKUPS_KEPT + 1))) {
      await rm(this.#file(old), { recursive: true, force: true });
    }
    return name;
  }

  /** Says what is about to be changed. Before the first of the files is. */
  async begin(pending: Pending): Promise<void> {
    await this.#write(PENDING_FILE, { ...pending, record: pending.record ?? null });
  }

  /** Says that it is done, in one step. */
  async finish(): Promise<void> {
    await putInPlace(this.#file(PENDING_FILE), this.#file(RECORD_FILE));
  }

  /** Says that it is undone. */
  async cancel(): Promise<void> {
    await rm(this.#file(PENDING_FILE), { force: true });
    await sync(this.path);
  }

  /** Replaces the record, outside of a change. */
  async setRecord(record: AppliedRecord): Promise<void> {
    await this.#write(RECORD_FILE, { record });
  }

  /** Nothing is applied any more. The backups stay. */
  async forget(): Promise<void> {
    await rm(this.#file(RECORD_FILE), { force: true });
  }

  async #backups(): Promise<readonly string[]> {
    return (await readdir(this.path)).filter((name) => /^\d{8}T\d{6}\.\d{3}Z$/u.test(name)).sort();
  }

  async #readJson(name: string): Promise<unknown> {
    try {
      return JSON.parse(await readFile(this.#file(name), 'utf8'));
    } catch (error) {
      // Who is not root does not read it, and changes nothing.
      const isAbsent = ['ENOENT', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '');
      if (error instanceof SyntaxError || isAbsent) return undefined;
      throw error;
    }
  }

  async #write(name: string, document: object): Promise<void> {
    const text = `${JSON.stringify(document, undefined, 2)}\n`;
    await replaceFile(this.#file(name), this.#file(`.${name}.new`), text, 0o600);
  }

  #file(...names: readonly string[]): string {
    return join(this.path, ...names);
  }
}
