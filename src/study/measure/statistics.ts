/**
 * What the times of a row say. A run is a virtual machine of its own, in which the guest times batches of accesses; its median
 * has an interval from its batches. Batches of one machine share what chance gave it, such as where its memory lies, so the
 * row's median is that of its runs' medians, and so is its interval.
 *
 * Intervals are of order statistics, which ask nothing of the distribution (`medianInterval()`): an interrupt of the host
 * makes a few batches much longer, and no mean forgives that.
 */
import { medianInterval, summarize } from "../compare/statistics.js";

/** With fewer samples, all of them together are no 95% interval of their median. */
export const LEAST_SAMPLES = 6;

/** A median and its 95% interval, in the unit of the samples. */
export interface MedianInterval {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

/** Of at least `LEAST_SAMPLES` samples. @throws RangeError for fewer */
export function medianOf(samples: readonly number[]): MedianInterval {
  const interval = medianInterval(samples);
  const { median } = summarize(samples);
  if (interval === null || median === null)
    throw new RangeError(`${samples.length} samples: a 95% interval takes ${LEAST_SAMPLES}`);
  return { median, ...interval };
}

/** The row's median, of its runs' medians. @throws RangeError for fewer than `LEAST_SAMPLES` runs */
export function medianOfRuns(runs: readonly MedianInterval[]): MedianInterval {
  return medianOf(runs.map(({ median }) => median));
}

/** The interquartile range of samples: the middle half of them lies within as much. */
export function spreadOf(samples: readonly number[]): number {
  const sorted = Float64Array.from(samples).sort();
  const quartile = (share: number) => sorted[Math.ceil(share * sorted.length) - 1];
  return quartile(0.75) - quartile(0.25);
}

/** What is left outside of the intervals of all runs together where all are of one median. */
const ALPHA = 0.05;

/**
 * Whether runs, each by its samples, can all be of one median: some value lies in every interval. Each is so wide that all of
 * them hold one median in 95% of cases, and no narrower than what is wanted, for on a quiet machine the batches of a run may
 * all be equal, and no two runs are.
 */
export function runsAgree(runs: readonly (readonly number[])[], relativeHalfWidth: number): boolean {
  const ends = runs.map((samples) => {
    const { median } = medianOf(samples);
    const { low, high } = medianInterval(samples, ALPHA / runs.length) ?? {
      low: Math.min(...samples),
      high: Math.max(...samples),
    };
    return {
      low: Math.min(low, median * (1 - relativeHalfWidth)),
      high: Math.max(high, median * (1 + relativeHalfWidth)),
    };
  });
  return Math.max(...ends.map(({ low }) => low)) <= Math.min(...ends.map(({ high }) => high));
}

/** Whether half of the row's interval is no more than so large a share of its median: then no more runs are needed. */
export function isTight(runs: readonly MedianInterval[], relativeHalfWidth: number): boolean {
  if (runs.length < LEAST_SAMPLES) return false;
  const { median, low, high } = medianOfRuns(runs);
  return high - low <= 2 * relativeHalfWidth * median;
}
