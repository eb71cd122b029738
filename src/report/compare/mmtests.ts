/**
 * Comparisons as mmtests lays them out: a line per statistic and row, each figure with its difference beside it, above 0 where
 * it is better. Of what was measured, asterisks stand around a difference that is significant, else brackets.
 */
import type { Bounds } from "../../cost/counts.js";
import type {
  Compared,
  MeasuredCell,
  MeasuredComparison,
  SimulatedCell,
  SimulatedComparison,
} from "../../study/compare/result.js";
import { percent, range } from "../format.js";
import { headed, measured, simulated, type TextColumn, textTables, wrapText } from "../text-table.js";
import {
  aboveText,
  figure,
  isPriced,
  NONE,
  type Pair,
  pairHeading,
  pairsOf,
  percentRange,
  rowsOfPair,
  spreadText,
  verdictText,
} from "./words.js";

/** A line: what it is of, and the figures of the base and of the other column. */
interface Line {
  readonly name: string;
  readonly base: string;
  readonly column: string;
}

/** Width of the longest name of a statistic. */
const NAME = "CoeffVar".length;

type Statistic = (cell: MeasuredCell) => number | null;

const STATISTICS: readonly (readonly [name: string, statistic: Statistic])[] = [
  ["Min", ({ min }) => min],
  ["Amean", ({ mean }) => mean],
  ["Stddev", ({ standardDeviation }) => standardDeviation],
  ["CoeffVar", ({ standardDeviation, mean }) => coefficientOfVariation(standardDeviation, mean)],
  ["Max", ({ max }) => max],
];

/** In per cent. */
function coefficientOfVariation(standardDeviation: number | null, mean: number): number | null {
  return standardDeviation === null || mean === 0 ? null : (100 * standardDeviation) / mean;
}

export function mmtestsMeasured(compared: MeasuredComparison): string[] {
  return [
    ...pairsOf(compared).flatMap((pair) => {
      const lines = STATISTICS.flatMap(([name, statistic]) =>
        rowsOfPair(compared.rows, pair).map((row): Line => {
          const [base] = row.cells;
          const cell = row.cells[pair.index];
          const isSignificant = name === "Amean" && meansDiffer(cell);
          return {
            name: lineName(name, row.name),
            base: measuredText(base, base, statistic, false),
            column: measuredText(cell, base, statistic, isSignificant),
          };
        }),
      );
      return tables(compared, pair, measured(), lines);
    }),
    wrapText(
      "*: the means differ, by the 95% interval of Welch's t test. CoeffVar is in per cent of the mean." +
        (hasUntested(compared) ? " There is no test of too few samples, nor of a CSV file." : ""),
    ),
  ];
}

function hasUntested({ rows }: MeasuredComparison): boolean {
  return rows.some(({ cells }) => cells.some((cell) => cell?.versusBase && cell.versusBase.means === null));
}

function meansDiffer(cell: MeasuredCell | null): boolean {
  const means = cell?.versusBase?.means ?? null;
  return means !== null && (means.low > 0 || means.high < 0);
}

function measuredText(
  cell: MeasuredCell | null,
  base: MeasuredCell | null,
  statistic: Statistic,
  isSignificant: boolean,
): string {
  const value = cell && statistic(cell);
  if (value === null) return NONE;
  const from = base && statistic(base);
  const better = from === null || from === 0 ? NONE.padStart(8) : betterText((from - value) / from, 7);
  const [open, close] = isSignificant ? ["*", "*"] : ["(", ")"];
  return `${figure(value)} ${open}${better}${close}`;
}

/** Without a plus, as mmtests has it. Of sums in floating point, what is less than a billionth is no difference. */
function betterText(share: number, width: number): string {
  return `${percent(Math.round(share * 1e9) / 1e9)
    .replace(/^\+|%$/g, "")
    .padStart(width)}%`;
}

export function mmtestsSimulated(compared: SimulatedComparison): string[] {
  const priced = isPriced(compared);
  return [
    ...pairsOf(compared).flatMap((pair) => {
      const rows = rowsOfPair(compared.rows, pair);
      const lines = (name: string, text: (cell: SimulatedCell, isBase: boolean) => string) =>
        rows.map((row): Line => {
          const of = (index: number) => {
            const cell = row.cells[index];
            return cell === null ? NONE : text(cell, index === 0);
          };
          return { name: lineName(name, row.name), base: of(0), column: of(pair.index) };
        });
      return tables(compared, pair, simulated(), [
        ...lines("Amean", ({ mean, versusBase }, isBase) =>
          bracketed(
            figure(mean),
            isBase ? betterText(0, 0) : versusBase && betterText(-versusBase.relative, 0),
          ),
        ),
        ...lines("seeds", ({ ofSeeds, versusBase }) =>
          bracketed(range(ofSeeds, figure), betterRange(versusBase?.ofSeeds)),
        ),
        ...(priced
          ? [
              ...lines("costs", ({ ofCosts, versusBase }) =>
                bracketed(range(ofCosts, figure), betterRange(versusBase?.ofCosts)),
              ),
              ...lines("verdict", ({ versusBase }) => (versusBase === null ? NONE : verdictText(versusBase))),
            ]
          : []),
      ]);
    }),
    wrapText(spreadText(compared)),
  ];
}

function bracketed(text: string, better: string | null): string {
  return better === null ? text : `${text} (${better})`;
}

/** Better is less, so that the ends change places. */
function betterRange(relative: Bounds | null | undefined): string | null {
  if (relative === null || relative === undefined) return null;
  return percentRange({ low: -relative.high, high: -relative.low });
}

function lineName(statistic: string, row: string): string {
  return `${statistic.padEnd(NAME)} ${row}`;
}

/** Under each table stands what its signs mean. */
function tables(compared: Compared, pair: Pair, header: string, lines: readonly Line[]): string[] {
  const columns: readonly TextColumn<Line>[] = [
    { header, align: "left", text: ({ name }) => name },
    { header: pair.base, align: "right", text: ({ base }) => base },
    { header: pair.column, align: "right", text: ({ column }) => column },
  ];
  return headed(pairHeading(pair, compared), textTables(columns, lines)).map(
    (table) => `${table}\n${aboveText(compared)}`,
  );
}
