import { describe, expect, it } from "vitest";
import { Calibration, ROW_TOLERANCE } from "../../src/cost/calibration.js";
import { loadCpu } from "../../src/cost/cpu-profile.js";
import { type PrimitiveCost, primitiveCosts } from "../../src/cost/primitive-costs.js";
import { parseFtrace, printFtrace } from "../../src/kvm/ftrace.js";
import { PRIMITIVES } from "../../src/kvm/primitives.js";
import { Trace } from "../../src/kvm/trace.js";
import { run } from "../../src/study/run/run.js";

function cost(
  name: string,
  low: number,
  high: number,
  category: PrimitiveCost["category"] = "handler",
): PrimitiveCost {
  return { name, category, primitives: [name], low, high, tag: "assumed", source: "test" };
}

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

  it("refuses rows that no cost in the prior ranges can meet", () => {
    const calibration = new Calibration(
      [cost("a", 10, 20)],
      [{ name: "row", counts: { a: 1 }, measured: 900 }],
    );
    expect(() => calibration.costBounds(0)).toThrow(
      "no costs within their prior ranges meet the rows row within 1%",
    );
  });

  it("has nothing to say of its own without rows, and takes no two rows of one name", () => {
    const none = new Calibration([cost("a", 1, 3)], []);
    expect([none.rank, none.identified, none.inseparable, none.feasible]).toEqual([0, [], [], true]);
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
    const calibration = new Calibration(primitiveCosts(cpu), []);
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
