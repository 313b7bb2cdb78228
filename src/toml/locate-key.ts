/**
 * Where a key stands in a TOML text, for people who have to mend it. Best effort: what it does not find has no line.
 * It never changes what a complaint says.
 */
import { parseDomain } from '../address/domain-name.ts';
import { type Statement, scanToml } from './scan-toml.ts';

/** The statements of one text by their full path. Reads the text once, however often it is asked. */
export class KeyLocator {
  readonly #written = new Map<string, Statement>();
  /** Tables that no header of their own makes: the first statement within. */
  readonly #implied = new Map<string, Statement>();

  constructor(text: string) {
    let table: readonly string[] = [];
    for (const statement of scanToml(text)) {
      if (statement.kind !== 'pair') table = statement.path;
      const path = statement.kind === 'pair' ? [...table, ...statement.path] : table;
      this.#written.set(pathName(path), statement);
      for (let length = path.length - 1; length > 0; length--) {
        const name = pathName(path.slice(0, length));
        if (this.#implied.has(name)) break;
        this.#implied.set(name, statement);
      }
    }
  }

  /** The statement of this key, or undefined. `domain` as one writes it, in any form; `key` dotted. */
  find(domain: string | undefined, key: string | undefined): Statement | undefined {
    const keys = key === undefined || key === '' ? [] : key.split('.');
    const name = pathName(domain === undefined ? keys : ['domains', domain, ...keys]);
    return this.#written.get(name) ?? this.#implied.get(name);
  }

  /** Like {@link find}, or the nearest table around it: where an absent key would stand. */
  nearest(domain: string | undefined, key: string | undefined): Statement | undefined {
    const keys = key === undefined || key === '' ? [] : key.split('.');
    for (let length = keys.length; length >= 0; length--) {
      const found = this.find(domain, keys.slice(0, length).join('.'));
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

/** One name for one path, whichever form the domain in it is written in. */
function pathName(path: readonly string[]): string {
  const [top, domain, ...rest] = path;
  if (top !== 'domains' || domain === undefined) return JSON.stringify(path);
  return JSON.stringify([top, parseDomain(domain) ?? domain, ...rest]);
}
