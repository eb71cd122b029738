/** Comparisons as benchstat lays them out: a line per row, the base, the other column, and the difference. */
import type {
  MeasuredCell,
  MeasuredComparison,
  MeasuredRow,
  SimulatedCell,
  SimulatedComparison,
  SimulatedDifference,
  SimulatedRow,
} from "../../study/compare/result.js";
import { percent } from "../format.js";
import { headed, measured, simulated, type TextColumn, textTables, wrapText } from "../text-table.js";
import {
  BELOW_IS_LESS,
  figure,
  geomean,
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

const VS_BASE = `vs base: ${BELOW_IS_LESS}`;

/** A line of a table; the last may be the geometric mean, which has a difference only. */
interface Line<Cell> {
  readonly name: string;
  readonly base: Cell | null;
  readonly cell: Cell | null;
  readonly difference: string;
}

export function benchstatMeasured(compared: MeasuredComparison): string[] {
  const { unit, rows } = compared;
  return [
    ...pairsOf(compared).flatMap((pair) => {
      const lines = linesOf(rowsOfPair<MeasuredRow>(rows, pair), pair, measuredDifference);
      const columns = [
        keyColumn<MeasuredCell>(measured("row")),
        valueColumn<MeasuredCell>(pair.base, ({ base }) => base, centreText),
        valueColumn<MeasuredCell>(pair.column, ({ cell }) => cell, centreText),
        differenceColumn<MeasuredCell>(),
      ];
      return tables(pairHeading(pair, unit), textTables(columns, lines));
    }),
    wrapText(measuredFootnote(compared)),
  ];
}

/** The centre, and by how much of it the interval's farther end is off, as benchstat has it. */
function centreText({ centre, interval }: MeasuredCell): string {
  if (interval === null || centre === 0) return `${figure(centre)} +- ?`;
  const off = Math.max(interval.high - centre, centre - interval.low) / centre;
  return `${figure(centre)} +- ${(100 * off).toFixed(0)}%`;
}

function measuredDifference(base: MeasuredCell, { versusBase, samples }: MeasuredCell): string {
  if (versusBase === null) return NONE;
  const { relative, p, significant } = versusBase;
  const n = samples === base.samples ? `n=${samples}` : `n=${base.samples}+${samples}`;
  return `${significant ? percent(relative) : "~"} (${p === null ? "" : `p=${p.toFixed(3)} `}${n})`;
}

function measuredFootnote({ rows }: MeasuredComparison): string {
  const cells = rows.flatMap((row) => row.cells.flatMap((cell) => cell ?? []));
  const tested = (test: string) =>
    rows.filter((row) => row.cells.some((cell) => cell?.versusBase?.test === test)).map(({ name }) => name);
  const [byMedian, byMean] = [tested("Mann-Whitney U"), tested("Welch's t")];
  return [
    "+-: the 95% interval, in per cent of the figure. ~: no difference shown at p < 0.05.",
    ...(byMedian.length > 0 ? ["Figures are medians, p is of Mann and Whitney's U test."] : []),
    ...(byMean.length > 0
      ? [`Figures${byMedian.length > 0 ? ` of ${byMean.join(", ")}` : ""} are means, p is of Welch's t test.`]
      : []),
    ...(cells.some(({ interval }) => interval === null) ? ["?: too few samples for an interval."] : []),
    ...(cells.some(({ versusBase }) => versusBase?.p === null)
      ? ["~ without p: too few samples for a test."]
      : []),
  ].join(" ");
}

export function benchstatSimulated(compared: SimulatedComparison): string[] {
  const { unit, rows } = compared;
  return [
    ...pairsOf(compared).flatMap((pair) => {
      const lines = linesOf(rowsOfPair<SimulatedRow>(rows, pair), pair, (_, { versusBase }) =>
        versusBase === null ? NONE : percent(versusBase.relative),
      );
      const columns = [
        keyColumn<SimulatedCell>(simulated("row")),
        valueColumn<SimulatedCell>(
          pair.base,
          ({ base }) => base,
          ({ mean }) => figure(mean),
        ),
        valueColumn<SimulatedCell>(
          pair.column,
          ({ cell }) => cell,
          ({ mean }) => figure(mean),
        ),
        differenceColumn<SimulatedCell>(),
        ...spreadColumns(compared),
      ];
      return tables(pairHeading(pair, unit), textTables(columns, lines));
    }),
    wrapText(spreadText(compared)),
  ];
}

/** How far a difference may be off, the costs first, so that they stand beside it. */
function spreadColumns(compared: SimulatedComparison): TextColumn<Line<SimulatedCell>>[] {
  const column = (
    header: string,
    text: (of: SimulatedDifference) => string,
  ): TextColumn<Line<SimulatedCell>> => ({
    header,
    align: "right",
    text: ({ cell }) => (cell === null || cell.versusBase === null ? "" : text(cell.versusBase)),
  });
  return [
    ...(isPriced(compared)
      ? [column("costs", ({ ofCosts }) => percentRange(ofCosts)), column("verdict", shortVerdict)]
      : []),
    column("seeds", ({ ofSeeds }) => percentRange(ofSeeds)),
  ];
}

function shortVerdict(difference: SimulatedDifference): string {
  return verdictText(difference).replace(" of the ranges", "");
}

/** Under each table stands what its signs mean. */
function tables(heading: string, texts: readonly string[]): string[] {
  return headed(heading, texts).map((table) => `${table}\n${VS_BASE}`);
}

function linesOf<Cell extends { readonly versusBase: { readonly relative: number } | null }>(
  rows: readonly { readonly name: string; readonly cells: readonly (Cell | null)[] }[],
  { index }: Pair,
  text: (base: Cell, cell: Cell) => string,
): Line<Cell>[] {
  const lines = rows.map(({ name, cells }) => {
    const [base] = cells;
    const cell = cells[index];
    return { name, base, cell, difference: base === null || cell === null ? NONE : text(base, cell) };
  });
  const mean = geomean(lines.flatMap(({ cell }) => cell?.versusBase?.relative ?? []));
  return mean === null
    ? lines
    : [...lines, { name: "geomean", base: null, cell: null, difference: percent(mean) }];
}

function keyColumn<Cell>(header: string): TextColumn<Line<Cell>> {
  return { header, align: "left", text: ({ name }) => name };
}

function valueColumn<Cell>(
  header: string,
  of: (line: Line<Cell>) => Cell | null,
  text: (cell: Cell) => string,
): TextColumn<Line<Cell>> {
  return {
    header,
    align: "right",
    text: (line) => {
      const cell = of(line);
      return cell === null ? "" : text(cell);
    },
  };
}

function differenceColumn<Cell>(): TextColumn<Line<Cell>> {
  return { header: "vs base", align: "right", text: ({ difference }) => difference };
}
