import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Calibration, ROW_TOLERANCE } from "../../src/cost/calibration.js";
import { loadCpu } from "../../src/cost/cpu-profile.js";
import { type PrimitiveCost, primitiveCosts } from "../../src/cost/primitive-costs.js";
import { difference, propagate } from "../../src/cost/uncertainty.js";
import { parseFtrace, printFtrace } from "../../src/kvm/ftrace.js";
import { PRIMITIVES } from "../../src/kvm/primitives.js";
import { Trace } from "../../src/kvm/trace.js";
import { run } from "../../src/study/run/run.js";

/** A cost whose prior value is the middle of its range. */
function cost(
  name: string,
  low: number,
  high: number,
  category: PrimitiveCost["category"] = "handler",
): PrimitiveCost {
  const value = (low + high) / 2;
  return { name, category, primitives: [name], value, low, high, tag: "assumed", source: "test" };
}

const closeTo = (cycles: number) => expect.closeTo(cycles, 6);

describe("a calibration", () => {
  it("gives back the costs that made the rows, where the rows identify them", () => {
    const costs = [
      cost("exit", 0, 4000, "exit"),
      cost("emulate", 0, 4000, "emulation"),
      cost("trip", 0, 9000),
    ];
    const calibration = new Calibration(costs, [
      { name: "bare", counts: { exit: 1 }, measured: 1500 },
      { name: "emulated", counts: { exit: 1, emulate: 1 }, measured: 2700 },
      { name: "userspace", counts: { exit: 1, emulate: 1, trip: 1 }, measured: 7700 },
    ]);
    const [exit, emulate, trip] = calibration.values;
    // The priors pull towards 2000, 2000 and 4500, by far less than the tolerance of a row.
    expect(Math.abs(exit - 1500)).toBeLessThan(ROW_TOLERANCE * 1500);
    expect(Math.abs(emulate - 1200)).toBeLessThan(ROW_TOLERANCE * 2700);
    expect(Math.abs(trip - 5000)).toBeLessThan(ROW_TOLERANCE * 7700);
    expect(calibration.rank).toBe(3);
    expect(calibration.inseparable).toEqual([]);
  });

  it("cannot tell apart costs that always occur together, and says so", () => {
    const costs = [cost("a", 0, 100), cost("b", 0, 100), cost("c", 0, 100)];
    const rows = [
      { name: "one", counts: { a: 1, b: 1 }, measured: 100 },
      { name: "two", counts: { a: 2, b: 2, c: 1 }, measured: 250 },
    ];
    const calibration = new Calibration(costs, rows);
    expect(calibration.inseparable).toEqual([["a", "b"]]);
    expect(calibration.rank).toBe(2);
    expect(calibration.identified).toEqual([2]);
    const { low, high } = calibration.costBounds(0);
    expect(low).toBeCloseTo(0, 6);
    expect(high).toBeCloseTo(100, 6);
    const sum = calibration.bounds({ a: 1, b: 1 });
    expect(sum.low).toBeCloseTo(100 * (1 - ROW_TOLERANCE), 6);
    expect(sum.high).toBeCloseTo(100 * (1 + ROW_TOLERANCE), 6);
  });

  it("never leaves a prior range: a cost at its end leaves the rest to the others", () => {
    const costs = [cost("a", 10, 20), cost("b", 0, 1000)];
    const calibration = new Calibration(costs, [{ name: "row", counts: { a: 1, b: 1 }, measured: 900 }]);
    expect(calibration.values[0]).toBeLessThanOrEqual(20);
    expect(calibration.values[0]).toBeGreaterThanOrEqual(10);
    expect(calibration.predict({ a: 1, b: 1 })).toBeCloseTo(900, -1);
  });

  it("prices a primitive by all its costs: an exit by the processor's part and by KVM's", () => {
    const kvm: PrimitiveCost = { ...cost("kvm", 100, 300, "handler"), primitives: ["exit"] };
    const calibration = new Calibration([cost("exit", 500, 700, "exit"), kvm], []);
    expect(calibration.predict({ exit: 2 })).toBe(2 * (600 + 200));
    expect(calibration.breakdown({ exit: 2 })).toMatchObject({ exit: 1200, handler: 400 });
    expect(calibration.bounds({ exit: 1 })).toEqual({ low: 600, high: 1000 });
  });

  it("starts from the prior value, wherever in its range that is, and takes less than nothing where the range does", () => {
    const prior = { ...cost("violation", -200, 300), value: -50 };
    const none = new Calibration([prior], []);
    expect(none.values).toEqual([-50]);
    expect(none.costBounds(0)).toEqual({ low: -200, high: 300 });
    const costs = [cost("exit", 1000, 1000), prior];
    const row = { name: "row", counts: { exit: 1, violation: 1 }, measured: 900, tolerance: 10 };
    expect(new Calibration(costs, [row]).costBounds(1)).toEqual({ low: closeTo(-110), high: closeTo(-90) });
  });

  it("meets a row within its own tolerance, and within 1% where it has none", () => {
    const costs = [cost("a", 0, 1000), cost("b", 0, 1000)];
    const calibration = new Calibration(costs, [
      { name: "rough", counts: { a: 1 }, measured: 400, tolerance: 50 },
      { name: "usual", counts: { b: 1 }, measured: 400 },
    ]);
    expect(calibration.costBounds(0)).toEqual({ low: closeTo(350), high: closeTo(450) });
    expect(calibration.costBounds(1)).toEqual({ low: closeTo(396), high: closeTo(404) });
  });

  it("leaves out of a row what its source does not see, and knows it from other rows", () => {
    const costs = [cost("enter", 0, 1000), cost("handle", 0, 1000)];
    const counts = { enter: 1, handle: 1 };
    const traced = { name: "traced", counts, measured: 300, tolerance: 3, unseen: ["enter"] };
    const alone = new Calibration(costs, [traced]);
    expect(alone.costBounds(1)).toEqual({ low: closeTo(297), high: closeTo(303) });
    expect(alone.costBounds(0)).toEqual({ low: 0, high: 1000 });
    expect(alone.used).toEqual([1]);
    // As the source sees it, and as it is.
    expect(alone.fitted[0]).toBeCloseTo(alone.values[1], 9);
    expect(alone.predict(counts)).toBeCloseTo(500 + alone.values[1], 9);
    const both = new Calibration(costs, [traced, { name: "timed", counts, measured: 1000, tolerance: 10 }]);
    expect(both.costBounds(0)).toEqual({ low: closeTo(1000 - 300 - 13), high: closeTo(1000 - 300 + 13) });
  });

  it("stretches all tolerances by the one factor that lets contradicting rows meet", () => {
    // 40 + 10 s = 60 - 5 s has the answer s = 4/3, at 53 1/3.
    const calibration = new Calibration(
      [cost("a", 0, 100), cost("b", 0, 100)],
      [
        { name: "one", counts: { a: 1 }, measured: 40, tolerance: 10 },
        { name: "other", counts: { a: 1 }, measured: 60, tolerance: 5 },
        { name: "third", counts: { b: 1 }, measured: 50, tolerance: 6 },
      ],
    );
    expect(calibration.feasible).toBe(false);
    expect(calibration.stretch).toBeCloseTo(4 / 3, 4);
    const { low, high } = calibration.costBounds(0);
    expect([low, high].map((end) => Math.abs(end - 160 / 3) < 0.01)).toEqual([true, true]);
    // The factor is that of a row that contradicts nothing, too: 50 by 8.
    expect(calibration.costBounds(1).low).toBeCloseTo(42, 3);
    expect(calibration.costBounds(1).high).toBeCloseTo(58, 3);
  });

  it("leaves tolerances as they are where rows differ, but not by more than these say", () => {
    const calibration = new Calibration(
      [cost("a", 0, 100)],
      [
        { name: "one", counts: { a: 1 }, measured: 40, tolerance: 10 },
        { name: "other", counts: { a: 1 }, measured: 50, tolerance: 5 },
      ],
    );
    expect([calibration.stretch, calibration.feasible]).toEqual([1, true]);
    expect(calibration.costBounds(0)).toEqual({ low: closeTo(45), high: closeTo(50) });
  });

  it("stretches as well for a row beyond the prior ranges: 20 meets 900 by 9 when that is stretched to 880", () => {
    const calibration = new Calibration(
      [cost("a", 10, 20)],
      [{ name: "row", counts: { a: 1 }, measured: 900 }],
    );
    expect(calibration.feasible).toBe(false);
    expect(calibration.stretch).toBeCloseTo(880 / 9, 3);
    expect(calibration.costBounds(0).high).toBeCloseTo(20, 3);
    expect(calibration.costBounds(0).low).toBeCloseTo(20, 2);
  });

  it("names the costs of which the rows fix sums only, group by group", () => {
    const costs = ["a", "b", "c", "alone", "d", "e"].map((name) => cost(name, 0, 100));
    // a and c may rise while b falls, d while e falls; no two of the first three occur in one proportion.
    const calibration = new Calibration(costs, [
      { name: "one", counts: { a: 1, b: 1 }, measured: 100 },
      { name: "two", counts: { b: 1, c: 1, alone: 2 }, measured: 200 },
      { name: "three", counts: { alone: 1 }, measured: 50 },
      { name: "four", counts: { d: 1, e: 3 }, measured: 150 },
    ]);
    expect(calibration.confounded).toEqual([
      ["a", "b", "c"],
      ["d", "e"],
    ]);
    expect(calibration.identified).toEqual([3]);
    expect(calibration.inseparable).toEqual([["d", "e"]]);
  });

  it("has nothing to say of its own without rows, and takes no two rows of one name", () => {
    const none = new Calibration([cost("a", 1, 3)], []);
    expect([none.rank, none.identified, none.inseparable, none.feasible]).toEqual([0, [], [], true]);
    expect([none.confounded, none.stretch, none.fitted]).toEqual([[], 1, []]);
    const row = { name: "row", counts: { a: 1 }, measured: 2 };
    expect(() => new Calibration([cost("a", 1, 3)], [row, row])).toThrow("two rows have one name");
  });

  it("bounds a difference more tightly than the two ends apart, because what both share cancels", () => {
    const costs = [cost("shared", 0, 1000), cost("extra", 0, 10)];
    const calibration = new Calibration(costs, []);
    expect(calibration.bounds({ shared: 1, extra: 1 }, { shared: 1 })).toEqual({ low: 0, high: 10 });
  });

  it("breaks cycles down into categories that add up to the prediction", () => {
    const costs = [cost("a", 1, 3, "exit"), cost("b", 5, 9, "bus"), cost("c", 2, 4, "bus")];
    const calibration = new Calibration(costs, []);
    const counts = { a: 3, b: 1, c: 2 };
    const categories = calibration.breakdown(counts);
    expect(categories).toMatchObject({ exit: 6, bus: 13, walk: 0 });
    expect(Object.values(categories).reduce((x, y) => x + y)).toBe(calibration.predict(counts));
  });

  it("gives the events of a trace their times: the cycles of what was counted until then", () => {
    const cpu = loadCpu("sandy-bridge-ep");
    const calibration = new Calibration(primitiveCosts(cpu, "v6.19"), []);
    const trace = new Trace();
    const scenario = {
      cpu: cpu.name,
      kernel: "v6.19",
      memslots: [{ gpa: 0, size: 2 ** 21 }],
      ioeventfds: [{ addr: 0xfebf_0800, len: 0 }],
      workload: [{ op: "store", address: 0xfebf_0800 }],
      accesses: 3,
    } as const;
    const { counts } = run(scenario, "scenario", { trace });
    const hertz = 2.6e9;
    const time = (until: Float64Array) =>
      calibration.predict(Object.fromEntries(PRIMITIVES.map((name, index) => [name, until[index]]))) / hertz;
    const events = [...parseFtrace(printFtrace(trace, { kernel: "v6.19", time, fraction: 9 }))];
    const stamps = events.flatMap((line) => (line.kind === "event" ? [line.timestamp] : []));
    expect(stamps).toHaveLength(9);
    expect([...stamps].sort((one, other) => one - other)).toEqual(stamps);
    expect(stamps[8]).toBeCloseTo(calibration.predict(counts) / hertz, 9);
    // A kick is as long as the one before it, but for the rounding of three stamps.
    expect(Math.abs(stamps[8] - 2 * stamps[5] + stamps[2])).toBeLessThan(2.1e-9);
  });
});

describe("draws of a calibration", () => {
  const costs = [cost("a", 0, 100), cost("b", 0, 100), cost("c", 0, 100)];
  const row = { name: "row", counts: { a: 1, b: 1 }, measured: 100, tolerance: 1 };
  const calibration = new Calibration(costs, [row]);

  it("keep a sum that a row fixes, while its parts and what no row sees go through their ranges", () => {
    const [a, b, c] = calibration.draws(256, 1).cycles.to2DArray();
    expect(a).toHaveLength(256);
    // A row is drawn within its tolerance, 1; the priors pull by 1 in 5001 of the 100 that they may be off by.
    for (const [draw, cycles] of a.entries()) expect(Math.abs(cycles + b[draw] - 100)).toBeLessThan(1.02);
    for (const values of [a, b, c]) {
      expect(Math.min(...values)).toBeLessThan(5);
      expect(Math.max(...values)).toBeGreaterThan(95);
    }
  });

  it("price two runs at once, so that what the row fixes cancels", () => {
    const draws = calibration.draws(256, 1);
    const { sum, more } = propagate(draws, { sum: { a: 1, b: 1 }, more: { a: 2, b: 2, c: 1 } });
    const doubled = difference(more, sum).byDraw.map((cycles, draw) => cycles - draws.cycles.get(2, draw));
    for (const cycles of doubled) expect(Math.abs(cycles - 100)).toBeLessThan(1.02);
  });

  it("are the same for the same seed, and others for another", () => {
    expect(calibration.draws(64, 7).cycles).toEqual(calibration.draws(64, 7).cycles);
    expect(calibration.draws(64, 7).cycles).not.toEqual(calibration.draws(64, 8).cycles);
  });

  it("stay in every prior range, and meet their rows as well as their priors let them", () => {
    const size = { minLength: 4, maxLength: 4 };
    const matrix = fc.array(fc.array(fc.integer({ min: 0, max: 3 }), size), { minLength: 1, maxLength: 3 });
    const truth = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), size);
    fc.assert(
      fc.property(matrix, truth, (rows, places) => {
        const ranges = [cost("a", 0, 100), cost("b", 5, 7), cost("c", -40, 60), cost("d", 10, 1000)];
        // Rows that were made by costs within the ranges, wherever these are there.
        const made = ranges.map(({ low, high }, index) => low + places[index] * (high - low));
        const observations = rows.map((times, index) => ({
          name: `row ${index}`,
          counts: Object.fromEntries(times.map((n, column) => [ranges[column].name, n])),
          measured: times.reduce((sum, n, column) => sum + n * made[column], 0),
          tolerance: 5,
        }));
        const { cycles } = new Calibration(ranges, observations).draws(16, 1);
        // Those costs are off by 1 tolerance a row and 2 half ranges a cost at most, and the fit is no worse, in squares.
        const most = Math.sqrt(rows.length + 4 * ranges.length) * 5 + 5;
        for (let draw = 0; draw < 16; draw++) {
          const vector = cycles.getColumn(draw);
          ranges.forEach(({ low, high }, index) => {
            expect(vector[index]).toBeGreaterThanOrEqual(low - 1e-9);
            expect(vector[index]).toBeLessThanOrEqual(high + 1e-9);
          });
          rows.forEach((times, index) => {
            const simulated = times.reduce((sum, n, column) => sum + n * vector[column], 0);
            expect(Math.abs(simulated - observations[index].measured)).toBeLessThan(most);
          });
        }
      }),
      { numRuns: 100, seed: 1 },
    );
  });
});
