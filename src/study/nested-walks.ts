/**
 * The same random loads natively and under EPT, over a growing footprint: how often they walk, what a walk reads and what
 * translation costs, as the TLBs and then the paging-structure caches cease to cover it.
 *
 * Guest memory is contiguous, and so are the guest's tables; a guest whose pages are scattered does worse.
 */
import type { Counts } from "../cost/counts.js";
import { type CpuProfile, loadCpu } from "../cost/cpu-profile.js";
import { InputError, notAllowed } from "../cost/input.js";
import { type PagingFormat, PagingStructures } from "../workload/paging-structures.js";
import { Random } from "../workload/random.js";
import type { CpuGeometry } from "../x86/cpu.js";
import { LINE } from "../x86/memory-hierarchy.js";
import { PAGE } from "../x86/mmu.js";
import { pmuView } from "../x86/pmu.js";
import { studyCommand } from "./command.js";
import { conditionsOf } from "./conditions.js";
import { countLoads, cyclesPerLoad, type LoadLoop, walkReferences } from "./loads.js";
import { provenanceOf } from "./provenance.js";
import type { Interval, Provenance } from "./result.js";

/** Loads over one footprint, translated in one way. Cycles are core cycles per load. */
export interface NestedWalkPoint {
  /** Pages of the guest, then of the EPT, such as "4K under 2M EPT". */
  readonly paging: string;
  readonly footprintKib: number;
  /** Loads that were counted. */
  readonly loads: number;
  readonly walks: number;
  /** Second-level TLB hits. */
  readonly stlbHits: number;
  /** References to the paging structures of the guest, and of the EPT. */
  readonly guestReferences: number;
  readonly eptReferences: number;
  readonly cycles: Interval;
  /** Of them, for all but the datum itself. */
  readonly translation: Interval;
  /** The counts as `perf stat` names them. */
  readonly pmu: Readonly<Record<string, number>>;
}

export interface NestedWalkStudy {
  readonly provenance: Provenance;
  /** The processor, and what was changed in it. */
  readonly machine: string;
  readonly points: readonly NestedWalkPoint[];
}

export interface NestedWalkOptions {
  readonly cpu?: string;
  /** What to change in the processor's geometry, such as `{ nestedTlb: null }`. */
  readonly geometry?: Partial<CpuGeometry>;
  /** KiB, each a multiple of 4. */
  readonly footprintsKib?: readonly number[];
  readonly seed?: number;
}

const PAGINGS: readonly (PagingFormat & { readonly name: string })[] = (
  [
    ["4K", null],
    ["4K", "4K"],
    ["4K", "2M"],
    ["2M", null],
    ["2M", "2M"],
  ] as const
).map(([pages, eptPages]) => ({
  name: `${pages} ${eptPages === null ? "native" : `under ${eptPages} EPT`}`,
  guest: { mode: "4-level", pages },
  ept: eptPages === null ? null : { levels: 4, pages: eptPages },
}));

/** 64 KiB to 4 GiB. */
const FOOTPRINTS_KIB = Array.from({ length: 9 }, (_, index) => 64 * 4 ** index);

/** Loads that are counted. */
const COUNTED = 2 ** 16;

/** Runs the study. @throws InputError for an unknown processor or a footprint that is not allowed */
export function studyNestedWalks(options: NestedWalkOptions = {}): NestedWalkStudy {
  const { cpu = "haswell-ep-e5-2660v3", geometry = {}, footprintsKib = FOOTPRINTS_KIB, seed = 1 } = options;
  for (const footprint of footprintsKib) {
    if (!(Number.isInteger(footprint / 4) && footprint > 0 && footprint <= 2 ** 24)) {
      throw new InputError("footprintsKib", notAllowed(footprint), "multiples of 4 up to 16777216 (16 GiB)");
    }
  }
  const profile = loadCpu(cpu);
  const changed: CpuProfile = { ...profile, geometry: { ...profile.geometry, ...geometry } };
  const changes = Object.entries(geometry).map(([name, value]) => `${name} = ${JSON.stringify(value)}`);
  // The loads are the same for all pagings.
  const loops = footprintsKib.map((kib) => loadLoop(kib * 1024, changed.geometry, seed));
  const pages = (Math.max(...footprintsKib) * 1024) / PAGE;
  const points = PAGINGS.flatMap(({ name, ...format }) => {
    // The guest's tables lie behind its data.
    const structures = new PagingStructures(changed.geometry, format, (n) => pages + n);
    structures.map(0, 0, pages);
    return footprintsKib.map((footprintKib, index) => {
      const { mmu, ledger } = structures.processor();
      const counts = countLoads(mmu, ledger, loops[index]);
      return { paging: name, footprintKib, ...pointOf(counts, changed) };
    });
  });
  const provenance = provenanceOf({
    seed,
    conditions: conditionsOf([{ cpu, switches: changed.geometry.switches }]),
    command: studyCommand("nested-walks", options),
  });
  return { provenance, machine: [profile.model, ...changes].join(", "), points };
}

/** A footprint that fits L3 is gone over once in sequence; then random loads come, enough to replace all that L3 held. */
function loadLoop(footprint: number, { l3 }: CpuGeometry, seed: number): LoadLoop {
  const random = new Random(seed);
  const lines = footprint / LINE;
  const sequential = footprint <= l3.bytes ? lines : 0;
  const warmUp = sequential + (footprint <= l3.bytes ? COUNTED : l3.bytes / LINE);
  const places = Uint32Array.from({ length: warmUp + COUNTED }, (_, index) =>
    index < sequential ? index : random.below(lines),
  );
  return { places, stride: LINE, warmUp, counted: COUNTED };
}

function pointOf(counts: Counts, cpu: CpuProfile): Omit<NestedWalkPoint, "paging" | "footprintKib"> {
  const { guest, ept } = walkReferences(counts);
  const { total, translation } = cyclesPerLoad(counts, COUNTED, cpu);
  return {
    loads: COUNTED,
    walks: counts.walkLoad,
    stlbHits: counts.stlbHitLoad,
    guestReferences: guest,
    eptReferences: ept,
    cycles: total,
    translation,
    pmu: pmuView(counts),
  };
}
