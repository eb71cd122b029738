/** A made-up comparison: three costs, of which one decides. */
import type { PrimitiveCost } from "../../src/cost/primitive-costs.js";
import type { Comparison } from "../../src/study/comparison.js";
import { parseScenario } from "../../src/study/run/scenario.js";
import { unfitted } from "./fixture.js";

export const cost = (name: string, low: number, value: number, high: number): PrimitiveCost => ({
  name,
  category: "bus",
  primitives: [name],
  low,
  value,
  high,
  tag: "assumed",
  source: "made up",
});

export const exactly = (share: number) => ({ mean: share, low: share, high: share });

export const sideOf = (name: string, cycles: Comparison["difference"]): Comparison["a"] => ({
  name,
  scenario: parseScenario({
    cpu: "sandy-bridge-ep",
    kernel: "v4.2",
    memslots: [{ gpa: 0, size: 4096 }],
    workload: [{ op: "vmcall" }],
    accesses: 10,
  }),
  accesses: 10,
  cycles,
});

/** A - B = 10 + 2 probes of 5 to 9 cycles - a dispatch of 20 to 60. */
export const comparison: Comparison = {
  provenance: unfitted,
  machine: "Intel made-up",
  a: sideOf("fast MMIO", { low: 1000, p05: 1100, median: 1500, value: 1450, p95: 1900, high: 2000 }),
  b: sideOf("port I/O", { low: 1040, p05: 1120, median: 1510, value: 1466, p95: 1910, high: 2010 }),
  difference: { low: -40, p05: -38, median: -16, value: -16, p95: 6, high: 8 },
  differenceByDraw: [-30, -20, -10, 5],
  shareOfRangesBelow: 0.75,
  byKernel: [],
  breakEvens: [
    {
      cost: "dispatchOut",
      times: -1,
      at: 24,
      range: { low: 20, high: 28 },
      assumed: true,
      below: "port I/O",
      above: "fast MMIO",
      words:
        "dispatchOut: port I/O costs less below 24 cycles, fast MMIO above; the assumed range is 20 to 60",
    },
    {
      cost: "busProbe",
      times: 2,
      at: 15,
      range: { low: 5, high: 25 },
      assumed: false,
      below: "fast MMIO",
      above: "port I/O",
      words: "busProbe: fast MMIO costs less in all of its assumed range",
    },
  ],
  swings: [
    { cost: cost("busProbe", 5, 7, 9), atLow: -20, atValue: -16, atHigh: -12 },
    { cost: cost("dispatchOut", 20, 40, 60), atLow: 4, atValue: -16, atHigh: -36 },
    { cost: cost("fixed", 10, 10, 10), atLow: -16, atValue: -16, atHigh: -16 },
  ],
  indices: [
    { cost: "busProbe", first: exactly(0.04), total: { mean: 0.04, low: 0.03, high: 0.05 } },
    { cost: "dispatchOut", first: exactly(0.96), total: exactly(0.96) },
    { cost: "fixed", first: exactly(0), total: exactly(0) },
  ],
};
