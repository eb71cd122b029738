/**
 * Adaptive run length: a run goes on until the 95% confidence interval of one figure per instruction is narrow enough, and
 * its warm-up is found and left out. The figure is a weighted sum of the counts: cycles, or one primitive.
 *
 * The method is that of non-overlapping batch means, on batches that are joined in pairs as the run grows:
 * - The warm-up ends where MSER says (White, Simulation 69, 1997): where the standard error of what follows is least. Half as
 *   much again is left out with it, because MSER weighs bias against variance, and so leaves the tail of a transient.
 * - Batches are long enough when neighbours are hardly correlated: by the von Neumann ratio (Annals of Mathematical
 *   Statistics 12, 1941), below the bound of Law and Carson (Operations Research 27, 1979). As theirs, the test takes all
 *   batches: the few means of the interval would not show a correlation.
 * - The interval is Student's, of 20 means, each of several neighbouring batches.
 * - It is never narrower than one swing of the figure over the length of the run. A periodic figure makes equal batches when
 *   its period happens to fit them, but the run can begin and end anywhere in a period.
 *
 * The interval covers the mean of autoregressive processes in 92 to 95% of the runs, by simulation: to stop when an interval
 * is narrow favours those that are so by chance. Where a width was not reached it may be too narrow, if batches are short.
 *
 * No run ends before it would probably have met an event of probability 1e-5. One that is rarer can be missed.
 */

/** Instructions of the smallest batch: few, and still many times the work of observing them. */
const BASE = 256;
/** When there are so many batches, twelve for each mean of the interval, the run is judged, or they are joined in pairs. */
const CAPACITY = 240;
/** With fewer batches there is no interval: of 80, up to 60 can be left out, and each mean needs one. */
const LEAST_BATCHES = 80;
/** Means of the interval. */
const MEANS = 20;
/** Student's t for them: 97.5%, 19 degrees of freedom (NIST/SEMATECH e-Handbook of Statistical Methods). */
const STUDENT = 2.093;
/** How much is left out as warm-up, over what MSER finds. */
const MARGIN = 1.5;
/** Law and Carson's bound for the correlation of neighbouring batches, with ten of them for each mean. */
const CORRELATION = 0.4;
/**
 * Instructions that have to count before a run ends, and so the shortest run that reaches a precision: 220 batches of 2048.
 * They miss an event of probability 1e-5 in 1.1% of the runs, exp(-4.5).
 */
export const LEAST_INSTRUCTIONS = 450_560;

export interface PrecisionOptions {
  /** What one of each primitive adds to the figure, in the order of the ledger. */
  readonly weights: Float64Array;
  /** Wanted half of the interval, over the mean. */
  readonly relativeHalfWidth: number;
  /** The run executes no more instructions than these, warm-up included. */
  readonly maxInstructions: number;
}

export interface Precision {
  /** Instructions before those that count. */
  readonly warmUp: number;
  /** Instructions that count. */
  readonly instructions: number;
  /** The figure per instruction; NaN if none counts. */
  readonly mean: number;
  /** Half of its 95% interval; Infinity if the run is too short for one. */
  readonly halfWidth: number;
  /** Whether the wanted width was reached, by batches that are long enough, after a warm-up that has ended. */
  readonly reached: boolean;
}

export interface PreciseCounts {
  readonly precision: Precision;
  /** How often each primitive happened in the instructions that count. */
  readonly counts: Float64Array;
}

/** Neighbouring instructions, with their counts. */
class Batch {
  instructions = 0;
  readonly counts: Float64Array;
  /** The figure of all of them. Always made of the counts, so that equal batches have equal figures to the last bit. */
  figure = 0;
  /** The greatest difference between two neighbours that were joined in it. */
  swing = 0;

  constructor(private readonly weights: Float64Array) {
    this.counts = new Float64Array(weights.length);
  }

  /** Begins anew, with what `counts` have grown by since `seen`, which follows them. */
  start(instructions: number, counts: Float64Array, seen: Float64Array): this {
    for (let i = 0; i < counts.length; i++) {
      this.counts[i] = counts[i] - seen[i];
      seen[i] = counts[i];
    }
    this.instructions = instructions;
    this.figure = dot(this.counts, this.weights);
    this.swing = 0;
    return this;
  }

  /** Takes in its neighbour of the same size. */
  join(next: Batch): void {
    this.swing = Math.max(this.swing, next.swing, Math.abs(this.figure - next.figure));
    this.instructions += next.instructions;
    addTo(this.counts, next.counts);
    this.figure = dot(this.counts, this.weights);
  }
}

/**
 * Says how long to run: execute `next()` instructions and `observe()` them, again and again until `next()` is 0 or there is
 * nothing left to execute, then `finish()`. Holds the memory of about 250 ledgers, however long the run.
 */
export class BatchMeans {
  /** Those of full size, and behind them smaller ones, each at most half of the one before. */
  private batches: Batch[] = [];
  /** Batches that were joined to others, to be used again: to allocate costs more than to count. */
  private readonly spare: Batch[] = [];
  private size = BASE;
  private executed = 0;
  private reached = false;
  private readonly seen: Float64Array;

  /** @param counts of the ledger, which grow as the machine executes; what they hold now is left out */
  constructor(
    private readonly counts: Float64Array,
    private readonly options: PrecisionOptions,
  ) {
    this.seen = counts.slice();
  }

  /** How many instructions to execute next. */
  next(): number {
    return this.reached ? 0 : Math.min(BASE, this.options.maxInstructions - this.executed);
  }

  /** Takes from the ledger what was counted. @param instructions fewer than `next()` said only where the run ends */
  observe(instructions = this.next()): void {
    const { batches } = this;
    const unused = this.spare.pop() ?? new Batch(this.options.weights);
    let batch = unused.start(instructions, this.counts, this.seen);
    this.executed += instructions;
    while (batch.instructions < this.size && batches.at(-1)?.instructions === batch.instructions) {
      batch = this.joined(batches.pop() as Batch, batch);
    }
    batches.push(batch);
    if (batch.instructions < this.size || batches.length < CAPACITY) return;
    this.reached = this.finish().precision.reached;
    if (!this.reached) this.joinPairs();
  }

  /** What is known by now. Of a run that is long enough for an interval, what fills no batch at its end does not count. */
  finish(): PreciseCounts {
    const { weights, relativeHalfWidth } = this.options;
    const full = this.batches.filter(({ instructions }) => instructions === this.size);
    const isLongEnough = full.length >= LEAST_BATCHES;
    const truncation = isLongEnough ? mserTruncation(full.map(({ figure }) => figure)) : 0;
    const perMean = Math.floor((full.length - MARGIN * truncation) / MEANS);
    const counting = isLongEnough ? full.slice(-MEANS * perMean) : this.batches;

    const counts = new Float64Array(weights.length);
    for (const batch of counting) addTo(counts, batch.counts);
    const instructions = counting.reduce((sum, batch) => sum + batch.instructions, 0);
    const mean = dot(counts, weights) / instructions;
    const deviations = deviationsFromMean(counting.map(({ figure }) => figure));
    const swings = counting.map(({ swing }) => swing);
    const ofTotal = isLongEnough
      ? Math.max(studentHalfWidth(deviations, perMean), swingOf(deviations), ...swings)
      : Number.POSITIVE_INFINITY;
    const halfWidth = ofTotal / instructions;
    const reached =
      truncation < longestTruncation(full.length) &&
      instructions >= LEAST_INSTRUCTIONS &&
      !areCorrelated(deviations) &&
      halfWidth <= relativeHalfWidth * Math.abs(mean);
    const warmUp = isLongEnough ? full.length * this.size - instructions : 0;
    return { precision: { warmUp, instructions, mean, halfWidth, reached }, counts };
  }

  private joinPairs(): void {
    const { batches } = this;
    this.batches = Array.from({ length: CAPACITY / 2 }, (_, index) =>
      this.joined(batches[2 * index], batches[2 * index + 1]),
    );
    this.size *= 2;
  }

  private joined(batch: Batch, next: Batch): Batch {
    batch.join(next);
    this.spare.push(next);
    return batch;
  }
}

/** MSER looks for the end of the warm-up in the first half. If it finds the end of that, the run is too short to tell. */
function longestTruncation(batches: number): number {
  return Math.floor(batches / 2);
}

/** How many of the first figures to leave out, so that the squared standard error of the others' mean is least. */
function mserTruncation(figures: readonly number[]): number {
  let truncation = longestTruncation(figures.length);
  let least = Number.POSITIVE_INFINITY;
  let mean = 0;
  let squares = 0;
  for (let first = figures.length - 1; first >= 0; first--) {
    const n = figures.length - first;
    const deviation = figures[first] - mean;
    mean += deviation / n;
    squares += deviation * (figures[first] - mean);
    const statistic = squares / n ** 2;
    if (first > longestTruncation(figures.length) || statistic > least) continue;
    least = statistic;
    truncation = first;
  }
  return truncation;
}

/** Exactly 0 for figures that are equal, which a sum over n would not give. */
function deviationsFromMean(figures: readonly number[]): number[] {
  const mean = figures.reduce((before, figure, index) => before + (figure - before) / (index + 1), 0);
  return figures.map((figure) => figure - mean);
}

/** Half of the 95% interval of a total, whose parts deviate so from their mean. */
function studentHalfWidth(deviations: readonly number[], perMean: number): number {
  const sums = new Float64Array(MEANS);
  deviations.forEach((deviation, index) => {
    sums[Math.floor(index / perMean)] += deviation;
  });
  return STUDENT * Math.sqrt((MEANS * dot(sums, sums)) / (MEANS - 1));
}

/** How far a total runs ahead of its mean course and falls behind it. */
function swingOf(deviations: readonly number[]): number {
  let sum = 0;
  let least = 0;
  let most = 0;
  for (const deviation of deviations) {
    sum += deviation;
    least = Math.min(least, sum);
    most = Math.max(most, sum);
  }
  return most - least;
}

/** Whether neighbours resemble each other; figures that are all equal do not. */
function areCorrelated(deviations: readonly number[]): boolean {
  let differences = 0;
  let squares = deviations[0] ** 2;
  for (let i = 1; i < deviations.length; i++) {
    differences += (deviations[i] - deviations[i - 1]) ** 2;
    squares += deviations[i] ** 2;
  }
  return squares - differences / 2 > CORRELATION * squares;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

function addTo(sum: Float64Array, counts: Float64Array): void {
  for (let i = 0; i < sum.length; i++) sum[i] += counts[i];
}
