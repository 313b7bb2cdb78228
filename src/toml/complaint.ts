/**
 * What is wrong with a setting, as a value with its place, until the edge words it. It never throws by itself.
 */
import { printable } from '../log/printable.ts';

/** Where a setting stands. Every part is absent where it has no meaning (a key of the main file has no domain). */
export interface Place {
  readonly file?: string;
  readonly domain?: string;
  /** `incoming.receipt.senders`, as one would say it to `domains set`. */
  readonly key?: string;
  readonly line?: number;
}

export interface Complaint extends Place {
  /** One sentence without the place. */
  readonly message: string;
}

/** `file:line: domain: key: message`, with the parts that are known. */
export function wordComplaint(complaint: Complaint): string {
  const file =
    complaint.file === undefined
      ? undefined
      : complaint.line === undefined
        ? complaint.file
        : `${complaint.file}:${complaint.line}`;
  return [file, complaint.domain, complaint.key, complaint.message].filter((part) => part !== undefined).join(': ');
}

/** Mistakes that are told of one load; who reads settings need not look for more. */
export const MAX_COMPLAINTS = 1000;
/** Longest name, key and sentence that is told. */
const MAX_NAME = 300;
const MAX_MESSAGE = 1000;

/** Settings or configuration that cannot be used: exit status 2 at the edge. */
export class ComplaintError extends Error {
  /** Bounded, and fit for a terminal and a log, whatever stands in the settings. */
  readonly complaints: readonly Complaint[];

  constructor(complaints: readonly Complaint[]) {
    const told = complaints.slice(0, MAX_COMPLAINTS).map(fit);
    if (complaints.length > MAX_COMPLAINTS) {
      told.push({ message: `there is more that is wrong: these are the first ${MAX_COMPLAINTS} mistakes` });
    }
    super(told.map(wordComplaint).join('\n'));
    this.name = 'ComplaintError';
    this.complaints = told;
  }
}

/** Complaints in one line of the log. */
const MAX_LOGGED = 100;

/** What a log says of an error: the first complaints, and how many there are if that is not all. */
export function complaintFields({ complaints }: ComplaintError): object {
  if (complaints.length <= MAX_LOGGED) return { complaints };
  return { complaints: complaints.slice(0, MAX_LOGGED), count: complaints.length };
}

function fit({ file, domain, key, line, message }: Complaint): Complaint {
  return {
    ...(file === undefined ? {} : { file: printable(file, MAX_NAME) }),
    ...(domain === undefined ? {} : { domain: printable(domain, MAX_NAME) }),
    ...(key === undefined ? {} : { key: printable(key, MAX_NAME) }),
    ...(line === undefined ? {} : { line }),
    message: printable(message, MAX_MESSAGE),
  };
}

/** A longer word is no misspelling of a short one. */
const MAX_WORD = 64;

/** The member of `known` that a misspelt word probably meant (optimal string alignment distance), if one is near enough. */
export function likelyMeant(word: string, known: readonly string[]): string | undefined {
  if (word.length > MAX_WORD) return undefined;
  const fold = (text: string): string => text.toLowerCase().replaceAll('-', '_');
  const folded = fold(word);
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of known) {
    const d = distance(folded, fold(candidate));
    if (d < bestDistance) {
      best = candidate;
      bestDistance = d;
    }
  }
  return best;
}

function distance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 8) return 99;
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (last[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let cost = Math.min(substitution, (last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, (beforeLast[j - 2] ?? 0) + 1);
      }
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length] ?? 99;
}
