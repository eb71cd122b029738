import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Outcome, oneAtATime, sobolIndices } from "../../src/cost/sensitivity.js";
import type { UncertainCost } from "../../src/cost/uncertainty.js";

const cost = (name: string, low: number, value: number, high: number): UncertainCost => ({
  name,
  primitives: [name],
  low,
  value,
  high,
});

const sumOf =
  (...times: number[]): Outcome =>
  (cycles) =>
    cycles.reduce((sum, c, index) => sum + c * times[index], 0);

const COSTS = [cost("exit", 1000, 1500, 4000), cost("walk", 10, 60, 130), cost("signal", 50, 50, 50)];
const OPTIONS = { points: 1024, sets: 8, seed: 1 };

describe("one at a time", () => {
  it("takes each cost to both ends of its range, the others at their values", () => {
    const swings = oneAtATime(COSTS, sumOf(1, -2, 3));
    expect(swings).toEqual([
      { cost: COSTS[0], atLow: 1030, atValue: 1530, atHigh: 4030 },
      { cost: COSTS[1], atLow: 1630, atValue: 1530, atHigh: 1390 },
      { cost: COSTS[2], atLow: 1530, atValue: 1530, atHigh: 1530 },
    ]);
  });

  it("adds up to the whole interval for a sum", () => {
    const below = oneAtATime(COSTS, sumOf(1, 2, 3)).map(({ atLow, atValue }) => atValue - atLow);
    expect(below.reduce((sum, cycles) => sum + cycles)).toBe(1 * 500 + 2 * 50);
  });

  it("takes ratios too, and says for which costs one is not finite", () => {
    const [exit, walk] = oneAtATime(COSTS, ([a, b]) => a / b);
    expect([exit.atLow, exit.atHigh]).toEqual([1000 / 60, 4000 / 60]);
    expect([walk.atLow, walk.atHigh]).toEqual([150, 1500 / 130]);
    expect(() => oneAtATime(COSTS, ([a, , c]) => a / (c - 50))).toThrow(
      "outcome: is Infinity for the costs 1500, 60, 50; allowed: a finite number",
    );
  });
});

describe("the indices of a sum", () => {
  it("are the shares of n^2 (high - low)^2, first order and total alike", () => {
    // 30 walks of 120 cycles' range against one exit of 3000: 3600^2 and 3000^2.
    const [exit, walk, signal] = sobolIndices(COSTS, sumOf(1, 30, 5), OPTIONS);
    const share = 3000 ** 2 / (3000 ** 2 + 3600 ** 2);
    for (const kind of ["first", "total"] as const) {
      expect(exit[kind].mean).toBeCloseTo(share, 3);
      expect(walk[kind].mean).toBeCloseTo(1 - share, 3);
    }
    expect(signal).toEqual({
      cost: "signal",
      first: { mean: 0, low: 0, high: 0 },
      total: { mean: 0, low: 0, high: 0 },
    });
  });

  it("add up to 1 in the first order, for any counts and ranges", () => {
    const term = fc.tuple(fc.integer({ min: 1, max: 50 }), fc.nat(1000), fc.integer({ min: 1, max: 1000 }));
    fc.assert(
      fc.property(fc.array(term, { minLength: 2, maxLength: 10 }), (terms) => {
        const costs = terms.map(([, low, width], i) => cost(`c${i}`, low, low, low + width));
        const indices = sobolIndices(costs, sumOf(...terms.map(([n]) => n)), {
          points: 512,
          sets: 4,
          seed: 3,
        });
        expect(Math.abs(indices.reduce((sum, { first }) => sum + first.mean, 0) - 1)).toBeLessThan(0.02);
        const parts = terms.map(([n, , width]) => (n * width) ** 2);
        const whole = parts.reduce((sum, part) => sum + part);
        indices.forEach(({ first, total }, i) => {
          expect(Math.abs(first.mean - parts[i] / whole)).toBeLessThan(0.02);
          expect(Math.abs(total.mean - parts[i] / whole)).toBeLessThan(0.02);
        });
      }),
      { numRuns: 20 },
    );
  });

  it("do not depend on what all results have in common", () => {
    const near = sobolIndices(COSTS, sumOf(1, 30, 0), OPTIONS);
    const far = sobolIndices(COSTS, (cycles) => 1e6 + sumOf(1, 30, 0)(cycles), OPTIONS);
    expect(far[0].first.mean).toBeCloseTo(near[0].first.mean, 9);
    expect(far[1].total.mean).toBeCloseTo(near[1].total.mean, 9);
  });

  it("grow with the width of the range", () => {
    const exitIndex = (high: number) =>
      sobolIndices([cost("exit", 1000, 1500, high), ...COSTS.slice(1)], sumOf(1, 30, 0), OPTIONS)[0].first
        .mean;
    expect(exitIndex(3000)).toBeLessThan(exitIndex(4000));
    expect(exitIndex(4000)).toBeLessThan(exitIndex(8000));
  });
});

describe("the indices of Ishigami's function", () => {
  // sin x1 + 7 sin^2 x2 + x3^4 sin x1 / 10, each x from -pi to pi; costs start at 0, so they are moved by pi.
  const ishigami: Outcome = (cycles) => {
    const [x1, x2, x3] = cycles.map((c) => c - Math.PI);
    return Math.sin(x1) + 7 * Math.sin(x2) ** 2 + 0.1 * x3 ** 4 * Math.sin(x1);
  };
  const costs = ["x1", "x2", "x3"].map((name) => cost(name, 0, Math.PI, 2 * Math.PI));
  const indices = sobolIndices(costs, ishigami, { points: 4096, sets: 8, seed: 1 });

  it("are those of the closed form, with 1 and 3 acting together", () => {
    // Ishigami and Homma, 1990: variances of a = 7, b = 0.1.
    const v1 = (1 + (0.1 * Math.PI ** 4) / 5) ** 2 / 2;
    const v2 = 7 ** 2 / 8;
    const v13 = 0.1 ** 2 * Math.PI ** 8 * (1 / 18 - 1 / 50);
    const whole = v1 + v2 + v13;
    const known = [
      [v1 / whole, (v1 + v13) / whole],
      [v2 / whole, v2 / whole],
      [0, v13 / whole],
    ];
    expect(known.flat().map((index) => index.toFixed(4))).toEqual([
      "0.3139",
      "0.5576",
      "0.4424",
      "0.4424",
      "0.0000",
      "0.2437",
    ]);
    indices.forEach(({ first, total }, i) => {
      expect(Math.abs(first.mean - known[i][0])).toBeLessThan(0.005);
      expect(Math.abs(total.mean - known[i][1])).toBeLessThan(0.005);
    });
  });

  it("show their noise: the least and the greatest of the sets are around the mean, closer with more points", () => {
    const coarse = sobolIndices(costs, ishigami, { points: 128, sets: 8, seed: 1 });
    const width = (of: typeof indices) =>
      of.reduce((sum, { first, total }) => sum + first.high - first.low + total.high - total.low, 0);
    for (const { first, total } of [...indices, ...coarse])
      for (const { low, mean, high } of [first, total]) expect(low < mean && mean < high).toBe(true);
    expect(width(indices)).toBeLessThan(width(coarse) / 4);
  });
});

describe("indices", () => {
  it("are the same for the same seed", () => {
    const indices = sobolIndices(COSTS, sumOf(1, 30, 5), OPTIONS);
    expect(sobolIndices(COSTS, sumOf(1, 30, 5), OPTIONS)).toEqual(indices);
    expect(sobolIndices(COSTS, sumOf(1, 30, 5), { ...OPTIONS, seed: 100 })).not.toEqual(indices);
  });

  it.each([
    [
      "an outcome that does not vary",
      () => sobolIndices(COSTS, () => 3, OPTIONS),
      "outcome: is the same for all costs",
    ],
    [
      "costs without a range",
      () => sobolIndices([COSTS[2]], sumOf(1), OPTIONS),
      "outcome: is the same for all costs",
    ],
    ["no set", () => sobolIndices(COSTS, sumOf(1, 1, 1), { ...OPTIONS, sets: 0 }), "sets: 0 is not allowed"],
    [
      "more costs than coordinates",
      () =>
        sobolIndices(
          Array.from({ length: 129 }, (_, i) => cost(`c${i}`, 0, 1, 2)),
          (c) => c[0],
          OPTIONS,
        ),
      "dimensions: 258 is not allowed; allowed: a whole number from 0 to 256",
    ],
  ])("are refused for %s", (_, compute, message) => {
    expect(compute).toThrow(message);
  });
});
