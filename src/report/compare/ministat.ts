/** Comparisons as ministat lays them out: a table for each row, a line per column, then the differences in words. */
import type {
  MeasuredCell,
  MeasuredComparison,
  SimulatedCell,
  SimulatedComparison,
} from "../../study/compare/result.js";
import { percent, range, signed } from "../format.js";
import { headed, measured, simulated, type TextColumn, textTables, wrapText } from "../text-table.js";
import { BELOW_IS_LESS, figure, isPriced, NONE, percentRange, spreadText, verdictText } from "./words.js";

/** A column that has the row. */
interface Line<Cell> {
  readonly column: string;
  readonly cell: Cell;
}

export function ministatMeasured({ columns, rows, unit }: MeasuredComparison): string[] {
  return rows.flatMap(({ name, cells }) => {
    const [base] = cells;
    const lines = linesOf(columns, cells);
    const under = lines.flatMap(({ column, cell }) => measuredDifference(column, cell, base));
    return withUnder(headed(`${name} [${unit}]`, textTables(MEASURED, lines)), under);
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
  { header: "N", align: "right", text: ({ cell }) => String(cell.samples) },
  figureOf("Min", ({ min }) => min),
  figureOf("Max", ({ max }) => max),
  figureOf("Median", ({ median }) => median),
  figureOf("Avg", ({ mean }) => mean),
  figureOf("Stddev", ({ standardDeviation }) => standardDeviation),
];

function measuredDifference(
  column: string,
  { versusBase }: MeasuredCell,
  base: MeasuredCell | null,
): string[] {
  if (versusBase === null || base === null) return [];
  const { means } = versusBase;
  if (means === null) return [wrapText(`${column}: too few samples for a difference`)];
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
  const { columns, rows, unit } = compared;
  const priced = isPriced(compared);
  return [
    ...rows.flatMap(({ name, cells }) => {
      const lines = linesOf(columns, cells);
      const under = lines.flatMap(({ column, cell }) => simulatedDifference(column, cell, priced));
      return withUnder(headed(`${name} [${unit}]`, textTables(simulatedColumns(priced), lines)), under);
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

/** What the last table says, and what its signs mean. */
function withUnder(tables: readonly string[], under: readonly string[]): string[] {
  return [...tables.slice(0, -1), [...tables.slice(-1), ...under, BELOW_IS_LESS].join("\n")];
}
