/**
 * Loops of loads, each waiting for the one before: what they make a processor do, and what that costs.
 *
 * The cost of a load is the sum of its parts. A reference costs the latency of the level that serves it, one of a walk at its low
 * end less, as far as it may overlap. A load that misses the data TLB looks into the second-level TLB, and that costs what a hit there
 * adds, whether it then hits or walks. Latencies are ranges, and so is the sum.
 */
import type { Counts } from "../cost/counts.js";
import type { CpuProfile } from "../cost/cpu-profile.js";
import { loadCosts } from "../cost/primitive-costs.js";
import { type LoadOrder, loadOrder } from "../workload/load-order.js";
import { Random } from "../workload/random.js";
import { READ } from "../x86/access.js";
import type { CpuGeometry } from "../x86/cpu.js";
import { type Ledger, MEMORY_LEVELS } from "../x86/ledger.js";
import { LINE } from "../x86/memory-hierarchy.js";
import { type Mmu, PAGE, TRANSLATED } from "../x86/mmu.js";
import type { Interval } from "./result.js";

export interface LoadLoop {
  /** Places in the order in which they are loaded, from the first again after the last. */
  readonly places: Uint32Array;
  /** Bytes between neighbouring places; place p is at the linear address p * stride. */
  readonly stride: number;
  /** Loads before those that are counted. */
  readonly warmUp: number;
  readonly counted: number;
}

/** The fewest loads that come before those that are counted. */
const MIN_WARM_UP = 2 ** 14;
/**
 * A round is counted after another one. But of a footprint of more than so many times L3 little is left in L3 after a round: so
 * many loads are counted of it, after as many as L3 has lines.
 */
const ROUNDS_UP_TO = 4;
const COUNTED = 2 ** 16;
/** A window of page-random has half as many pages as the second-level TLB has entries: the heads of the dumps print it. */
const WINDOW_SHARE = 2;

/** A loop that the published dumps time, on a processor of this geometry. */
export function timedLoop(
  order: LoadOrder,
  footprint: number,
  stride: number,
  { l3, stlb }: CpuGeometry,
  seed: number,
): LoadLoop {
  const round = footprint / stride;
  const isLarge = footprint > ROUNDS_UP_TO * l3.bytes;
  const warmUp = isLarge ? l3.bytes / LINE : Math.max(MIN_WARM_UP, round);
  const counted = isLarge ? COUNTED : round;
  const length = Math.min(round, warmUp + counted);
  const window = stlb.entries / WINDOW_SHARE;
  return {
    places: loadOrder(order, footprint, stride, length, window, new Random(seed)),
    stride,
    warmUp,
    counted,
  };
}

/** Runs the loop and returns what its counted loads did. @throws RangeError for a load that is not translated */
export function countLoads(mmu: Mmu, ledger: Ledger, { places, stride, warmUp, counted }: LoadLoop): Counts {
  const load = (index: number) => {
    const address = places[index % places.length] * stride;
    if (mmu.access(Math.floor(address / PAGE), address % PAGE, READ) !== TRANSLATED) {
      throw new RangeError(`the load from ${address} is not translated`);
    }
  };
  for (let index = 0; index < warmUp; index++) load(index);
  ledger.reset();
  for (let index = warmUp; index < warmUp + counted; index++) load(index);
  return ledger.toRecord();
}

/** References to the paging structures of the guest, and to those of the EPT; a count that is not there is 0. */
export function walkReferences(counts: Counts): { readonly guest: number; readonly ept: number } {
  const sum = (side: string) =>
    MEMORY_LEVELS.reduce((total, level) => total + (counts[`${side}WalkRef${level}`] ?? 0), 0);
  return { guest: sum("guest"), ept: sum("ept") };
}

/** Core cycles of loads: of all, and of all but the references to data. */
export interface LoadCycles {
  readonly total: Interval;
  readonly translation: Interval;
}

/** What so many loads with these counts cost, each. */
export function cyclesPerLoad(counts: Counts, loads: number, cpu: CpuProfile): LoadCycles {
  const costs = loadCosts(cpu);
  const price = (isPriced: (name: string) => boolean, end: keyof Interval) =>
    costs.reduce((sum, { name, primitives, ...cost }) => {
      if (!isPriced(name)) return sum;
      return sum + cost[end] * primitives.reduce((count, primitive) => count + (counts[primitive] ?? 0), 0);
    }, 0) / loads;
  const interval = (isPriced: (name: string) => boolean) => ({
    low: price(isPriced, "low"),
    value: price(isPriced, "value"),
    high: price(isPriced, "high"),
  });
  return {
    total: interval(() => true),
    translation: interval((name) => !name.startsWith("dataReference")),
  };
}
