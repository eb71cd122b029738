/** Ends of ratios, against all corners of the box that the ranges span: a ratio of sums is least and greatest at one. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ratioBounds } from "../../src/cost/ratio-bounds.js";
import type { UncertainCost } from "../../src/cost/uncertainty.js";

const costOf = (low: number, value: number, high: number): UncertainCost => ({
  name: "cost",
  primitives: [],
  low,
  value,
  high,
});

function byCorners(costs: readonly UncertainCost[], above: readonly number[], below: readonly number[]) {
  const ratios = Array.from({ length: 2 ** costs.length }, (_, corner) => {
    const sum = (times: readonly number[]) =>
      costs.reduce(
        (total, { low, high }, index) => total + times[index] * ((corner >> index) & 1 ? high : low),
        0,
      );
    return sum(above) / sum(below);
  });
  return { low: Math.min(...ratios), high: Math.max(...ratios) };
}

describe("the bounds of a ratio of costs", () => {
  it("have one cost vector above and below: of 100 to 400 cycles more on 1000, 10% to 40%", () => {
    const costs = [costOf(100, 200, 400), costOf(1000, 1000, 1000)];
    expect(ratioBounds(costs, [1, 0], [0, 1])).toEqual({ low: 0.1, value: 0.2, high: 0.4 });
  });

  it("know nothing of a cost that occurs in proportion: twice as much is 100% more, whatever it costs", () => {
    expect(ratioBounds([costOf(1, 2, 1000)], [3], [3])).toEqual({ low: 1, value: 1, high: 1 });
  });

  it("take the high end of what dilutes a difference: 100 on 1000 or on 4000", () => {
    const costs = [costOf(100, 100, 100), costOf(1000, 2000, 4000)];
    expect(ratioBounds(costs, [-1, 0], [0, 1])).toEqual({ low: -0.1, value: -0.05, high: -0.025 });
  });

  it("are 0, without a sign, where nothing differs", () => {
    expect(ratioBounds([costOf(1, 2, 3)], [0], [1])).toEqual({ low: 0, value: 0, high: 0 });
  });

  it.each([
    ["may be 0", [costOf(0, 1, 2)], [1]],
    ["may be less than 0", [costOf(100, 100, 100), costOf(-200, 0, 300)], [1, 1]],
    ["has no cost", [costOf(1, 1, 1)], [0]],
  ])("are none where the sum below %s", (_, costs, below) => {
    expect(ratioBounds(costs, below, below)).toBeNull();
  });

  const range = fc
    .tuple(fc.integer({ min: -50, max: 1000 }), fc.nat(1000), fc.nat(1000))
    .map(([low, one, other]) => costOf(low, low + one, low + one + other));
  const box = fc.array(fc.tuple(range, fc.integer({ min: -9, max: 9 }), fc.nat(9)), {
    minLength: 1,
    maxLength: 6,
  });

  it("are those of the corners, and hold the value", () => {
    fc.assert(
      fc.property(box, (drawn) => {
        // Something that always costs, so that most boxes have a ratio.
        const costs = [costOf(60, 80, 90), ...drawn.map(([cost]) => cost)];
        const above = [1, ...drawn.map(([, times]) => times)];
        const below = [5, ...drawn.map(([, , times]) => times)];
        const bounds = ratioBounds(costs, above, below);
        fc.pre(bounds !== null);
        const corners = byCorners(costs, above, below);
        expect(bounds.low).toBeCloseTo(corners.low, 9);
        expect(bounds.high).toBeCloseTo(corners.high, 9);
        expect(bounds.low).toBeLessThanOrEqual(bounds.value);
        expect(bounds.value).toBeLessThanOrEqual(bounds.high);
      }),
      { seed: 1, numRuns: 500 },
    );
  });
});
