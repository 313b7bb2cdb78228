/**
 * Which of some known words a misspelt one was probably meant to be. It knows nothing of what the words mean.
 */

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
