/**
 * What is wrong with a setting, as a value with its place, until the edge words it. It never throws by itself.
 */

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

/** Settings or configuration that cannot be used: exit status 2 at the edge. */
export class ComplaintError extends Error {
  readonly complaints: readonly Complaint[];

  constructor(complaints: readonly Complaint[]) {
    super(complaints.map(wordComplaint).join('\n'));
    this.name = 'ComplaintError';
    this.complaints = complaints;
  }
}

/** The member of `known` that a misspelt word probably meant (optimal string alignment distance), if one is near enough. */
export function likelyMeant(word: string, known: readonly string[]): string | undefined {
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
  if (Math.abs(a.length - b.length) > 8 || a.length > 64) return 99;
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
