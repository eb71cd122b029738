import { describe, expect, it } from "vitest";
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
import { comparison } from "./comparison-fixture.js";
import { HOSTILE } from "./fixture.js";

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
    const first = lines.findIndex((line) => line.startsWith("SIMULATED side"));
    expect(lines.slice(first, first + 4)).toEqual([
      "SIMULATED side    low     5%  median   95%  high  value",
      "A                1000   1100    1500  1900  2000   1450",
      "B                1040   1120    1510  1910  2010   1466",
      "A - B           -40.0  -38.0   -16.0  +6.0  +8.0  -16.0",
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
    const first = lines.findIndex((line) => /^SIMULATED cost/.test(line));
    expect(lines.slice(first, first + 3)).toEqual([
      "SIMULATED cost  is           cycles  share   over sets",
      "dispatchOut     assumed  20.0..60.0  96.0%  96.0..96.0",
      "busProbe        assumed    5.0..9.0   4.0%    3.0..5.0",
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

  it("has a cost whose name does not fit in a list below, in full", () => {
    const [swing] = comparison.swings;
    const long = { ...swing, cost: { ...swing.cost, name: "x".repeat(60) } };
    expect(changed({ swings: [long] })).toMatch(/\n\[1\] +assumed .*\n\[1\] x{60}\n/);
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
