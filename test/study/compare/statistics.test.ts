/** The statistics against published values, against counting by hand, and their properties. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  mannWhitney,
  meanInterval,
  medianInterval,
  summarize,
  welch,
} from "../../../src/study/compare/statistics.js";

const RUNS = { seed: 1, numRuns: 200 };

/** 1 to `count`. */
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

/** Two samples of these sizes without ties, of which `u` pairs have the greater value in the first. */
function withU(first: number, second: number, u: number): [number[], number[]] {
  const high = Math.floor(u / second);
  const ones = upTo(first).map((rank) => {
    if (rank > first - high) return second + rank;
    const below = rank === first - high ? u % second : 0;
    return below + rank / 1000;
  });
  return [ones, upTo(second).map((value) => value + 0.5 - 1)];
}

/** By its definition: over all choices of the first sample among the values, by pairs instead of ranks. */
function byEnumeration(one: readonly number[], other: readonly number[]): number {
  const values = [...one, ...other];
  const far = (chosen: readonly number[], rest: readonly number[]) => {
    const twice = chosen.flatMap((a) => rest.map((b) => 1 + Math.sign(a - b)));
    return Math.abs(twice.reduce<number>((sum, value) => sum + value, 0) - chosen.length * rest.length);
  };
  let [all, asFar] = [0, 0];
  for (let set = 0; set < 2 ** values.length; set++) {
    const isChosen = (_: number, index: number) => ((set >> index) & 1) === 1;
    const chosen = values.filter(isChosen);
    if (chosen.length !== one.length) continue;
    const rest = values.filter((value, index) => !isChosen(value, index));
    all++;
    if (far(chosen, rest) >= far(one, other)) asFar++;
  }
  return asFar / all;
}

/**
 * p of each U up to its mean, by the recurrence of Mann and Whitney (1947): the greatest of all values is of the first sample,
 * in a pair with each of the second, or it is of the second.
 */
function byRecurrence(first: number, second: number): number[] {
  const most = Math.floor((first * second) / 2);
  const none = () => Float64Array.from({ length: most + 1 }, (_, u) => (u === 0 ? 1 : 0));
  let orders = upTo(second + 1).map(none);
  let all = 1;
  for (const n of upTo(first)) {
    all = (all * (second + n)) / n;
    const next = [none()];
    for (const m of upTo(second))
      next.push(orders[m].map((_, u) => (orders[m][u - m] ?? 0) + next[m - 1][u]));
    orders = next;
  }
  let below = 0;
  return Array.from(orders[second], (count) => {
    below += count;
    return Math.min(1, (2 * below) / all);
  });
}

/** Few values, so that many are equal. Four samples are enough for a test. */
const coarse = (maxLength: number) => fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 4, maxLength });
const fine = (maxLength: number) =>
  fc.array(fc.integer({ min: -100_000, max: 100_000 }), { minLength: 4, maxLength });

describe("the summary of samples", () => {
  it("has the mean, the median and the standard deviation over one less than their number", () => {
    // Deviations from 5: -3, -1, -1, -1, 0, 0, 2, 4; their squares add up to 32.
    expect(summarize([9, 2, 4, 5, 4, 7, 5, 4])).toEqual({
      samples: 8,
      mean: 5,
      standardDeviation: Math.sqrt(32 / 7),
      min: 2,
      median: 4.5,
      max: 9,
    });
    expect(summarize([3, 100, 1]).median).toBe(3);
  });

  it("of one sample has no standard deviation", () => {
    expect(summarize([7])).toEqual({
      samples: 1,
      mean: 7,
      standardDeviation: null,
      min: 7,
      median: 7,
      max: 7,
    });
  });
});

describe("the interval of the median", () => {
  it.each([
    // All 6 on one side of the median: 2 / 2^6 = 3.1%. With 5 that is 6.3%.
    [6, 1, 6],
    [8, 1, 8],
    // None or one on one side: 2 (1 + 9) / 2^9 = 3.9%.
    [9, 2, 8],
    [10, 2, 9],
    [12, 3, 10],
    [17, 5, 13],
    [20, 6, 15],
    // 2 P(B(100, 1/2) <= 39) = 3.5%; with 40 it is 5.7%.
    [100, 40, 61],
  ])("of %i samples is from the one of rank %i to that of rank %i", (count, low, high) => {
    expect(medianInterval(upTo(count).reverse())).toEqual({ low, high });
  });

  it("is that of ci.median of the R package statpsych, by the method of Snedecor and Cochran", () => {
    const y = [
      30.2, 20.4, 15.1, 10.2, 10.5, 60.8, 20.8, 25.0, 20.7, 30.9, 10.8, 5.1, 50.9, 40.0, 20.9, 10.8, 0, 20.5,
      50.8,
    ];
    expect(medianInterval(y)).toEqual({ low: 10.8, high: 30.9 });
  });

  it("needs six samples", () => {
    expect(medianInterval(upTo(5))).toBeNull();
    expect(medianInterval([1])).toBeNull();
  });

  it("of very many samples is that of the normal distribution", () => {
    const interval = medianInterval(upTo(1_000_000));
    // 1.96 times half the root of a million.
    expect(Math.abs((interval?.low ?? 0) - (500_000 - 980))).toBeLessThan(2);
    expect(Math.abs((interval?.high ?? 0) - (500_001 + 980))).toBeLessThan(2);
  });

  it("holds the median and moves with the samples", () => {
    fc.assert(
      fc.property(fine(60), fc.integer({ min: -1000, max: 1000 }), (samples, shift) => {
        const interval = medianInterval(samples);
        expect(interval === null).toBe(samples.length < 6);
        if (interval === null) return;
        const { low, high } = interval;
        const median = summarize(samples).median ?? Number.NaN;
        expect(low <= median && median <= high).toBe(true);
        const shifted = samples.map((value) => value + shift);
        expect(medianInterval(shifted)).toEqual({ low: low + shift, high: high + shift });
      }),
      RUNS,
    );
  });
});

describe("the interval of a mean", () => {
  it.each([
    [1, 12.706],
    [2, 4.303],
    [3, 3.182],
    [5, 2.571],
    [10, 2.228],
    [20, 2.086],
    [30, 2.042],
    [100, 1.984],
    [1_000_000, 1.96],
  ])(
    "is, with %i degrees of freedom, %f standard errors to either side, as in NIST's table of t",
    (degrees, t) => {
      const { low, high } = meanInterval({ samples: degrees + 1, mean: 100, standardError: 1 });
      expect([100 - low, high - 100].map((off) => Number(off.toFixed(3)))).toEqual([t, t]);
    },
  );
});

describe("the U test", () => {
  it.each([
    // What tables of critical values of U print for p = 0.05, two-tailed: the greatest U that is significant.
    [4, 4, 0],
    [5, 5, 2],
    [5, 8, 6],
    [8, 8, 13],
    [9, 12, 26],
    [10, 10, 23],
    [10, 15, 39],
    [20, 20, 127],
  ])(
    "of %i and %i samples is significant up to U = %i, as in the published table",
    (first, second, critical) => {
      expect(mannWhitney(...withU(first, second, critical))).toBeLessThanOrEqual(0.05);
      expect(mannWhitney(...withU(first, second, critical + 1))).toBeGreaterThan(0.05);
    },
  );

  it("is exact: ages at diagnosis in the example of scipy.stats.mannwhitneyu", () => {
    const males = [19, 22, 16, 29, 24];
    const females = [20, 11, 17, 12];
    // 14 of the 126 choices of five among nine.
    expect(mannWhitney(males, females)).toBe(14 / 126);
  });

  it("is exact for ten samples of each: of those wholly apart, 2 in 184756 choices", () => {
    expect(
      mannWhitney(
        upTo(10),
        upTo(10).map((value) => value + 100),
      ),
    ).toBe(2 / 184_756);
  });

  it("counts choices of equal values too", () => {
    // 2 2 2 2 all in the middle of 1 2 3 5: of the 70 choices of four, 50 are as far from the middle as this one.
    expect(mannWhitney([2, 1, 3, 5], [2, 2, 2, 2])).toBe(byEnumeration([2, 1, 3, 5], [2, 2, 2, 2]));
    fc.assert(
      fc.property(coarse(6), coarse(5), (one, other) => {
        expect(mannWhitney(one, other)).toBeCloseTo(byEnumeration(one, other), 12);
      }),
      { ...RUNS, numRuns: 50 },
    );
  });

  it("of many samples is from the normal distribution: as R's wilcox.test of 500 and 600, with ties and without", () => {
    const one = upTo(500).map((value) => 2 * (value - 1));
    const other = upTo(600).map((value) => 2 * (value - 1) - 41);
    const tied = other.map((value, index) => (index < 30 ? one[index] : value));
    // The figures stand in the tests of golang.org/x/perf, which compare with R.
    expect(mannWhitney(one, other)).toBeCloseTo(0.0049335360814172224, 12);
    expect(mannWhitney(one, tied)).toBeCloseTo(0.0038703814239617884, 12);
  });

  it.each([
    [32, 32, 0.02],
    [20, 90, 0.02],
    [5, 400, 0.07],
  ])(
    "of %i and %i samples is approximate: p from 0.04 on is off by less than %f of itself",
    (first, second, share) => {
      byRecurrence(first, second).forEach((exact, u) => {
        if (exact < 0.04) return;
        const p = mannWhitney(...withU(first, second, u)) ?? Number.NaN;
        expect(Math.abs(p / exact - 1)).toBeLessThan(share);
      });
    },
  );

  it.each([
    [31, 31],
    [10, 190],
  ])("of %i and %i samples is counted", (first, second) => {
    byRecurrence(first, second).forEach((exact, u) => {
      if (u % 97 === 0) expect(mannWhitney(...withU(first, second, u))).toBeCloseTo(exact, 12);
    });
  });

  it("needs two samples of each", () => {
    expect(
      mannWhitney(
        [1],
        upTo(30).map((value) => value + 10),
      ),
    ).toBeNull();
    expect(mannWhitney(upTo(30), [100])).toBeNull();
  });

  it.each([
    // Wholly apart are 2 of all choices, 20 of three among six.
    [3, 3, null],
    [4, 4, 2 / 70],
    [3, 4, null],
    [3, 5, 2 / 56],
    [2, 7, null],
    [2, 8, 2 / 45],
  ])(
    "of %i and %i samples that are wholly apart is %d, or no test where that is not below 0.05",
    (one, other, p) => {
      const apart = upTo(other).map((value) => value + 100);
      expect(mannWhitney(upTo(one), apart)).toBe(p);
      expect(mannWhitney(apart, upTo(one))).toBe(p);
    },
  );

  it("is a probability, the same for both orders, all shifts and all rising functions, and 1 for equal samples", () => {
    fc.assert(
      fc.property(
        fc.oneof(coarse(12), fine(60)),
        fc.oneof(coarse(12), fine(60)),
        fc.integer({ min: -1000, max: 1000 }),
        (one, other, shift) => {
          const p = mannWhitney(one, other) ?? Number.NaN;
          expect(p > 0 && p <= 1).toBe(true);
          expect(mannWhitney(other, one)).toBeCloseTo(p, 10);
          const shifted = (values: readonly number[]) => values.map((value) => value + shift);
          expect(mannWhitney(shifted(one), shifted(other))).toBe(p);
          const cubes = (values: readonly number[]) => values.map((value) => value ** 3);
          expect(mannWhitney(cubes(one), cubes(other))).toBe(p);
          expect(mannWhitney(one, one)).toBe(1);
        },
      ),
      RUNS,
    );
  });
});

describe("Welch's t test", () => {
  const of = (samples: readonly number[]) => {
    const { mean, standardDeviation } = summarize(samples);
    const standardError = (standardDeviation ?? Number.NaN) / Math.sqrt(samples.length);
    return { samples: samples.length, mean, standardError };
  };

  it("is that of R's t.test in the example of Rosetta Code", () => {
    const one = [27.5, 21.0, 19.0, 23.6, 17.0, 17.9, 16.9, 20.1, 21.9, 22.6, 23.1, 19.6, 19.0, 21.7, 21.4];
    const other = [27.1, 22.0, 20.8, 23.4, 23.4, 23.5, 25.8, 22.0, 24.8, 20.2, 21.9, 22.1, 22.9, 20.5, 24.4];
    const { p, difference } = welch(of(one), of(other));
    expect(p).toBeCloseTo(0.021378001462867, 12);
    // scipy.stats.ttest_ind: from -3.984096 to -0.349237, first less second.
    expect(difference.value).toBeCloseTo(22.986666667 - 20.82, 8);
    expect(difference.low).toBeCloseTo(0.349237, 6);
    expect(difference.high).toBeCloseTo(3.984096, 6);
  });

  it("takes samples of very different spread: the task of Rosetta Code", () => {
    const { p } = welch(of([3.0, 4.0, 1.0, 2.1]), of([490.2, 340.0, 433.9]));
    expect(p).toBeCloseTo(0.0107515611497845, 12);
  });

  it("takes means with their errors: miles per gallon of American and Japanese cars, by NIST", () => {
    const american = { samples: 249, mean: 20.14458, standardError: 6.4147 / Math.sqrt(249) };
    const japanese = { samples: 79, mean: 30.48101, standardError: 6.10771 / Math.sqrt(79) };
    // T = -12.946 with 136.87 degrees of freedom; p of it from scipy.stats.
    expect(welch(american, japanese).p / 1.5709e-25).toBeCloseTo(1, 4);
  });

  it("is a probability, the same for both orders and all shifts, and below 0.05 where the interval leaves out 0", () => {
    const mean = fc.record({
      samples: fc.integer({ min: 2, max: 1_000_000 }),
      mean: fc.integer({ min: -1000, max: 1000 }),
      standardError: fc.integer({ min: 1, max: 100_000 }).map((value) => value / 100),
    });
    fc.assert(
      fc.property(mean, mean, fc.integer({ min: -1000, max: 1000 }), (one, other, shift) => {
        const { p, difference } = welch(one, other);
        expect(p >= 0 && p <= 1).toBe(true);
        const { low, value, high } = difference;
        const back = welch(other, one);
        expect(back.p).toBeCloseTo(p, 12);
        expect(back.difference.low).toBeCloseTo(-high, 6);
        expect(welch({ ...one, mean: one.mean + shift }, { ...other, mean: other.mean + shift }).p).toBe(p);
        expect(low < value && value < high).toBe(true);
        if (Math.abs(p - 0.05) > 1e-6) expect(low > 0 || high < 0).toBe(p < 0.05);
        expect(welch(one, one).p).toBe(1);
      }),
      RUNS,
    );
  });
});
