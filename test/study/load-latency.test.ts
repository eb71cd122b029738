/** Load latency, simulated and measured. The small processor and small footprints keep this quick. */
import { describe, expect, it } from "vitest";
import { loadCpu } from "../../src/cost/cpu-profile.js";
import { loadMemoryLatency } from "../../src/cost/memory-latency.js";
import { studyLoadLatency } from "../../src/study/load-latency.js";

const CPU = "lynnfield-i7-860";
const { latency } = loadCpu(CPU);
const options = { cpus: [CPU], maxFootprintKib: 12288 };
const study = studyLoadLatency(options);
const [machine] = study.machines;
const [pageByPage, atRandom] = machine.curves;

const at = (footprintKib: number, { points } = pageByPage) => {
  const point = points.find((one) => one.footprintKib === footprintKib);
  if (point === undefined) throw new Error(`no footprint of ${footprintKib} KiB`);
  return point;
};

describe("the study of load latency", () => {
  it("has the footprints that were measured, with what was measured", () => {
    for (const { order, strideBytes, points } of machine.curves) {
      const measured = loadMemoryLatency(CPU)
        .filter((row) => row.pattern === order && row.strideBytes === strideBytes)
        .filter(({ footprintKib }) => footprintKib <= options.maxFootprintKib);
      expect(points.map(({ footprintKib, measured: cycles }) => [footprintKib, cycles])).toEqual(
        measured.map(({ footprintKib, cyclesPerLoad }) => [footprintKib, cyclesPerLoad]),
      );
    }
    expect([pageByPage.strideBytes, atRandom.strideBytes]).toEqual([4096, 64]);
  });

  it("sees the eight ways of L1D: eight lines that share a set stay, twelve do not", () => {
    expect(at(32).served.L1).toBe(1);
    expect(at(48).served.L2).toBe(1);
    expect([at(32), at(48)].map(({ measured, simulated }) => [measured, simulated])).toEqual([
      [latency.L1.low, { low: latency.L1.low, high: latency.L1.high }],
      [latency.L2.low, { low: latency.L2.low, high: latency.L2.high }],
    ]);
  });

  it("walks for no load as long as the second-level TLB holds all pages, and then for every load", () => {
    const rates = [256, 384, 2048, 3072].map((kib) => {
      const { stlbHits, walks } = at(kib);
      return [stlbHits, walks];
    });
    expect(rates).toEqual([
      [0, 0],
      [1, 0],
      [1, 0],
      [0, 1],
    ]);
  });

  it("has its TLB steps between the same footprints as the measured curve", () => {
    expect(
      machine.steps.map(({ tlb, entries, insideKib, outsideKib }) => [tlb, entries, insideKib, outsideKib]),
    ).toEqual([
      ["data TLB", 64, 256, 384],
      ["second-level TLB", 512, 2048, 3072],
    ]);
    for (const { measured, simulated } of machine.steps) {
      expect(measured).toBeGreaterThan(0);
      expect(simulated.low).toBeGreaterThan(0);
    }
  });

  it("says where a step is not the TLB's alone: at 256 KiB L2 ends as well", () => {
    expect(machine.steps.map(({ sameData }) => sameData)).toEqual([false, true]);
  });

  it("reads a PTE per walk, of a line that eight pages share", () => {
    expect(at(3072).references).toBeCloseTo(1, 1);
  });

  it("loses pages of the second-level TLB one by one where the loads go at random", () => {
    const { stlbHits, walks } = at(4096, atRandom);
    // 1024 pages for 512 entries and 64: a random page is there about every other time.
    expect(walks).toBeGreaterThan(0.45);
    expect(walks).toBeLessThan(0.55);
    expect(stlbHits + walks).toBeLessThan(1);
  });

  it("has no residual where the measured value lies in the range, else the distance to the nearer end", () => {
    for (const { measured, simulated, residual } of machine.curves.flatMap(({ points }) => points)) {
      if (measured < simulated.low) expect(residual).toBeCloseTo(simulated.low / measured - 1, 12);
      else if (measured > simulated.high) expect(residual).toBeCloseTo(simulated.high / measured - 1, 12);
      else expect(residual).toBe(0);
    }
  });

  it("is the same when made again, and another with another seed", () => {
    const small = { ...options, maxFootprintKib: 6144 };
    const curves = (seed: number) => studyLoadLatency({ ...small, seed }).machines[0].curves;
    expect(curves(1)).toEqual(curves(1));
    expect(curves(2)).not.toEqual(curves(1));
  });

  it("refuses a processor that was not measured, and footprints of nothing", () => {
    expect(() => studyLoadLatency({ cpus: ["westmere-x990"] })).toThrow(/memory latency: "westmere-x990"/);
    expect(() => studyLoadLatency({ ...options, maxFootprintKib: 1 })).toThrow(/maxFootprintKib: 1 is not/);
  });
});
