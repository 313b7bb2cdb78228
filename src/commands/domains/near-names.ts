/**
 * The domain names of which another may be a slip of the keyboard. Pure: which of them are hosted it does not know, and so
 * nobody has to read the names of a million domains to find the one that was meant.
 */
import { type DomainName, parseDomain } from '../../address/domain-name.ts';

/** With a longer name there would be too many to ask for; one that is shorter before its last label has neighbours of its own. */
const MAX_LENGTH = 64;
const MIN_LENGTH = 4;
const LETTERS = [...'abcdefghijklmnopqrstuvwxyz-.'];

/**
 * All names with one letter missing, added or changed, or two letters swapped. Not with another digit: customer1 and
 * customer2 are two customers.
 */
export function nearNames(name: DomainName): readonly DomainName[] {
  if (name.length > MAX_LENGTH || name.lastIndexOf('.') < MIN_LENGTH) return [];
  const near = new Set<string>();
  for (let i = 0; i <= name.length; i++) {
    const [before, at, next, rest] = [name.slice(0, i), name[i] ?? '', name[i + 1] ?? '', name.slice(i + 1)];
    for (const letter of LETTERS) near.add(before + letter + at + rest);
    if (at === '' || isDigit(at)) continue;
    near.add(before + rest);
    for (const letter of LETTERS) near.add(before + letter + rest);
    if (!isDigit(next)) near.add(before + next + at + rest.slice(1));
  }
  near.delete(name);
  // A dot too many at the end is none.
  return [...near].filter((text) => parseDomain(text) === text) as DomainName[];
}

const isDigit = (letter: string): boolean => letter >= '0' && letter <= '9';
