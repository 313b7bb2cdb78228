/**
 * Lists of domains in main.cf (relay_domains, mydestination, …): names, tables and files (postconf(5), match_list(3)).
 */
import { readFile } from 'node:fs/promises';
import { splitValue } from '../fragments/value-list.ts';
import type { TableLookups } from './table-lookups.ts';

/** One list of domains, ready to be asked. */
export class DomainList {
  readonly #names: ReadonlySet<string>;
  readonly #tables: readonly string[];
  readonly #lookups: TableLookups;

  private constructor(names: ReadonlySet<string>, tables: readonly string[], lookups: TableLookups) {
    this.#names = names;
    this.#tables = tables;
    this.#lookups = lookups;
  }

  /** `elements` of the parameter, with every `$name` expanded. A file that cannot be read names nobody. */
  static async read(elements: readonly string[], lookups: TableLookups): Promise<DomainList> {
    const all = await withFiles(elements);
    const names = all.filter((element) => !element.includes(':')).map((name) => name.toLowerCase());
    const tables = all.filter((element) => element.includes(':'));
    return new DomainList(new Set(names), tables, lookups);
  }

  /** Which of these domains it has, with `parents` also by a domain above them; `!name` is not looked at. */
  async having(domains: readonly string[], parents: boolean): Promise<ReadonlySet<string>> {
    const keysOf = (domain: string): readonly string[] =>
      parents ? [domain, ...parentsOf(domain)] : [domain, ...parentsOf(domain).map((parent) => `.${parent}`)];
    const keys = [...new Set(domains.flatMap(keysOf))];
    const held = new Set(keys.filter((key) => this.#names.has(key)));
    for (const table of this.#tables) {
      for (const key of (await this.#lookups.find(table, keys)).keys()) held.add(key);
    }
    return new Set(domains.filter((domain) => keysOf(domain).some((key) => held.has(key))));
  }

  /** The domains that it names, as far as its tables can be listed. */
  async names(): Promise<readonly string[]> {
    const found = new Set(this.#names);
    for (const table of this.#tables) {
      for (const name of (await this.#lookups.list(table))?.entries.keys() ?? []) found.add(name.toLowerCase());
    }
    return [...found];
  }
}

const MAX_DEPTH = 10;

/** The elements, with what stands in a file in place of its name: more of the same, and comments. */
async function withFiles(elements: readonly string[], depth = 0): Promise<readonly string[]> {
  const expanded = elements.map(async (element) => {
    if (!element.startsWith('/')) return [element];
    const text = depth < MAX_DEPTH ? await readFile(element, 'utf8').catch(() => '') : '';
    return await withFiles(splitValue(text.replaceAll(/^\s*#.*$/gmu, '')), depth + 1);
  });
  return (await Promise.all(expanded)).flat();
}

/** `b.example`, `example` of `a.b.example`. */
export function parentsOf(domain: string): readonly string[] {
  const labels = domain.split('.');
  return labels.slice(1).map((_, i) => labels.slice(i + 1).join('.'));
}
