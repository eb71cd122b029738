/**
 * A comparison as a figure: a line of marks for each row, a mark for each column. Of what is simulated, the differences from the
 * base, with a thick bar for what the costs allow and a thin one for the seeds; of what was measured, the figures with their
 * intervals.
 */
import type { Compared, MeasuredComparison, SimulatedComparison } from "../../study/compare/result.js";
import { Figure, plotlyText, scaleOf } from "../figure.js";
import { CHARACTER_WIDTH, FONT, GRID, INK, LABEL_TICKS, LINES } from "../theme.js";
import { tableCompare } from "./table.js";
import { isPriced, seedsText, unitText } from "./words.js";

/** Of a mark, pixels. */
const MARK_HEIGHT = 16;
const ROW_GAP = 14;
/** Characters of a row's name that are shown; the rest is under the pointer. */
const LONGEST = 44;

/** A value with the ends of a bar around it. */
interface Mark {
  readonly row: string;
  readonly place: number;
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/**
 * Its numbers are those of `tableCompare()`.
 *
 * @throws Error when there is nothing to show: of what is simulated, no row that the base and another column have in common
 */
export function plotCompare(compared: Compared): Figure {
  return compared.kind === "measured" ? plotMeasured(compared) : plotSimulated(compared);
}

function plotSimulated(compared: SimulatedComparison): Figure {
  const { columns, rows, unit, provenance, machine } = compared;
  const [base, ...others] = columns;
  const priced = isPriced(compared);
  const series = others.map((name, at) =>
    rows.flatMap(({ name: row, cells }, index) => {
      const difference = cells[at + 1]?.versusBase ?? null;
      const place = placeOf(index, at, others.length);
      return difference === null ? [] : { name, row, place, ...difference };
    }),
  );
  if (series.flat().length === 0) throw new Error("nothing to show: no row has a difference from the base");
  const percents = ({ low, high }: { low: number; high: number }) => ({ low: 100 * low, high: 100 * high });
  return new Figure({
    title: `SIMULATED: difference from ${plotlyText(base)}, ${plotlyText(unit)}`,
    provenance,
    machine:
      `${machine}. Below 0: less. Mean of ${seedsText(compared)}, thin bars their least and greatest` +
      (priced ? "; thick bars what the ranges of the costs allow, both sides with the same costs" : ""),
    ...frameOf(rows, others.length),
    rest: {
      xaxis: {
        title: { text: `difference from ${plotlyText(base)}, %`, standoff: 8, font: FONT },
        gridcolor: GRID,
        rangemode: "tozero",
        zeroline: true,
        zerolinecolor: INK,
        zerolinewidth: 1.6,
      },
      yaxis: rowsAxis(rows),
    },
    data: series.flatMap((marks, at) => {
      const value = (of: (typeof marks)[number]) => 100 * of.relative;
      const ofCosts = marks.map((of) => ({ ...of, value: value(of), ...percents(of.ofCosts) }));
      const ofSeeds = marks.map((of) => ({
        ...of,
        value: value(of),
        ...(of.ofSeeds === null ? { low: value(of), high: value(of) } : percents(of.ofSeeds)),
      }));
      return [
        ...(priced
          ? [barsOf(others[at], at, ofCosts, { thickness: 7, opacity: 0.4, isMark: false }, "%")]
          : []),
        barsOf(others[at], at, ofSeeds, { thickness: 1.6, opacity: 1, isMark: true }, "%"),
      ];
    }),
    table: () => tableCompare(compared),
  });
}

function plotMeasured(compared: MeasuredComparison): Figure {
  const { columns, rows, unit } = compared;
  const series = columns.map((_, at) =>
    rows.flatMap(({ name, cells }, index): Mark[] => {
      const cell = cells[at];
      if (cell === null) return [];
      const { centre: value, interval } = cell;
      const { low, high } = interval ?? { low: value, high: value };
      return [{ row: name, place: placeOf(index, at, columns.length), value, low, high }];
    }),
  );
  const all = series.flat();
  if (all.length === 0) throw new Error("nothing to show: there is no row");
  const least = Math.min(...all.map(({ low }) => low));
  const greatest = Math.max(...all.map(({ high }) => high));
  return new Figure({
    title: `MEASURED: ${plotlyText(columns.join(", "))}`,
    provenance: null,
    machine: `that of the files. Bars are ${barsText(compared)}`,
    ...frameOf(rows, columns.length),
    rest: {
      xaxis: {
        title: { text: plotlyText(unitText(compared)), standoff: 8, font: FONT },
        gridcolor: GRID,
        ...scaleOf(least, greatest),
      },
      yaxis: rowsAxis(rows),
    },
    data: series.map((marks, at) =>
      barsOf(columns[at], at, marks, { thickness: 1.6, opacity: 1, isMark: true }, ` ${unit}`),
    ),
    table: () => tableCompare(compared),
  });
}

/** Of a row of a CSV file there are no samples. */
function barsText({ rows }: MeasuredComparison): string {
  const isCsv = rows.flatMap(({ cells }) => cells.flatMap((cell) => (cell ? [cell.samples === null] : [])));
  const csv = "by how much a CSV file says that it may be off";
  if (!isCsv.includes(true)) return "95% intervals";
  return isCsv.includes(false) ? `95% intervals, or ${csv}` : csv;
}

/** Marks of one row stand below each other, around its place. */
function placeOf(row: number, at: number, columns: number): number {
  return row + ((at + 0.5) / columns - 0.5) * 0.7;
}

function shown(row: string): string {
  return row.length > LONGEST ? `${row.slice(0, LONGEST)}...` : row;
}

function frameOf(rows: readonly { readonly name: string }[], columns: number) {
  const longest = Math.max(...rows.map(({ name }) => shown(name).length));
  return {
    plotHeight: rows.length * (columns * MARK_HEIGHT + ROW_GAP) + 2 * ROW_GAP,
    left: 24 + longest * CHARACTER_WIDTH,
    right: 24,
  };
}

function rowsAxis(rows: readonly { readonly name: string }[]): Readonly<Record<string, unknown>> {
  return {
    // From the first row on top to the last.
    range: [rows.length - 0.4, -0.6],
    tickvals: rows.map((_, index) => index),
    ticktext: rows.map(({ name }) => plotlyText(shown(name))),
    zeroline: false,
    showgrid: false,
    ...LABEL_TICKS,
  };
}

interface Look {
  readonly thickness: number;
  readonly opacity: number;
  /** Whether the values are marked, and the series is in the legend. */
  readonly isMark: boolean;
}

function barsOf(
  name: string,
  at: number,
  marks: readonly Mark[],
  { thickness, opacity, isMark }: Look,
  unit: string,
): Figure["data"][number] {
  const { color, symbol } = LINES[at % LINES.length];
  const digits = (value: number) => value.toPrecision(4);
  return {
    type: "scatter",
    mode: "markers",
    name: plotlyText(name),
    legendgroup: String(at),
    showlegend: isMark,
    x: marks.map(({ value }) => value),
    y: marks.map(({ place }) => place),
    error_x: {
      type: "data",
      symmetric: false,
      array: marks.map(({ value, high }) => high - value),
      arrayminus: marks.map(({ value, low }) => value - low),
      color,
      thickness,
      width: 0,
    },
    marker: { color, symbol, size: isMark ? 8 : 0, line: { width: 1.4, color } },
    opacity,
    cliponaxis: false,
    ...(isMark
      ? {
          customdata: marks.map(({ row, low, high }) => [plotlyText(row), `${digits(low)}..${digits(high)}`]),
          hovertemplate: `${plotlyText(name)}, %{customdata[0]}<br>%{x:.4g}${plotlyText(unit)}, %{customdata[1]}<extra></extra>`,
        }
      : { hoverinfo: "skip" }),
  };
}
