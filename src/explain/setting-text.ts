/**
 * Traces a setting in force back to what it was read from: the domain's own table, in a file or in Redis, or [defaults].
 * Best effort as to lines; Redis has none, and neither gives a file that has changed since. What it does not find it never
 * takes for a default.
 */
import { join } from 'node:path';
import { type DomainName, parseDomain } from '../address/domain-name.ts';
import type { MainFile } from '../main-file/main-file.ts';
import type { HostedDomain } from '../settings/hosted-domain.ts';
import type { Flow, Setting } from '../settings/setting.ts';
import { KeyLocator } from '../toml/locate-key.ts';
import { readToml, type TomlFile } from '../toml/read-toml.ts';
import { isTable, type Table } from '../toml/table-reader.ts';

/** One setting as it is written. */
export interface WrittenSetting {
  readonly isDefault: boolean;
  /** The keys as they stand. */
  readonly table: Table;
  /** Where a key stands, or an entry of its list; the setting's own place if it does not. */
  lineOf(key: string, entry: string | null): { readonly file: string; readonly line: number | null };
}

/** What stands of a domain in Redis, where settings are there; undefined: nothing that can be read. */
export type RecordOf = (name: DomainName) => Promise<Table | undefined>;

interface LocatedFile extends TomlFile {
  readonly locator: KeyLocator;
}

/** Finds the text of settings, for one command: each file and record is read once, whatever becomes of it meanwhile. */
export class SettingText {
  readonly #main: MainFile;
  readonly #recordOf: RecordOf;
  readonly #files = new Map<string, LocatedFile | undefined>();
  readonly #records = new Map<DomainName, Table | undefined>();

  /** `recordOf` is asked only with settings in Redis. */
  constructor(main: MainFile, recordOf: RecordOf) {
    this.#main = main;
    this.#recordOf = recordOf;
  }

  /** Where this setting of the domain is written. */
  async find(domain: HostedDomain, flow: Flow, setting: Setting): Promise<WrittenSetting> {
    const { source } = this.#main.settings;
    const { hop } = setting;
    const file =
      source.kind === 'directory' ? await this.#read(join(source.path, domain.file), domain.file) : undefined;
    const own = source.kind === 'directory' ? domainTable(file, domain) : await this.#record(domain.name);
    const table = tableAt(own, [flow, hop]);
    if (table !== undefined || setting !== this.#main.defaults[flow][hop]) {
      return written(domain.file, file, table ?? {}, domain.name, `${flow}.${hop}`, false);
    }
    const main = await this.#read(this.#main.path, this.#main.path);
    const given = tableAt(main?.table, ['defaults', flow, hop]) ?? {};
    return written(this.#main.path, main, given, undefined, `defaults.${flow}.${hop}`, true);
  }

  async #record(name: DomainName): Promise<Table | undefined> {
    if (!this.#records.has(name)) this.#records.set(name, await this.#recordOf(name));
    return this.#records.get(name);
  }

  async #read(path: string, name: string): Promise<LocatedFile | undefined> {
    if (!this.#files.has(path)) {
      const file = await readToml(path, name).catch(() => undefined);
      this.#files.set(path, file === undefined ? undefined : { ...file, locator: new KeyLocator(file.text) });
    }
    return this.#files.get(path);
  }
}

function domainTable(file: TomlFile | undefined, domain: HostedDomain): Table | undefined {
  const domains = file?.table['domains'];
  if (!isTable(domains)) return undefined;
  const name = Object.keys(domains).find((name) => parseDomain(name) === domain.name);
  const table = name === undefined ? undefined : domains[name];
  return isTable(table) ? table : undefined;
}

function tableAt(table: Table | undefined, path: readonly string[]): Table | undefined {
  let found: unknown = table;
  for (const key of path) found = isTable(found) ? found[key] : undefined;
  return isTable(found) ? found : undefined;
}

function written(
  name: string,
  file: LocatedFile | undefined,
  table: Table,
  domain: string | undefined,
  path: string,
  isDefault: boolean,
): WrittenSetting {
  return {
    isDefault,
    table,
    lineOf(key, entry) {
      const statement = file?.locator.nearest(domain, `${path}.${key}`);
      if (statement === undefined || file === undefined) return { file: name, line: null };
      const value = file.text.slice(statement.valueStart, statement.valueEnd);
      // Where an entry stands several times within others, any line of the list is as good as another.
      const at = entry === null || statement.kind !== 'pair' ? -1 : value.indexOf(entry);
      const lines = at < 0 ? 0 : value.slice(0, at).split('\n').length - 1;
      return { file: name, line: statement.line + lines };
    },
  };
}
