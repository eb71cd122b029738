import { describe, expect, it } from "vitest";
import { loadCpu } from "../../src/cost/cpu-profile.js";
import { countLoads, cyclesPerLoad, walkReferences } from "../../src/study/loads.js";
import { PagingStructures } from "../../src/workload/paging-structures.js";

const cpu = loadCpu("haswell-ep-e5-2660v3");
const guest = { mode: "4-level", pages: "4K" } as const;

function machine(pages: number) {
  const structures = new PagingStructures(cpu.geometry, { guest, ept: null }, (n) => 0x1000 + n);
  structures.map(0, 0, pages);
  return structures.processor();
}

describe("a loop of loads", () => {
  it("counts the loads behind the warm-up, round after round", () => {
    const { mmu, ledger } = machine(2);
    const places = Uint32Array.of(0, 64);
    const counts = countLoads(mmu, ledger, { places, stride: 64, warmUp: 2, counted: 5 });
    expect(counts).toMatchObject({ dtlbHit: 5, walkLoad: 0, dataRefL1: 5 });
  });

  it("is refused where a place is not mapped", () => {
    const { mmu, ledger } = machine(1);
    const loop = { places: Uint32Array.of(0, 1), stride: 4096, warmUp: 0, counted: 2 };
    expect(() => countLoads(mmu, ledger, loop)).toThrow("the load from 4096 is not translated");
  });
});

/** L1 4, L2 12, L3 46..48, DRAM 213..217; a second-level hit adds 8, a walk 5 (0..9) beside its references. */
describe("the cost of a load on Haswell-EP", () => {
  const { mmu, ledger } = machine(1);
  const nothing = countLoads(mmu, ledger, { places: Uint32Array.of(0), stride: 64, warmUp: 1, counted: 0 });
  const exactly = (cycles: number) => ({ low: cycles, value: cycles, high: cycles });

  it("is the latency of its datum where the data TLB has the page", () => {
    const cycles = cyclesPerLoad({ ...nothing, dtlbHit: 10, dataRefL1: 9, dataRefL2: 1 }, 10, cpu);
    expect(cycles.total).toEqual(exactly((9 * 4 + 12) / 10));
    expect(cycles.translation).toEqual(exactly(0));
  });

  it("has a hit in the second-level TLB added", () => {
    const hit = cyclesPerLoad({ ...nothing, stlbHitLoad: 1, dataRefL1: 1 }, 1, cpu);
    expect(hit).toEqual({ total: exactly(8 + 4), translation: exactly(8) });
  });

  it("has for a walk the look into the second-level TLB, the walk's own part and its references added", () => {
    // A PTE from L2, whose references overlap by half at the least; the walk's own part is 5, 0 to 9.
    const walk = cyclesPerLoad({ ...nothing, walkLoad: 1, guestWalkRefL2: 1, dataRefL1: 1 }, 1, cpu);
    expect(walk).toEqual({
      total: { low: 8 + 0 + 6 + 4, value: 8 + 5 + 12 + 4, high: 8 + 9 + 12 + 4 },
      translation: { low: 8 + 0 + 6, value: 8 + 5 + 12, high: 8 + 9 + 12 },
    });
  });

  it("is as wide as the latencies' ranges", () => {
    const { L3, Dram } = cpu.latency;
    const datum = cyclesPerLoad({ ...nothing, dtlbHit: 2, dataRefL3: 1, dataRefDram: 1 }, 1, cpu);
    expect(datum.total).toEqual({
      low: L3.low + Dram.low,
      value: L3.value + Dram.value,
      high: L3.high + Dram.high,
    });
  });

  it("leaves no walk reference out, the guest's or the EPT's", () => {
    const counts = { ...nothing, guestWalkRefL1: 1, guestWalkRefDram: 2, eptWalkRefL3: 4 };
    expect(walkReferences(counts)).toEqual({ guest: 3, ept: 4 });
  });
});
