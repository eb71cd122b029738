/** The recordings in `data/traces`, by what `data/README.md` says of them. */
import { describe, expect, it } from "vitest";
import { dataPath } from "../../../src/cost/input.js";
import { Recording } from "../../../src/workload/recorded/recording.js";
import { readRecording } from "./reading.js";

const PAGE = 4096;

describe.each([
  {
    name: "sort-lines",
    lines: 500_000,
    pages: 106,
    data: 74,
    fetch: 368_414,
    load: 84_454,
    store: 46_430,
    add: 702,
  },
  {
    name: "sqlite-lookups",
    lines: 240_000,
    pages: 201,
    data: 158,
    fetch: 171_537,
    load: 49_547,
    store: 17_148,
    add: 1768,
  },
])("the memory trace $name", ({ name, lines, pages, data, ...ops }) => {
  it("has the accesses and touches the pages that it says", async () => {
    const { steps, summary } = await readRecording(
      new Recording(dataPath("traces", `${name}.lackey.gz`), "lackey"),
    );
    expect(summary).toEqual({ lines, steps: lines, leftOut: {}, notes: [] });
    const counts = { fetch: 0, load: 0, store: 0, add: 0 };
    for (const { op } of steps) counts[op as keyof typeof counts]++;
    expect(counts).toEqual(ops);
    const touched = (some: typeof steps) =>
      new Set(some.map(({ address }) => Math.floor(address / PAGE))).size;
    expect(touched(steps)).toBe(pages);
    expect(touched(steps.filter(({ op }) => op !== "fetch"))).toBe(data);
  });
});
