import { describe, expect, it } from "vitest";
import { plotSweep, type SweepPlot } from "../../src/report/sweep-figure.js";
import type { SweepResult, SweepRow } from "../../src/study/sweep/sweep.js";

/** A sweep with these values, of which each row counts its `accesses`. */
function sweepOf(rows: readonly (readonly [values: SweepRow["values"], accesses: number])[]): SweepResult {
  return {
    spec: { base: { cpu: "haswell-ep-e5-2660v3" }, seeds: [1, 2] },
    provenance: { package: "exitlab 0.1.0", core: "0", data: "0" },
    rows: rows.map(([values, accesses], index) => ({
      key: String(index),
      values,
      accesses,
      counts: {},
      signals: [],
    })),
  } as unknown as SweepResult;
}

const plot: SweepPlot = {
  title: "t",
  x: "vcpus",
  xTitle: "vCPUs",
  yTitle: "accesses",
  y: (row) => row.accesses,
};

describe("a sweep's figure", () => {
  it("goes from left to right over numbers, whatever their order in the sweep", () => {
    const result = sweepOf([
      [{ vcpus: 8, seed: 1 }, 80],
      [{ vcpus: 1, seed: 1 }, 10],
      [{ vcpus: 4, seed: 1 }, 40],
    ]);
    expect(plotSweep(result, plot).data[0]).toMatchObject({ x: [1, 4, 8], y: [10, 40, 80] });
  });

  it("leaves names in the order of the sweep", () => {
    const result = sweepOf([
      [{ name: "b", seed: 1 }, 1],
      [{ name: "a", seed: 1 }, 2],
    ]);
    expect(plotSweep(result, { ...plot, x: "name" }).data[0]).toMatchObject({ x: ["b", "a"], y: [1, 2] });
  });

  it("takes the mean of rows that differ in the seed", () => {
    const result = sweepOf([
      [{ vcpus: 1, seed: 1 }, 10],
      [{ vcpus: 1, seed: 2 }, 14],
    ]);
    expect(plotSweep(result, plot).data[0]).toMatchObject({ x: [1], y: [12] });
  });

  it("has no mark of rows that differ in more", () => {
    const result = sweepOf([
      [{ vcpus: 1, paging: "ept", seed: 1 }, 10],
      [{ vcpus: 1, paging: "shadow", seed: 1 }, 14],
    ]);
    expect(() => plotSweep(result, { ...plot, line: () => "all" })).toThrow(
      /line all: at 1 it has rows that differ in more than the seed, .*"ept".*"shadow"/,
    );
  });

  it("has no place for 0 on a logarithmic axis", () => {
    const result = sweepOf([
      [{ vcpus: 1, seed: 1 }, 10],
      [{ vcpus: 0, seed: 1 }, 10],
    ]);
    expect(() => plotSweep(result, { ...plot, logX: true })).toThrow(
      "x: 0 has no place on a logarithmic axis",
    );
    expect(plotSweep(result, plot).data[0]).toMatchObject({ x: [0, 1] });
  });

  it("names the row whose figure is not finite", () => {
    const result = sweepOf([[{ vcpus: 1, seed: 1 }, 0]]);
    expect(() => plotSweep(result, { ...plot, y: (row) => row.accesses / 0 })).toThrow(
      "y: NaN of vcpus=1 seed=1 is not finite",
    );
  });
});
