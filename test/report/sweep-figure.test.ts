import { describe, expect, it } from "vitest";
import { plotSweep } from "../../src/report/sweep-figure.js";
import { LINES } from "../../src/report/theme.js";
import { accessesByVcpus as plot, sweepOf } from "./sweep-fixture.js";

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

  it("has no more lines than can be told apart", () => {
    const lines = (count: number) =>
      sweepOf(
        Array.from(
          { length: count },
          (_, index) => [{ vcpus: 1, "memslots[0].size": index, seed: 1 }, 10] as const,
        ),
      );
    const { length } = LINES;
    expect(plotSweep(lines(length), plot).data).toHaveLength(length);
    expect(() => plotSweep(lines(length + 1), plot)).toThrow(
      `lines: are ${length + 1}, from memslots[0].size=0 to memslots[0].size=${length}; allowed: at most ${length}, for no more`,
    );
  });
});
