/**
 * What the ranges of the costs allow a ratio of two sums of costs to be: each cost anywhere in its range, and the same in both
 * sums. Its ends are found exactly, by Dinkelbach's iteration ("On Nonlinear Fractional Programming", Management Science 13,
 * 1967): a ratio can be made less just where `above - ratio * below`, a sum of costs again, can be made less than 0.
 */
import type { Bounds } from "./counts.js";
import { linearBounds, type UncertainCost } from "./uncertainty.js";

/**
 * Lowest, usual and highest ratio; null where the ranges allow the sum below to be 0 or less.
 *
 * @param above how often each cost occurs in the sum above, in the order of the costs; may be negative, as of a difference
 * @param below how often in the sum below
 */
export function ratioBounds(
  costs: readonly UncertainCost[],
  above: readonly number[],
  below: readonly number[],
): (Bounds & { readonly value: number }) | null {
  if (!(linearBounds(costs, below).low > 0)) return null;
  const values = costs.map(({ value }) => value);
  const negated = above.map((times) => -times);
  return {
    low: leastRatio(costs, above, below),
    value: sumOf(above, values) / sumOf(below, values),
    // Without the sign of a zero.
    high: 0 - leastRatio(costs, negated, below),
  };
}

/** Each step goes to other ends of the ranges, of which there are finitely many. */
function leastRatio(
  costs: readonly UncertainCost[],
  above: readonly number[],
  below: readonly number[],
): number {
  let least = Number.POSITIVE_INFINITY;
  let cycles = costs.map(({ value }) => value);
  for (;;) {
    const ratio = sumOf(above, cycles) / sumOf(below, cycles);
    if (!(ratio < least)) return least;
    least = ratio;
    cycles = costs.map(({ low, high }, index) => (above[index] - ratio * below[index] > 0 ? low : high));
  }
}

function sumOf(times: readonly number[], cycles: readonly number[]): number {
  return cycles.reduce((sum, each, index) => sum + times[index] * each, 0);
}
