/**
 * Load latency over footprint, simulated against measured: the loops that the published dumps time, run natively on the
 * processor's profile.
 *
 * Nothing is fitted. A profile has a latency for each level, read where the loop is on a plateau and the TLBs' part of it is
 * known; on a plateau, that simulated and measured agree says little. What is tested is everything between: where the steps
 * are and how steep, what second-level hits and walks add, and where their entries come from.
 */
import type { Counts } from "../cost/counts.js";
import { type CpuProfile, loadCpu } from "../cost/cpu-profile.js";
import { dataNames, InputError, notAllowed } from "../cost/input.js";
import { loadMemoryLatency, type MemoryLatency } from "../cost/memory-latency.js";
import type { LoadOrder } from "../workload/load-order.js";
import { PagingStructures } from "../workload/paging-structures.js";
import { MEMORY_LEVELS } from "../x86/ledger.js";
import { LINE } from "../x86/memory-hierarchy.js";
import { PAGE } from "../x86/mmu.js";
import { studyCommand } from "./command.js";
import { conditionsOf } from "./conditions.js";
import { type ErrorSummary, relativeError, summarise } from "./errors.js";
import { countLoads, cyclesPerLoad, timedLoop, walkReferences } from "./loads.js";
import { provenanceOf } from "./provenance.js";
import type { Interval, Provenance } from "./result.js";

/** One footprint of a curve. Cycles are core cycles per load. */
export interface LatencyPoint {
  readonly footprintKib: number;
  readonly measured: number;
  readonly simulated: Interval;
  /** (simulated - measured) / measured, of the value. What was measured is a whole number. */
  readonly error: number;
  /** Of the simulated loads: second-level TLB hits, walks and references to paging structures, per load. */
  readonly stlbHits: number;
  readonly walks: number;
  readonly references: number;
  /** Share of the loads whose datum each level served. */
  readonly served: Readonly<Record<(typeof MEMORY_LEVELS)[number], number>>;
}

export interface LatencyCurve {
  readonly order: LoadOrder;
  readonly strideBytes: number;
  readonly points: readonly LatencyPoint[];
  readonly errors: ErrorSummary;
}

/** A cache or a TLB that a footprint may be too large for. */
export type Capacity = "l1d" | "l2" | "dataTlb" | "stlb" | "l3";

/** How the footprints from half to twice of what a cache or a TLB holds come out, in all loops. */
export interface LatencyStep {
  readonly capacity: Capacity;
  readonly kib: number;
  readonly errors: ErrorSummary;
}

/** What one more page than a TLB holds does to a loop that goes over all pages in turn. */
export interface TlbStep {
  readonly tlb: "data TLB" | "second-level TLB";
  readonly entries: number;
  /** The last measured footprint that the TLB holds, and the next. */
  readonly insideKib: number;
  readonly outsideKib: number;
  /** Core cycles per load from the one to the other. */
  readonly measured: number;
  readonly simulated: Interval;
  /** Whether data come from the same level on both sides in the simulation; else the step is not the TLB's alone. */
  readonly sameData: boolean;
}

export interface MachineLatency {
  readonly cpu: string;
  /** The processor as its maker calls it. */
  readonly model: string;
  /** What the caches hold, and what pages of 4 Kbyte cover in each TLB; KiB. */
  readonly capacitiesKib: Readonly<Record<Capacity, number>>;
  readonly curves: readonly LatencyCurve[];
  /** Those capacities that have footprints near them. */
  readonly steps: readonly LatencyStep[];
  /** Of the loop that loads from every page once. */
  readonly tlbSteps: readonly TlbStep[];
}

export interface LoadLatencyStudy {
  readonly provenance: Provenance;
  readonly machines: readonly MachineLatency[];
  /** Of all points of all machines. */
  readonly errors: ErrorSummary;
}

export interface LoadLatencyOptions {
  /** Processors with a profile and a file in `data/memory-latency`; all of them, unless said otherwise. */
  readonly cpus?: readonly string[];
  /** Leaves out larger footprints, KiB. */
  readonly maxFootprintKib?: number;
  readonly seed?: number;
}

/** The measured loops that are simulated: all lines of a window of pages at random, one line of each page, all lines at random. */
const LOOPS = [
  { order: "page-random", strideBytes: LINE },
  { order: "page-random", strideBytes: PAGE },
  { order: "random-full", strideBytes: LINE },
] as const;

/** Runs the study. @throws InputError for a processor without a file or an option that leaves nothing to do */
export function studyLoadLatency(options: LoadLatencyOptions = {}): LoadLatencyStudy {
  const { cpus = dataNames("memory-latency", ".csv"), maxFootprintKib = Infinity, seed = 1 } = options;
  const machines = cpus.map((name) => {
    const rows = loadMemoryLatency(name).filter(({ footprintKib }) => footprintKib <= maxFootprintKib);
    if (!LOOPS.every((loop) => rows.some((row) => isOf(loop, row)))) {
      throw new InputError("maxFootprintKib", notAllowed(maxFootprintKib), "8 or more");
    }
    return machineLatency(loadCpu(name), rows, seed);
  });
  const provenance = provenanceOf({
    seed,
    conditions: conditionsOf(cpus.map((cpu) => ({ cpu }))),
    command: studyCommand("load-latency", options),
  });
  return { provenance, machines, errors: summarise(machines.flatMap(errorsOf)) };
}

function machineLatency(cpu: CpuProfile, rows: readonly MemoryLatency[], seed: number): MachineLatency {
  const pages = Math.ceil((Math.max(...rows.map(({ footprintKib }) => footprintKib)) * 1024) / PAGE);
  const guest = { mode: "4-level", pages: "4K" } as const;
  // The tables lie behind the data.
  const structures = new PagingStructures(cpu.geometry, { guest, ept: null }, (n) => pages + n);
  structures.map(0, 0, pages);
  const curves = LOOPS.map((loop) => {
    const { order, strideBytes } = loop;
    const points = rows
      .filter((row) => isOf(loop, row))
      .map((row) => latencyPoint(cpu, structures, order, row, seed));
    return { order, strideBytes, points, errors: summarise(points.map(({ error }) => error)) };
  });
  const { l1d, l2, l3, dtlb4K, stlb } = cpu.geometry;
  const capacitiesKib = {
    l1d: l1d.bytes / 1024,
    l2: l2.bytes / 1024,
    dataTlb: (dtlb4K.entries * PAGE) / 1024,
    stlb: (stlb.entries * PAGE) / 1024,
    l3: l3.bytes / 1024,
  };
  return {
    cpu: cpu.name,
    model: cpu.model,
    capacitiesKib,
    curves,
    steps: stepsOf(capacitiesKib, curves),
    tlbSteps: tlbSteps(capacitiesKib, curves[1].points),
  };
}

function isOf({ order, strideBytes }: (typeof LOOPS)[number], row: MemoryLatency): boolean {
  return row.pattern === order && row.strideBytes === strideBytes;
}

function errorsOf({ curves }: Pick<MachineLatency, "curves">): number[] {
  return curves.flatMap(({ points }) => points.map(({ error }) => error));
}

function stepsOf(
  capacities: MachineLatency["capacitiesKib"],
  curves: readonly LatencyCurve[],
): LatencyStep[] {
  const points = curves.flatMap((curve) => curve.points);
  return Object.entries(capacities).flatMap(([capacity, kib]) => {
    const near = points.filter(({ footprintKib }) => footprintKib >= kib / 2 && footprintKib <= 2 * kib);
    if (near.length === 0) return [];
    return { capacity: capacity as Capacity, kib, errors: summarise(near.map(({ error }) => error)) };
  });
}

function latencyPoint(
  cpu: CpuProfile,
  structures: PagingStructures,
  order: LoadOrder,
  { footprintKib, strideBytes, cyclesPerLoad: measured }: MemoryLatency,
  seed: number,
): LatencyPoint {
  const footprint = footprintKib * 1024;
  const loop = timedLoop(order, footprint, strideBytes, cpu.geometry, seed);
  const { mmu, ledger } = structures.processor();
  const counts = countLoads(mmu, ledger, loop);
  const { counted } = loop;
  const simulated = cyclesPerLoad(counts, counted, cpu).total;
  return {
    footprintKib,
    measured,
    simulated,
    error: relativeError(simulated.value, measured),
    stlbHits: counts.stlbHitLoad / counted,
    walks: counts.walkLoad / counted,
    references: walkReferences(counts).guest / counted,
    served: served(counts, counted),
  };
}

function served(counts: Counts, loads: number): LatencyPoint["served"] {
  const shares = MEMORY_LEVELS.map((level) => [level, counts[`dataRef${level}`] / loads]);
  return Object.fromEntries(shares) as LatencyPoint["served"];
}

function tlbSteps(
  { dataTlb, stlb }: MachineLatency["capacitiesKib"],
  points: readonly LatencyPoint[],
): TlbStep[] {
  const tlbs = [
    { tlb: "data TLB", reachKib: dataTlb },
    { tlb: "second-level TLB", reachKib: stlb },
  ] as const;
  return tlbs.flatMap(({ tlb, reachKib }) => {
    const next = points.findIndex(({ footprintKib }) => footprintKib > reachKib);
    if (next < 1) return [];
    const [inside, outside] = [points[next - 1], points[next]];
    return {
      tlb,
      entries: (reachKib * 1024) / PAGE,
      insideKib: inside.footprintKib,
      outsideKib: outside.footprintKib,
      measured: outside.measured - inside.measured,
      simulated: {
        low: outside.simulated.low - inside.simulated.low,
        value: outside.simulated.value - inside.simulated.value,
        high: outside.simulated.high - inside.simulated.high,
      },
      sameData: MEMORY_LEVELS.every((level) => inside.served[level] === outside.served[level]),
    };
  });
}
