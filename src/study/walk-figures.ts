/**
 * Published figures of page walks and second-level TLB hits against the same loops simulated: `data/measurements/walks.json`.
 *
 * A figure is the difference of two loops of dependent loads, so what both have in common, the latency of the data above
 * all, cancels. What is left tests the paging structures and where their entries come from, and rests on one more number: the
 * part of a walk beside its references, which no vendor states. A profile assumes it, and those who chose it knew some of
 * these figures. So each figure is predicted twice: as the profile has it, over its range; and with what the figures of the
 * other processors leave of that part.
 *
 * A figure that entered the profile is no test of it, and is named so. What has no figure, no loop or no profile is not
 * validated, and is named too.
 */
import * as z from "zod";
import { occurrences } from "../cost/counts.js";
import { type CpuProfile, cpuNames, loadCpu } from "../cost/cpu-profile.js";
import { integer, oneOf, readDataJson, text } from "../cost/input.js";
import { loadCosts, type PrimitiveCost } from "../cost/primitive-costs.js";
import { type Quantity, quantity } from "../cost/quantity.js";
import { linearBounds } from "../cost/uncertainty.js";
import { type PagingFormat, PagingStructures } from "../workload/paging-structures.js";
import { LINE } from "../x86/memory-hierarchy.js";
import { PAGE } from "../x86/mmu.js";
import { studyCommand } from "./command.js";
import { conditionsOf } from "./conditions.js";
import { type ErrorSummary, relativeError, summarise } from "./errors.js";
import { countLoads, timedLoop } from "./loads.js";
import { provenanceOf } from "./provenance.js";
import type { Interval, Provenance } from "./result.js";

const loop = z.strictObject({
  order: oneOf(["page-random", "random-full"]),
  footprintKib: integer(4, 2 ** 24, "KiB"),
  strideBytes: integer(LINE, PAGE, "bytes"),
  pages: oneOf(["4K", "2M", "1G"]),
  ept: oneOf(["4K", "2M"]).nullable(),
});
type Loop = z.infer<typeof loop>;

const figuresFile = z.strictObject({
  about: z.string(),
  figures: z.array(
    z.strictObject({
      row: text("a name"),
      kind: text("a kind of figure"),
      machine: text("a processor"),
      measured: quantity("core cycles").nullable(),
      atMost: z.literal(true).optional(),
      cpu: oneOf(cpuNames()).nullable(),
      loops: z.strictObject({ of: loop, less: loop }).nullable(),
      note: z.string(),
      profileKnows: z.literal("latency.stlbHit").optional(),
    }),
  ),
});
type FigureRow = z.infer<typeof figuresFile>["figures"][number];

/**
 * - predicted: compared
 * - input: the profile knows the figure, so that it is met says nothing
 * - not simulated: no profile of the processor
 * - cannot be validated: no published figure that was read
 */
export type WalkOutcome = "predicted" | "input" | "not simulated" | "cannot be validated";

/** A cost that occurs more often in the one loop than in the other. */
export interface WalkUse extends Interval {
  readonly cost: string;
  /** Per load. */
  readonly times: number;
  readonly tag: Quantity["tag"];
}

/** A prediction with what the figures of the other processors leave of a walk beside its references. */
export interface LeftOut {
  /** Core cycles: the median of what the others leave, processor by processor, the least and the most. */
  readonly fixedPart: Interval;
  /** How many processors. */
  readonly others: number;
  readonly simulated: Interval;
  readonly error: number;
}

/** Core cycles per load, one loop less the other. */
export interface WalkFigure {
  readonly row: string;
  readonly kind: string;
  /** As measured. */
  readonly machine: string;
  /** The profile that simulates it, null for none. */
  readonly cpu: string | null;
  readonly measured: Quantity | null;
  /** Whether `measured` is an upper bound. */
  readonly atMost: boolean;
  readonly loops: { readonly of: Loop; readonly less: Loop } | null;
  readonly note: string;
  readonly outcome: WalkOutcome;
  readonly simulated: Interval | null;
  /** (simulated - measured) / measured, of the values; null where there is nothing to compare, and for a bound. */
  readonly error: number | null;
  /** Of the profile's costs, those that do not cancel. */
  readonly uses: readonly WalkUse[];
  /**
   * What the figure leaves of a walk beside its references, if all else is as the profile has it. null for no figure, for a
   * bound, and where references come from beyond L1: what is wrong with those would be taken for it.
   */
  readonly leaves: number | null;
  readonly leftOut: LeftOut | null;
}

export interface WalkFiguresStudy {
  readonly provenance: Provenance;
  readonly figures: readonly WalkFigure[];
  /** The errors of what is predicted, bounds left out: as the profiles have it, and with each processor left out. */
  readonly errors: { readonly profile: ErrorSummary; readonly leftOut: ErrorSummary };
}

/** References per walk from beyond L1 up to which a figure says something of the rest of a walk. */
const MOST_BEYOND_L1 = 0.05;

/** Runs the study; the large loops take some ten seconds. @throws InputError for a data file that is not as it should be */
export function studyWalkFigures(options: { readonly seed?: number } = {}): WalkFiguresStudy {
  const { seed = 1 } = options;
  const { figures: rows } = readDataJson(figuresFile, "measurements", "walks.json");
  const alone = rows.map((row) => walkFigure(row, seed));
  const figures = alone.map((figure) => ({ ...figure, leftOut: leftOut(figure, alone) }));
  return {
    provenance: provenanceOf({
      seed,
      conditions: conditionsOf(rows.flatMap(({ cpu }) => (cpu === null ? [] : [{ cpu }]))),
      command: studyCommand("walk-figures", options),
    }),
    figures,
    errors: {
      profile: summarise(
        figures.flatMap(({ outcome, error }) => (outcome === "predicted" ? (error ?? []) : [])),
      ),
      leftOut: summarise(figures.flatMap((figure) => figure.leftOut?.error ?? [])),
    },
  };
}

function walkFigure(row: FigureRow, seed: number): Omit<WalkFigure, "leftOut"> {
  const { loops, cpu, measured, profileKnows, atMost = false, ...rest } = row;
  const known = { ...rest, cpu, measured, atMost, loops, outcome: outcomeOf(row) };
  if (cpu === null) return { ...known, simulated: null, error: null, uses: [], leaves: null };
  const profile = loadCpu(cpu);
  const costs = costsOf(profile);
  const times = loops === null ? timesOf(costs, profileKnows) : timesOfLoops(profile, costs, loops, seed);
  const simulated = linearBounds(costs, times);
  const uses = costs.flatMap(({ name, low, value, high, tag }, index) =>
    times[index] === 0 ? [] : { cost: name, times: times[index], low, value, high, tag },
  );
  if (measured === null || atMost) return { ...known, simulated, error: null, uses, leaves: null };
  const error = relativeError(simulated.value, measured.value);
  return { ...known, simulated, error, uses, leaves: leavesOf(measured.value - simulated.value, uses) };
}

function outcomeOf({ measured, cpu, profileKnows }: FigureRow): WalkOutcome {
  if (measured === null) return "cannot be validated";
  if (cpu === null) return "not simulated";
  return profileKnows === undefined ? "predicted" : "input";
}

/** The costs of loads. A look into the second-level TLB takes the same whether it hits or misses: one cost, one range. */
function costsOf(cpu: CpuProfile): PrimitiveCost[] {
  const costs = loadCosts(cpu);
  const looks = costs.filter(({ name }) => name.startsWith("stlb"));
  const primitives = looks.flatMap((cost) => cost.primitives);
  return costs.filter((cost) => !looks.includes(cost)).concat({ ...looks[0], name: "stlbHit", primitives });
}

/** The part of a walk beside its references. */
const fixedPartIn = (uses: readonly WalkUse[]) => uses.find(({ cost }) => cost === "pageWalk");

function leavesOf(missing: number, uses: readonly WalkUse[]): number | null {
  const walk = fixedPartIn(uses);
  if (walk === undefined) return null;
  const beyondL1 = uses.filter(({ cost }) => /^walkReference(?!L1)/.test(cost));
  const references = beyondL1.reduce((sum, { times }) => sum + times, 0);
  return references > MOST_BEYOND_L1 * walk.times ? null : walk.value + missing / walk.times;
}

/** Without a loop nothing is simulated: the figure stands against the profile's own. */
function timesOf(costs: readonly PrimitiveCost[], profileKnows: FigureRow["profileKnows"]): number[] {
  return costs.map(({ name }) => (`latency.${name}` === profileKnows ? 1 : 0));
}

function timesOfLoops(
  cpu: CpuProfile,
  costs: readonly PrimitiveCost[],
  { of, less }: NonNullable<FigureRow["loops"]>,
  seed: number,
): number[] {
  const [times, base] = [of, less].map((one) => occurrencesPerLoad(cpu, costs, one, seed));
  return times.map((n, index) => n - base[index]);
}

/** How often each cost occurs per load of a loop, once it has warmed up. */
function occurrencesPerLoad(
  { geometry }: CpuProfile,
  costs: readonly PrimitiveCost[],
  { order, footprintKib, strideBytes, pages, ept }: Loop,
  seed: number,
): number[] {
  const footprint = footprintKib * 1024;
  const loop = timedLoop(order, footprint, strideBytes, geometry, seed);
  const format: PagingFormat = {
    guest: { mode: "4-level", pages },
    ept: ept === null ? null : { levels: 4, pages: ept },
  };
  // The tables lie behind the last page, of whatever size.
  const end = 2 ** 18 * Math.ceil(footprint / PAGE / 2 ** 18);
  const structures = new PagingStructures(geometry, format, (n) => end + n);
  structures.map(0, 0, footprint / PAGE);
  const { mmu, ledger } = structures.processor();
  return occurrences(costs, countLoads(mmu, ledger, loop)).map((n) => n / loop.counted);
}

/** The prediction from the figures of all other processors; those of one profile are one processor. */
function leftOut(
  { cpu, measured, atMost, outcome, uses, simulated }: Omit<WalkFigure, "leftOut">,
  all: readonly Omit<WalkFigure, "leftOut">[],
): LeftOut | null {
  const walk = fixedPartIn(uses);
  if (outcome !== "predicted" || walk === undefined || measured === null || simulated === null || atMost)
    return null;
  const others = [...new Set(all.map((figure) => figure.cpu))].filter((name) => name !== cpu);
  const left = others.flatMap((name) => {
    const leaves = all.flatMap((figure) => (figure.cpu === name ? (figure.leaves ?? []) : []));
    return leaves.length === 0 ? [] : median(leaves);
  });
  const fixedPart = { low: Math.min(...left), value: median(left), high: Math.max(...left) };
  const at = (part: number) => simulated.value + (part - walk.value) * walk.times;
  const predicted = { low: at(fixedPart.low), value: at(fixedPart.value), high: at(fixedPart.high) };
  return {
    fixedPart,
    others: left.length,
    simulated: predicted,
    error: relativeError(predicted.value, measured.value),
  };
}

/** The middle one, or half-way between the two in the middle. */
function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = (sorted.length - 1) / 2;
  return (sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2;
}
