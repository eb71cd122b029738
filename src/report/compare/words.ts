/** What the layouts of comparisons have in common: figures, pairs of columns, and what is said under a table. */
import type { Bounds } from "../../cost/counts.js";
import type { Compared, SimulatedComparison, SimulatedDifference } from "../../study/compare/result.js";
import { range, signed } from "../format.js";

/** A column that is held against the base, by their names and places. */
export interface Pair {
  readonly base: string;
  readonly column: string;
  readonly index: number;
}

/** Each column with the base beside it, so that every table can be quoted alone. */
export function pairsOf({ columns: [base, ...others] }: Compared): Pair[] {
  return others.map((column, at) => ({ base, column, index: at + 1 }));
}

/** The heading of a pair's table. */
export function pairHeading({ base, column }: Pair, unit: string): string {
  return `${column} against ${base} [${unit}]`;
}

/** Rows that are in one of both columns. */
export function rowsOfPair<Row extends { readonly cells: readonly unknown[] }>(
  rows: readonly Row[],
  { index }: Pair,
): Row[] {
  return rows.filter(({ cells }) => cells[0] !== null || cells[index] !== null);
}

/** Four digits, or whole numbers that have more. */
export function figure(value: number): string {
  if (Math.abs(value) >= 1000) return value.toFixed(0);
  return String(Number(value.toPrecision(4)));
}

/** Where there is no figure. */
export const NONE = "-";

/** The geometric mean of all ratios of a column to the base, less 1; null for fewer than two, or where one is none. */
export function geomean(relatives: readonly number[]): number | null {
  if (relatives.length < 2 || relatives.some((relative) => relative <= -1)) return null;
  const sum = relatives.reduce((total, relative) => total + Math.log1p(relative), 0);
  return Math.expm1(sum / relatives.length);
}

/** Differences relative to the base. */
export const BELOW_IS_LESS = "(new - base) / base: below 0 takes less, and less is better.";
export const ABOVE_IS_BETTER = "In brackets (base - new) / base: above 0 takes less, which is better.";

// Of what is simulated.

/** Whether costs have a say in the figures; counts have none. */
export function isPriced({ rows }: SimulatedComparison): boolean {
  return rows.some(({ cells }) =>
    cells.some((cell) => cell !== null && cell.ofCosts.low < cell.ofCosts.high),
  );
}

const VERDICTS: Readonly<Record<SimulatedDifference["verdict"], string>> = {
  less: "less in all of the ranges",
  more: "more in all of the ranges",
  same: "the same",
  either: "either",
};

export function verdictText({ verdict }: SimulatedDifference): string {
  return VERDICTS[verdict];
}

/** Such as "-1.2%..-0.8%", with two digits, so that no end that is not 0 looks like it. */
export function percentRange(of: Bounds | null): string {
  return of === null ? NONE : range(of, (fraction) => `${signed(twoDigits(100 * fraction))}%`);
}

function twoDigits(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(2)));
}

/** "10 seeds", or "5 to 10 seeds". */
export function seedsText({ seeds: { low, high } }: SimulatedComparison): string {
  if (low === high) return `${low} seed${low === 1 ? "" : "s"}`;
  return `${low} to ${high} seeds`;
}

/** What every figure is. */
export function figuresText(compared: SimulatedComparison): string {
  return `Figures: the mean of ${seedsText(compared)}${isPriced(compared) ? ", each cost at its value" : ""}`;
}

/** What the columns of a difference say. */
export function spreadText(compared: SimulatedComparison): string {
  const seeds =
    "seeds: the least and the greatest difference of a seed, its run against the base's with the same seed.";
  if (!isPriced(compared)) return seeds;
  return (
    `${seeds} costs: what the ranges of the costs allow, both sides with the same costs, less or more in all of them, or either. ` +
    "Ranges say what is possible, not how likely it is, and anybody can choose how many seeds there are: neither makes a " +
    "difference significant."
  );
}
