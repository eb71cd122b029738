/**
 * Where two runs cost the same: the value of a single cost, or of a part of the workload, at which neither is ahead.
 *
 * Cycles are linear in the costs, so all of it is closed form: A - B = sum of d_i c_i, with d_i how much more often cost i
 * occurs in A. It is 0 where c_i is minus the rest of the sum over d_i.
 */
import { type Bounds, type Counts, occurrences } from "./counts.js";
import { checkRanges, linearBounds, type UncertainCost } from "./uncertainty.js";

/** One of the two that are compared, with what it counted. */
export interface Side {
  readonly name: string;
  readonly counts: Counts;
}

/** The value of one cost at which both sides cost the same. Cycles. */
export interface CostBreakEven {
  readonly cost: string;
  /** How much more often it occurs in A than in B; not 0. */
  readonly times: number;
  /** With the other costs at their values. It may be negative, which few costs can be. */
  readonly at: number;
  /** Lowest and highest of it, the other costs anywhere in their ranges. */
  readonly range: Bounds;
  /** Whether `at` lies in the assumed range of the cost. */
  readonly assumed: boolean;
  /** Name of the side that costs less below it, and above it. */
  readonly below: string;
  readonly above: string;
  /** The same as a sentence. */
  readonly words: string;
}

/**
 * The break-even of each cost that occurs more often on one side than on the other, in the order of the costs.
 *
 * @throws InputError for a cost whose range does not hold its value
 */
export function breakEvenCosts(costs: readonly UncertainCost[], a: Side, b: Side): CostBreakEven[] {
  checkRanges(costs);
  const times = occurrences(costs, a.counts, b.counts);
  return costs.flatMap((cost, index) => {
    const n = times[index];
    if (n === 0) return [];
    const rest = linearBounds(
      costs,
      times.map((other, at) => (at === index ? 0 : other)),
    );
    const ends = [zeroOf(rest.low, n), zeroOf(rest.high, n)];
    const at = zeroOf(rest.value, n);
    const [below, above] = n > 0 ? [a.name, b.name] : [b.name, a.name];
    const assumed = cost.low <= at && at <= cost.high;
    const { name, low, high } = cost;
    const words = assumed
      ? `${name}: ${below} costs less below ${shown(at)} cycles, ${above} above; the assumed range is ${shown(low)} to ${shown(high)}`
      : `${name}: ${at > high ? below : above} costs less in all of its assumed range, ${shown(low)} to ${shown(high)} cycles, with the other costs at their values`;
    return {
      cost: name,
      times: n,
      at,
      range: { low: Math.min(...ends), high: Math.max(...ends) },
      assumed,
      below,
      above,
      words,
    };
  });
}

/** A side whose cycles grow with x, a part of the workload: those of `fixed`, and x times those of `perUnit`. */
export interface Mix {
  readonly name: string;
  readonly fixed: Counts;
  readonly perUnit: Counts;
}

/** The x at which two mixes cost the same. */
export interface ShareBreakEven {
  /** With every cost at its value; null where both grow alike, so that they never meet. It may be negative. */
  readonly at: number | null;
  /** Lowest and highest of it, the costs anywhere in their ranges; null where these allow that both grow alike. */
  readonly range: Bounds | null;
  /** Name of the side that costs less below it, and above it; without a break-even both are the same, or null for a tie. */
  readonly below: string | null;
  readonly above: string | null;
  /** The same as a sentence on x from 0 on. */
  readonly words: string;
}

/**
 * The x, counted in `unit` such as "ordinary faults per kick", at which both sides cost the same.
 *
 * @throws InputError for a cost whose range does not hold its value
 */
export function breakEvenShare(
  costs: readonly UncertainCost[],
  a: Mix,
  b: Mix,
  unit: string,
): ShareBreakEven {
  checkRanges(costs);
  // A - B = start + x * slope.
  const start = occurrences(costs, a.fixed, b.fixed);
  const slope = occurrences(costs, a.perUnit, b.perUnit);
  const ahead = linearBounds(costs, start).value;
  const gain = linearBounds(costs, slope);
  const range = gain.low > 0 || gain.high < 0 ? ratioBounds(costs, start, slope) : null;
  if (gain.value === 0) {
    const winner = ahead === 0 ? null : ahead < 0 ? a.name : b.name;
    const words =
      winner === null
        ? `${a.name} and ${b.name} cost the same whatever the ${unit}`
        : `${winner} costs less whatever the ${unit}`;
    return { at: null, range, below: winner, above: winner, words };
  }
  const at = zeroOf(ahead, gain.value);
  const [below, above] = gain.value > 0 ? [a.name, b.name] : [b.name, a.name];
  const ranged =
    range === null
      ? "; within the assumed ranges of the costs it may be anywhere or nowhere"
      : ` (${shown(range.low)} to ${shown(range.high)} over the assumed ranges of the costs)`;
  const words =
    at < 0
      ? `${above} costs less whatever the ${unit}: they would meet at ${shown(at)}${ranged}`
      : `${below} costs less below ${shown(at)} ${unit}, ${above} above${ranged}`;
  return { at, range, below, above, words };
}

/**
 * Lowest and highest of x = -start / slope over the ranges of the costs, where the slope is nowhere 0.
 *
 * Dinkelbach's method ("On nonlinear fractional programming", 1967) for the highest, the lowest likewise: at the x of some
 * costs, A - B is 0 for them; other costs meet at a higher x if with them the side that loses at high x is still ahead at
 * this one. Take the costs that put it furthest ahead, each an end of a range, and their x, until x no longer moves.
 */
function ratioBounds(
  costs: readonly UncertainCost[],
  start: readonly number[],
  slope: readonly number[],
): Bounds {
  const sum = (times: readonly number[], at: readonly number[]) =>
    times.reduce((total, n, index) => total + n * at[index], 0);
  const rising = linearBounds(costs, slope).value > 0;
  const extreme = (highest: boolean) => {
    let corner = costs.map(({ value }) => value);
    let x = zeroOf(sum(start, corner), sum(slope, corner));
    for (;;) {
      // The sides still meet at a higher x where A - B is below 0 and rises with x, or above 0 and falls.
      const least = highest === rising;
      corner = costs.map(({ low, high }, index) => {
        const growth = start[index] + x * slope[index];
        return growth > 0 === least ? low : high;
      });
      const next = zeroOf(sum(start, corner), sum(slope, corner));
      if (highest ? next <= x : next >= x) return x;
      x = next;
    }
  };
  return { low: extreme(false), high: extreme(true) };
}

/** The x at which start + x * slope is 0; never -0. */
function zeroOf(start: number, slope: number): number {
  return 0 - start / slope;
}

/** Four digits, which no cost has more of. */
function shown(value: number): string {
  return String(Number(value.toPrecision(4)));
}
