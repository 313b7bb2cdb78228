/**
 * The lines of the file `domains` in a generation: what its tables hold of each domain, for the service to compare where
 * it does not know the settings that they were written from.
 */
import type { DomainName } from '../address/domain-name.ts';

const HALF = 0x1000000;

/** A tableDigest in two halves of 24 bits: V8 writes small integers faster. */
export function formatDigest(name: DomainName, tableDigest: number): string {
  return `${name} ${Math.floor(tableDigest / HALF)}.${tableDigest % HALF}`;
}

/** Adds a line's domain to `digests`; a comment is none. */
export function readDigest(line: string, digests: Map<DomainName, number>): void {
  const space = line.indexOf(' ');
  if (space <= 0 || line.startsWith('#')) return;
  const dot = line.indexOf('.', space);
  digests.set(
    line.slice(0, space) as DomainName,
    Number(line.slice(space + 1, dot)) * HALF + Number(line.slice(dot + 1)),
  );
}
