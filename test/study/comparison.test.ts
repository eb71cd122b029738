/** Two rows of pci-testdev compared, with ranges that make the sums easy to check by hand. */
import { describe, expect, it } from "vitest";
import { Calibration } from "../../src/cost/calibration.js";
import { loadCpu } from "../../src/cost/cpu-profile.js";
import { loadMeasurement } from "../../src/cost/measurements.js";
import { primitiveCosts } from "../../src/cost/primitive-costs.js";
import type { KernelVersion } from "../../src/kvm/eras.js";
import { type ComparisonOptions, studyComparison } from "../../src/study/comparison.js";
import { countRow, pciTestdevRows } from "../../src/study/vmexit-rows.js";

const CPU = "sandy-bridge-ep";
const machine = {
  cpu: CPU,
  exitEvicts: "l1",
  memslots: [{ gpa: 0, size: 64 * 2 ** 20 }],
  accesses: 100,
} as const;

function side(name: string, row: string, kernel: KernelVersion = "v4.2") {
  return { name, scenario: { ...machine, kernel, ...pciTestdevRows(kernel)[row] } };
}

const sides = {
  a: side("fast MMIO", "mmio-wildcard-eventfd"),
  b: side("port I/O", "portio-wildcard-eventfd"),
};
const compare = (options: Partial<ComparisonOptions> = {}) => studyComparison({ ...sides, ...options });

/** As if an exit by an EPT entry took the same as one by an instruction. */
const sameExits = { eptExitExtra: { low: 0, high: 0 } };

/** The difference is two references from L2, as the exit evicts L1, and the rest of a walk, less the dispatch of OUT. */
const costs = {
  walkReferenceL2: { low: 10, high: 14 },
  stlbMiss: { low: 7, high: 7 },
  pageWalk: { low: 3, high: 5 },
  ...sameExits,
  fastPioOut: { low: 20, high: 60 },
};
const comparison = compare({ costs });

describe("a comparison of two scenarios", () => {
  it("takes the ends of the difference from the ranges of what does not cancel", () => {
    const { low, value, high } = comparison.difference;
    expect(low).toBeCloseTo(2 * 10 + 7 + 3 - 60, 6);
    expect(value).toBeCloseTo(2 * 12 + 7 + 4 - 40, 6);
    expect(high).toBeCloseTo(2 * 14 + 7 + 5 - 20, 6);
  });

  it("adds what an exit by an EPT entry takes more than one by an instruction, -200 to 300 where nothing else is given", () => {
    const { eptExitExtra: _, ...others } = costs;
    const { low, high } = compare({ costs: others }).difference;
    expect(low).toBeCloseTo(2 * 10 + 7 + 3 - 60 - 200, 6);
    expect(high).toBeCloseTo(2 * 14 + 7 + 5 - 20 + 300, 6);
  });

  it("has both sides under one cost vector, so that the difference is known far better than they are", () => {
    const width = ({ low, high }: { low: number; high: number }) => high - low;
    expect(width(comparison.difference)).toBeCloseTo(50, 6);
    expect(width(comparison.a.cycles)).toBeGreaterThan(1000);
    expect(comparison.a.cycles.value - comparison.b.cycles.value).toBeCloseTo(comparison.difference.value, 6);
  });

  it("names as deciding the costs that do not cancel, each over its range", () => {
    expect(
      comparison.swings.map(({ cost, atLow, atHigh }) => [cost.name, Math.round(atLow), Math.round(atHigh)]),
    ).toEqual([
      ["walkReferenceL2", -5 - 2 * 2, -5 + 2 * 2],
      ["stlbMiss", -5, -5],
      ["pageWalk", -5 - 1, -5 + 1],
      ["eptExitExtra", -5, -5],
      ["fastPioOut", -5 + 20, -5 - 20],
    ]);
  });

  it("divides the variance as the squares of the widths, each repetition close to it", () => {
    const squares = {
      walkReferenceL2: (2 * 4) ** 2,
      stlbMiss: 0,
      pageWalk: 2 ** 2,
      eptExitExtra: 0,
      fastPioOut: 40 ** 2,
    };
    const all = Object.values(squares).reduce((sum, square) => sum + square);
    for (const { cost, total } of comparison.indices ?? []) {
      expect(total.mean).toBeCloseTo(squares[cost as keyof typeof squares] / all, 2);
      expect(total.low).toBeLessThanOrEqual(total.mean);
      expect(total.high).toBeGreaterThanOrEqual(total.mean);
    }
    expect(comparison.indices).toHaveLength(5);
  });

  it("puts break-evens within the range of their cost first: the dispatch of OUT at 24 + 7 + 4", () => {
    const [first, ...others] = comparison.breakEvens;
    expect(first).toMatchObject({ cost: "fastPioOut", assumed: true, below: "port I/O", above: "fast MMIO" });
    expect(first.at).toBeCloseTo(35, 6);
    // Two references of 12 cycles would have to take 5 more together: 14.5 each, and they take 14 at most.
    expect(others[0]).toMatchObject({ cost: "walkReferenceL2", assumed: false });
    expect(others[0].at).toBeCloseTo(14.5, 6);
  });

  it("counts the share of the ranges in which A costs less: of 20 to 60 all above 35", () => {
    const known = {
      ...costs,
      walkReferenceL2: { low: 12, high: 12 },
      pageWalk: { low: 4, high: 4 },
    };
    expect(compare({ costs: known }).shareOfRangesBelow).toBeCloseTo((60 - 35) / 40, 3);
  });

  it("lists the difference under each draw in ascending order, within the ends", () => {
    const { differenceByDraw, difference } = comparison;
    expect(differenceByDraw).toHaveLength(4096);
    expect([...differenceByDraw].sort((one, other) => one - other)).toEqual(differenceByDraw);
    expect(differenceByDraw[0]).toBeGreaterThanOrEqual(difference.low);
    expect(differenceByDraw[4095]).toBeLessThanOrEqual(difference.high);
  });

  it("is plain data, and the same when made again", () => {
    expect(JSON.parse(JSON.stringify(comparison))).toEqual(comparison);
    expect(compare({ costs })).toEqual(comparison);
    expect(compare({ costs, seed: 2 }).differenceByDraw).not.toEqual(comparison.differenceByDraw);
  });

  it("of a scenario with itself has no difference and nothing that decides", () => {
    const same = compare({ b: { ...sides.a, name: "the same" } });
    expect(same.difference).toEqual({ low: 0, value: 0, high: 0, p05: 0, median: 0, p95: 0 });
    expect(same).toMatchObject({ shareOfRangesBelow: 0, breakEvens: [], swings: [], indices: [] });
  });

  it.each<[string, Partial<ComparisonOptions>, string]>([
    [
      "two processors",
      { b: { name: "b", scenario: { ...sides.b.scenario, cpu: "westmere-x990" } } },
      'b.scenario: cpu: "westmere-x990" is not allowed; allowed: "sandy-bridge-ep", as in A',
    ],
    [
      "one name for both sides",
      { b: { ...sides.b, name: "fast MMIO" } },
      'b.name: "fast MMIO" is not allowed',
    ],
    ["a number of draws that is no power of two", { draws: 1000 }, "points: 1000 is not allowed"],
    ["a range of an unknown cost", { costs: { walk: { low: 1, high: 2 } } }, 'costs: "walk" is not allowed'],
    [
      "a scenario that cannot be",
      { a: { name: "a", scenario: { ...sides.a.scenario, accesses: -1 } } },
      "a.scenario: accesses: -1 is not allowed",
    ],
  ])("refuses %s", (_, options, message) => {
    expect(() => compare(options)).toThrow(message);
  });
});

describe("two kernels", () => {
  const kernels = {
    a: side("v3.9", "mmio-datamatch-eventfd", "v3.9"),
    b: side("v4.2", "mmio-datamatch-eventfd", "v4.2"),
  };

  it("share the draws of a cost with one range, and each has its own where the ranges differ", () => {
    const { byKernel, difference } = compare(kernels);
    expect(byKernel).toEqual([
      "emulateInstruction (v3.9)",
      "emulateInstruction (v4.2)",
      "guestWalkInSoftware (v3.9)",
      "guestWalkInSoftware (v4.2)",
    ]);
    // The emulator, 300 to 3500 and 500 to 800 cycles; two walks of the guest's tables, each 40 to 600 and 60 to 150; and one
    // more look into a bus, 20 to 150.
    expect(difference.low).toBeCloseTo(300 - 800 + 2 * (40 - 150) - 150, 6);
    expect(difference.high).toBeCloseTo(3500 - 500 + 2 * (600 - 60) - 20, 6);
  });

  it("share a cost whose range is given for both: then it cancels", () => {
    const { byKernel, difference } = compare({
      ...kernels,
      costs: { emulateInstruction: { low: 400, high: 600 }, guestWalkInSoftware: { low: 50, high: 90 } },
    });
    expect(byKernel).toEqual([]);
    expect([difference.low, difference.high].map(Math.round)).toEqual([-150, -20]);
  });
});

describe("a comparison with costs fitted to the six rows of 2013", () => {
  const measurement = loadMeasurement("pci-testdev-2013");
  const observations = Object.entries(pciTestdevRows("v3.9")).map(([name, row]) => ({
    name,
    counts: countRow({ ...machine, kernel: "v3.9" }, row, "row"),
    measured: measurement.row(name),
  }));
  const calibration = new Calibration(primitiveCosts(loadCpu(CPU), "v3.9", sameExits), observations);
  const fitted = { calibration, source: measurement.source };
  const priors = compare({ costs: sameExits });
  const rows = compare({ fitted, draws: 256 });
  const width = ({ p05, p95 }: { p05: number; p95: number }) => p95 - p05;

  it("knows both sides ten times as well as from the priors, port I/O within 1% of its row", () => {
    expect(10 * width(rows.a.cycles)).toBeLessThan(width(priors.a.cycles));
    expect(10 * width(rows.b.cycles)).toBeLessThan(width(priors.b.cycles));
    expect(rows.b.cycles.low).toBeCloseTo(1762 * 0.99, 3);
    expect(rows.b.cycles.high).toBeCloseTo(1762 * 1.01, 3);
  });

  it("knows the difference of fast MMIO and port I/O a little better, but its ends are the priors': no row holds it", () => {
    expect(width(rows.difference)).toBeLessThan(width(priors.difference));
    expect(rows.difference.low).toBeCloseTo(priors.difference.low, 3);
    expect(rows.difference.high).toBeCloseTo(priors.difference.high, 3);
  });

  it("knows a difference that the rows do hold: emulated MMIO before the fast bus", () => {
    const measured = {
      a: side("MMIO", "mmio-datamatch-eventfd", "v3.9"),
      b: side("port I/O", "portio-datamatch-eventfd", "v3.9"),
    };
    const known = compare({ ...measured, fitted, draws: 256 });
    const ofPriors = compare({ ...measured, costs: sameExits });
    expect(10 * width(known.difference)).toBeLessThan(width(ofPriors.difference));
    expect(known.difference.low).toBeGreaterThan(3685 * 0.99 - 1777 * 1.01 - 1);
    expect(known.difference.high).toBeLessThan(3685 * 1.01 - 1777 * 0.99 + 1);
    expect(known.shareOfRangesBelow).toBe(0);
  });

  it("says what they were fitted to, and has no indices, as the rows tie the costs together", () => {
    expect(rows.provenance.calibration).toBe(measurement.source);
    expect(rows.indices).toBeNull();
    expect(rows.swings.map(({ cost }) => cost.name)).toEqual(priors.swings.map(({ cost }) => cost.name));
  });

  it("is refused beside other ranges", () => {
    expect(() => compare({ fitted, costs })).toThrow(
      "costs: are given beside fitted costs; allowed: one of the two",
    );
  });
});
