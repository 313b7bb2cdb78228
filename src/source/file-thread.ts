/**
 * The thread that reads large settings files: the parser keeps its thread busy for as long as a file takes, and the
 * service answers requests meanwhile. It hands out what stands in a file some domains at a time, and only when asked
 * for more, since to receive takes time too. What a domain's table means it does not know.
 */
import { parentPort } from 'node:worker_threads';
import type { FileState } from '../files/file-state.ts';
import { type Complaint, ComplaintError } from '../toml/complaint.ts';
import { readToml } from '../toml/read-toml.ts';
import { isTable, MAX_ENTRIES, MAX_LIST_STRING } from '../toml/table-reader.ts';
import { domainTables } from './domain-tables.ts';

/** A domain's name as written, and what stands under it. */
export type WrittenDomain = readonly [name: string, table: unknown];

/** What the thread is told: to read a file, or to go on with it. */
export type FileOrder = { readonly path: string; readonly name: string } | 'more';

/** What it answers: some domains, or that it is done, well or with a file that cannot be used. */
export type FilePart =
  | { readonly domains: readonly WrittenDomain[] }
  | { readonly state: FileState; readonly complaints: readonly Complaint[] }
  | { readonly state: undefined; readonly complaints: readonly Complaint[] };

/** Strings and tables in one part: some milliseconds for whoever receives it. */
const PART_WEIGHT = 10_000;
/** More than any table of a domain may have, and characters more than any name. */
const MAX_KEYS = 100;
const MAX_NAME = 2_000;
const TOO_MUCH = Number.POSITIVE_INFINITY;

let more: (() => void) | undefined;

async function send(path: string, name: string, answer: (part: FilePart) => void): Promise<void> {
  const complaints: Complaint[] = [];
  const { table, state } = await readToml(path, name);
  let domains: WrittenDomain[] = [];
  let weight = 0;
  for (const [written, value] of Object.entries(domainTables(table, name, complaints))) {
    const its = weightOf(value);
    domains.push([written.slice(0, MAX_NAME), its === TOO_MUCH ? shortened(value) : value]);
    weight += its;
    if (weight < PART_WEIGHT) continue;
    answer({ domains });
    await new Promise<void>((resolve) => {
      more = resolve;
    });
    domains = [];
    weight = 0;
  }
  if (domains.length > 0) {
    answer({ domains });
    await new Promise<void>((resolve) => {
      more = resolve;
    });
  }
  answer({ state, complaints });
}

/** The value without what is too much of it to be used: no more than it takes to say that it is too much. */
function shortened(value: unknown): unknown {
  if (typeof value === 'string') return value.slice(0, MAX_LIST_STRING + 1);
  if (Array.isArray(value)) return value.slice(0, MAX_ENTRIES + 1).map(shortened);
  if (!isTable(value)) return value;
  // Not fromEntries: a key may be called __proto__.
  const table: Record<string, unknown> = Object.create(null);
  for (const key of Object.keys(value).slice(0, MAX_KEYS)) table[key.slice(0, MAX_NAME)] = shortened(value[key]);
  return table;
}

/** How many strings and tables it is, about; {@link TOO_MUCH}: something in it has to be {@link shortened}. */
function weightOf(value: unknown): number {
  if (typeof value === 'string') return value.length > MAX_LIST_STRING ? TOO_MUCH : 1;
  if (Array.isArray(value)) {
    return value.length > MAX_ENTRIES ? TOO_MUCH : value.reduce((sum: number, part) => sum + weightOf(part), 1);
  }
  if (!isTable(value)) return 1;
  const keys = Object.keys(value);
  if (keys.length > MAX_KEYS) return TOO_MUCH;
  let sum = 2;
  for (const key of keys) sum += key.length > MAX_NAME ? TOO_MUCH : weightOf(value[key]);
  return sum;
}

parentPort?.on('message', (order: FileOrder) => {
  if (order === 'more') {
    more?.();
    return;
  }
  const answer = (part: FilePart): void => parentPort?.postMessage(part);
  send(order.path, order.name, answer).catch((error: unknown) => {
    // Anything else is a defect, and ends the thread.
    if (!(error instanceof ComplaintError)) throw error;
    answer({ state: undefined, complaints: error.complaints });
  });
});
