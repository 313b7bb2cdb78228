/**
 * Which of some known words a misspelt one was probably meant to be. It knows nothing of what the words mean.
 */

/** A longer word is no misspelling of a short one. */
const MAX_WORD = 64;

/** Letters of which no other word begins by chance. */
const MIN_BEGINNING = 4;

/**
 * The member of `known` that a misspelt word probably meant: the nearest (optimal string alignment distance), if it is near
 * enough and the only one so near, or else the only one that begins with the word, or with which the word begins.
 */
export function likelyMeant(word: string, known: readonly string[]): string | undefined {
  if (word.length > MAX_WORD) return undefined;
  const fold = (text: string): string => text.toLowerCase().replaceAll('-', '_');
  const folded = fold(word);
  let nearest: string[] = [];
  let least = Math.max(2, Math.floor(word.length / 3));
  for (const candidate of known) {
    const d = distance(folded, fold(candidate));
    if (d > least) continue;
    if (d < least) nearest = [];
    nearest.push(candidate);
    least = d;
  }
  return onlyOne(nearest.length > 0 ? nearest : known.filter((candidate) => isBeginning(folded, fold(candidate))));
}

function isBeginning(a: string, b: string): boolean {
  return Math.min(a.length, b.length) >= MIN_BEGINNING && (a.startsWith(b) || b.startsWith(a));
}

function onlyOne(candidates: readonly string[]): string | undefined {
  return candidates.length === 1 ? candidates[0] : undefined;
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
