/**
 * Which costs a result hangs on. Two answers, of any function of the cost vector, also of ratios and shares:
 * - one at a time: each cost from one end of its range to the other, the others at their values. Exact and easy to check,
 *   but blind to what costs do together;
 * - variance-based indices (I. M. Sobol', "Sensitivity estimates for nonlinear mathematical models", 1993): all costs at
 *   once over their ranges. The first-order index of a cost is the share of the result's variance that it makes alone, the
 *   total index the share that it takes part in. For a sum of costs both are the same and add up to 1.
 *
 * The variance is that over the assumed ranges, spread evenly, as everything in `uncertainty.ts`: the indices say where a
 * narrower range would help, not what is likely.
 */
import { InputError, notAllowed } from "./input.js";
import { quasiRandomPoints } from "./quasi-random.js";
import { checkRanges, type UncertainCost } from "./uncertainty.js";

/** A result as a function of the cost vector, cycles in the order of the costs. */
export type Outcome = (cycles: readonly number[]) => number;

/** What one cost does to a result, the other costs at their values. */
export interface Swing<Cost extends UncertainCost = UncertainCost> {
  readonly cost: Cost;
  /** The result with the cost at the low end of its range, at its value, and at the high end. */
  readonly atLow: number;
  readonly atValue: number;
  readonly atHigh: number;
}

/**
 * A swing per cost, in the order of the costs.
 *
 * @throws InputError for a cost whose range does not hold its value, or an outcome that is not finite
 */
export function oneAtATime<Cost extends UncertainCost>(
  costs: readonly Cost[],
  outcome: Outcome,
): Swing<Cost>[] {
  checkRanges(costs);
  const values = costs.map(({ value }) => value);
  const atValue = finite(outcome, values);
  return costs.map((cost, index) => ({
    cost,
    atLow: finite(outcome, replaced(values, index, cost.low)),
    atValue,
    atHigh: finite(outcome, replaced(values, index, cost.high)),
  }));
}

/** An index from several sets of points: their mean, and the least and the greatest, which show the noise. */
export interface Estimate {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

export interface SobolIndices {
  readonly cost: string;
  /** Share of the variance that the cost makes alone. */
  readonly first: Estimate;
  /** Share of the variance that the cost takes part in. */
  readonly total: Estimate;
}

export interface IndexOptions {
  /** Points of a set, a power of two; the outcome is computed so many times, times two plus the number of costs. */
  readonly points: number;
  /** Sets of points, each scrambled apart. */
  readonly sets: number;
  /** Of the first set; each further one has the next seed. */
  readonly seed: number;
}

/**
 * Indices of each cost, in the order of the costs; 0 for a cost whose range is a single value. Costs that the outcome does not
 * depend on are better left out: each takes points and adds noise. The estimators are those of
 * A. Saltelli et al., "Variance based sensitivity analysis of model output" (2010): theirs for the first order, Jansen's for
 * the total. An index near 0 may come out slightly negative.
 *
 * @throws InputError for a cost whose range does not hold its value, an outcome that is not finite or does not vary, and
 *   points that `quasiRandomPoints` does not have: two coordinates per cost with a range
 */
export function sobolIndices(
  costs: readonly UncertainCost[],
  outcome: Outcome,
  { points, sets, seed }: IndexOptions,
): SobolIndices[] {
  checkRanges(costs);
  if (!(Number.isInteger(sets) && sets >= 1))
    throw new InputError("sets", notAllowed(sets), "a whole number from 1 on");
  const ranged = [...costs.keys()].filter((index) => costs[index].low < costs[index].high);
  const estimates = Array.from({ length: sets }, (_, set) =>
    indicesOfSet(costs, ranged, outcome, quasiRandomPoints(2 * ranged.length, points, seed + set)),
  );
  return costs.map(({ name }, index) => {
    const column = ranged.indexOf(index);
    const over = (kind: "first" | "total") =>
      estimate(estimates.map((of) => (column < 0 ? 0 : of[kind][column])));
    return { cost: name, first: over("first"), total: over("total") };
  });
}

/** The indices of the costs with a range, from one set of points: half of the coordinates give A, the others B. */
function indicesOfSet(
  costs: readonly UncertainCost[],
  ranged: readonly number[],
  outcome: Outcome,
  points: readonly Float64Array[],
): { first: number[]; total: number[] } {
  const vectors = (offset: number) =>
    Array.from({ length: points[0]?.length ?? 1 }, (_, point) => {
      const vector = costs.map(({ low }) => low);
      ranged.forEach((index, column) => {
        vector[index] += points[offset + column][point] * (costs[index].high - costs[index].low);
      });
      return vector;
    });
  const [a, b] = [vectors(0), vectors(ranged.length)];
  const [ofA, ofB] = [a, b].map((set) => set.map((vector) => finite(outcome, vector)));
  const middle = mean([...ofA, ...ofB]);
  const variance = mean([...ofA, ...ofB].map((value) => (value - middle) ** 2));
  // What differs by rounding only does not vary.
  if (variance <= (1e-12 * middle) ** 2)
    throw new InputError("outcome", "is the same for all costs in their ranges", "one that varies");
  const indices = ranged.map((index) => {
    // A, with this cost from B: against B they have only this cost in common, against A only this one differs.
    const mixed = a.map((vector, point) => finite(outcome, replaced(vector, index, b[point][index])));
    return {
      first: mean(mixed.map((value, point) => (ofB[point] - middle) * (value - ofA[point]))) / variance,
      total: mean(mixed.map((value, point) => (value - ofA[point]) ** 2)) / 2 / variance,
    };
  });
  return { first: indices.map(({ first }) => first), total: indices.map(({ total }) => total) };
}

function replaced(vector: readonly number[], index: number, cycles: number): number[] {
  const copy = [...vector];
  copy[index] = cycles;
  return copy;
}

function finite(outcome: Outcome, cycles: readonly number[]): number {
  const value = outcome(cycles);
  if (!Number.isFinite(value))
    throw new InputError("outcome", `is ${value} for the costs ${cycles.join(", ")}`, "a finite number");
  return value;
}

function estimate(values: readonly number[]): Estimate {
  return { mean: mean(values), low: Math.min(...values), high: Math.max(...values) };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
