/**
 * Changes some domains in the text of a settings file, and leaves every other byte as it is: other domains, comments,
 * the order of things, the keys that do not change. It refuses what it cannot cut out safely instead of rewriting a
 * file that somebody wrote by hand. The caller parses the result and compares.
 */
import { type DomainName, parseDomain } from '../address/domain-name.ts';
import { formatPair, formatTable, recordTables, sameValue } from '../settings/domain-record.ts';
import { FLOWS, HOPS } from '../settings/setting.ts';
import { type Complaint, ComplaintError } from '../toml/complaint.ts';
import { editList } from '../toml/edit-list.ts';
import { formatValue } from '../toml/format-toml.ts';
import { type Statement, scanToml } from '../toml/scan-toml.ts';
import { isTable, type Table } from '../toml/table-reader.ts';

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

interface Splice {
  readonly from: number;
  readonly to: number;
  readonly text: string;
}

/** The text in which the edits hold. `file` is for complaints. Throws {@link ComplaintError} for forms that it refuses. */
export function editSettingsText(text: string, file: string, edits: ReadonlyMap<DomainName, DomainEdit>): string {
  const { blocks, foreign } = findBlocks(text, edits);
  const complaints: Complaint[] = [...foreign].map(([domain, statement]) => ({
    file,
    line: statement.line,
    domain,
    message:
      'is written in a form that cannot be changed without rewriting the file (an inline table, or dotted keys): write ' +
      `it as tables, [domains."${domain}".incoming.receipt], and try again`,
  }));
  if (complaints.length > 0) throw new ComplaintError(complaints);
  const splices: Splice[] = [];
  for (const [domain, edit] of edits)
    splices.push(...new DomainEditor(text, domain, blocks.get(domain) ?? []).edit(edit));
  return apply(text, splices);
}

/** The blocks of the domains to be edited, and the first statement of each that is in no such form. */
function findBlocks(
  text: string,
  edits: ReadonlyMap<DomainName, DomainEdit>,
): { blocks: Map<DomainName, Block[]>; foreign: Map<DomainName, Statement> } {
  const blocks = new Map<DomainName, Block[]>();
  const foreign = new Map<DomainName, Statement>();
  const refuse = (domain: DomainName, statement: Statement): void => {
    if (!foreign.has(domain)) foreign.set(domain, statement);
  };
  let table: readonly string[] = [];
  let block: Block | undefined;
  for (const statement of scanToml(text)) {
    if (statement.kind !== 'pair') {
      table = statement.path;
      block = undefined;
    }
    const path = statement.kind === 'pair' ? [...table, ...statement.path] : table;
    if (path[0] !== 'domains') continue;
    if (path.length === 1) {
      // `domains = { … }` is closed: no table can be added behind it.
      if (statement.kind === 'pair') for (const domain of edits.keys()) refuse(domain, statement);
      continue;
    }
    const domain = parseDomain(path[1] ?? '');
    if (domain === undefined || !edits.has(domain)) continue;
    if (statement.kind === 'table' && isPath(path.slice(2))) {
      block = { header: statement, path: path.slice(2), pairs: [] };
      const known = blocks.get(domain) ?? [];
      known.push(block);
      blocks.set(domain, known);
    } else if (block !== undefined && statement.path.length === 1 && !isPath(path.slice(2))) {
      block.pairs.push(statement);
    } else refuse(domain, statement);
  }
  return { blocks, foreign };
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
      this.#splice(at, at, this.#onNewLine(at, `\n${text}`));
    } else if (first !== undefined) {
      const at = first.header.start;
      const isLast = this.#text.slice(endOf(first)).trim() === '';
      this.#splice(at, at, isLast ? text : `${text}\n`);
    } else {
      const at = this.#text.length;
      this.#splice(at, at, this.#onNewLine(at, this.#text.trim() === '' ? text : `\n${text}`));
    }
  }

  #onNewLine(at: number, text: string): string {
    return at === 0 || this.#text[at - 1] === '\n' ? text : `\n${text}`;
  }

  /** Where the blank line at `at` ends, or `at` if there is none. */
  #blankLine(at: number): number {
    const match = /[ \t]*\r?\n/uy;
    match.lastIndex = at;
    return match.test(this.#text) ? match.lastIndex : at;
  }

  #splice(from: number, to: number, text: string): void {
    const native = this.#text.includes('\r\n') ? text.replaceAll(/\r?\n/gu, '\r\n') : text;
    this.#splices.push({ from, to, text: native });
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

function apply(text: string, splices: readonly Splice[]): string {
  // What is put in at a place goes before what is taken out from there.
  const sorted = [...splices].sort((a, b) => a.from - b.from || a.to - b.to);
  const parts: string[] = [];
  let at = 0;
  for (const { from, to, text: replacement } of sorted) {
    parts.push(text.slice(at, from), replacement);
    at = Math.max(at, to);
  }
  parts.push(text.slice(at));
  return parts.join('');
}
