/**
 * The settings as a directory of TOML files (contract section 3): loads them whole, reading again only files that
 * changed, and tells when something changed. It never writes; `domains set` does, through
 * directory-store.ts.
 */
import { readdir } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import type { DomainName } from '../address/domain-name.ts';
import { type FileState, sameState, stateOrNone, wordState } from '../files/file-state.ts';
import { type DomainContext, type HostedDomain, parseHostedDomain, reuseDomain } from '../settings/hosted-domain.ts';
import type { NextHop } from '../settings/next-hop.ts';
import type { Settings } from '../settings/settings.ts';
import { type DomainChange, SettingsOwner } from '../settings/settings-owner.ts';
import { Slice } from '../slice/slice.ts';
import { type Complaint, ComplaintError, MAX_COMPLAINTS } from '../toml/complaint.ts';
import { ChangeJournal } from './change-journal.ts';
import { DirectoryWatch } from './directory-watch.ts';
import { FileReader } from './file-reader.ts';
import type { WrittenDomain } from './file-thread.ts';

/** A file that had domains and is empty is being written, unless that was so long ago; how often it is looked at. */
const EMPTY_MS = 500;
const LOOK_MS = 20;
/** Times that the directory may change while it is read; somebody who goes on for longer is not waited for. */
const MAX_TRIES = 5;
/** The same for changes of several files, none of which is to be seen half. */
const MAX_CHANGES = 100;
/** Files that are read at once, and threads that do it; each may use much memory. To parse takes most of the time. */
const FILES_AT_ONCE = 2;
/** What is changed in place at most: domains compared, in files that have changed, and domains that differ. */
const MAX_LOOKED_AT = 20_000;
const MAX_CHANGED = 500;

/** Where the files are, and what of the main file their meaning depends on. */
export interface DirectorySourceOptions {
  /** The settings directory. */
  readonly path: string;
  /** The next hop of outgoing mail. */
  readonly relayhost: NextHop;
  readonly context: DomainContext;
  /** How many domains were hosted when somebody last knew: asked where whoever has loaded none finds no settings file. */
  readonly hostedBefore?: () => Promise<number>;
}

interface LoadedFile {
  readonly state: FileState;
  readonly domains: readonly HostedDomain[];
}

/** A {@link SettingsSource}. One load at a time: that is its caller's to see to, as {@link SettingsInForce} does. */
export class DirectorySource {
  readonly path: string;
  readonly #options: DirectorySourceOptions;
  /** What the settings in force were read from, and who owns them: what changes next is changed in them. */
  #files: ReadonlyMap<string, LoadedFile> = new Map();
  #owner: SettingsOwner | undefined;
  /** Files that are symbolic links: nothing tells of a change of what they lead to. */
  #links: readonly string[] = [];
  /** While a load goes on. */
  #reader: FileReader | undefined;

  constructor(options: DirectorySourceOptions) {
    this.path = options.path;
    this.#options = options;
  }

  /**
   * The settings as they stand on disk now: the same object as before if no file has changed. Throws
   * {@link ComplaintError} with all that is wrong in any file, and where all files are gone though there were domains.
   */
  async load(): Promise<Settings> {
    const known = new Map(this.#files);
    return await whileUndisturbed(this.path, () => this.#load(known));
  }

  /** `known` are files that were read before; what is read now is added to it. */
  async #load(known: Map<string, LoadedFile>): Promise<Settings> {
    const complaints: Complaint[] = [];
    const files = await this.#loadFiles(known, complaints);
    if (files.size === 0 && complaints.length === 0) await this.#refuseLoss();
    if (this.#owner !== undefined && complaints.length === 0 && this.#isUnchanged(files)) return this.#owner.settings;
    const owner =
      (complaints.length === 0 ? this.#changeFew(files) : undefined) ?? (await this.#compile(files, complaints));
    this.#files = files;
    this.#owner = owner;
    return owner.settings;
  }

  async #refuseLoss(): Promise<void> {
    const files = [...this.#files.values()];
    const hosted = files.reduce((sum, { domains }) => sum + domains.length, 0);
    refuseLossOf(files.length > 0 ? hosted : ((await this.#options.hostedBefore?.()) ?? 0), this.path);
  }

  /** Changes in the settings in force what differs now, if that is little and nothing is wrong with it. */
  #changeFew(files: ReadonlyMap<string, LoadedFile>): SettingsOwner | undefined {
    const owner = this.#owner;
    if (owner === undefined) return undefined;
    const changes = fewChanges(this.#files, files, owner);
    // Files that were written again and say the same are new settings too: who has written them waits to be told.
    if (changes === undefined || changes.length === 0) return undefined;
    if (owner.apply(changes).length === 0) return owner;
    // Some of it is done. The version in force stands, but the next one is compiled anew.
    this.#owner = undefined;
    return undefined;
  }

  #isUnchanged(files: ReadonlyMap<string, LoadedFile>): boolean {
    if (files.size !== this.#files.size) return false;
    for (const [name, file] of files) if (this.#files.get(name) !== file) return false;
    return true;
  }

  async #compile(files: ReadonlyMap<string, LoadedFile>, complaints: Complaint[]): Promise<SettingsOwner> {
    const owner = new SettingsOwner(this.#options.relayhost);
    const slice = new Slice();
    for (const file of files.values()) {
      for (const domain of file.domains) {
        complaints.push(...owner.add(domain));
        if (slice.isOver) await slice.next();
      }
      if (complaints.length > MAX_COMPLAINTS) break;
    }
    if (complaints.length > 0) throw new ComplaintError(complaints);
    return owner;
  }

  /** Calls back, once for a burst, when a file may have changed. Returns what ends it. */
  watch(changed: () => void): () => void {
    const directory = new DirectoryWatch(this.path, () => this.#links, changed);
    return () => {
      directory.stop();
      this.#reader?.abandon();
    };
  }

  async #loadFiles(known: Map<string, LoadedFile>, complaints: Complaint[]): Promise<Map<string, LoadedFile>> {
    this.#links = await listLinks(this.path);
    const places = [...(await placesOfFiles(this.path))];
    const loads = places.map(() => ({ file: undefined as LoadedFile | undefined, complaints: [] as Complaint[] }));
    const reader = new FileReader();
    this.#reader = reader;
    let next = 0;
    let wrong = 0;
    const loadSome = async (): Promise<void> => {
      for (let load = loads[next]; load !== undefined && wrong <= MAX_COMPLAINTS; load = loads[next]) {
        const [name, place] = places[next++] as [string, string];
        load.file = await this.#loadFile(reader, name, place, known.get(name), load.complaints);
        wrong += load.complaints.length;
        // With a mistake in it it has to be complained of again when all is loaded again.
        if (load.file !== undefined && load.complaints.length === 0) known.set(name, load.file);
      }
    };
    try {
      const ends = await Promise.allSettled(Array.from({ length: FILES_AT_ONCE }, loadSome));
      for (const end of ends) if (end.status === 'rejected') throw end.reason;
    } finally {
      reader.close();
      this.#reader = undefined;
    }
    const files = new Map<string, LoadedFile>();
    for (const [i, load] of loads.entries()) {
      complaints.push(...load.complaints);
      if (load.file !== undefined) files.set(places[i]?.[0] ?? '', load.file);
    }
    return files;
  }

  async #loadFile(
    reader: FileReader,
    name: string,
    place: string,
    known: LoadedFile | undefined,
    complaints: Complaint[],
  ): Promise<LoadedFile | undefined> {
    try {
      if (known !== undefined && sameState(known.state, await stateOrNone(place))) return known;
      if (known !== undefined && known.domains.length > 0) await untilWritten(place);
      const before = new Map(known?.domains.map((domain) => [domain.name, domain]));
      const domains: HostedDomain[] = [];
      const state = await new ChangeJournal(this.path).read(name, place, (at) =>
        reader.read(at, name, complaints, (written) => this.#parseDomains(written, name, before, domains, complaints)),
      );
      return { state, domains };
    } catch (error) {
      if (!(error instanceof ComplaintError)) throw error;
      complaints.push(...error.complaints);
      return undefined;
    }
  }

  async #parseDomains(
    written: readonly WrittenDomain[],
    name: string,
    before: ReadonlyMap<DomainName, HostedDomain>,
    domains: HostedDomain[],
    complaints: Complaint[],
  ): Promise<void> {
    const slice = new Slice();
    for (const [domainName, value] of written) {
      if (complaints.length > MAX_COMPLAINTS) return;
      const domain = parseHostedDomain(domainName, value, name, this.#options.context, complaints);
      if (domain !== undefined) domains.push(reuseDomain(before.get(domain.name), domain));
      if (slice.isOver) await slice.next();
    }
  }
}

/**
 * Throws {@link ComplaintError} if so many domains were hosted that stood in the directory, which has no settings file now: a
 * volume that is gone, or files that are about to be put back. Nobody stops hosting everything that way.
 */
export function refuseLossOf(hosted: number, directory: string): void {
  if (hosted === 0) return;
  const word = hosted === 1 ? 'the domain that was' : `the ${hosted} domains that were`;
  const message = `has no settings file any more, with ${word} hosted; to host nothing from now on, leave an empty one there`;
  throw new ComplaintError([{ file: directory, message }]);
}

/**
 * What differs from before, of which `owner` has the domains; undefined if that is too much, or if a domain stands there
 * twice, which is for a load of everything to complain of.
 */
function fewChanges(
  before: ReadonlyMap<string, LoadedFile>,
  now: ReadonlyMap<string, LoadedFile>,
  owner: SettingsOwner,
): readonly DomainChange[] | undefined {
  const old = new Map<DomainName, HostedDomain>();
  const next = new Map<DomainName, HostedDomain>();
  for (const [name, file] of before) {
    if (now.get(name) === file) continue;
    if (old.size + file.domains.length > MAX_LOOKED_AT) return undefined;
    for (const domain of file.domains) old.set(domain.name, domain);
  }
  const changes: DomainChange[] = [];
  for (const [file, { domains }] of now) {
    if (before.get(file)?.domains === domains) continue;
    if (next.size + domains.length > MAX_LOOKED_AT) return undefined;
    for (const domain of domains) {
      const { name } = domain;
      const present = old.get(name);
      if (next.has(name) || (present === undefined && owner.owned(name) !== undefined)) return undefined;
      next.set(name, domain);
      if (domain !== present) changes.push({ name, domain });
    }
  }
  for (const name of old.keys()) if (!next.has(name)) changes.push({ name, domain: undefined });
  return changes.length > MAX_CHANGED ? undefined : changes;
}

function isSettingsFile(name: string): boolean {
  return name.endsWith('.toml') && !name.startsWith('.');
}

/** The names of the settings files, sorted, so that a load depends on nothing but their content. */
export async function listFiles(path: string): Promise<readonly string[]> {
  try {
    const names = await readdir(path);
    return names.filter(isSettingsFile).sort();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const hint = code === 'ENOENT' ? '; make it, or name another as settings.source' : '';
    throw new ComplaintError([{ file: path, message: `the settings directory cannot be read: ${message}${hint}` }]);
  }
}

/** The names of those that are symbolic links. */
async function listLinks(path: string): Promise<readonly string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isSymbolicLink() && isSettingsFile(entry.name)).map(({ name }) => name);
}

/** Where each of the settings files stands, by name: usually under that. */
export async function placesOfFiles(path: string): Promise<ReadonlyMap<string, string>> {
  return await new ChangeJournal(path).places(await listFiles(path));
}

/**
 * Does it again if a change of several files has begun meanwhile: half of it is none. Also, but not for ever, if anything
 * else in the directory has changed: who writes files there by hand may mean them to belong together.
 */
export async function whileUndisturbed<T>(path: string, body: () => Promise<T>): Promise<T> {
  const journal = new ChangeJournal(path);
  for (let tries = 1; ; tries += 1) {
    const token = await journal.token();
    const before = await directoryState(path);
    const result = await body().then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    );
    if (tries < MAX_CHANGES && token !== (await journal.token())) continue;
    if (tries < MAX_TRIES && before !== (await directoryState(path))) continue;
    if ('error' in result) throw result.error;
    return result.value;
  }
}

/** Many programs empty a file and then write it: what is read between is not what they mean. */
async function untilWritten(path: string): Promise<void> {
  for (;;) {
    const { size, modified } = await stateOrNone(path);
    const ageMs = Date.now() - Number(modified / 1_000_000n);
    if (size > 0n || ageMs < 0 || ageMs > EMPTY_MS) return;
    await pause(LOOK_MS);
  }
}

async function directoryState(path: string): Promise<string> {
  return wordState(await stateOrNone(path));
}
