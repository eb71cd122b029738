/**
 * Two designs of one kernel in one setting: what a kick takes on either side, in counts and then in cycles, and what it takes
 * more on the first.
 *
 * Cycles per kick are all cycles of a run over its kicks, so those of reads and ordinary faults are in them: both sides draw
 * the same instructions. Both are priced under one cost vector at a time, so that what they have in common cancels. What the
 * seeds do and what the costs may be are two ranges, and never one.
 */
import { breakEvenCosts, type CostBreakEven } from "../../cost/break-even.js";
import { type Bounds, type Counts, occurrences } from "../../cost/counts.js";
import { loadCpu } from "../../cost/cpu-profile.js";
import { priceCounts } from "../../cost/price.js";
import { type PrimitiveCost, primitiveCosts } from "../../cost/primitive-costs.js";
import {
  type CostDraws,
  drawCosts,
  linearBounds,
  propagate,
  shareOfRangesBelow,
} from "../../cost/uncertainty.js";
import type { KernelVersion } from "../../kvm/eras.js";
import type { CrossoverCell } from "../crossover.js";
import type { Interval } from "../result.js";
import type { Measured } from "../run/run.js";
import { type DesignName, designOf } from "./designs.js";
import { type KickCounts, kickCounts } from "./kick-counts.js";
import { type Variant, variantName } from "./sweep.js";

/** A difference is A less B. Both have one kernel. */
export interface Pair {
  readonly a: Variant;
  readonly b: Variant;
}

const asWanted = (design: DesignName): Variant => ({ design, slot: designOf(design).slot });
const pair = (a: DesignName, b: DesignName): Pair => ({ a: asWanted(a), b: asWanted(b) });

/** Each design against its base, those between which the thread asks, and what the other kind of slot does. */
export const PAIRS: readonly Pair[] = [
  pair("rfc", "base-4.2"),
  pair("bad-page", "base-4.2"),
  pair("write-mostly", "base-4.2"),
  pair("rfc", "bad-page"),
  pair("pio", "base-4.2"),
  pair("datamatch", "base-4.2"),
  pair("repaired", "base-6.19"),
  pair("fastpath", "base-6.19"),
  pair("repaired", "fastpath"),
  pair("npf-fast", "npf-6.19"),
  { a: { design: "rfc", slot: "none" }, b: asWanted("base-4.2") },
  { a: asWanted("rfc"), b: { design: "base-4.2", slot: "read-only" } },
];

/** Runs of one design in one setting, one for each seed. */
export type Runs = readonly Measured[];

/** Guest writes to doorbells. */
export function kicksOf({ semantics }: Measured): number {
  if (semantics === undefined) throw new Error("the kicks of the run were not counted");
  return semantics.kicks;
}

/** Counts per kick, over all runs. */
export function perKick(runs: Runs): Counts {
  const kicks = runs.reduce((sum, measured) => sum + kicksOf(measured), 0);
  const counts: Record<string, number> = {};
  for (const run of runs)
    for (const [name, count] of Object.entries(run.counts))
      counts[name] = (counts[name] ?? 0) + count / kicks;
  return counts;
}

/** Incidents per thousand kicks, over all runs. */
function incidentsOf(runs: Runs): number {
  const incidents = runs.flatMap(({ semantics }) => Object.values(semantics?.incidents ?? {}));
  const kicks = runs.reduce((sum, measured) => sum + kicksOf(measured), 0);
  return (1000 * incidents.reduce((sum, { count }) => sum + count, 0)) / kicks;
}

/** A pair in a setting. TSC cycles per kick; the sides of `CrossoverCell` are B as `base` and A as `new`. */
export interface PairedCell extends CrossoverCell {
  /** The least and the greatest difference of a seed, each cost at its value. */
  readonly seeds: Bounds;
  /** The difference of each seed, each cost at its value. */
  readonly bySeed: readonly number[];
}

/** JSON-serialisable. */
export interface PairedDifference {
  readonly counts: { readonly a: KickCounts; readonly b: KickCounts };
  /** Semantic incidents per thousand kicks. */
  readonly incidents: { readonly a: number; readonly b: number };
  /** TSC cycles per kick. */
  readonly cycles: { readonly a: Interval; readonly b: Interval };
  readonly difference: Interval;
  readonly seeds: Bounds;
  /** Share of the assumed ranges, 0 to 1, in which A costs less. No probability. */
  readonly rangesWon: number;
}

/** A power of two. */
const DRAWS = 1024;
const DRAW_SEED = 1;

/** Pairs as the costs of their processors price them; each list of costs is read and drawn once. */
export class Pricing {
  private readonly known = new Map<string, { costs: readonly PrimitiveCost[]; draws: CostDraws }>();

  cell(cpu: string, { a }: Pair, runsOfA: Runs, runsOfB: Runs): PairedCell {
    const { costs } = this.of(cpu, designOf(a.design).kernel);
    const [ofA, ofB] = [perKick(runsOfA), perKick(runsOfB)];
    const cyclesOf = (counts: Counts) => priceCounts(costs, counts, 1).perAccess.value;
    const times = occurrences(costs, ofA, ofB);
    const bySeed = runsOfA.map((run, seed) => {
      const more = occurrences(costs, perKick([run]), perKick([runsOfB[seed]]));
      return linearBounds(costs, more).value;
    });
    return {
      base: cyclesOf(ofB),
      new: cyclesOf(ofA),
      difference: linearBounds(costs, times),
      terms: new Map(costs.flatMap((cost, index) => (times[index] === 0 ? [] : [[cost, times[index]]]))),
      seeds: { low: Math.min(...bySeed), high: Math.max(...bySeed) },
      bySeed,
    };
  }

  difference(cpu: string, pair: Pair, runsOfA: Runs, runsOfB: Runs): PairedDifference {
    const { costs, draws } = this.of(cpu, designOf(pair.a.design).kernel);
    const [a, b] = [perKick(runsOfA), perKick(runsOfB)];
    const drawn = propagate(draws, { a, b });
    const { difference, seeds } = this.cell(cpu, pair, runsOfA, runsOfB);
    return {
      counts: { a: kickCounts(a), b: kickCounts(b) },
      incidents: { a: incidentsOf(runsOfA), b: incidentsOf(runsOfB) },
      cycles: { a: priceCounts(costs, a, 1).perAccess, b: priceCounts(costs, b, 1).perAccess },
      difference,
      seeds,
      rangesWon: shareOfRangesBelow(drawn.a, drawn.b),
    };
  }

  /** Where one cost alone would have to be for both sides to cost the same; those within the cost's range first. */
  breakEvens(cpu: string, { a, b }: Pair, runsOfA: Runs, runsOfB: Runs): CostBreakEven[] {
    const { costs } = this.of(cpu, designOf(a.design).kernel);
    const sides = [
      { name: variantName(a), counts: perKick(runsOfA) },
      { name: variantName(b), counts: perKick(runsOfB) },
    ] as const;
    const all = breakEvenCosts(costs, ...sides);
    return [...all.filter(({ assumed }) => assumed), ...all.filter(({ assumed }) => !assumed)];
  }

  private of(cpu: string, kernel: KernelVersion) {
    const key = `${cpu} ${kernel}`;
    const before = this.known.get(key);
    if (before !== undefined) return before;
    const costs = primitiveCosts(loadCpu(cpu), kernel);
    const read = { costs, draws: drawCosts(costs, { draws: DRAWS, seed: DRAW_SEED }) };
    this.known.set(key, read);
    return read;
  }
}
