/**
 * Two scenarios on one processor, compared as far as their costs are known: what each takes, what the difference is, and
 * which costs decide it.
 *
 * Both sides are priced under one cost vector at a time, so that what they have in common cancels. A cost whose ranges differ
 * by kernel is two, each with its own draws: see `kernel-costs.ts`.
 *
 * Ranges say what is possible, not how likely it is: see `src/cost/uncertainty.ts`. Where measured rows are at hand, costs
 * fitted to them may be given instead; then a draw is a vector that keeps to the rows, and the ends are what the rows and
 * the ranges allow together.
 */
import { breakEvenCosts, type CostBreakEven } from "../cost/break-even.js";
import type { Calibration } from "../cost/calibration.js";
import { type Counts, occurrences } from "../cost/counts.js";
import { loadCpu } from "../cost/cpu-profile.js";
import { InputError, notAllowed } from "../cost/input.js";
import { priceCounts } from "../cost/price.js";
import { type CostRanges, type PrimitiveCost, primitiveCosts } from "../cost/primitive-costs.js";
import { oneAtATime, type SobolIndices, type Swing, sobolIndices } from "../cost/sensitivity.js";
import {
  type CostDraws,
  difference,
  drawCosts,
  propagate,
  type Spread,
  shareOfRangesBelow,
} from "../cost/uncertainty.js";
import { studyCommand } from "./command.js";
import { conditionsOf } from "./conditions.js";
import { costsOfBoth, countsOfKernel, ofKernel } from "./kernel-costs.js";
import { provenanceOf } from "./provenance.js";
import type { Interval, Provenance } from "./result.js";
import { type Run, run } from "./run/run.js";
import type { Scenario, ScenarioInput } from "./run/scenario.js";

export interface SideInput {
  readonly name: string;
  readonly scenario: ScenarioInput;
}

/** Costs as measured rows leave them. */
export interface FittedCosts {
  /** Of costs of the sides' processor. Its kernel's costs price both sides, whatever their kernel. */
  readonly calibration: Calibration;
  /** Where the rows are from. */
  readonly source: string;
}

export interface ComparisonOptions {
  readonly a: SideInput;
  readonly b: SideInput;
  /** Ranges in place of those of the data files, for both sides. */
  readonly costs?: CostRanges;
  readonly fitted?: FittedCosts;
  /** How many cost vectors, a power of two. */
  readonly draws?: number;
  /** Of the draws; a scenario has its own. */
  readonly seed?: number;
}

/** Cycles are TSC cycles per access. */
export interface ComparedSide {
  readonly name: string;
  readonly scenario: Scenario;
  readonly accesses: number;
  readonly cycles: Spread;
}

/** Plain data, JSON-serialisable. Cycles are TSC cycles per access; a difference is A less B. */
export interface Comparison {
  readonly provenance: Provenance;
  /** The processor as its maker calls it. */
  readonly machine: string;
  readonly a: ComparedSide;
  readonly b: ComparedSide;
  readonly difference: Spread;
  /** The difference under each draw, in ascending order. */
  readonly differenceByDraw: readonly number[];
  /**
   * The share of the assumed ranges, 0 to 1, in which A costs less than B: the share of the draws. No probability. With fitted
   * costs, of the ranges as far as they keep to the rows.
   */
  readonly shareOfRangesBelow: number;
  /** Costs of both sides that are one for each kernel, as "cost (kernel)". */
  readonly byKernel: readonly string[];
  /** One per cost that does not cancel; those within the cost's range come first. With fitted costs, what the rows leave of it. */
  readonly breakEvens: readonly CostBreakEven[];
  /** What each cost that does not cancel does to the difference, the others at their values. */
  readonly swings: readonly Swing<PrimitiveCost>[];
  /**
   * Shares of the difference's variance over the ranges, for the same costs; none where nothing varies, and null for fitted
   * costs, which do not vary apart.
   */
  readonly indices: readonly SobolIndices[] | null;
}

const INDEX_POINTS = 2 ** 10;
/** Repetitions that show the noise of the indices. */
const INDEX_SETS = 4;

/** A side with its counts per access. */
interface Counted {
  readonly name: string;
  readonly run: Run;
  readonly counts: Counts;
}

/** What the sides are priced with. */
interface Pricing {
  /** Those that occur. */
  readonly costs: readonly PrimitiveCost[];
  readonly draws: CostDraws;
  readonly byKernel: readonly string[];
  /** Lowest, usual and highest cycles of `counts` less `base`; null for what the ranges alone allow. */
  readonly bounds: ((counts: Counts, base: Counts) => Interval) | null;
}

interface DrawOptions {
  readonly draws: number;
  readonly seed: number;
}

/**
 * Runs both scenarios and compares them.
 *
 * @throws InputError for a scenario that `run()` refuses, sides on two processors or of one name, primitives that nothing
 *   prices, costs given in two ways, or ranges that `primitiveCosts()` refuses
 */
export function studyComparison(options: ComparisonOptions): Comparison {
  const { costs, fitted, draws = 4096, seed = 1 } = options;
  if (costs !== undefined && fitted !== undefined)
    throw new InputError("costs", "are given beside fitted costs", "one of the two");
  const [a, b] = [counted(options.a, "a"), counted(options.b, "b")];
  const { cpu } = a.run.scenario;
  if (b.name === a.name) throw new InputError("b.name", notAllowed(b.name), "another name than that of A");
  if (b.run.scenario.cpu !== cpu) {
    const allowed = `${JSON.stringify(cpu)}, as in A: costs belong to their machine`;
    throw new InputError("b.scenario: cpu", notAllowed(b.run.scenario.cpu), allowed);
  }
  const pricing =
    fitted === undefined
      ? pricedByRanges(a, b, costs, { draws, seed })
      : pricedByRows(a, b, fitted, { draws, seed });
  const priced = propagate(pricing.draws, { a: a.counts, b: b.counts });
  const apart = difference(priced.a, priced.b);
  const spread = (of: Spread, counts: Counts, base: Counts = {}) => ({
    ...of,
    ...pricing.bounds?.(counts, base),
  });
  return {
    provenance: provenanceOf({
      seed,
      ...(fitted && { calibration: fitted.source }),
      conditions: conditionsOf([a.run.scenario, b.run.scenario]),
      command: fitted === undefined ? studyCommand("comparison", options) : null,
    }),
    machine: loadCpu(cpu).model,
    a: sideOf(a, spread(priced.a.spread, a.counts)),
    b: sideOf(b, spread(priced.b.spread, b.counts)),
    difference: spread(apart.spread, a.counts, b.counts),
    differenceByDraw: [...apart.byDraw].sort((one, other) => one - other),
    shareOfRangesBelow: shareOfRangesBelow(priced.a, priced.b),
    byKernel: pricing.byKernel,
    breakEvens: breakEvens(pricing.costs, a, b),
    ...sensitivity(pricing.costs, a, b, fitted === undefined ? seed : null),
  };
}

/** Counts per access, once for costs that both kernels share and once for those of this kernel. */
function counted({ name, scenario }: SideInput, side: string): Counted {
  const done = run(scenario, `${side}.scenario`);
  const perAccess = Object.entries(done.counts).map(([primitive, count]) => [
    primitive,
    count / done.accesses,
  ]);
  return { name, run: done, counts: countsOfKernel(Object.fromEntries(perAccess), done.scenario.kernel) };
}

function sideOf({ name, run: { scenario, accesses } }: Counted, cycles: Spread): ComparedSide {
  return { name, scenario, accesses, cycles };
}

function pricedByRanges(a: Counted, b: Counted, ranges: CostRanges = {}, options: DrawOptions): Pricing {
  const [ofA, ofB] = [a, b].map(({ run: { scenario, counts, accesses } }) => {
    const { cpu, kernel } = scenario;
    const costs = primitiveCosts(loadCpu(cpu), kernel, ranges);
    // Refuses what no cost prices.
    priceCounts(costs, counts, accesses);
    return { kernel, costs };
  });
  const occurring = costsOfBoth(ofA, ofB).filter((cost) => occurs(cost, a, b));
  const names = new Set(occurring.map(({ name }) => name));
  const pairs = ofA.costs.map(({ name }) => [ofKernel(name, ofA.kernel), ofKernel(name, ofB.kernel)]);
  return {
    costs: occurring,
    draws: drawCosts(occurring, options),
    byKernel: pairs.filter((pair) => pair.every((name) => names.has(name))).flat(),
    bounds: null,
  };
}

function occurs(cost: PrimitiveCost, a: Counted, b: Counted): boolean {
  return [a, b].some(({ counts }) => occurrences([cost], counts)[0] > 0);
}

function pricedByRows(
  a: Counted,
  b: Counted,
  { calibration }: FittedCosts,
  { draws, seed }: DrawOptions,
): Pricing {
  const { costs, values } = calibration;
  for (const { run: done } of [a, b]) priceCounts(costs, done.counts, done.accesses);
  return {
    costs: costs.flatMap((cost, index) => {
      if (!occurs(cost, a, b)) return [];
      const value = values[index];
      const { low, high } = calibration.costBounds(index);
      // Least squares may end a little beyond what the tolerances of the rows allow.
      return { ...cost, value, low: Math.min(low, value), high: Math.max(high, value) };
    }),
    draws: calibration.draws(draws, seed),
    byKernel: [],
    bounds: (counts, base) => ({
      ...calibration.bounds(counts, base),
      value: calibration.predict(counts) - calibration.predict(base),
    }),
  };
}

/** Those within the assumed range of their cost first. */
function breakEvens(costs: readonly PrimitiveCost[], a: Counted, b: Counted): CostBreakEven[] {
  const all = breakEvenCosts(costs, a, b);
  return [...all.filter(({ assumed }) => assumed), ...all.filter(({ assumed }) => !assumed)];
}

/** Of the costs that do not cancel. @param seed of the indices; null for costs that do not vary apart */
function sensitivity(
  costs: readonly PrimitiveCost[],
  a: Counted,
  b: Counted,
  seed: number | null,
): Pick<Comparison, "swings" | "indices"> {
  const apart = costs.filter((cost) => occurrences([cost], a.counts, b.counts)[0] !== 0);
  const times = occurrences(apart, a.counts, b.counts);
  const outcome = (cycles: readonly number[]) =>
    cycles.reduce((sum, each, index) => sum + times[index] * each, 0);
  const varies = apart.some(({ low, high }) => low < high);
  return {
    swings: oneAtATime(apart, outcome),
    indices:
      seed === null
        ? null
        : varies
          ? sobolIndices(apart, outcome, { points: INDEX_POINTS, sets: INDEX_SETS, seed })
          : [],
  };
}
