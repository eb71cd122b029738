/**
 * How far a result can be trusted when its costs are only known as ranges.
 *
 * Counts do not depend on costs, so one run serves every cost vector: cycles of all runs under all draws are one matrix
 * product. All runs are priced with the same draws, so that runs are compared under one vector at a time, and what two runs
 * have in common cancels.
 *
 * Nothing here is a probability. A range says what is possible, not how likely it is; draws are spread evenly over it only
 * because they have to be spread somehow. A share of the draws is a share of the assumed ranges, and a percentile is one of
 * the draws. What the ranges allow for certain are the ends.
 */
import { Matrix } from "ml-matrix";
import { type Bounds, type Counts, occurrences } from "./counts.js";
import { InputError, notAllowed } from "./input.js";
import { quasiRandomPoints } from "./quasi-random.js";

/** A cost as far as it is known: cycles for each of its primitives, low <= value <= high. */
export interface UncertainCost {
  readonly name: string;
  readonly primitives: readonly string[];
  /** Primitives each of which spares one occurrence. */
  readonly spares?: readonly string[];
  readonly low: number;
  readonly value: number;
  readonly high: number;
}

/** Lowest, usual and highest value of a sum of costs, each cost anywhere in its range. */
export function linearBounds(
  costs: readonly UncertainCost[],
  times: readonly number[],
): Bounds & { readonly value: number } {
  const sum = (end: (cost: UncertainCost, n: number) => number) =>
    costs.reduce((total, cost, index) => total + times[index] * end(cost, times[index]), 0);
  return {
    low: sum(({ low, high }, n) => (n > 0 ? low : high)),
    value: sum(({ value }) => value),
    high: sum(({ low, high }, n) => (n > 0 ? high : low)),
  };
}

/** Cost vectors, each within the costs' ranges. */
export class CostDraws {
  /**
   * @param cycles a row per cost, a column per draw, within the ranges
   * @throws InputError for costs whose range does not hold their value
   */
  constructor(
    readonly costs: readonly UncertainCost[],
    readonly cycles: Matrix,
  ) {
    checkRanges(costs);
  }

  /**
   * From vectors that are given: one per draw, in the order of the costs, such as those of a fit to measured rows.
   *
   * @throws InputError for costs whose range does not hold their value, no vectors, or a vector that leaves the ranges
   */
  static of(costs: readonly UncertainCost[], vectors: readonly (readonly number[])[]): CostDraws {
    checkRanges(costs);
    if (vectors.length === 0) throw new InputError("draws", notAllowed(vectors), "at least one cost vector");
    vectors.forEach((vector, draw) => {
      if (vector.length !== costs.length)
        throw new InputError(`draws[${draw}]`, `has ${vector.length} costs`, `${costs.length}`);
      costs.forEach(({ name, low, high }, index) => {
        // A solver ends on the end of a range but for rounding.
        const slack = 1e-9 * (1 + Math.max(-low, high));
        if (!(vector[index] >= low - slack && vector[index] <= high + slack))
          throw new InputError(`draws[${draw}].${name}`, notAllowed(vector[index]), `${low} to ${high}`);
      });
    });
    return new CostDraws(costs, new Matrix(costs.map((_, index) => vectors.map((vector) => vector[index]))));
  }
}

/** @throws InputError for the first cost whose range is no range or does not hold its value */
export function checkRanges(costs: readonly UncertainCost[]): void {
  for (const { name, low, value, high } of costs) {
    if (!(low <= value && value <= high && Number.isFinite(low) && Number.isFinite(high)))
      throw new InputError(`cost ${name}`, notAllowed({ low, value, high }), "cycles, low <= value <= high");
  }
}

/**
 * Draws spread evenly over the ranges: quasi-random, each cost by itself.
 *
 * @throws InputError for a number of draws that is no power of two, a seed that is none, or see `CostDraws`
 */
export function drawCosts(
  costs: readonly UncertainCost[],
  { draws, seed }: { readonly draws: number; readonly seed: number },
): CostDraws {
  const points = quasiRandomPoints(costs.length, draws, seed);
  const cycles = new Matrix(costs.length, draws);
  costs.forEach(({ low, high }, cost) => {
    points[cost].forEach((point, draw) => {
      cycles.set(cost, draw, low + point * (high - low));
    });
  });
  return new CostDraws(costs, cycles);
}

/** A run's cycles under every draw. */
export interface UncertainCycles {
  readonly draws: CostDraws;
  /** How often each cost occurs, in the order of the costs. */
  readonly times: readonly number[];
  /** Cycles by draw. */
  readonly byDraw: readonly number[];
  readonly spread: Spread;
}

/** Cycles. `low` and `high` are what the ranges allow, exactly; the percentiles are those of the draws. */
export interface Spread extends Bounds {
  /** With every cost at its value. */
  readonly value: number;
  readonly p05: number;
  readonly median: number;
  readonly p95: number;
}

/** The cycles of each run under each draw, by the run's name. Primitives without a cost cost nothing. */
export function propagate<Name extends string>(
  draws: CostDraws,
  runs: Readonly<Record<Name, Counts>>,
): Record<Name, UncertainCycles> {
  const names = Object.keys(runs) as Name[];
  const priced = price(
    draws,
    names.map((name) => occurrences(draws.costs, runs[name])),
  );
  return Object.fromEntries(names.map((name, row) => [name, priced[row]])) as Record<Name, UncertainCycles>;
}

/**
 * What one run takes more than another, draw by draw. Its ends are closer than those of the two apart, as both runs have
 * one cost vector.
 *
 * @throws InputError for runs that were priced with different draws
 */
export function difference(a: UncertainCycles, b: UncertainCycles): UncertainCycles {
  if (a.draws !== b.draws) throw new InputError("runs", "have different draws", "runs of one propagate()");
  const times = a.times.map((n, index) => n - b.times[index]);
  return price(a.draws, [times])[0];
}

/**
 * The share of the assumed ranges, 0 to 1, in which A costs less than B: the share of the draws in which it does. It is no
 * probability: 0.9 says that A costs more in a tenth of what was thought possible, not that this is unlikely.
 *
 * @throws InputError for runs that were priced with different draws
 */
export function shareOfRangesBelow(a: UncertainCycles, b: UncertainCycles): number {
  const { byDraw } = difference(a, b);
  return byDraw.filter((cycles) => cycles < 0).length / byDraw.length;
}

function price(draws: CostDraws, times: number[][]): UncertainCycles[] {
  if (times.length === 0) return [];
  const cycles = new Matrix(times).mmul(draws.cycles).to2DArray();
  return cycles.map((byDraw, row) => {
    const sorted = Float64Array.from(byDraw).sort();
    const spread = {
      ...linearBounds(draws.costs, times[row]),
      p05: quantile(sorted, 0.05),
      median: quantile(sorted, 0.5),
      p95: quantile(sorted, 0.95),
    };
    return { draws, times: times[row], byDraw, spread };
  });
}

/** Between the two draws next to it, in proportion (type 7 of Hyndman and Fan, 1996). */
function quantile(sorted: Float64Array, share: number): number {
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (place - below) * (sorted[above] - sorted[below]);
}
