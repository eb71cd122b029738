import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  CostDraws,
  difference,
  drawCosts,
  propagate,
  shareOfRangesBelow,
  type UncertainCost,
} from "../../src/cost/uncertainty.js";

const cost = (name: string, low: number, value: number, high: number): UncertainCost => ({
  name,
  primitives: [name],
  low,
  value,
  high,
});

const COSTS = [cost("exit", 1000, 1500, 4000), cost("probe", 10, 20, 30), cost("signal", 50, 50, 50)];
const draws = drawCosts(COSTS, { draws: 1024, seed: 1 });

describe("draws of the costs", () => {
  it("are spread evenly over each range, and stay in it", () => {
    const [exit, probe, signal] = draws.cycles.to2DArray();
    // One draw in each 1024th of the range.
    const step = 3000 / 1024;
    expect(new Set(exit.map((cycles) => Math.floor((cycles - 1000) / step))).size).toBe(1024);
    expect(Math.min(...probe)).toBeGreaterThanOrEqual(10);
    expect(Math.max(...probe)).toBeLessThan(30);
    expect(new Set(signal)).toEqual(new Set([50]));
  });

  it("are the same for the same seed", () => {
    expect(drawCosts(COSTS, { draws: 1024, seed: 1 }).cycles).toEqual(draws.cycles);
    expect(drawCosts(COSTS, { draws: 1024, seed: 2 }).cycles).not.toEqual(draws.cycles);
  });

  it("may be given as cost vectors, and are refused by draw and cost where they leave a range", () => {
    const given = CostDraws.of(COSTS, [
      [1000, 10, 50],
      [4000, 30, 50],
    ]);
    expect(propagate(given, { kick: { exit: 1, probe: 2 } }).kick.byDraw).toEqual([1020, 4060]);
    expect(() => CostDraws.of(COSTS, [[1000, 31, 50]])).toThrow(
      "draws[0].probe: 31 is not allowed; allowed: 10 to 30",
    );
    expect(() => CostDraws.of(COSTS, [[1000, Number.NaN, 50]])).toThrow("draws[0].probe: NaN is not allowed");
    expect(() => CostDraws.of(COSTS, [[1000, 10]])).toThrow("draws[0]: has 2 costs; allowed: 3");
    expect(() => CostDraws.of(COSTS, [])).toThrow(
      "draws: [] is not allowed; allowed: at least one cost vector",
    );
  });

  it("need ranges that hold their values", () => {
    expect(() => drawCosts([cost("exit", 10, 9, 20)], { draws: 16, seed: 1 })).toThrow(
      'cost exit: {"low":10,"value":9,"high":20} is not allowed; allowed: cycles, low <= value <= high',
    );
  });
});

describe("the cycles of runs under the draws", () => {
  it("have the exact ends of the ranges, and percentiles of the draws between them", () => {
    const { kick } = propagate(draws, { kick: { exit: 1, signal: 2, guestPageFault: 7 } });
    // A cycle of a uniform range from 1000 to 4000 is below 1150 in a twentieth of it; two signals add 100.
    expect(kick.spread).toMatchObject({ low: 1100, value: 1600, high: 4100 });
    expect(kick.spread.p05).toBeCloseTo(1250, -1);
    expect(kick.spread.median).toBeCloseTo(2600, -1);
    expect(kick.spread.p95).toBeCloseTo(3950, -1);
  });

  it("count what several primitives of one cost do together", () => {
    const exits = CostDraws.of(
      [{ ...cost("exit", 1, 2, 3), primitives: ["exitIo", "exitMisconfig"] }],
      [[2]],
    );
    expect(propagate(exits, { both: { exitIo: 3, exitMisconfig: 4 } }).both.times).toEqual([7]);
  });

  it("lie between the ends, whatever the counts and the costs", () => {
    const cycles = fc.nat(1e6);
    const range = fc.tuple(cycles, cycles, cycles).map((ends) => ends.sort((a, b) => a - b));
    fc.assert(
      fc.property(fc.array(fc.tuple(range, fc.nat(100)), { minLength: 1, maxLength: 8 }), (list) => {
        const costs = list.map(([[low, value, high]], i) => cost(`c${i}`, low, value, high));
        const counts = Object.fromEntries(list.map(([, n], i) => [`c${i}`, n]));
        const { spread } = propagate(drawCosts(costs, { draws: 32, seed: 5 }), { run: counts }).run;
        const { low, p05, median, p95, high, value } = spread;
        const slack = 1e-9 * high;
        expect(low).toBeLessThanOrEqual(value);
        expect(value).toBeLessThanOrEqual(high);
        expect(low).toBeLessThanOrEqual(p05 + slack);
        expect(p05).toBeLessThanOrEqual(median);
        expect(median).toBeLessThanOrEqual(p95);
        expect(p95).toBeLessThanOrEqual(high + slack);
      }),
    );
  });

  it("spread more when a range is widened, and no less at either end", () => {
    const wider = [cost("exit", 900, 1500, 4500), ...COSTS.slice(1)];
    const counts = { exit: 2, probe: 1 };
    const narrow = propagate(draws, { run: counts }).run.spread;
    const wide = propagate(drawCosts(wider, { draws: 1024, seed: 1 }), { run: counts }).run.spread;
    expect(wide.low).toBe(narrow.low - 200);
    expect(wide.high).toBe(narrow.high + 1000);
    expect(wide.p95 - wide.p05).toBeGreaterThan(narrow.p95 - narrow.p05);
  });
});

describe("runs compared", () => {
  it("share each draw, so that what both have cancels", () => {
    const { a, b } = propagate(draws, { a: { exit: 1, probe: 1 }, b: { exit: 1, signal: 1 } });
    expect(difference(a, b).spread).toMatchObject({ low: -40, value: -30, high: -20 });
    expect(shareOfRangesBelow(a, b)).toBe(1);
    expect(shareOfRangesBelow(b, a)).toBe(0);
  });

  it("cost less in the share of the assumed ranges that arithmetic gives", () => {
    // exit is below 2000 in a third of 1000 to 4000; one draw in each 1024th leaves no more than that to chance.
    const { a, b } = propagate(draws, { a: { exit: 1 }, b: { signal: 40 } });
    expect(Math.abs(shareOfRangesBelow(a, b) - 1 / 3)).toBeLessThanOrEqual(1 / 1024);
  });

  it("are never below themselves", () => {
    const { a, same } = propagate(draws, { a: { exit: 3, probe: 2 }, same: { probe: 2, exit: 3 } });
    expect(shareOfRangesBelow(a, a)).toBe(0);
    expect(shareOfRangesBelow(a, same)).toBe(0);
  });

  it("are refused when their draws are not the same", () => {
    const { a } = propagate(draws, { a: { exit: 1 } });
    const { b } = propagate(drawCosts(COSTS, { draws: 1024, seed: 1 }), { b: { exit: 1 } });
    expect(() => shareOfRangesBelow(a, b)).toThrow(
      "runs: have different draws; allowed: runs of one propagate()",
    );
  });
});
