/** Comparisons as benchstat lays them out: a line per row, the base, the other column, and the difference. */
import type {
  Compared,
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
  belowText,
  figure,
  geomean,
  isPriced,
  NONE,
  noTestText,
  type Pair,
  pairHeading,
  pairsOf,
  percentRange,
  rowsOfPair,
  samplesText,
  spreadText,
} from "./words.js";

/** A line of a table; the last may be the geometric mean, which has a difference only. */
interface Line<Cell> {
  readonly name: string;
  readonly base: Cell | null;
  readonly cell: Cell | null;
  readonly difference: string;
}

export function benchstatMeasured(compared: MeasuredComparison): string[] {
  return [
    ...pairsOf(compared).flatMap((pair) => {
      const rows = linesOf(rowsOfPair<MeasuredRow>(compared.rows, pair), pair, measuredDifference);
      // Exits of different reasons are no benchmarks to sum up.
      const lines = compared.exitsOfOneRun ? rows : withGeomean(rows);
      const columns = [
        keyColumn<MeasuredCell>(measured("row")),
        valueColumn<MeasuredCell>(pair.base, ({ base }) => base, centreText),
        valueColumn<MeasuredCell>(pair.column, ({ cell }) => cell, centreText),
        differenceColumn<MeasuredCell>(),
      ];
      return tables(compared, pair, textTables(columns, lines));
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

function measuredDifference(base: MeasuredCell, cell: MeasuredCell): string {
  if (cell.versusBase === null) return NONE;
  const { relative, p, significant } = cell.versusBase;
  if (p === null) return `${percent(relative)} (${noTestText(base, cell)})`;
  return `${significant ? percent(relative) : "~"} (${[`p=${p.toFixed(3)}`, ...samplesText(base, cell)].join(" ")})`;
}

/** Of 3 and 3 runs that are wholly apart, 2 of 20 choices are as far; of 4 and 4 it is 2 of 70. */
const TOO_FEW_RUNS =
  "no test: no figures of so few runs could have p < 0.05; 4 of each are enough (append what vmexit prints to one file).";

function measuredFootnote({ rows, exitsOfOneRun }: MeasuredComparison): string {
  const cells = rows.flatMap((row) => row.cells.flatMap((cell) => cell ?? []));
  const tested = (test: string) =>
    rows.filter((row) => row.cells.some((cell) => cell?.versusBase?.test === test)).map(({ name }) => name);
  const hasCsv = cells.some(({ samples }) => samples === null);
  const hasFew = rows.some(({ cells: [base, ...others] }) =>
    others.some((cell) => base?.samples && cell?.samples && cell.versusBase?.p === null),
  );
  const [byMedian, byMean] = [tested("Mann-Whitney U"), tested("Welch's t")];
  return [
    "+-: the 95% interval, in per cent of the figure. ~: no difference shown at p < 0.05.",
    ...(hasCsv
      ? ["In a row of a CSV file +- is by how much it says that it may be off; there is no test of it."]
      : []),
    ...(byMedian.length > 0 ? ["Figures are medians, p is of Mann and Whitney's U test."] : []),
    ...(byMean.length > 0
      ? [`Figures${byMedian.length > 0 ? ` of ${byMean.join(", ")}` : ""} are means, p is of Welch's t test.`]
      : []),
    ...(byMedian.length + byMean.length === 0 && cells.every(({ centre, median }) => centre === median)
      ? ["Figures are medians."]
      : []),
    ...(cells.some(({ interval }) => interval === null) ? ["?: too few samples for an interval."] : []),
    ...(hasFew ? [exitsOfOneRun ? "no test: too few exits." : TOO_FEW_RUNS] : []),
  ].join(" ");
}

export function benchstatSimulated(compared: SimulatedComparison): string[] {
  return [
    ...pairsOf(compared).flatMap((pair) => {
      const lines = linesOf(rowsOfPair<SimulatedRow>(compared.rows, pair), pair, (_, { versusBase }) =>
        versusBase === null ? NONE : percent(versusBase.relative),
      );
      return tables(compared, pair, simulatedTables(compared, pair, lines));
    }),
    wrapText(spreadText(compared)),
  ];
}

/** A difference is never without its spread: where both do not fit beside the figures, they are a table of their own. */
function simulatedTables(
  compared: SimulatedComparison,
  pair: Pair,
  lines: readonly Line<SimulatedCell>[],
): string[] {
  const mean = ({ mean: value }: SimulatedCell) => figure(value);
  const key = keyColumn<SimulatedCell>(simulated("row"));
  const figures = [
    valueColumn<SimulatedCell>(pair.base, ({ base }) => base, mean),
    valueColumn<SimulatedCell>(pair.column, ({ cell }) => cell, mean),
  ];
  const differences = [differenceColumn<SimulatedCell>(), ...spreadColumns(compared)];
  const verdict = isPriced(compared) ? [simulatedColumn("verdict", (of) => of.verdict)] : [];
  return textTables([key, ...figures, ...differences], lines).length === 1
    ? textTables([key, ...figures, ...differences, ...verdict], lines)
    : [...textTables([key, ...figures], lines), ...textTables([key, ...differences, ...verdict], lines)];
}

/** How far a difference may be off, the costs first: they stand beside it. */
function spreadColumns(compared: SimulatedComparison): TextColumn<Line<SimulatedCell>>[] {
  return [
    ...(isPriced(compared) ? [simulatedColumn("costs", ({ ofCosts }) => percentRange(ofCosts))] : []),
    simulatedColumn("seeds", ({ ofSeeds }) => percentRange(ofSeeds)),
  ];
}

function simulatedColumn(
  header: string,
  text: (of: SimulatedDifference) => string,
): TextColumn<Line<SimulatedCell>> {
  return {
    header,
    align: "right",
    text: ({ cell }) => (cell === null || cell.versusBase === null ? NONE : text(cell.versusBase)),
  };
}

/** Under each table stands what its signs mean. */
function tables(compared: Compared, pair: Pair, texts: readonly string[]): string[] {
  return headed(pairHeading(pair, compared), texts).map(
    (table) => `${table}\n${wrapText(`vs base: ${belowText(compared)}`)}`,
  );
}

function linesOf<Cell>(
  rows: readonly { readonly name: string; readonly cells: readonly (Cell | null)[] }[],
  { index }: Pair,
  text: (base: Cell, cell: Cell) => string,
): Line<Cell>[] {
  return rows.map(({ name, cells }) => {
    const [base] = cells;
    const cell = cells[index];
    return { name, base, cell, difference: base === null || cell === null ? NONE : text(base, cell) };
  });
}

/** Ends in the geometric mean of the ratios, and says of how many rows it is where some have none. */
function withGeomean(lines: readonly Line<MeasuredCell>[]): readonly Line<MeasuredCell>[] {
  const relatives = lines.flatMap(({ cell }) => cell?.versusBase?.relative ?? []);
  const mean = geomean(relatives);
  if (mean === null) return lines;
  const of = relatives.length === lines.length ? "" : ` (${relatives.length} of ${lines.length})`;
  return [...lines, { name: `geomean${of}`, base: null, cell: null, difference: percent(mean) }];
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
