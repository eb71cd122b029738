/** Load latency, simulated and measured: all that is published of three processors, run once. */
import { beforeAll, describe, expect, it } from "vitest";
import { loadCpu } from "../../src/cost/cpu-profile.js";
import { loadMemoryLatency } from "../../src/cost/memory-latency.js";
import { summarise } from "../../src/study/errors.js";
import {
  type LatencyCurve,
  type LoadLatencyStudy,
  type MachineLatency,
  studyLoadLatency,
} from "../../src/study/load-latency.js";

const CPUS = ["haswell-ep-e5-2660v3", "lynnfield-i7-860", "skylake-x-i9-7900x"];
/** A minute or two, for all points of three processors. */
const STUDY_TIMEOUT = 600_000;

let study: LoadLatencyStudy;
/** The smallest of the three: 64 and 512 entries in its TLBs, L1D 32 KiB, L2 256 KiB, L3 8 MiB, each with 4-KiB pages. */
let lynnfield: MachineLatency;
/** Its loops: every line of a window of 256 pages, one line of each page of a window, every line of all pages. */
let lines: LatencyCurve;
let pages: LatencyCurve;
let atRandom: LatencyCurve;

beforeAll(() => {
  study = studyLoadLatency({ cpus: CPUS });
  lynnfield = study.machines[1];
  [lines, pages, atRandom] = lynnfield.curves;
}, STUDY_TIMEOUT);

const at = (footprintKib: number, { points }: LatencyCurve) => {
  const point = points.find((one) => one.footprintKib === footprintKib);
  if (point === undefined) throw new Error(`no footprint of ${footprintKib} KiB`);
  return point;
};

describe("the study of load latency", () => {
  it("runs three loops of each processor, by order and stride", () => {
    expect(study.machines.map(({ cpu }) => cpu)).toEqual(CPUS);
    for (const { curves } of study.machines) {
      expect(curves.map(({ order, strideBytes }) => [order, strideBytes])).toEqual([
        ["page-random", 64],
        ["page-random", 4096],
        ["random-full", 64],
      ]);
    }
  });

  it("has the footprints that were measured, with what was measured", () => {
    for (const { cpu, curves } of study.machines) {
      for (const { order, strideBytes, points } of curves) {
        const measured = loadMemoryLatency(cpu).filter(
          (row) => row.pattern === order && row.strideBytes === strideBytes,
        );
        expect(points.map(({ footprintKib, measured: cycles }) => [footprintKib, cycles])).toEqual(
          measured.map(({ footprintKib, cyclesPerLoad }) => [footprintKib, cyclesPerLoad]),
        );
      }
    }
  });

  it("sees the eight ways of L1D: eight lines that share a set stay, twelve do not", () => {
    const { L1, L2 } = loadCpu("lynnfield-i7-860").latency;
    expect(at(32, pages).served.L1).toBe(1);
    expect(at(48, pages).served.L2).toBe(1);
    expect([at(32, pages), at(48, pages)].map(({ measured, simulated }) => [measured, simulated])).toEqual([
      [L1.value, { low: L1.low, value: L1.value, high: L1.high }],
      [L2.value, { low: L2.low, value: L2.value, high: L2.high }],
    ]);
  });

  it("walks for no load as long as the second-level TLB holds all pages, and then for every page", () => {
    const rates = [256, 384, 2048, 3072].map((kib) => {
      const { stlbHits, walks } = at(kib, pages);
      return [stlbHits, walks];
    });
    expect(rates).toEqual([
      [0, 0],
      [1, 0],
      [1, 0],
      [0, 1],
    ]);
  });

  it("hits the data TLB with the share of a window that it holds, 64 of 256 pages", () => {
    for (const kib of [1024, 2048]) {
      expect(at(kib, lines).stlbHits).toBeCloseTo(1 - 64 / 256, 1);
      expect(at(kib, lines).walks).toBe(0);
    }
  });

  it("walks once a page and window where the second-level TLB does not hold all: for one load of 64", () => {
    const { stlbHits, walks } = at(4096, lines);
    expect(walks).toBeCloseTo(1 / 64, 6);
    expect(stlbHits).toBeCloseTo(1 - 64 / 256, 1);
  });

  it("reads a PTE per walk, of a line that eight pages share", () => {
    expect(at(3072, pages).references).toBeCloseTo(1, 1);
  });

  it("loses pages of the second-level TLB one by one where the loads go at random over all", () => {
    const { stlbHits, walks } = at(4096, atRandom);
    // 1024 pages for 512 entries and 64: a random page is there about every other time.
    expect(walks).toBeGreaterThan(0.45);
    expect(walks).toBeLessThan(0.55);
    expect(stlbHits + walks).toBeLessThan(1);
  });

  it("has its TLB steps between the same footprints as the measured curve, and as high within 2 cycles", () => {
    const steps = study.machines.flatMap(({ tlbSteps }) => tlbSteps);
    expect(
      steps.map(({ tlb, entries, insideKib, outsideKib }) => [tlb, entries, insideKib, outsideKib]),
    ).toEqual([
      ["data TLB", 64, 256, 384],
      ["second-level TLB", 1024, 4096, 6144],
      ["data TLB", 64, 256, 384],
      ["second-level TLB", 512, 2048, 3072],
      ["data TLB", 64, 256, 384],
      ["second-level TLB", 1536, 6144, 8192],
    ]);
    for (const { measured, simulated } of steps) {
      expect(measured).toBeGreaterThan(0);
      expect(Math.abs(simulated.value - measured)).toBeLessThan(2);
    }
  });

  it("says where a step is not the TLB's alone: at 256 KiB L2 ends as well", () => {
    expect(lynnfield.tlbSteps.map(({ sameData }) => sameData)).toEqual([false, true]);
  });

  it("takes the footprints from half to twice of each capacity, in all loops", () => {
    expect(lynnfield.capacitiesKib).toEqual({ l1d: 32, l2: 256, dataTlb: 256, stlb: 2048, l3: 8192 });
    // 16, 24, 32, 48, 64 KiB of L1D, and so on: five of each loop.
    expect(lynnfield.steps.map(({ capacity, kib, errors }) => [capacity, kib, errors.points])).toEqual([
      ["l1d", 32, 15],
      ["l2", 256, 15],
      ["dataTlb", 256, 15],
      ["stlb", 2048, 15],
      ["l3", 8192, 15],
    ]);
    const nearL3 = lynnfield.curves.flatMap((curve) =>
      [4096, 6144, 8192, 12288, 16384].map((kib) => at(kib, curve).error),
    );
    expect(lynnfield.steps[4].errors).toEqual(summarise(nearL3));
  });

  it("gives errors of the values, in which no range hides", () => {
    const points = study.machines.flatMap(({ curves }) => curves.flatMap((curve) => curve.points));
    for (const { measured, simulated, error } of points) {
      expect(error).toBe((simulated.value - measured) / measured);
      expect(simulated.low).toBeLessThanOrEqual(simulated.value);
      expect(simulated.high).toBeGreaterThanOrEqual(simulated.value);
    }
    expect(study.errors).toEqual(summarise(points.map(({ error }) => error)));
    expect(lines.errors).toEqual(summarise(lines.points.map(({ error }) => error)));
  });

  it("is the same when made again, and another with another seed", () => {
    const curves = (seed: number) =>
      studyLoadLatency({ cpus: ["lynnfield-i7-860"], maxFootprintKib: 6144, seed }).machines[0].curves;
    expect(curves(1)).toEqual(curves(1));
    expect(curves(2)).not.toEqual(curves(1));
  });

  it("refuses a processor that was not measured, and footprints that leave a loop without a point", () => {
    expect(() => studyLoadLatency({ cpus: ["westmere-x990"] })).toThrow(/memory latency: "westmere-x990"/);
    // One line of each page: the least footprint is two pages.
    expect(() => studyLoadLatency({ cpus: CPUS, maxFootprintKib: 6 })).toThrow(
      "maxFootprintKib: 6 is not allowed; allowed: 8 or more",
    );
  });
});

/** What the model must reach on hardware that it was not fitted to. Measured values are whole cycles. */
describe("simulated load latency is near the measured one", () => {
  it("over all points: half of them within 10 per cent, nine in ten within 25", () => {
    expect(study.errors.points).toBeGreaterThan(300);
    expect(study.errors.median).toBeLessThanOrEqual(0.1);
    expect(study.errors.p90).toBeLessThanOrEqual(0.25);
  });

  it("on each curve: half of its points within 15 per cent", () => {
    for (const { cpu, curves } of study.machines) {
      for (const { order, strideBytes, errors } of curves) {
        expect(errors.median, `${cpu}, ${order} ${strideBytes}`).toBeLessThanOrEqual(0.15);
      }
    }
  });

  it("at each step, of a cache or a TLB: half of the points near it within 30 per cent", () => {
    for (const { cpu, steps } of study.machines) {
      expect(steps.map(({ capacity }) => capacity)).toEqual(["l1d", "l2", "dataTlb", "stlb", "l3"]);
      for (const { capacity, errors } of steps) {
        expect(errors.median, `${cpu}, ${capacity}`).toBeLessThanOrEqual(0.3);
      }
    }
  });
});
