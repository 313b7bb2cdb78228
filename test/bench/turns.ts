/**
 * Things measured side by side: each once a round, and in another order in every round, so that whatever else happens on the
 * machine happens to all of them. A ratio is the median of the rounds' ratios.
 */

/** What was measured of each side, a value a round. */
export type Measured<Side extends string, T> = Readonly<Record<Side, readonly T[]>>;

export async function inTurns<Side extends string, T>(
  rounds: number,
  sides: readonly Side[],
  measure: (side: Side, round: number) => Promise<T>,
): Promise<Measured<Side, T>> {
  const measured = Object.fromEntries(sides.map((side) => [side, [] as T[]])) as unknown as Record<Side, T[]>;
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < sides.length; turn++) {
      const side = sides[(round + turn) % sides.length] as Side;
      measured[side].push(await measure(side, round));
    }
  }
  return measured;
}

/** The rounds' ratios. */
export function ratios(above: readonly number[], below: readonly number[]): readonly number[] {
  return above.map((value, round) => value / (below[round] ?? Number.NaN));
}
