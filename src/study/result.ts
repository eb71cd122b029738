/**
 * What the pci-testdev study returns: plain data, JSON-serialisable, the one shape that the tables, the figures and the
 * files of `src/report/` are made from.
 *
 * Cycles are TSC cycles per access of the machine that was measured.
 */
import type { Bounds } from "../cost/calibration.js";
import type { Category, Tag } from "../cost/primitive-costs.js";

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
  /** Digest of the simulation core's sources, 8 hex digits. */
  readonly model: string;
  readonly seed: number;
  /** The measurement the costs were fitted to, with its source. */
  readonly calibration: string;
  /** What is known of the measured machine. */
  readonly machine: string;
  /** The processor, and what exits evict there, that rows and costs are shown for. */
  readonly shownAs: string;
  /** The command that makes the same bytes again. */
  readonly command: string;
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
  /** What was known before: the ends of a range with a source, and its middle. */
  readonly prior: Interval;
  /** What the rows leave of it. */
  readonly fitted: Interval;
  /** Whether the rows fix it, whatever the priors say. */
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
  /** Fitted to the measured row. */
  readonly before: number;
  /** Simulated; its ends cover every plausible processor and every state that the exit handler leaves. */
  readonly after: Interval;
}

/** The headline study: six measured rows, the fit, and what was never published. */
export interface PciTestdevStudy {
  readonly provenance: Provenance;
  readonly rows: readonly CalibratedRow[];
  readonly costs: readonly CostEstimate[];
  /** How many independent sums of costs the rows fix. */
  readonly rank: number;
  /** Groups of costs of which the rows know only a sum. */
  readonly inseparable: readonly (readonly string[])[];
  readonly comparison: readonly KernelComparison[];
  readonly predictions: readonly FastMmioPrediction[];
  /** The vmexit rows of 2012: another machine, fitted apart. */
  readonly vmexit2012: readonly CalibratedRow[];
}
