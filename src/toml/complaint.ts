/**
 * What is wrong with a setting, as a value with its place, until the edge words it. It never throws by itself.
 */
import { printable } from '../text/printable.ts';

/** Where a setting stands. Every part is absent where it has no meaning (a key of the main file has no domain). */
export interface Place {
  readonly file?: string;
  readonly domain?: string;
  /** `incoming.receipt.senders`, as one would say it to `domains set`. */
  readonly key?: string;
  readonly line?: number;
}

/** One mistake, of whoever wrote settings or the main file. */
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
  const place = [file, complaint.domain, complaint.key].filter((part) => part !== undefined);
  // TOML may have an empty name.
  return [...place.map((part) => (part === '' ? '""' : part)), complaint.message].join(': ');
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
