/**
 * What the pci-testdev study returns: plain data, JSON-serialisable, the one shape that the tables, the figures and the
 * files of `src/report/` are made from.
 *
 * Cycles are TSC cycles per access of the machine that was measured.
 */
import type { Bounds } from "../cost/counts.js";
import type { Category } from "../cost/primitive-costs.js";
import type { Tag } from "../cost/quantity.js";
import type { Conditions } from "./conditions.js";

/** A value in cycles with the lowest and the highest value that the evidence allows. */
export interface Interval extends Bounds {
  readonly value: number;
}

/** Cycles per access by cost category. The categories add up to the total. */
export type Breakdown = Readonly<Record<Category, number>>;

/** Where a simulated figure comes from; printed with every table and under every figure. */
export interface Provenance {
  /** Version of the package, such as "0.1.0". */
  readonly version: string;
  /** Digest of the sources that decide a figure, 8 hex digits. */
  readonly model: string;
  /** Digest of the measurements, profiles and costs it rests on, 8 hex digits. */
  readonly data: string;
  readonly seed: number;
  /** All of them, where there are several; `seed` is the first. */
  readonly seeds?: readonly number[];
  /** The measurement the costs were fitted to, with its source; absent where nothing was fitted. */
  readonly calibration?: string;
  readonly conditions: Conditions;
  /** The shell command that makes the same bytes again; null for what no command can say, such as costs fitted in a notebook. */
  readonly command: string | null;
}

/** Where the figures of a study with fitted costs come from. */
export interface FittedProvenance extends Provenance {
  readonly calibration: string;
  /** What is known of the measured machine. */
  readonly machine: string;
  /** What rows and costs are shown for: the processor, what exits evict there, costs that were changed. */
  readonly shownAs: string;
}

/** One measured row of a machine against its simulation. */
export interface CalibratedRow {
  /** The row's name in kvm-unit-tests, such as "mmio-wildcard-eventfd". */
  readonly name: string;
  readonly measured: number;
  readonly simulated: number;
  /** (simulated - measured) / measured. */
  readonly residual: number;
  readonly breakdown: Breakdown;
}

/** One primitive cost before and after the fit to a machine's rows. */
export interface CostEstimate {
  readonly name: string;
  readonly category: Category;
  /** What was known before: a value, and the ends of its range. */
  readonly prior: Interval;
  /** What the rows leave of it. */
  readonly fitted: Interval;
  /** Whether the rows determine it apart from all others; how well, its fitted range says. */
  readonly identified: boolean;
  readonly tag: Tag;
  readonly source: string;
}

/** What the fast MMIO bus does to the measured machine if its CPU was this one. */
export interface FastMmioPrediction {
  readonly cpu: string;
  /** The processor as its maker calls it. */
  readonly model: string;
  /** What the exit handler leaves of the guest's cached paging structures. */
  readonly exitEvicts: string;
  /** Paging-structure references per kick, guest and EPT. */
  readonly references: number;
  readonly portIo: Interval;
  readonly fastMmio: Interval;
  /** fastMmio - portIo; its ends are found together, so they are tighter than the ends' difference. */
  readonly difference: Interval;
  /** The page walk's share of fastMmio. */
  readonly walk: Interval;
}

/** A row before and after the fast MMIO bus, on the measured machine. */
export interface KernelComparison {
  readonly name: string;
  readonly measured: number;
  /** Fitted to the measured row, for the case that the study is shown for. */
  readonly before: number;
  /** On the kernel with the fast bus; its ends cover all predictions' processors and states. */
  readonly after: Interval;
}

/** A cost in a difference of two runs, and how often more per access it occurs in the first. */
export interface DifferenceTerm {
  readonly cost: string;
  readonly times: number;
}

/** The rows of another machine, fitted apart. */
export interface OtherMachine {
  readonly rows: readonly CalibratedRow[];
  /** How many independent sums of costs its rows fix; as many as rows means that any rows would fit. */
  readonly rank: number;
}

/** The headline study: six measured rows, the fit, and what was never published. */
export interface PciTestdevStudy {
  readonly provenance: FittedProvenance;
  readonly rows: readonly CalibratedRow[];
  readonly costs: readonly CostEstimate[];
  /** How many independent sums of costs the rows fix. */
  readonly rank: number;
  /** Groups of costs that occur in one proportion in all rows, so that the rows cannot tell them apart. */
  readonly inseparable: readonly (readonly string[])[];
  readonly comparison: readonly KernelComparison[];
  readonly predictions: readonly FastMmioPrediction[];
  /** Cases that the rows rule out: no costs within their prior ranges meet them. */
  readonly excluded: readonly { readonly cpu: string; readonly exitEvicts: string }[];
  /** What the difference between fast MMIO and port I/O is made of, in the case that the study is shown for. */
  readonly difference: readonly DifferenceTerm[];
  /** The vmexit rows of 2012. */
  readonly vmexit2012: OtherMachine;
}
