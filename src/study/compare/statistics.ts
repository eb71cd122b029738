/**
 * Statistics of samples that may be few and need not be normal, as benchstat has them: the median with an interval that asks
 * nothing of the distribution, Mann and Whitney's U test of two samples, Welch's t test of two means.
 *
 * Their definitions: Conover, Practical Nonparametric Statistics; the NIST/SEMATECH e-Handbook, "Two-Sample t-Test for Equal
 * Means". Distributions are those of Moshier's Cephes library.
 */
import { createRequire } from "node:module";
import type { Bounds } from "../../cost/counts.js";
import type { Interval } from "../result.js";
import type { SampleSummary } from "./result.js";

type Cephes = typeof import("cephes", { with: { "resolution-mode": "require" }});

// Its CommonJS file is ready when it is loaded. Its ES module is not before a promise, and to wait for that at top level
// would keep this package from being loaded by require(), as notebooks do.
const { bdtr, incbet, incbi, ndtr }: Cephes = createRequire(import.meta.url)("cephes");

/** What is called significant has a probability below this if there is no difference; intervals miss as often. */
export const ALPHA = 0.05;

/** Choices are counted up to so many samples of the smaller one times those of both: 31 and 31, or 5 and 395. */
const COUNTED = 2000;

/** What a mean is known by. */
export interface Mean {
  readonly samples: number;
  readonly mean: number;
  /** Of the mean: the standard deviation of the samples over the root of their number. Above 0: no digits are endless. */
  readonly standardError: number;
}

/** Of at least one sample. The standard deviation is of what they are samples of: over their number less one. */
export function summarize(samples: readonly number[]): Omit<SampleSummary, "interval" | "centre"> {
  const sorted = inOrder(samples);
  const count = sorted.length;
  const half = count >> 1;
  const mean = sorted.reduce((sum, value) => sum + value, 0) / count;
  const squares = sorted.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return {
    samples: count,
    mean,
    standardDeviation: count < 2 ? null : Math.sqrt(squares / (count - 1)),
    min: sorted[0],
    median: count % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2,
    max: sorted[count - 1],
  };
}

/**
 * 95% interval of the median: from the r-th smallest to the r-th greatest sample, with the greatest r that leaves no more
 * than 2.5% on either side; how many samples are below the median is binomial. null with fewer than 6, where the least and
 * the greatest are not enough.
 *
 * @param alpha what is left on both sides, in place of 5%
 */
export function medianInterval(samples: readonly number[], alpha = ALPHA): Bounds | null {
  const count = samples.length;
  const leavesTooMuch = (r: number) => bdtr(r - 1, count, 0.5) > alpha / 2;
  if (leavesTooMuch(1)) return null;
  let [r, tooGreat] = [1, count];
  while (tooGreat - r > 1) {
    const middle = (r + tooGreat) >> 1;
    if (leavesTooMuch(middle)) tooGreat = middle;
    else r = middle;
  }
  const sorted = inOrder(samples);
  return { low: sorted[r - 1], high: sorted[count - r] };
}

/** 95% interval of a mean of at least two samples, by Student's t. */
export function meanInterval({ samples, mean, standardError }: Mean): Bounds {
  const off = quantileOfT(samples - 1) * standardError;
  return { low: mean - off, high: mean + off };
}

/**
 * Two-sided p-value of the U test: the probability that the rank sum is as far from what is expected, or farther, if all
 * choices of which values are the first sample's are equally likely. Equal values have the mean of their ranks. Counted unless
 * they are too many, then from the normal distribution with corrections for ties and continuity. null with fewer than
 * two of either, and where no values could be significant, as with 3 and 3: wholly apart are 2 of 20 choices.
 */
export function mannWhitney(one: readonly number[], other: readonly number[]): number | null {
  const [few, many] = one.length <= other.length ? [one, other] : [other, one];
  if (few.length < 2 || 2 / choicesOf(few.length, many.length) >= ALPHA) return null;
  const values = inOrder([...few, ...many]);
  const ties = tiesOf(values);
  const rankOf = (value: number) => (ties.get(value) as Tie).doubledRank;
  const rankSum = few.reduce((sum, value) => sum + rankOf(value), 0);
  const distance = Math.abs(rankSum - few.length * (values.length + 1));
  return few.length * values.length <= COUNTED
    ? countedP(distance, few.length, Array.from(values, rankOf))
    : approximateP(distance, few.length, many.length, ties);
}

/** In how many ways `few` of `few + many` can be chosen; Infinity where they are too many for a number. */
function choicesOf(few: number, many: number): number {
  let choices = 1;
  for (let chosen = 1; chosen <= few; chosen++) choices *= (many + chosen) / chosen;
  return choices;
}

/** Values that are equal. */
interface Tie {
  readonly count: number;
  /** Twice their mean rank, so that it is whole. */
  readonly doubledRank: number;
}

function tiesOf(sorted: Float64Array): Map<number, Tie> {
  const ties = new Map<number, Tie>();
  for (let from = 0, to = 1; from < sorted.length; from = to++) {
    while (sorted[to] === sorted[from]) to++;
    ties.set(sorted[from], { count: to - from, doubledRank: from + 1 + to });
  }
  return ties;
}

/** Counts the choices of `size` of the ranks by their sum, rank by rank; ranks, sums and distance are doubled. */
function countedP(distance: number, size: number, ranks: readonly number[]): number {
  const greatest = ranks.slice(-size).reduce((sum, rank) => sum + rank, 0);
  // How many choices of so many of the ranks so far have which sum.
  const choices = Array.from({ length: size + 1 }, () => new Float64Array(greatest + 1));
  choices[0][0] = 1;
  ranks.forEach((rank, index) => {
    for (let chosen = Math.min(size, index + 1); chosen > 0; chosen--) {
      const [without, withIt] = [choices[chosen - 1], choices[chosen]];
      for (let sum = rank; sum <= greatest; sum++) withIt[sum] += without[sum - rank];
    }
  });
  const expected = size * (ranks.length + 1);
  let [all, asFar] = [0, 0];
  choices[size].forEach((count, sum) => {
    all += count;
    if (Math.abs(sum - expected) >= distance) asFar += count;
  });
  return asFar / all;
}

/** `distance` is doubled. */
function approximateP(distance: number, few: number, many: number, ties: ReadonlyMap<number, Tie>): number {
  const all = few + many;
  let tied = 0;
  for (const { count } of ties.values()) tied += count ** 3 - count;
  const variance = ((few * many) / 12) * (all + 1 - tied / (all * (all - 1)));
  // Both are 0 where all values are equal.
  const off = Math.max(0, distance - 1) / 2;
  return off === 0 ? 1 : 2 * ndtr(-off / Math.sqrt(variance));
}

/**
 * Two-sided p-value of Welch's t test, and the difference of the means, the second less the first, with its 95% interval.
 * Both are of at least two samples.
 */
export function welch(one: Mean, other: Mean): { readonly p: number; readonly difference: Interval } {
  const value = other.mean - one.mean;
  const [first, second] = [one.standardError ** 2, other.standardError ** 2];
  const variance = first + second;
  const degrees =
    1 / ((first / variance) ** 2 / (one.samples - 1) + (second / variance) ** 2 / (other.samples - 1));
  const off = quantileOfT(degrees) * Math.sqrt(variance);
  return {
    p: incbet(degrees / 2, 0.5, degrees / (degrees + value ** 2 / variance)),
    difference: { value, low: value - off, high: value + off },
  };
}

/** What Student's t exceeds on either side with a probability of 5%; degrees of freedom may be a fraction. */
function quantileOfT(degrees: number): number {
  return Math.sqrt(degrees / incbi(degrees / 2, 0.5, ALPHA) - degrees);
}

function inOrder(samples: readonly number[]): Float64Array {
  return Float64Array.from(samples).sort();
}
