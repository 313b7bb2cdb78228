/**
 * Changes some domains in the text of a settings file, and leaves every other byte as it is: other domains, comments,
 * the order of things, the keys that do not change. It refuses what it cannot change there instead of rewriting a file
 * that somebody wrote by hand. The caller parses the result and compares.
 */
import { type DomainName, parseDomain } from '../address/domain-name.ts';
import { formatPair, formatTable, recordTables, sameValue } from '../settings/domain-record.ts';
import { FLOWS, HOPS } from '../settings/setting.ts';
import { type Complaint, ComplaintError } from '../toml/complaint.ts';
import { editList } from '../toml/edit-list.ts';
import { formatValue } from '../toml/format-toml.ts';
import { type Statement, scanToml } from '../toml/scan-toml.ts';
import { isTable, type Table } from '../toml/table-reader.ts';
import { editLooseDomain, type LooseStatement } from './edit-loose-domain.ts';
import { applySplices, onNewLine, type Splice } from './splice.ts';

/** What a domain's table is and what it is to be; undefined: it does not stand here. */
export interface DomainEdit {
  readonly before: Table | undefined;
  readonly after: Table | undefined;
}

/** A table of a domain as it stands in the text. */
interface Block {
  readonly header: Statement;
  /** Below `[domains."NAME"]`: nothing, or flow, or flow and hop. */
  readonly path: readonly string[];
  readonly pairs: Statement[];
}

/** The text in which the edits hold. `file` is for complaints. Throws {@link ComplaintError} for forms that it refuses. */
export function editSettingsText(text: string, file: string, edits: ReadonlyMap<DomainName, DomainEdit>): string {
  const { blocks, loose, closed } = findBlocks(text, edits);
  if (closed !== undefined) {
    const message = 'is within "domains = { … }", where nothing can be changed: write it as tables, and try again';
    const complaints: Complaint[] = [...edits.keys()].map((domain) => ({ file, line: closed.line, domain, message }));
    throw new ComplaintError(complaints);
  }
  const splices: Splice[] = [];
  for (const [domain, edit] of edits) {
    const written = loose.get(domain);
    splices.push(
      ...(written === undefined
        ? new DomainEditor(text, domain, blocks.get(domain) ?? []).edit(edit)
        : editLooseDomain(text, written, edit)),
    );
  }
  return applySplices(text, splices);
}

interface Found {
  readonly blocks: ReadonlyMap<DomainName, Block[]>;
  /** Of domains that are not written as tables alone: all statements. */
  readonly loose: ReadonlyMap<DomainName, LooseStatement[]>;
  /** A table of all domains that nothing can be added to. */
  readonly closed: Statement | undefined;
}

/** The domains to be edited as they stand in the text. */
function findBlocks(text: string, edits: ReadonlyMap<DomainName, DomainEdit>): Found {
  const blocks = new Map<DomainName, Block[]>();
  const written = new Map<DomainName, LooseStatement[]>();
  const isLoose = new Set<DomainName>();
  let closed: Statement | undefined;
  let section: readonly string[] = [];
  let block: Block | undefined;
  for (const statement of scanToml(text)) {
    if (statement.kind !== 'pair') {
      section = statement.path;
      block = undefined;
    }
    const path = statement.kind === 'pair' ? [...section, ...statement.path] : section;
    if (path[0] !== 'domains') continue;
    if (path.length === 1) {
      if (statement.kind === 'pair') closed = statement;
      continue;
    }
    const domain = parseDomain(path[1] ?? '');
    if (domain === undefined || !edits.has(domain)) continue;
    listAt(written, domain).push({ statement, section, path });
    if (statement.kind === 'table' && isPath(path.slice(2))) {
      block = { header: statement, path: path.slice(2), pairs: [] };
      listAt(blocks, domain).push(block);
    } else if (block !== undefined && statement.path.length === 1 && !isPath(path.slice(2))) {
      block.pairs.push(statement);
    } else isLoose.add(domain);
  }
  return { blocks, loose: new Map([...written].filter(([domain]) => isLoose.has(domain))), closed };
}

function listAt<T>(lists: Map<DomainName, T[]>, domain: DomainName): T[] {
  const list = lists.get(domain) ?? [];
  lists.set(domain, list);
  return list;
}

/** Whether this is the path, below a domain, of a table and not of a value. */
function isPath(path: readonly string[]): boolean {
  const [flow, hop] = path;
  if (flow === undefined) return true;
  if (!(FLOWS as readonly string[]).includes(flow)) return false;
  return hop === undefined || (path.length === 2 && (HOPS as readonly string[]).includes(hop));
}

/** The edits of one domain. */
class DomainEditor {
  readonly #text: string;
  readonly #name: string;
  readonly #blocks: readonly Block[];
  readonly #splices: Splice[] = [];

  constructor(text: string, domain: DomainName, blocks: readonly Block[]) {
    this.#text = text;
    this.#blocks = blocks;
    // The name as the file's author wrote it.
    this.#name = blocks[0]?.header.path[1] ?? domain;
  }

  edit({ before, after }: DomainEdit): readonly Splice[] {
    const wanted = new Map(
      (after === undefined ? [] : recordTables(after)).map(([path, pairs]) => [path.join('.'), pairs]),
    );
    const kept: Block[] = [];
    for (const block of this.#blocks) {
      const pairs = wanted.get(block.path.join('.'));
      // A header of the domain or flow by itself says little, but somebody wrote it, perhaps with a comment.
      const [flow, hop] = block.path;
      const stays = pairs !== undefined || (hop === undefined && isTable(flow === undefined ? after : after?.[flow]));
      if (!stays) {
        this.#remove(block);
        continue;
      }
      kept.push(block);
      this.#change(block, tableAt(before, block.path), pairs ?? {});
    }
    const added = [...wanted].filter(([path]) => !this.#blocks.some((block) => block.path.join('.') === path));
    // `[domains."NAME"]` alone, where other tables make the domain, would say nothing.
    const needed = added.filter(([path, pairs]) => path !== '' || kept.length === 0 || Object.keys(pairs).length > 0);
    if (needed.length > 0) this.#add(needed, kept);
    return this.#splices;
  }

  #change(block: Block, before: Table, after: Table): void {
    for (const pair of block.pairs) {
      const key = pair.path[0] ?? '';
      if (!Object.hasOwn(after, key)) this.#splice(pair.start, pair.end, '');
      else if (!sameValue(before[key], after[key])) {
        this.#splice(pair.valueStart, pair.valueEnd, this.#newValue(pair, before[key], after[key]));
      }
    }
    const present = new Set(block.pairs.map((pair) => pair.path[0]));
    const added = Object.entries(after).filter(([key]) => !present.has(key));
    if (added.length === 0) return;
    const at = endOf(block);
    this.#splice(at, at, this.#onNewLine(at, added.map(([key, value]) => `${formatPair(key, value)}\n`).join('')));
  }

  #newValue(pair: Statement, before: unknown, after: unknown): string {
    const written = this.#text.slice(pair.valueStart, pair.valueEnd);
    const edited = Array.isArray(before) && Array.isArray(after) ? editList(written, before, after) : undefined;
    return edited ?? formatValue(after, pair.valueStart - pair.start);
  }

  #remove(block: Block): void {
    let end = endOf(block);
    for (let blank = this.#blankLine(end); blank > end; blank = this.#blankLine(end)) end = blank;
    this.#splice(block.header.start, end, '');
  }

  /** Adds whole tables behind those that stay, or where those stood that do not, or at the end of the file. */
  #add(tables: readonly (readonly [path: string, pairs: Table])[], kept: readonly Block[]): void {
    const text = tables
      .map(([path, pairs]) => formatTable(['domains', this.#name, ...(path === '' ? [] : path.split('.'))], pairs))
      .join('\n');
    const last = kept.at(-1);
    const first = this.#blocks[0];
    if (last !== undefined) {
      const at = endOf(last);
      this.#splice(at, at, this.#onNewLine(at, `\n${text}`), true);
    } else if (first !== undefined) {
      const at = first.header.start;
      const isLast = this.#text.slice(endOf(first)).trim() === '';
      this.#splice(at, at, isLast ? text : `${text}\n`, true);
    } else {
      const at = this.#text.length;
      this.#splice(at, at, this.#onNewLine(at, this.#text.trim() === '' ? text : `\n${text}`), true);
    }
  }

  #onNewLine(at: number, text: string): string {
    return onNewLine(this.#text, at, text);
  }

  /** Where the blank line at `at` ends, or `at` if there is none. */
  #blankLine(at: number): number {
    const match = /[ \t]*\r?\n/uy;
    match.lastIndex = at;
    return match.test(this.#text) ? match.lastIndex : at;
  }

  #splice(from: number, to: number, text: string, isTable = false): void {
    this.#splices.push({ from, to, text, isTable });
  }
}

function endOf(block: Block): number {
  return (block.pairs.at(-1) ?? block.header).end;
}

function tableAt(record: Table | undefined, path: readonly string[]): Table {
  let table: unknown = record ?? {};
  for (const key of path) table = isTable(table) ? table[key] : undefined;
  return isTable(table) ? table : {};
}
