import { describe, expect, it } from "vitest";
import { tableWalkFigures, walkFiguresTable } from "../../src/report/walk-figures.js";
import type { WalkFigure, WalkFiguresStudy } from "../../src/study/walk-figures.js";
import { study as other } from "./fixture.js";

const of = { order: "page-random", footprintKib: 3072, strideBytes: 4096, pages: "4K", ept: null } as const;

const predicted: WalkFigure = {
  row: "warm walk",
  kind: "warm walk",
  machine: "a processor",
  cpu: "lynnfield-i7-860",
  measured: { value: 10, low: 9, high: 11, unit: "core cycles", tag: "derived", source: "a dump" },
  atMost: false,
  loops: { of, less: { ...of, footprintKib: 2048 } },
  note: "",
  outcome: "predicted",
  simulated: { low: 2, value: 9, high: 13 },
  error: -0.1,
  uses: [
    { cost: "walkReferenceL1", times: 1, low: 2, value: 4, high: 4, tag: "assumed" },
    { cost: "pageWalk", times: 1, low: 0, value: 5, high: 9, tag: "assumed" },
  ],
  leaves: 6,
  leftOut: {
    fixedPart: { low: 4, value: 7, high: 8 },
    others: 2,
    simulated: { low: 8, value: 11, high: 12 },
    error: 0.1,
  },
};
const bound: WalkFigure = {
  ...predicted,
  row: "a bound",
  atMost: true,
  error: null,
  leaves: null,
  leftOut: null,
};
const nested: WalkFigure = {
  ...bound,
  row: "nested walk",
  atMost: false,
  outcome: "cannot be validated",
  measured: null,
};
const unknown: WalkFigure = {
  ...bound,
  row: "new processor",
  atMost: false,
  outcome: "not simulated",
  cpu: null,
  simulated: null,
  uses: [],
  note: "no profile",
};

const summary = { points: 1, median: 0.1, p90: 0.1, worst: -0.1, bias: -0.1 };
const study: WalkFiguresStudy = {
  provenance: other.provenance,
  figures: [predicted, bound, nested, unknown],
  errors: { profile: summary, leftOut: { ...summary, worst: 0.1, bias: 0.1 } },
};

describe("the table of walk figures", () => {
  const text = walkFiguresTable(study);
  const lines = text.split("\n");

  it("is at most 72 columns wide", () => {
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(72);
  });

  it("has prediction, range and error beside what was measured", () => {
    expect(lines).toContain("warm walk               10        9.0  2.0..13.0  -10.00%");
  });

  it("has the prediction from the other processors beside it", () => {
    expect(lines).toContain("warm walk               10           7.0       11.0  +10.00%");
  });

  it("says of a bound whether it is met, within rounding", () => {
    expect(text).toMatch(/a bound +<= 10 +9\.0 +2\.0\.\.13\.0 +met/);
    const over = { ...bound, simulated: { low: 9, value: 11.5, high: 13 } };
    expect(walkFiguresTable({ ...study, figures: [predicted, over] })).toMatch(/a bound .* not met/);
  });

  it("names what is not validated, a nested walk among it, without an error", () => {
    const [, after] = text.split("Not validated");
    expect(after).toMatch(/^nested walk +- +9\.0 +2\.0\.\.13\.0$/m);
    expect(after).toMatch(/^new processor +10 +- +-$/m);
    expect(after).toContain("new processor: no profile.");
  });

  it("as records has what there is not as empty text", () => {
    const records = tableWalkFigures(study);
    expect(records.map(({ row, outcome, error, leftOut }) => [row, outcome, error, leftOut])).toEqual([
      ["warm walk", "predicted", -0.1, 11],
      ["a bound", "predicted", "", ""],
      ["nested walk", "cannot be validated", "", ""],
      ["new processor", "not simulated", "", ""],
    ]);
    expect(records[0].uses).toBe("1 * walkReferenceL1; 1 * pageWalk");
  });
});
