/**
 * A sweep as lines: one figure of its rows over one of its fields, a line for each combination of other fields; over names, as
 * marks without lines. Rows that differ in the seed only are one mark, with their least and their greatest as its bar.
 */
import { loadCpu } from "../cost/cpu-profile.js";
import { InputError } from "../cost/input.js";
import { nameOf } from "../study/sweep/point.js";
import { shownValue } from "../study/sweep/shown-value.js";
import type { SweepResult, SweepRow } from "../study/sweep/sweep.js";
import { Figure, plotlyText } from "./figure.js";
import { type Ends, range } from "./format.js";
import type { Records } from "./records.js";
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
  /** What a row's figure may be, in place of what the seeds make of it, and what to call that. */
  readonly span?: { readonly of: (row: SweepRow) => Ends; readonly words: string };
}

interface Mark {
  readonly x: string | number;
  /** Of its rows, without the seed. */
  readonly fields: string;
  readonly values: readonly number[];
  /** Of each row, as the plot gives it. */
  readonly spans: readonly Ends[];
}

/**
 * One record per mark of `plotSweep`: its line, its place, the mean, the least and the greatest of its seeds, and from where to
 * where its mean may lie, where the plot says so.
 *
 * @throws as `plotSweep()`
 */
export function tableSweepPlot(result: SweepResult, plot: SweepPlot): Records {
  return [...linesOf(result.rows, plot)].flatMap(([line, marks]) =>
    marks.map((mark) => ({
      line,
      [plot.xTitle]: mark.x,
      [plot.yTitle]: meanOf(mark.values),
      least: Math.min(...mark.values),
      greatest: Math.max(...mark.values),
      ...(plot.span !== undefined && barOf(mark)),
    })),
  );
}

/**
 * @throws Error for a field that does not vary in the sweep, a figure that is not finite, a number that has no place on a
 *   logarithmic axis, and for rows of one mark that differ in more than the seed; InputError for more lines than a reader can
 *   tell apart
 */
export function plotSweep(result: SweepResult, plot: SweepPlot): Figure {
  const { title, xTitle, yTitle, logX = false, span } = plot;
  const unsorted = linesOf(result.rows, plot);
  const seeds = result.spec.seeds.length;
  const cpus = [...new Set(result.rows.map((row) => loadCpu(cpuOf(result, row)).model))];
  const numeric = [...unsorted.values()].flat().every((mark) => typeof mark.x === "number");
  const lines = numeric ? sorted(unsorted) : unsorted;
  if (lines.size > LINES.length) throw tooManyLines([...lines.keys()]);
  const xs = [...new Set([...lines.values()].flat().map((mark) => mark.x))];
  const least = Math.min(...xs.map(Number));
  if (numeric && logX && least <= 0) throw new Error(`x: ${least} has no place on a logarithmic axis`);
  const mean = seeds > 1 ? `; mean of ${seeds} seeds` : "";
  const bars = span?.words ?? (seeds > 1 ? "their least and greatest" : undefined);
  const spread = `${mean}${bars === undefined ? "" : `; bars: ${bars}`}`;
  return new Figure({
    title: `SIMULATED: ${plotlyText(title)}`,
    provenance: result.provenance,
    machine: `${cpus.join("; ")}${spread}`,
    plotHeight: PLOT_HEIGHT,
    left: 64,
    // Half of a name may stand behind the last mark.
    right: numeric ? 24 : 72,
    rest: {
      // Marks of one name side by side: equal figures would else cover each other.
      ...(!numeric && { scattermode: "group", scattergap: 0.6 }),
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
    data: [...lines].map(([name, marks], index) => ({
      ...lineOf(name, marks, index),
      mode: numeric ? "lines+markers" : "markers",
      offsetgroup: String(index),
      hovertemplate:
        `${plotlyText(name)}<br>${plotlyText(xTitle)}: %{x}<br>` +
        `${plotlyText(yTitle)}: %{y:.3f}%{customdata}<extra></extra>`,
    })),
    table: () => tableSweepPlot(result, plot),
  });
}

function tooManyLines(names: readonly string[]): InputError {
  const allowed = `at most ${LINES.length}, for no more can be told apart; rows may be chosen, as in { ...result, rows: result.rows.filter(...) }`;
  return new InputError(
    "lines",
    `are ${names.length}, from ${names[0]} to ${names[names.length - 1]}`,
    allowed,
  );
}

function cpuOf({ spec }: SweepResult, { values }: SweepRow): string {
  return String(values.cpu ?? spec.base.cpu);
}

function linesOf(rows: readonly SweepRow[], { x, y, line = nameOf, span }: SweepPlot): Map<string, Mark[]> {
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
    const spans = span === undefined ? [] : [span.of(row)];
    const mark = marks.find((other) => other.x === place);
    if (mark === undefined) marks.push({ x: place, fields, values: [value], spans });
    else if (mark.fields === fields)
      marks[marks.indexOf(mark)] = {
        ...mark,
        values: [...mark.values, value],
        spans: [...mark.spans, ...spans],
      };
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
  return typeof at === "number" ? at : shownValue(x, at);
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** From where to where the bar of a mark goes: the mean of what its rows may be, or else its seeds. */
function barOf({ values, spans }: Mark): Ends {
  if (spans.length === 0) return { low: Math.min(...values), high: Math.max(...values) };
  return { low: meanOf(spans.map(({ low }) => low)), high: meanOf(spans.map(({ high }) => high)) };
}

function barText(mark: Mark): string {
  const { low, high } = barOf(mark);
  return low === high ? "" : ` (${range({ low, high }, (value) => value.toFixed(3))})`;
}

function lineOf(name: string, marks: readonly Mark[], index: number): Figure["data"][number] {
  const { color, symbol, dash } = LINES[index];
  const means = marks.map(({ values }) => meanOf(values));
  const bars = marks.map(barOf);
  return {
    type: "scatter",
    name: plotlyText(name),
    showlegend: true,
    x: marks.map((mark) => mark.x),
    y: means,
    error_y: {
      type: "data",
      symmetric: false,
      array: bars.map(({ high }, at) => high - means[at]),
      arrayminus: bars.map(({ low }, at) => means[at] - low),
      color,
      thickness: 1.2,
      width: 3,
    },
    line: { color, dash, width: 1.6 },
    marker: { color, symbol, size: 7, line: { width: 1.4, color } },
    cliponaxis: false,
    customdata: marks.map(barText),
  };
}
