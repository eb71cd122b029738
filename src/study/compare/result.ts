/**
 * What a comparison of two or more columns says: the first column is the base, each other is held against it, row by row.
 *
 * Measured and simulated results are two kinds that never mix. Of measured ones there are samples, and a difference may be
 * significant. Of simulated ones there are seeds, whose number anybody can choose, so that no p-value means anything, and costs,
 * whose ranges say what is possible. Both are told apart.
 */
import type { Bounds } from "../../cost/counts.js";
import type { Interval, Provenance } from "../result.js";

export type Compared = MeasuredComparison | SimulatedComparison;

/** Plain data, JSON-serialisable; so are all below. */
export interface MeasuredComparison {
  readonly kind: "measured";
  /** Of exitlab, which compared. */
  readonly version: string;
  /** The shell command that compares again; null where none can name the columns. */
  readonly command: string | null;
  /** Of all figures; less is better. */
  readonly unit: string;
  /** Whether the samples of a column are the exits of one run, as perf's and ftrace's are; else each is of a run. */
  readonly exitsOfOneRun: boolean;
  /** Names of the columns, the base first. */
  readonly columns: readonly string[];
  readonly rows: readonly MeasuredRow[];
  /** What a reader should know of the samples. */
  readonly notes: readonly string[];
}

export interface MeasuredRow {
  readonly name: string;
  /** One per column; null where the column has no such row. */
  readonly cells: readonly (MeasuredCell | null)[];
}

export interface MeasuredCell extends SampleSummary {
  /** null for the base, and where the base has no such row or 0, to which nothing is relative. */
  readonly versusBase: MeasuredDifference | null;
}

/** What is known of samples; null for what so few, or a tool that printed a mean only, do not tell. */
export interface SampleSummary {
  /** null of a CSV row, which does not say. */
  readonly samples: number | null;
  readonly mean: number;
  readonly standardDeviation: number | null;
  readonly min: number | null;
  readonly median: number | null;
  readonly max: number | null;
  /** 95% interval of the centre that is compared; of a CSV row, by how much the file says that it may be off. */
  readonly interval: Bounds | null;
  /** What is compared: the median, or the mean in a row of which some column knows nothing else. */
  readonly centre: number;
}

export interface MeasuredDifference {
  /** (centre - base's) / base's: below 0 where this column takes less. */
  readonly relative: number;
  /** Of no difference; null where there are too few samples for a test, or none as in a CSV file. */
  readonly p: number | null;
  readonly test: "Mann-Whitney U" | "Welch's t" | null;
  /** p < 0.05. */
  readonly significant: boolean;
  /** Difference of the means with its 95% interval by Welch's t, in the unit; null with fewer than two samples of either. */
  readonly means: Interval | null;
}

export interface SimulatedComparison {
  readonly kind: "simulated";
  readonly provenance: Provenance;
  /** The processors as their makers call them. */
  readonly machine: string;
  /** Of all figures, such as "TSC cycles per access"; less is better. */
  readonly unit: string;
  readonly columns: readonly string[];
  readonly rows: readonly SimulatedRow[];
  /** How many seeds each cell is the mean of, the least and the most. */
  readonly seeds: Bounds;
  /** What a reader has to know before believing a difference: what else the columns differ in, what was left out. */
  readonly notes: readonly string[];
}

export interface SimulatedRow {
  /** The values that the row has in common, such as "vcpus=2 workload[ram].weight=10"; "all" where nothing else varies. */
  readonly name: string;
  readonly cells: readonly (SimulatedCell | null)[];
}

export interface SimulatedCell {
  /** Over the seeds, each cost at its value. */
  readonly mean: number;
  /** The least and the greatest of the seeds, each cost at its value. */
  readonly ofSeeds: Bounds;
  /** Over the ranges of the costs, of the mean counts of the seeds; the mean itself where nothing is priced. */
  readonly ofCosts: Bounds;
  /** null for the base, and where the base has no such row or may be 0 within the ranges, to which nothing is relative. */
  readonly versusBase: SimulatedDifference | null;
}

/** Relative to the base: below 0 where this column takes less. */
export interface SimulatedDifference {
  /** Of the means. */
  readonly relative: number;
  /** The least and the greatest over the seeds, each against the base's run with the same seed; null where no seed is in both, or the base's is 0 in one. */
  readonly ofSeeds: Bounds | null;
  /** Over the ranges of the costs, both sides under one cost vector, and the mean counts of the seeds. */
  readonly ofCosts: Bounds;
  /** What the ranges allow: less or more wherever in them, the same, or either. Of `ofCosts` alone. */
  readonly verdict: "less" | "more" | "same" | "either";
}

/** What a range of differences allows. */
export function verdictOf({ low, high }: Bounds): SimulatedDifference["verdict"] {
  if (low === 0 && high === 0) return "same";
  if (high < 0) return "less";
  return low > 0 ? "more" : "either";
}
