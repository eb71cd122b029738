/** A made-up comparison: three costs, of which one decides. */
import { describe, expect, it } from "vitest";
import type { PrimitiveCost } from "../../src/cost/primitive-costs.js";
import {
  comparisonTable,
  plotComparison,
  tableBreakEven,
  tableComparison,
  tornadoOf,
} from "../../src/report/comparison.js";
import { plainText } from "../../src/report/figure.js";
import { plotTornado, tornadoTable } from "../../src/report/tornado.js";
import type { Comparison } from "../../src/study/comparison.js";
import { parseScenario } from "../../src/study/run/scenario.js";
import { HOSTILE } from "./fixture.js";

const cost = (name: string, low: number, value: number, high: number): PrimitiveCost => ({
  name,
  category: "bus",
  primitives: [name],
  low,
  value,
  high,
  tag: "assumed",
  source: "made up",
});

const exactly = (share: number) => ({ mean: share, low: share, high: share });

const sideOf = (name: string, cycles: Comparison["difference"]): Comparison["a"] => ({
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
const comparison: Comparison = {
  provenance: { version: "0.1.0", model: "3f2a91c0", data: "b07c55d2", seed: 1 },
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
const changed = (changes: Partial<Comparison>): string => comparisonTable({ ...comparison, ...changes });
const oneLine = (text: string) => text.replaceAll(/\s+/g, " ");
const fitted = { ...comparison.provenance, calibration: "six rows of 2013" };

describe("the records of a comparison", () => {
  it("are one for each side and one for the difference, with a key for each end and percentile", () => {
    expect(tableComparison(comparison).map(({ of, low, median, high }) => [of, low, median, high])).toEqual([
      ["fast MMIO", 1000, 1500, 2000],
      ["port I/O", 1040, 1510, 2010],
      ["fast MMIO - port I/O", -40, -16, 8],
    ]);
  });

  it("have the break-evens in their order, and whether each lies in its cost's range", () => {
    expect(tableBreakEven(comparison).map(({ cost: of, at, withinRange }) => [of, at, withinRange])).toEqual([
      ["dispatchOut", 24, true],
      ["busProbe", 15, false],
    ]);
  });
});

describe("the mail text of a comparison", () => {
  const text = comparisonTable(comparison);
  const lines = text.split("\n");

  it("is at most 72 columns wide and says SIMULATED first", () => {
    expect(lines[0]).toMatch(/^SIMULATED/);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(72);
  });

  it("has both sides and the difference, which has its sign", () => {
    const first = lines.findIndex((line) => line.startsWith("side "));
    expect(lines.slice(first, first + 4)).toEqual([
      "side     low     5%  median   95%  high  value",
      "A       1000   1100    1500  1900  2000   1450",
      "B       1040   1120    1510  1910  2010   1466",
      "A - B  -40.0  -38.0   -16.0  +6.0  +8.0  -16.0",
    ]);
  });

  it("says in words in how much of the ranges A costs less, and that this is no probability", () => {
    expect(oneLine(text)).toContain(
      "fast MMIO costs less than port I/O in 75.0% of the assumed ranges. That is no probability.",
    );
  });

  it.each<[string, Partial<Comparison>, string]>([
    [
      "all of the ranges, when the ends say so",
      { difference: { ...comparison.difference, high: -1 }, shareOfRangesBelow: 1 },
      "fast MMIO costs less than port I/O in all of the assumed ranges.",
    ],
    [
      "none of them",
      { difference: { ...comparison.difference, low: 1 }, shareOfRangesBelow: 0 },
      "port I/O costs less than fast MMIO in all of the assumed ranges.",
    ],
    [
      "every draw, when the ends do not say so",
      { shareOfRangesBelow: 1 },
      "in all of the draws, though the ranges may allow the opposite.",
    ],
    ["no draw", { shareOfRangesBelow: 0 }, "in none of the draws, though the ranges may allow it."],
    [
      "no difference",
      { difference: { low: 0, p05: 0, median: 0, value: 0, p95: 0, high: 0 } },
      "fast MMIO and port I/O cost the same.",
    ],
    ["what rows leave", { provenance: fitted }, "in 75.0% of what rows and assumed ranges allow."],
  ])("says so of %s", (_, changes, words) => {
    expect(oneLine(changed(changes))).toContain(words);
  });

  it("has the break-evens within range in words, and the names of the others", () => {
    expect(lines).toContain("- dispatchOut: port I/O costs less below 24 cycles, fast MMIO above; the");
    expect(lines).toContain("None of these alone, within its range, turns the result: busProbe.");
  });

  it("lists the costs that decide, the widest first, with their share of the variance over repetitions", () => {
    const first = lines.findIndex((line) => /^cost +is/.test(line));
    expect(lines.slice(first, first + 3)).toEqual([
      "cost         is           cycles  share   over sets",
      "dispatchOut  assumed  20.0..60.0  96.0%  96.0..96.0",
      "busProbe     assumed    5.0..9.0   4.0%    3.0..5.0",
    ]);
    expect(text).not.toContain("fixed ");
  });

  it("lists them with what they do to the difference where there are no shares", () => {
    expect(changed({ indices: null, provenance: fitted })).toMatch(
      /dispatchOut +assumed +20\.0\.\.60\.0 +\+4\.0 +-36\.0/,
    );
  });

  it("says when none is in the difference that may vary", () => {
    expect(changed({ swings: comparison.swings.slice(2), breakEvens: [], indices: [] })).toContain(
      "No cost that may vary is in the difference.",
    );
  });

  it("names the costs that each kernel has by itself", () => {
    expect(oneLine(changed({ byKernel: ["emulate (v3.9)", "emulate (v4.2)"] }))).toContain(
      "wider rather than narrower: emulate (v3.9), emulate (v4.2).",
    );
  });

  it("refuses a cost whose name does not fit", () => {
    const [swing] = comparison.swings;
    const long = { ...swing, cost: { ...swing.cost, name: "x".repeat(60) } };
    expect(() => changed({ swings: [long] })).toThrow(/columns/);
  });
});

describe("the figure of a comparison", () => {
  const { data, layout } = plotComparison(comparison);

  it("shows the share of the draws up to each difference, and marks zero", () => {
    expect(data).toHaveLength(1);
    expect(data[0]).toMatchObject({ x: [-30, -20, -10, 5], y: [0.25, 0.5, 0.75, 1] });
    expect(layout.shapes).toMatchObject([{ type: "line", x0: 0, x1: 0 }]);
  });

  it("has zero in sight where one side always costs less", () => {
    const apart = { ...comparison, difference: { ...comparison.difference, low: 100, high: 200 } };
    const [from, to] = (plotComparison(apart).layout.xaxis as { range: [number, number] }).range;
    expect(from).toBeLessThan(0);
    expect(to).toBeGreaterThan(200);
  });

  it("shows foreign names as they are", () => {
    const hostile = plotComparison({ ...comparison, a: { ...comparison.a, name: HOSTILE } });
    expect(hostile.layout.title.text).not.toContain("<b>");
    expect(plainText(hostile.layout.title.text)).toContain(HOSTILE);
  });
});

describe("the tornado of a comparison", () => {
  it("is of the difference, with the costs that move it", () => {
    const tornado = tornadoOf(comparison);
    expect(tornado).toMatchObject({ result: "fast MMIO - port I/O", unit: "TSC cycles per access", most: 8 });
    expect(plotTornado(tornado).data[0]).toMatchObject({
      y: ["dispatchOut (assumed)", "busProbe (assumed)"],
    });
    expect(tornadoTable(tornado)).toContain("-16");
  });
});
