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

describe("the cost of a load", () => {
  const { mmu, ledger } = machine(1);
  const nothing = countLoads(mmu, ledger, { places: Uint32Array.of(0), stride: 64, warmUp: 1, counted: 0 });

  it("is the latency of its datum where the data TLB has the page", () => {
    const cycles = cyclesPerLoad({ ...nothing, dtlbHit: 10, dataRefL1: 9, dataRefL2: 1 }, 10, cpu);
    expect(cycles.total).toEqual({ low: (9 * 4 + 12) / 10, high: (9 * 4 + 12) / 10 });
    expect(cycles.translation).toEqual({ low: 0, high: 0 });
  });

  it("has a look into the second-level TLB added, whether it hits or walks", () => {
    const hit = cyclesPerLoad({ ...nothing, stlbHitLoad: 1, dataRefL1: 1 }, 1, cpu);
    expect(hit).toEqual({ total: { low: 12, high: 12 }, translation: { low: 8, high: 8 } });
    const walk = cyclesPerLoad({ ...nothing, walkLoad: 1, guestWalkRefL2: 1, dataRefL1: 1 }, 1, cpu);
    expect(walk).toEqual({ total: { low: 24, high: 24 }, translation: { low: 20, high: 20 } });
  });

  it("is as wide as the latencies' ranges", () => {
    const counts = { ...nothing, walkLoad: 1, guestWalkRefL3: 1, eptWalkRefDram: 1, dataRefDram: 1 };
    const { low, high } = cyclesPerLoad(counts, 1, cpu).total;
    const { stlbHit, L3, Dram } = cpu.latency;
    expect(low).toBe(stlbHit.low + L3.low + 2 * Dram.low);
    expect(high).toBe(stlbHit.high + L3.high + 2 * Dram.high);
  });

  it("leaves no walk reference out, the guest's or the EPT's", () => {
    const counts = { ...nothing, guestWalkRefL1: 1, guestWalkRefDram: 2, eptWalkRefL3: 4 };
    expect(walkReferences(counts)).toEqual({ guest: 3, ept: 4 });
  });
});
