/**
 * The exits of a run by reason, with the distribution of what they take: what `perf kvm stat report` prints, of simulated
 * exits.
 *
 * The time of an exit is perf's, from the tracepoint kvm_exit to kvm_entry, a way to userspace included. What the exit takes
 * outside of them stands beside it: the transitions of the processor with their mitigations, and KVM's path around the
 * tracepoints. What the guest does without an exit, such as TLB hits and page walks, is in neither.
 */
import { type Bounds, type Counts, occurrences } from "../cost/counts.js";
import type { Cycles } from "../cost/price.js";
import { OUTSIDE_OF_TRACEPOINTS } from "../cost/primitive-costs.js";
import { linearBounds, type UncertainCost } from "../cost/uncertainty.js";
import { ExitCounts, type ExitVector } from "../kvm/exit-counts.js";
import { exitReasonName } from "../kvm/exit-reasons.js";
import { PRIMITIVES } from "../kvm/primitives.js";
import { KVM_ISA_SVM, KVM_ISA_VMX } from "../kvm/trace.js";
import { type PriceConditions, type PriceOptions, priceRun } from "./price.js";
import type { Provenance } from "./result.js";
import { type Run, replay } from "./run/run.js";
import type { Scenario, ScenarioInput } from "./run/scenario.js";

/** Times in one unit, each cost at its value; `low` and `high` are what the ranges of the costs allow the mean to be. */
export interface ExitDurations extends Bounds {
  readonly least: number;
  readonly mean: number;
  readonly greatest: number;
}

/** Exits that take the same. */
export interface EqualExits {
  readonly cycles: number;
  readonly us: number;
  readonly samples: number;
}

/** The exits of one reason, from kvm_exit to kvm_entry where nothing else is said. */
export interface SimulatedExits {
  /** The kernel's name, such as EPT_MISCONFIG, or the number where there is none. */
  readonly reason: string;
  readonly samples: number;
  /** TSC cycles. */
  readonly cycles: ExitDurations;
  /** Microseconds, by the processor's TSC. */
  readonly us: ExitDurations;
  /** Standard error of the mean over the exits as a share of it, 0.01 for +- 1%; null with one sample, where perf prints 0. */
  readonly relativeError: number | null;
  /** What one exit takes beside, outside of the tracepoints: the mean, TSC cycles. */
  readonly outside: Cycles;
  /** The distinct times, ascending. */
  readonly distribution: readonly EqualExits[];
}

export interface ExitsStudy {
  readonly provenance: Provenance;
  /** The processor as its maker calls it. */
  readonly machine: string;
  readonly conditions: PriceConditions;
  readonly scenario: Scenario;
  /**
   * Instructions at the beginning of a run with a `precision` that it left out of its counts as warm-up: their exits are
   * among these. 0 in other runs.
   */
  readonly warmUp: number;
  readonly samples: number;
  /** Of all exits, from kvm_exit to kvm_entry, and outside of it: TSC cycles. */
  readonly handled: Cycles;
  readonly outside: Cycles;
  /** The most frequent reason first, as perf sorts them. */
  readonly reasons: readonly SimulatedExits[];
}

/**
 * Runs a scenario with a workload or a recording, and prices its exits.
 *
 * @throws InputError as `replay()` and `priceRun()`
 */
export async function studyExits(input: ScenarioInput, options: PriceOptions = {}): Promise<ExitsStudy> {
  const exitCounts = new ExitCounts();
  return exitsOf(await replay(input, "scenario", { exitCounts }), exitCounts, options);
}

/**
 * The exits of a run that has been observed by these `ExitCounts`.
 *
 * @throws InputError as `priceRun()`
 */
export function exitsOf(run: Run, exits: ExitCounts, options: PriceOptions = {}): ExitsStudy {
  const { scenario, precision } = run;
  const price = priceRun({ ...run, counts: countsOfAll(exits.all) }, options);
  const costs = price.items.map(({ cost: name, primitives, spares, each }) => ({
    name,
    primitives,
    ...(spares && { spares }),
    ...each,
  }));
  const isa = scenario.paging === "npt" ? KVM_ISA_SVM : KVM_ISA_VMX;
  const vectors = exits.all.map((vector) => pricedVector(vector, isa, costs));
  const byReason = new Map<string, PricedVector[]>();
  for (const vector of vectors) {
    const others = byReason.get(vector.reason);
    if (others === undefined) byReason.set(vector.reason, [vector]);
    else others.push(vector);
  }
  const { conditions } = price;
  return {
    provenance: price.provenance,
    machine: conditions.model,
    conditions,
    scenario,
    warmUp: precision?.warmUp ?? 0,
    samples: samplesOf(vectors),
    handled: totalOf(vectors, ({ handled }) => handled),
    outside: totalOf(vectors, ({ outside }) => outside),
    reasons: [...byReason]
      .map(([reason, of]) => exitsOfReason(reason, of, conditions.tsc.value))
      .sort((one, other) => other.samples - one.samples),
  };
}

/** Exits that went alike, with what one of them takes in TSC cycles. */
interface PricedVector {
  readonly reason: string;
  readonly samples: number;
  readonly handled: Cycles;
  readonly outside: Cycles;
}

function countsOfAll(vectors: readonly ExitVector[]): Counts {
  return namedCounts((index) =>
    vectors.reduce((sum, { occurrences: exits, counts }) => sum + exits * counts[index], 0),
  );
}

function namedCounts(count: (index: number) => number): Counts {
  return Object.fromEntries(PRIMITIVES.map((name, index) => [name, count(index)]));
}

function pricedVector(
  { reason, occurrences: samples, counts }: ExitVector,
  isa: number,
  costs: readonly UncertainCost[],
): PricedVector {
  const named = namedCounts((index) => counts[index]);
  const cyclesOf = (some: readonly UncertainCost[]) => rounded(linearBounds(some, occurrences(some, named)));
  const isOutside = ({ name }: UncertainCost) => OUTSIDE_OF_TRACEPOINTS.includes(name);
  return {
    reason: exitReasonName(isa, reason),
    samples,
    handled: cyclesOf(costs.filter((cost) => !isOutside(cost))),
    outside: cyclesOf(costs.filter(isOutside)),
  };
}

/** Sums that differ behind so many digits differ by rounding only. */
const DIGITS = 12;

function rounded({ low, value, high }: Cycles): Cycles {
  const round = (cycles: number) => Number(cycles.toPrecision(DIGITS));
  return { low: round(low), value: round(value), high: round(high) };
}

type Part = (vector: PricedVector) => Cycles;

function exitsOfReason(reason: string, vectors: readonly PricedVector[], tscMhz: number): SimulatedExits {
  const samples = samplesOf(vectors);
  const equal = equalExits(vectors);
  const { low, value: mean, high } = meanOf(vectors, ({ handled }) => handled);
  const squares = equal.reduce((sum, [cycles, exits]) => sum + exits * (cycles - mean) ** 2, 0);
  const standardError = Math.sqrt(squares / (samples - 1) / samples);
  const us = (cycles: number) => cycles / tscMhz;
  const [least, greatest] = [equal[0][0], equal[equal.length - 1][0]];
  return {
    reason,
    samples,
    cycles: { least, mean, greatest, low, high },
    us: { least: us(least), mean: us(mean), greatest: us(greatest), low: us(low), high: us(high) },
    relativeError: samples === 1 ? null : mean === 0 ? 0 : standardError / mean,
    outside: meanOf(vectors, ({ outside }) => outside),
    distribution: equal.map(([cycles, exits]) => ({ cycles, us: us(cycles), samples: exits })),
  };
}

/** How many exits took how many cycles, ascending. */
function equalExits(vectors: readonly PricedVector[]): (readonly [cycles: number, exits: number])[] {
  const exits = new Map<number, number>();
  for (const { handled, samples } of vectors) {
    exits.set(handled.value, (exits.get(handled.value) ?? 0) + samples);
  }
  return [...exits].sort(([one], [other]) => one - other);
}

const samplesOf = (vectors: readonly PricedVector[]) =>
  vectors.reduce((sum, { samples }) => sum + samples, 0);

function totalOf(vectors: readonly PricedVector[], part: Part): Cycles {
  const sum = (end: keyof Cycles) =>
    vectors.reduce((cycles, vector) => cycles + vector.samples * part(vector)[end], 0);
  return { low: sum("low"), value: sum("value"), high: sum("high") };
}

function meanOf(vectors: readonly PricedVector[], part: Part): Cycles {
  const samples = samplesOf(vectors);
  const mean = (end: keyof Cycles) => {
    // From the first on, so that the mean of equal times is that time to the last bit.
    const first = part(vectors[0])[end];
    return vectors.reduce(
      (of, vector) => of + (vector.samples * (part(vector)[end] - first)) / samples,
      first,
    );
  };
  return { low: mean("low"), value: mean("value"), high: mean("high") };
}
