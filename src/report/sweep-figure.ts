/**
 * A sweep as lines: one figure of its rows over one of its fields, a line for each combination of other fields; over names, as
 * marks without lines. Rows that differ in the seed only are one mark, with their least and their greatest as its bar.
 */
import { loadCpu } from "../cost/cpu-profile.js";
import { nameOf } from "../study/sweep/point.js";
import type { SweepResult, SweepRow } from "../study/sweep/sweep.js";
import { type Figure, figureLayout, plotlyText } from "./figure.js";
import { FONT, GRID, LABEL_TICKS, LINES } from "./theme.js";

const PLOT_HEIGHT = 330;

export interface SweepPlot {
  readonly title: string;
  /** The horizontal axis: a field, or what its fields say together. Numbers, or else names in the order of the sweep. */
  readonly x: string | ((values: SweepRow["values"]) => string | number);
  /** Title of the horizontal axis. */
  readonly xTitle: string;
  /** Title of the vertical axis, with the unit. */
  readonly yTitle: string;
  /** What of a row is drawn. */
  readonly y: (row: SweepRow) => number;
  /** Numbers on the horizontal axis at equal ratios, not at equal distances. */
  readonly logX?: boolean;
  /** What a line is called; by default the values of all fields but that of the axis. */
  readonly line?: (values: SweepRow["values"]) => string;
}

interface Mark {
  readonly x: string | number;
  /** Of its rows, without the seed. */
  readonly fields: string;
  readonly values: readonly number[];
}

/**
 * @throws Error for a field that does not vary in the sweep, a figure that is not finite, a number that has no place on a
 *   logarithmic axis, and for rows of one mark that differ in more than the seed
 */
export function plotSweep(result: SweepResult, plot: SweepPlot): Figure {
  const { title, xTitle, yTitle, logX = false } = plot;
  const unsorted = linesOf(result.rows, plot);
  const seeds = result.spec.seeds.length;
  const cpus = [...new Set(result.rows.map((row) => loadCpu(cpuOf(result, row)).model))];
  const numeric = [...unsorted.values()].flat().every((mark) => typeof mark.x === "number");
  const lines = numeric ? sorted(unsorted) : unsorted;
  const xs = [...new Set([...lines.values()].flat().map((mark) => mark.x))];
  const least = Math.min(...xs.map(Number));
  if (numeric && logX && least <= 0) throw new Error(`x: ${least} has no place on a logarithmic axis`);
  const spread = seeds > 1 ? `; mean of ${seeds} seeds, bars their least and greatest` : "";
  return {
    data: [...lines].map(([name, marks], index) => lineOf(name, marks, index, numeric)),
    layout: figureLayout({
      title: `SIMULATED: ${plotlyText(title)}`,
      provenance: result.provenance,
      machine: `${cpus.join("; ")}${spread}`,
      plotHeight: PLOT_HEIGHT,
      left: 64,
      // Half of a name may stand behind the last mark.
      right: numeric ? 24 : 72,
      rest: {
        xaxis: {
          title: { text: plotlyText(xTitle), standoff: 8, font: FONT },
          gridcolor: GRID,
          type: numeric ? (logX ? "log" : "linear") : "category",
          ...(numeric && logX && { tickvals: xs, ticktext: xs.map(String) }),
          ...LABEL_TICKS,
        },
        yaxis: {
          title: { text: plotlyText(yTitle), standoff: 8, font: FONT },
          rangemode: "tozero",
          gridcolor: GRID,
        },
      },
    }),
  };
}

function cpuOf({ spec }: SweepResult, { values }: SweepRow): string {
  return String(values.cpu ?? spec.base.cpu);
}

function linesOf(rows: readonly SweepRow[], { x, y, line = nameOf }: SweepPlot): Map<string, Mark[]> {
  const lines = new Map<string, Mark[]>();
  for (const row of rows) {
    const { seed: _, ...values } = row.values;
    const place = placeOf(values, x);
    const others = Object.entries(values).filter(([field]) => field !== x);
    const name = line(Object.fromEntries(others));
    const marks = lines.get(name) ?? [];
    lines.set(name, marks);
    const value = y(row);
    if (!Number.isFinite(value)) throw new Error(`y: ${value} of ${nameOf(row.values)} is not finite`);
    const fields = JSON.stringify(values);
    const mark = marks.find((other) => other.x === place);
    if (mark === undefined) marks.push({ x: place, fields, values: [value] });
    else if (mark.fields === fields)
      marks[marks.indexOf(mark)] = { ...mark, values: [...mark.values, value] };
    else
      throw new Error(
        `line ${name}: at ${place} it has rows that differ in more than the seed, ${mark.fields} and ${fields}`,
      );
  }
  return lines;
}

/** Lines over numbers, from left to right. */
function sorted(lines: ReadonlyMap<string, readonly Mark[]>): Map<string, Mark[]> {
  const byPlace = (one: Mark, other: Mark) => Number(one.x) - Number(other.x);
  return new Map([...lines].map(([name, marks]) => [name, [...marks].sort(byPlace)]));
}

function placeOf(values: SweepRow["values"], x: SweepPlot["x"]): string | number {
  if (typeof x === "function") return x(values);
  const { [x]: at } = values;
  if (at === undefined) throw new Error(`${x}: is no field that varies in the sweep`);
  return typeof at === "number" || typeof at === "string" ? at : JSON.stringify(at);
}

function lineOf(
  name: string,
  marks: readonly Mark[],
  index: number,
  joined: boolean,
): Figure["data"][number] {
  const { color, symbol, dash } = LINES[index % LINES.length];
  const means = marks.map(({ values }) => values.reduce((sum, value) => sum + value, 0) / values.length);
  const bar = (end: (mark: Mark, mean: number) => number) => marks.map((mark, at) => end(mark, means[at]));
  return {
    type: "scatter",
    mode: joined ? "lines+markers" : "markers",
    name: plotlyText(name),
    showlegend: true,
    x: marks.map((mark) => mark.x),
    y: means,
    error_y: {
      type: "data",
      symmetric: false,
      array: bar(({ values }, mean) => Math.max(...values) - mean),
      arrayminus: bar(({ values }, mean) => mean - Math.min(...values)),
      color,
      thickness: 1.2,
      width: 3,
    },
    line: { color, dash, width: 1.6 },
    marker: { color, symbol, size: 7, line: { width: 1.4, color } },
    cliponaxis: false,
    hovertemplate: `${plotlyText(name)}, %{x}: %{y:.3f}<extra></extra>`,
  };
}
