/**
 * Traces a setting in force back to the text that it was read from: the domain's own table, or [defaults]. Best effort as
 * to lines; a file that has changed since gives none.
 */
import { join } from 'node:path';
import { parseDomain } from '../address/domain-name.ts';
import type { MainFile } from '../main-file/main-file.ts';
import type { HostedDomain } from '../settings/hosted-domain.ts';
import type { Flow, Hop } from '../settings/setting.ts';
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

interface LocatedFile extends TomlFile {
  readonly locator: KeyLocator;
}

export class SettingText {
  readonly #main: MainFile;
  readonly #files = new Map<string, LocatedFile | undefined>();

  constructor(main: MainFile) {
    this.#main = main;
  }

  async find(domain: HostedDomain, flow: Flow, hop: Hop): Promise<WrittenSetting> {
    const { source } = this.#main.settings;
    const path = source.kind === 'directory' ? join(source.path, domain.file) : undefined;
    const file = path === undefined ? undefined : await this.#read(path, domain.file);
    const own = tableAt(domainTable(file, domain), [flow, hop]);
    if (own !== undefined) return written(domain.file, file, own, domain.name, `${flow}.${hop}`, false);
    const main = await this.#read(this.#main.path, this.#main.path);
    const table = tableAt(main?.table, ['defaults', flow, hop]) ?? {};
    return written(this.#main.path, main, table, undefined, `defaults.${flow}.${hop}`, true);
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
