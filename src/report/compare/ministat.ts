/** Comparisons as ministat lays them out: a table for each row, a line per column, then the differences in words. */
import type {
  Compared,
  MeasuredCell,
  MeasuredComparison,
  SimulatedCell,
  SimulatedComparison,
} from "../../study/compare/result.js";
import { percent, range, signed } from "../format.js";
import { headed, measured, simulated, type TextColumn, textTables, wrapText } from "../text-table.js";
import {
  belowText,
  figure,
  isPriced,
  NONE,
  noTestText,
  percentRange,
  spreadText,
  unitText,
  verdictText,
} from "./words.js";

/** A column that has the row. */
interface Line<Cell> {
  readonly column: string;
  readonly cell: Cell;
}

export function ministatMeasured(compared: MeasuredComparison): string[] {
  const { columns, rows } = compared;
  return rows.flatMap(({ name, cells }) => {
    const [base] = cells;
    const lines = linesOf(columns, cells);
    const under = lines.flatMap(({ column, cell }) => measuredDifference(column, cell, base));
    return tables(compared, name, textTables(MEASURED, lines), under);
  });
}

const figureOf = (
  header: string,
  of: (cell: MeasuredCell) => number | null,
): TextColumn<Line<MeasuredCell>> => ({
  header,
  align: "right",
  text: ({ cell }) => {
    const value = of(cell);
    return value === null ? NONE : figure(value);
  },
});

const MEASURED: readonly TextColumn<Line<MeasuredCell>>[] = [
  { header: measured(), align: "left", text: ({ column }) => column },
  { header: "N", align: "right", text: ({ cell }) => String(cell.samples ?? NONE) },
  figureOf("Min", ({ min }) => min),
  figureOf("Max", ({ max }) => max),
  figureOf("Median", ({ median }) => median),
  figureOf("Avg", ({ mean }) => mean),
  figureOf("Stddev", ({ standardDeviation }) => standardDeviation),
];

function measuredDifference(column: string, cell: MeasuredCell, base: MeasuredCell | null): string[] {
  if (cell.versusBase === null || base === null) return [];
  const { means, relative } = cell.versusBase;
  if (means === null) return [wrapText(`${column}: ${noTestText(base, cell)}`), `    ${percent(relative)}`];
  const { value, low, high } = means;
  if (low <= 0 && high >= 0) return [wrapText(`${column}: No difference proven at 95.0% confidence`)];
  const half = (high - low) / 2;
  return [
    wrapText(`${column}: Difference at 95.0% confidence`),
    `    ${signed(figure(value))} +- ${figure(half)}`,
    ...(base.mean === 0
      ? []
      : [`    ${percent(value / base.mean)} +- ${percent(half / base.mean).slice(1)}`]),
    "    (Welch's t)",
  ];
}

export function ministatSimulated(compared: SimulatedComparison): string[] {
  const { columns, rows } = compared;
  const priced = isPriced(compared);
  return [
    ...rows.flatMap(({ name, cells }) => {
      const lines = linesOf(columns, cells);
      const under = lines.flatMap(({ column, cell }) => simulatedDifference(column, cell, priced));
      return tables(compared, name, textTables(simulatedColumns(priced), lines), under);
    }),
    wrapText(spreadText(compared)),
  ];
}

function simulatedColumns(priced: boolean): TextColumn<Line<SimulatedCell>>[] {
  const column = (
    header: string,
    text: (cell: SimulatedCell) => string,
  ): TextColumn<Line<SimulatedCell>> => ({
    header,
    align: "right",
    text: ({ cell }) => text(cell),
  });
  return [
    { header: simulated(), align: "left", text: ({ column: name }) => name },
    column("Min", ({ ofSeeds }) => figure(ofSeeds.low)),
    column("Max", ({ ofSeeds }) => figure(ofSeeds.high)),
    column("Avg", ({ mean }) => figure(mean)),
    ...(priced ? [column("costs", ({ ofCosts }) => range(ofCosts, figure))] : []),
  ];
}

function simulatedDifference(column: string, { versusBase }: SimulatedCell, priced: boolean): string[] {
  if (versusBase === null) return [];
  const { relative, ofSeeds, ofCosts } = versusBase;
  return [
    wrapText(`${column}: ${priced ? verdictText(versusBase) : "Difference"}`),
    `    ${percent(relative)}`,
    `    seeds ${percentRange(ofSeeds)}`,
    ...(priced ? [`    costs ${percentRange(ofCosts)}`] : []),
  ];
}

function linesOf<Cell>(columns: readonly string[], cells: readonly (Cell | null)[]): Line<Cell>[] {
  return cells.flatMap((cell, index) => (cell === null ? [] : { column: columns[index], cell }));
}

/** The tables of a row, of which the last one says what is under it. Its heading is no "---", where git ends a message. */
function tables(
  compared: Compared,
  name: string,
  texts: readonly string[],
  under: readonly string[],
): string[] {
  const all = headed(`Row ${name} [${unitText(compared)}]`, texts);
  return [...all.slice(0, -1), [...all.slice(-1), ...under, belowText(compared)].join("\n")];
}
