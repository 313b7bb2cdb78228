/**
 * Changes the settings in a directory of TOML files: a new domain gets a file of its own, one that stands in a file
 * stays there. Everything that would then stand is validated before anything is written, and two writers never mix.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { type DomainName, parseDomain } from '../address/domain-name.ts';
import { withExclusiveLock } from '../files/exclusive-lock.ts';
import { type FileChange, removeTemporaries, writeFilesAtomically } from '../files/replace-files.ts';
import { sameValue } from '../settings/domain-record.ts';
import { parseHostedDomain } from '../settings/hosted-domain.ts';
import { SettingsOwner } from '../settings/settings-owner.ts';
import { type Complaint, ComplaintError } from '../toml/complaint.ts';
import { parseToml, readRegularFile, readToml } from '../toml/read-toml.ts';
import { isTable, type Table } from '../toml/table-reader.ts';
import { ChangeJournal, LOCK_FILE } from './change-journal.ts';
import {
  type DirectorySourceOptions,
  listFiles,
  placesOfFiles,
  refuseLossOf,
  whileUndisturbed,
} from './directory-source.ts';
import { domainTables } from './domain-tables.ts';
import { type DomainEdit, editSettingsText } from './edit-settings-text.ts';
import {
  type ChangeOptions,
  type DomainChanges,
  RejectedChange,
  type Replaced,
  type ReplaceOptions,
  type SettingsStore,
  type StoreContents,
  type StoredDomain,
  type StoredDomains,
} from './settings-store.ts';

/** NAME_MAX of Linux file systems, which a domain of 253 characters and ".toml" exceed. */
const MAX_FILE_NAME = 255;

/** Times that a file may be edited by somebody else while it is. */
const MAX_TRIES = 5;

interface SettingsFile {
  readonly text: string;
  /** What stands under `[domains]`, by name as written. */
  readonly tables: Table;
}

/** Reads all files for each change, by the options by which the service loads them, and keeps nothing. A change throws {@link LockError} where flock(1) is missing. */
export class DirectoryStore implements SettingsStore {
  readonly #options: DirectorySourceOptions;

  constructor(options: DirectorySourceOptions) {
    this.#options = options;
  }

  async read(): Promise<StoreContents> {
    const complaints: Complaint[] = [];
    const files = await whileUndisturbed(this.#options.path, () => this.#readFiles(complaints));
    return { domains: storedDomains(files), complaints };
  }

  async *all(): AsyncIterable<readonly StoredDomain[]> {
    const { domains, complaints } = await this.read();
    if (complaints.length > 0) throw new ComplaintError(complaints);
    yield [...domains.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async replace(domains: ReadonlyMap<DomainName, Table>, options: ReplaceOptions = {}): Promise<Replaced> {
    let added = 0;
    const changed = await this.change((present) => {
      added = 0;
      for (const name of domains.keys()) if (!present.has(name)) added += 1;
      return domains;
    }, options);
    return { added, replaced: changed - added, unchanged: domains.size - changed };
  }

  async change(plan: (present: StoredDomains) => DomainChanges, options: ChangeOptions = {}): Promise<number> {
    const { path } = this.#options;
    // A directory that cannot be read is said to be just that, before anything is tried with it.
    await listFiles(path);
    return withExclusiveLock(join(path, LOCK_FILE), options.waiting, async () => {
      const journal = new ChangeJournal(path);
      await journal.finish();
      await removeTemporaries(path);
      const { edited, isAll, count } = await this.#edit(plan, options.origin);
      // A service takes a directory without files for one that was lost.
      const isLast = isAll && [...edited.values()].every(({ text }) => isBlank(text));
      const changes = [...edited].map(([name, { text }]): FileChange => {
        return { path: join(path, name), text: isBlank(text) && !isLast ? undefined : text };
      });
      await writeFilesAtomically(changes, options.progress, journal);
      return count;
    });
  }

  /** The files that the changes touch, as they are to be, and whether there are no others; made again where somebody has edited one of them meanwhile. */
  async #edit(
    plan: (present: StoredDomains) => DomainChanges,
    origin: string | undefined,
  ): Promise<{ readonly edited: ReadonlyMap<string, SettingsFile>; readonly isAll: boolean; readonly count: number }> {
    for (let tries = 1; ; tries += 1) {
      const complaints: Complaint[] = [];
      const files = await this.#readFiles(complaints);
      if (complaints.length > 0) throw new ComplaintError(complaints);
      // A file that is added there would stand for all of them.
      if (files.size === 0) refuseLossOf((await this.#options.hostedBefore?.()) ?? 0, this.#options.path);
      const present = storedDomains(files);
      const changes = new Map(
        [...plan(present)].filter(([name, table]) => !sameValue(present.get(name)?.table, table)),
      );
      this.#validateAlone(present, changes, origin);
      const edited = editFiles(files, present, changes);
      const after = new Map([...files, ...edited]);
      this.#validate(after, changes, origin);
      const asRead = [...edited.keys()].map(async (name) => (await this.#text(name)) === files.get(name)?.text);
      if ((await Promise.all(asRead)).every(Boolean))
        return { edited, isAll: after.size === edited.size, count: changes.size };
      if (tries === MAX_TRIES) {
        throw new ComplaintError([
          { file: this.#options.path, message: 'somebody else keeps changing the same files' },
        ]);
      }
    }
  }

  async #text(name: string): Promise<string | undefined> {
    const read = readRegularFile(join(this.#options.path, name), name);
    return await read.then(
      ({ text }) => text,
      () => undefined,
    );
  }

  async #readFiles(complaints: Complaint[]): Promise<ReadonlyMap<string, SettingsFile>> {
    complaints.length = 0;
    const files = new Map<string, SettingsFile>();
    for (const [name, place] of await placesOfFiles(this.#options.path)) {
      try {
        const { text, table } = await new ChangeJournal(this.#options.path).read(name, place, (at) =>
          readToml(at, name),
        );
        files.set(name, { text, tables: domainTables(table, name, complaints) });
      } catch (error) {
        if (!(error instanceof ComplaintError)) throw error;
        complaints.push(...error.complaints);
      }
    }
    return files;
  }

  /** What a change says of its own domain must be well before anything is made of it. */
  #validateAlone(present: StoredDomains, changes: DomainChanges, origin: string | undefined): void {
    const complaints: Complaint[] = [];
    for (const [name, table] of changes) {
      if (table === undefined) continue;
      const place = origin ?? present.get(name)?.place ?? fileNameOf(name);
      parseHostedDomain(name, table, place, this.#options.context, complaints);
    }
    if (complaints.length > 0) throw new RejectedChange(complaints);
  }

  /** Throws {@link RejectedChange} unless all files together are settings that the service would take. */
  #validate(files: ReadonlyMap<string, SettingsFile>, changes: DomainChanges, origin: string | undefined): void {
    const complaints: Complaint[] = [];
    const owner = new SettingsOwner(this.#options.relayhost);
    // In the order in which the service loads them.
    for (const [file, { tables }] of [...files].sort(([a], [b]) => (a < b ? -1 : 1))) {
      for (const [writtenName, table] of Object.entries(tables)) {
        const name = parseDomain(writtenName);
        const place = origin !== undefined && name !== undefined && changes.has(name) ? origin : file;
        const domain = parseHostedDomain(writtenName, table, place, this.#options.context, complaints);
        if (domain !== undefined) complaints.push(...owner.add(domain));
      }
    }
    if (complaints.length > 0) throw new RejectedChange(complaints);
  }
}

/** The files that the changes touch, as they are to be. */
function editFiles(
  files: ReadonlyMap<string, SettingsFile>,
  present: StoredDomains,
  changes: DomainChanges,
): ReadonlyMap<string, SettingsFile> {
  const byFile = new Map<string, Map<DomainName, DomainEdit>>();
  for (const [name, after] of changes) {
    const stored = present.get(name);
    const file = stored?.place ?? fileNameOf(name);
    const edits = byFile.get(file) ?? new Map<DomainName, DomainEdit>();
    edits.set(name, { before: stored?.table, after });
    byFile.set(file, edits);
  }
  const edited = new Map<string, SettingsFile>();
  for (const [file, edits] of byFile) edited.set(file, editFile(file, files.get(file), edits));
  return edited;
}

/** Edits one file, and makes sure that the new text says what it is meant to and nothing else. */
function editFile(
  name: string,
  file: SettingsFile | undefined,
  edits: ReadonlyMap<DomainName, DomainEdit>,
): SettingsFile {
  const text = editSettingsText(file?.text ?? '', name, edits);
  const intended = new Map(Object.entries(file?.tables ?? {}).map(([written, table]) => [keyOf(written), table]));
  for (const [domain, { after }] of edits) {
    if (after === undefined) intended.delete(domain);
    else intended.set(domain, after);
  }
  const tables = tablesIn(text, name);
  const written = Object.entries(tables ?? {});
  const isIntended =
    tables !== undefined &&
    written.length === intended.size &&
    written.every(([domain, table]) =>
      sameValue(withoutEmptyFlows(table), withoutEmptyFlows(intended.get(keyOf(domain)))),
    );
  if (!isIntended) {
    const message =
      'is written in a way that cannot be changed here without changing what else the file says; edit it by hand';
    throw new ComplaintError([...edits.keys()].map((domain) => ({ file: name, domain, message })));
  }
  return { text, tables };
}

function isBlank(text: string): boolean {
  return text.trim() === '';
}

/** undefined: it is no TOML. */
function tablesIn(text: string, name: string): Table | undefined {
  try {
    return domainTables(parseToml(text, name), name, []);
  } catch (error) {
    if (error instanceof ComplaintError) return undefined;
    throw error;
  }
}

/** One key for one domain; a name that is none keeps its own. */
const keyOf = (written: string): string => parseDomain(written) ?? written;

function withoutEmptyFlows(table: unknown): unknown {
  if (!isTable(table)) return table;
  const entries = Object.entries(table).filter(
    ([key, value]) => !(key === 'incoming' || key === 'outgoing') || !isTable(value) || Object.keys(value).length > 0,
  );
  return Object.fromEntries(entries);
}

function storedDomains(files: ReadonlyMap<string, SettingsFile>): StoredDomains {
  const domains = new Map<DomainName, StoredDomain>();
  for (const [place, { tables }] of files) {
    for (const [written, value] of Object.entries(tables)) {
      const name = parseDomain(written);
      // What is no domain, or stands twice, is complained of when all is validated.
      if (name === undefined || domains.has(name)) continue;
      domains.set(name, { name, place, table: isTable(value) ? value : {} });
    }
  }
  return domains;
}

/** The file of a new domain: safe as it is, since a domain name has no slash, no capital and does not begin with a dot. */
function fileNameOf(domain: DomainName): string {
  const name = `${domain}.toml`;
  if (name.length <= MAX_FILE_NAME) return name;
  return `${domain.slice(0, 200)}-${createHash('sha256').update(domain).digest('hex').slice(0, 12)}.toml`;
}
