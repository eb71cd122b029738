/** What the layouts of comparisons have in common: figures, pairs of columns, and what is said under a table. */
import type { Bounds } from "../../cost/counts.js";
import type {
  Compared,
  MeasuredCell,
  SimulatedComparison,
  SimulatedDifference,
} from "../../study/compare/result.js";
import { percent, range, signed } from "../format.js";

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
export function pairHeading({ base, column }: Pair, compared: Compared): string {
  return `${column} against ${base} [${unitText(compared)}]`;
}

/** The unit, with what is no sample of other runs, so that it gets quoted. */
export function unitText(compared: Compared): string {
  const isOneRun = compared.kind === "measured" && compared.exitsOfOneRun;
  return isOneRun ? `${compared.unit}, exits of one run each` : compared.unit;
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

/** What a difference relative to the base says. Of what is counted, nobody can say which is better. */
export function belowText(compared: Compared): string {
  const says = isCounted(compared) ? "below 0: fewer" : "below 0 takes less, and less is better";
  return `(new - base) / base: ${says}.`;
}

/** The same where the sign is turned round. */
export function aboveText(compared: Compared): string {
  const says = isCounted(compared) ? "above 0: fewer" : "above 0 takes less, which is better";
  return `In brackets (base - new) / base: ${says}.`;
}

/** Whether the figures are counts of a primitive; all others are times. */
function isCounted({ kind, unit }: Compared): boolean {
  return kind === "simulated" && !unit.startsWith("TSC cycles ");
}

// Of what was measured.

/** That a difference has no test, with how many samples there are, where that is known. */
export function noTestText(base: MeasuredCell, cell: MeasuredCell): string {
  return ["no test", ...samplesText(base, cell)].join(", ");
}

/** Such as "n=10", or "n=10+9"; nothing where a file does not say. */
export function samplesText({ samples: before }: MeasuredCell, { samples }: MeasuredCell): string[] {
  if (before === null || samples === null) return [];
  return [samples === before ? `n=${samples}` : `n=${before}+${samples}`];
}

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

/**
 * Such as "-1.2%..-0.8%", with two digits, so that no end that is not 0 looks like it. Where both ends would look the same and
 * are rounded, they are as `percent()` has them: that is what they stand beside.
 */
export function percentRange(of: Bounds | null): string {
  if (of === null) return NONE;
  const text = (fraction: number) => `${signed(twoDigits(100 * fraction))}%`;
  const looksSame = text(of.low) === text(of.high);
  const isRounded = [of.low, of.high].some((end) => parseFloat(text(end)) !== parseFloat(percent(end)));
  // Below 1%, two digits are as many as percent() has, or more.
  return range(of, looksSame && isRounded && Math.abs(of.low) >= 0.01 ? percent : text);
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
    `${seeds} costs: what the ranges of the costs allow, both sides with the same costs. verdict: less or more in all of these ranges, the same, or either. ` +
    "Ranges say what is possible, not how likely it is, and anybody can choose how many seeds there are: neither makes a " +
    "difference significant."
  );
}
