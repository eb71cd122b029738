/**
 * Load latency over footprint, simulated against measured: the loops that the published dumps time, run natively on the
 * processor's profile.
 *
 * Nothing is fitted, but the profile's latencies come from the same dumps: where a load misses no TLB, that simulated and
 * measured agree says little. What is tested is where the steps are, and what translation adds.
 */
import type { Bounds, Counts } from "../cost/calibration.js";
import { type CpuProfile, loadCpu } from "../cost/cpu-profile.js";
import { dataNames, InputError, notAllowed } from "../cost/input.js";
import { loadMemoryLatency, type MemoryLatency } from "../cost/memory-latency.js";
import { type LoadOrder, loadOrder } from "../workload/load-order.js";
import { PagingStructures } from "../workload/paging-structures.js";
import { Random } from "../workload/random.js";
import { MEMORY_LEVELS } from "../x86/ledger.js";
import { LINE } from "../x86/memory-hierarchy.js";
import { PAGE } from "../x86/mmu.js";
import { countLoads, cyclesPerLoad, walkReferences } from "./loads.js";
import { provenanceOf } from "./provenance.js";
import type { Provenance } from "./result.js";

/** One footprint of a curve. Cycles are core cycles per load. */
export interface LatencyPoint {
  readonly footprintKib: number;
  readonly measured: number;
  readonly simulated: Bounds;
  /** (simulated - measured) / measured for the end that is nearer; 0 where the measured value lies between the ends. */
  readonly residual: number;
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
  readonly simulated: Bounds;
  /** Whether data come from the same level on both sides in the simulation; else the step is not the TLB's alone. */
  readonly sameData: boolean;
}

export interface MachineLatency {
  readonly cpu: string;
  /** The processor as its maker calls it. */
  readonly model: string;
  /** Bytes that pages of 4 Kbyte cover in each TLB, and the size of L3; KiB. */
  readonly reachKib: { readonly dataTlb: number; readonly stlb: number; readonly l3: number };
  readonly curves: readonly LatencyCurve[];
  /** Of the loop that loads from every page once. */
  readonly steps: readonly TlbStep[];
}

export interface LoadLatencyStudy {
  readonly provenance: Provenance;
  readonly machines: readonly MachineLatency[];
}

export interface LoadLatencyOptions {
  /** Processors with a profile and a file in `data/memory-latency`; all of them, unless said otherwise. */
  readonly cpus?: readonly string[];
  /** Leaves out larger footprints, KiB. */
  readonly maxFootprintKib?: number;
  readonly seed?: number;
}

/** The measured loops that are simulated: one that loads from every page once, and one that goes at random over all lines. */
const LOOPS = [
  { order: "page-random", strideBytes: PAGE },
  { order: "random-full", strideBytes: LINE },
] as const;

/** Loads that are counted, or a round of them if that is less; and the fewest to come before. */
const COUNTED = 2 ** 16;
const MIN_WARM_UP = 2 ** 14;

/** Runs the study. @throws InputError for a processor without a file or an option that leaves nothing to do */
export function studyLoadLatency(options: LoadLatencyOptions = {}): LoadLatencyStudy {
  const { cpus = dataNames("memory-latency", ".csv"), maxFootprintKib = Infinity, seed = 1 } = options;
  const machines = cpus.map((name) => {
    const rows = loadMemoryLatency(name).filter(({ footprintKib }) => footprintKib <= maxFootprintKib);
    if (rows.length === 0) throw new InputError("maxFootprintKib", notAllowed(maxFootprintKib), "2 or more");
    return machineLatency(loadCpu(name), rows, seed);
  });
  return { provenance: provenanceOf(seed), machines };
}

function machineLatency(cpu: CpuProfile, rows: readonly MemoryLatency[], seed: number): MachineLatency {
  const pages = Math.ceil((Math.max(...rows.map(({ footprintKib }) => footprintKib)) * 1024) / PAGE);
  const guest = { mode: "4-level", pages: "4K" } as const;
  // The tables lie behind the data.
  const structures = new PagingStructures(cpu.geometry, { guest, ept: null }, (n) => pages + n);
  structures.map(0, 0, pages);
  const curves = LOOPS.map(({ order, strideBytes }) => ({
    order,
    strideBytes,
    points: rows
      .filter((row) => row.pattern === order && row.strideBytes === strideBytes)
      .map((row) => latencyPoint(cpu, structures, order, row, seed)),
  }));
  const { dtlb4K, stlb, l3 } = cpu.geometry;
  const reachKib = {
    dataTlb: (dtlb4K.entries * PAGE) / 1024,
    stlb: (stlb.entries * PAGE) / 1024,
    l3: l3.bytes / 1024,
  };
  return { cpu: cpu.name, model: cpu.model, reachKib, curves, steps: tlbSteps(reachKib, curves[0].points) };
}

function latencyPoint(
  cpu: CpuProfile,
  structures: PagingStructures,
  order: LoadOrder,
  { footprintKib, strideBytes, cyclesPerLoad: measured }: MemoryLatency,
  seed: number,
): LatencyPoint {
  const footprint = footprintKib * 1024;
  const round = footprint / strideBytes;
  // Each load brings a line that the last ones did not: after as many as L3 has lines, nothing from before is left in it.
  const warmUp = Math.max(MIN_WARM_UP, Math.min(round, cpu.geometry.l3.bytes / LINE));
  const counted = Math.min(round, COUNTED);
  const places = loadOrder(
    order,
    footprint,
    strideBytes,
    Math.min(round, warmUp + counted),
    new Random(seed),
  );
  const { mmu, ledger } = structures.processor();
  const counts = countLoads(mmu, ledger, { places, stride: strideBytes, warmUp, counted });
  const simulated = cyclesPerLoad(counts, counted, cpu).total;
  return {
    footprintKib,
    measured,
    simulated,
    residual: (Math.min(Math.max(measured, simulated.low), simulated.high) - measured) / measured,
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

function tlbSteps({ dataTlb, stlb }: MachineLatency["reachKib"], points: readonly LatencyPoint[]): TlbStep[] {
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
        high: outside.simulated.high - inside.simulated.high,
      },
      sameData: MEMORY_LEVELS.every((level) => inside.served[level] === outside.served[level]),
    };
  });
}
