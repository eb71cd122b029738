/** Medians of runs, their intervals, and when runs agree. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  isTight,
  LEAST_SAMPLES,
  medianOf,
  medianOfRuns,
  runsAgree,
  spreadOf,
} from "../../../src/study/measure/statistics.js";
import { Random } from "../../../src/workload/random.js";

const run = (median: number, half: number) => ({ median, low: median - half, high: median + half });

/** Nine batches from one end to the other: all of them are the interval of several runs. */
const batches = (median: number, half: number) =>
  Array.from({ length: 9 }, (_, index) => median + (half * (index - 4)) / 4);

describe("the median of samples", () => {
  it("has all of six as its interval, and of nine those from the second to the eighth", () => {
    expect(medianOf([6, 1, 5, 2, 4, 3])).toEqual({ median: 3.5, low: 1, high: 6 });
    expect(medianOf([9, 8, 7, 6, 5, 4, 3, 2, 1])).toEqual({ median: 5, low: 2, high: 8 });
  });

  it("is not known from fewer than six", () => {
    expect(() => medianOf([1, 2, 3, 4, 5])).toThrow(
      new RangeError(`5 samples: a 95% interval takes ${LEAST_SAMPLES}`),
    );
  });

  it("does not care how long an interrupt makes a few batches", () => {
    const samples = Array.from({ length: 50 }, (_, index) => 1000 + (index % 3));
    const interrupted = samples.map((cycles, index) => (index % 10 === 0 ? 1e6 : cycles));
    expect(medianOf(interrupted)).toEqual({ median: 1001, low: 1001, high: 1002 });
  });

  it("lies in its interval in 95 of 100 repetitions or more, whatever the distribution", () => {
    const random = new Random(7);
    const skewed = () => random.fraction() ** 3;
    const repetitions = 2000;
    let hits = 0;
    for (let repetition = 0; repetition < repetitions; repetition++) {
      const { low, high } = medianOf(Array.from({ length: 50 }, skewed));
      if (low <= 1 / 8 && 1 / 8 <= high) hits++;
    }
    expect(hits / repetitions).toBeGreaterThan(0.945);
    expect(hits / repetitions).toBeLessThan(0.985);
  });
});

describe("the row of several runs", () => {
  it("is the median of their medians, with what another run would differ by as its interval", () => {
    const runs = [100, 102, 104, 106, 108, 110].map((median) => run(median, 1));
    expect(medianOfRuns(runs)).toEqual({ median: 105, low: 100, high: 110 });
  });

  it("is tight when half of its interval is no more than the share of its median that is wanted", () => {
    const runs = [99, 99.5, 100, 100, 100.5, 101].map((median) => run(median, 0));
    expect(isTight(runs, 0.01)).toBe(true);
    expect(isTight(runs, 0.009)).toBe(false);
    expect(isTight(runs.slice(1), 0.01)).toBe(false);
  });
});

describe("runs agree", () => {
  it("where some value lies in all of their intervals", () => {
    expect(runsAgree([batches(100, 10), batches(115, 6), batches(105, 3)], 0)).toBe(false);
    expect(runsAgree([batches(100, 10), batches(115, 6), batches(108, 3)], 0)).toBe(true);
  });

  it("where they differ by less than is wanted, however narrow their intervals are", () => {
    expect(runsAgree([batches(1000, 0), batches(1015, 0)], 0.01)).toBe(true);
    expect(runsAgree([batches(1000, 0), batches(1025, 0)], 0.01)).toBe(false);
  });

  it("in any order, and not if one of them alone does not", () => {
    const medians = fc.array(fc.integer({ min: 900, max: 1100 }), { minLength: 2, maxLength: 10 });
    fc.assert(
      fc.property(medians, (values) => {
        const runs = values.map((median) => batches(median, 30));
        expect(runsAgree([...runs].reverse(), 0.01)).toBe(runsAgree(runs, 0.01));
        expect(runsAgree([...runs, batches(5000, 30)], 0.01)).toBe(false);
      }),
    );
  });

  it("and of one distribution they do, in 95% of cases, however many they are", () => {
    const random = new Random(1, 0);
    const batch = () => Array.from({ length: 50 }, () => 1000 + 200 * random.fraction());
    const disagree = Array.from({ length: 200 }, () =>
      runsAgree(Array.from({ length: 40 }, batch), 0.0001),
    ).filter((agree) => !agree);
    expect(disagree.length).toBeLessThan(20);
  });
});

it("the spread is that of the middle half", () => {
  expect(spreadOf([1, 2, 3, 4, 5, 6, 7, 800])).toBe(4);
  expect(spreadOf([5, 5, 5])).toBe(0);
});
