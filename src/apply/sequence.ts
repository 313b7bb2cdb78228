/**
 * How one list becomes another: what both have in the same order stays. Pure.
 */

/** `from` and `to` are places in the old list and in the new one. */
export type Step =
  | { readonly kind: 'keep'; readonly from: number; readonly to: number }
  | { readonly kind: 'remove'; readonly from: number }
  | { readonly kind: 'add'; readonly to: number };

/** The steps, in order; as much stays as can. For lists of some tens. */
export function stepsBetween(from: readonly string[], to: readonly string[]): readonly Step[] {
  // common[i][j]: how many elements both have in common from i and j on.
  const common = Array.from({ length: from.length + 1 }, () => new Array<number>(to.length + 1).fill(0));
  const at = (i: number, j: number): number => common[i]?.[j] ?? 0;
  for (let i = from.length - 1; i >= 0; i--) {
    for (let j = to.length - 1; j >= 0; j--) {
      (common[i] as number[])[j] = from[i] === to[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const steps: Step[] = [];
  let [i, j] = [0, 0];
  while (i < from.length || j < to.length) {
    if (i < from.length && j < to.length && from[i] === to[j]) steps.push({ kind: 'keep', from: i++, to: j++ });
    else if (i < from.length && (j === to.length || at(i + 1, j) >= at(i, j + 1)))
      steps.push({ kind: 'remove', from: i++ });
    else steps.push({ kind: 'add', to: j++ });
  }
  return steps;
}
