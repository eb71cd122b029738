/**
 * Where one design begins to cost more than another, as a heat map over two fields of a sweep with the line of no difference
 * over it.
 *
 * The colours are alike in lightness, so that a grey print shows how much and the numbers show which; what the ranges of the
 * costs leave open is marked.
 */

import { verdictOf } from "../study/compare/result.js";
import {
  type Crossover,
  type CrossoverAxis,
  type CrossoverCell,
  type CrossoverOptions,
  differenceField,
  studyCrossover,
} from "../study/crossover.js";
import type { Interval } from "../study/result.js";
import type { SweepResult } from "../study/sweep/sweep.js";
import { type GridAxis, joined, type Segment, zeroContour, zerosAlong } from "../study/zero-contour.js";
import { Figure, plotlyText } from "./figure.js";
import { range, signed, smallCycles } from "./format.js";
import type { Records } from "./records.js";
import { CHARACTER_WIDTH, DIVERGING, FIGURE_WIDTH, FONT, GRID, INK, LABEL_TICKS } from "./theme.js";

const UNIT = "TSC cycles per access";

/**
 * One record per cell that has both sides: the values of x and y, TSC cycles per access of the base and the new side, new less
 * base with the lowest and the highest that the costs allow, and what they allow: "less", "more", "same" or "either".
 *
 * @throws InputError as `studyCrossover()`
 */
export function tableCrossover(result: SweepResult, options: CrossoverOptions): Records {
  return recordsOf(studyCrossover(result, options));
}

function recordsOf({ x, y, cells }: Crossover): Records {
  return cells.flatMap((row, j) =>
    row.flatMap((cell, i) => {
      if (cell === null) return [];
      const { base, new: other, difference } = cell;
      return {
        [x.field]: x.numbers?.at[i] ?? x.labels[i],
        [y.field]: y.numbers?.at[j] ?? y.labels[j],
        base,
        new: other,
        difference: difference.value,
        low: difference.low,
        high: difference.high,
        verdict: verdictOf(difference),
      };
    }),
  );
}

/** Of the room for the cells. */
const CELL_HEIGHT = 44;
const [LEAST_HEIGHT, MOST_HEIGHT] = [180, 500];
/** Right of them, for the scale. */
const SCALE = 120;
const TEXT_HEIGHT = 20;
const LABEL_HEIGHT = 15;
/** Ticks on their side need more than the usual room for an axis. */
const TITLE = 48;
/** What a title has room for. */
const TITLE_COLUMNS = 96;
/** Around the numbers, where a line goes through them. */
const HALO = "0 0 2px #fff, 0 0 3px #fff, 0 0 4px #fff";
/** Stands by a number whose sign the ranges of the costs leave open. */
const EITHER = "~";

/**
 * A heat map of new less base, TSC cycles per access, with its crossover: the line where both cost the same, each cost at its
 * value, and dashed those where the lowest and the highest difference are nothing, if these are elsewhere. Between names there is no line; along numbers beside
 * names it is found row by row. Cells without a result stay empty, and no line goes through them.
 *
 * @throws InputError as `studyCrossover()`
 */
export function plotCrossover(result: SweepResult, options: CrossoverOptions): Figure {
  const crossover = studyCrossover(result, options);
  const { x, y, cells, base, new: other, models } = crossover;
  const left = 64 + longestOf(y) * CHARACTER_WIDTH;
  const width = FIGURE_WIDTH - left - SCALE;
  const plotHeight = Math.min(MOST_HEIGHT, Math.max(LEAST_HEIGHT, CELL_HEIGHT * y.labels.length));
  const texts = textsOf(cells);
  const longest = Math.max(...texts.flat().map(({ length }) => length));
  const [columns, rows] = [drawn(x, width, longest * CHARACTER_WIDTH), drawn(y, plotHeight, TEXT_HEIGHT)];
  const upright = longestOf(x) * CHARACTER_WIDTH > columns.room;
  const compared = `${options.by} ${other} - ${base}`;
  const seeds = result.spec.seeds.length;
  return new Figure({
    title: plotlyText(
      compared.length < TITLE_COLUMNS - 24
        ? `SIMULATED: ${compared}, in cycles`
        : "SIMULATED: new - base, in cycles",
    ),
    provenance: result.provenance,
    machine:
      `${models.join("; ")}${seeds > 1 ? `; mean of ${seeds} seeds` : ""}. ${compared}, ${UNIT}: below 0 where ${other} costs less. ` +
      `${EITHER}: the ranges of the costs allow either sign. The crossover is found between neighbouring points by straight lines`,
    plotHeight,
    left,
    right: SCALE,
    ...(upright && { below: TITLE + longestOf(x) * CHARACTER_WIDTH }),
    rest: {
      // Not white, which stands for no difference.
      plot_bgcolor: GRID,
      showlegend: true,
      xaxis: { ...axis(x, columns), tickangle: upright ? -90 : 0 },
      // Names from top to bottom, numbers upwards.
      yaxis: rows.isNames ? reversed(axis(y, rows)) : axis(y, rows),
    },
    data: [
      heat(crossover, options, columns, rows),
      ...contours(crossover, columns, rows),
      numbers(fitting(texts, cells, columns, rows), columns, rows),
    ],
    table: () => recordsOf(crossover),
  });
}

const longestOf = ({ labels }: CrossoverAxis) => Math.max(...labels.map(({ length }) => length));

/** An axis as it is drawn. */
interface Drawn extends GridAxis {
  /** Of the cells, one more than there are of them. */
  readonly edges: readonly number[];
  /** Pixels between the two points that are closest. */
  readonly room: number;
  /** Between names there is nothing. */
  readonly isNames: boolean;
}

/** Numbers stand where they are, unless cells would be smaller than so many pixels; then, as names, at equal distances. */
function drawn({ labels, numbers }: CrossoverAxis, pixels: number, least: number): Drawn {
  const isNames = numbers === null;
  const placed = numbers === null ? null : place(numbers, pixels);
  if (placed !== null && placed.room >= least) return { ...placed, isNames };
  return { ...place({ at: labels.map((_, index) => index), log: false }, pixels), isNames };
}

function place({ at, log }: GridAxis, pixels: number): Omit<Drawn, "isNames"> {
  const [to, from] = log ? [Math.log10, (value: number) => 10 ** value] : [Number, Number];
  const points = at.map(to);
  const gaps = points.slice(1).map((point, index) => point - points[index]);
  const last = points.length - 1;
  const edges = [
    points[0] - gaps[0] / 2,
    ...gaps.map((gap, index) => points[index] + gap / 2),
    points[last] + gaps[last - 1] / 2,
  ];
  const room = (pixels * Math.min(...gaps)) / (edges[last + 1] - edges[0]);
  return { at, log, edges: edges.map(from), room };
}

function axis({ field, labels }: CrossoverAxis, { at, log, edges, room }: Drawn) {
  const range = [edges[0], edges[edges.length - 1]].map(log ? Math.log10 : Number);
  const every = Math.ceil(LABEL_HEIGHT / room);
  const isLabelled = (_: unknown, index: number) => index % every === 0;
  return {
    title: { text: plotlyText(field), standoff: 8, font: FONT },
    type: log ? "log" : "linear",
    range,
    tickvals: at.filter(isLabelled),
    ticktext: labels.filter(isLabelled).map(plotlyText),
    showgrid: false,
    zeroline: false,
    ...LABEL_TICKS,
  };
}

const reversed = (of: ReturnType<typeof axis>) => ({ ...of, range: of.range.toReversed() });

function heat(
  { x, y, cells, base, new: other }: Crossover,
  { by }: CrossoverOptions,
  columns: Drawn,
  rows: Drawn,
): Figure["data"][number] {
  const differences = cells.map((row) => row.map((cell) => cell?.difference.value ?? null));
  const most = Math.max(...differences.flat().map((value) => Math.abs(value ?? 0)));
  const lines = (cell: CrossoverCell, i: number, j: number) => [
    `${x.field} ${x.labels[i]}, ${y.field} ${y.labels[j]}`,
    `${by} ${base}: ${smallCycles(cell.base)} cycles, ${other}: ${smallCycles(cell.new)}`,
    `difference ${signedCycles(cell.difference.value)} (${range(cell.difference, signedCycles)}): ${verdictOf(cell.difference)}`,
  ];
  return {
    type: "heatmap",
    showlegend: false,
    x: columns.edges,
    y: rows.edges,
    z: differences,
    zmin: -(most || 1),
    zmax: most || 1,
    colorscale: DIVERGING,
    xgap: 1,
    ygap: 1,
    colorbar: {
      title: { text: "TSC cycles<br>per access", font: { ...FONT, size: 11 } },
      tickformat: "+.3~r",
      tickfont: { ...FONT, size: 11 },
      thickness: 14,
      outlinewidth: 0.6,
      len: 1,
    },
    hoverongaps: false,
    hoverinfo: "text",
    hovertext: cells.map((row, j) =>
      row.map((cell, i) => (cell === null ? "" : lines(cell, i, j).map(plotlyText).join("<br>"))),
    ),
  };
}

const signedCycles = (value: number) => signed(smallCycles(value));

/** What stands in the cells. */
function textsOf(cells: Crossover["cells"]): string[][] {
  return cells.map((row) => row.map((cell) => (cell === null ? "" : wordOf(cell))));
}

function wordOf(cell: CrossoverCell): string {
  return verdictOf(cell.difference) === "same"
    ? "0"
    : `${signedCycles(cell.difference.value)}${markOf(cell)}`;
}

const markOf = ({ difference }: CrossoverCell) => (verdictOf(difference) === "either" ? ` ${EITHER}` : "");

/** The numbers where they fit, else their signs, else nothing. */
function fitting(texts: string[][], cells: Crossover["cells"], columns: Drawn, rows: Drawn): string[][] {
  const signs = cells.map((row, j) =>
    row.map((cell, i) => (cell === null ? "" : markOf(cell).trim() || texts[j][i].slice(0, 1))),
  );
  const fits = (words: string[][]) =>
    rows.room >= TEXT_HEIGHT - 4 &&
    words.flat().every((word) => word.length * CHARACTER_WIDTH <= columns.room);
  return [texts, signs].find(fits) ?? [];
}

function numbers(texts: string[][], columns: Drawn, rows: Drawn): Figure["data"][number] {
  return {
    type: "scatter",
    mode: "text",
    showlegend: false,
    x: texts.flatMap((row) => row.map((_, i) => columns.at[i])),
    y: texts.flatMap((row, j) => row.map(() => rows.at[j])),
    text: texts.flat(),
    textfont: { ...FONT, shadow: HALO },
    hoverinfo: "skip",
  };
}

const CONTOURS: readonly (readonly [end: keyof Interval, name: string, line: object])[] = [
  ["value", "crossover, each cost at its value", { width: 2.6, dash: "solid" }],
  ["low", "crossover at the lowest difference", { width: 1.8, dash: "dash" }],
  ["high", "crossover at the highest difference", { width: 1.8, dash: "dot" }],
];

/** The ends have lines of their own where these are other lines. */
function contours({ cells }: Crossover, columns: Drawn, rows: Drawn): Figure["data"][number][] {
  const crossover = lineOfZero("value", cells, columns, rows);
  return CONTOURS.flatMap(([end, name, line]) => {
    const segments = end === "value" ? crossover : lineOfZero(end, cells, columns, rows);
    if (segments.length === 0 || (end !== "value" && isSameLine(segments, crossover))) return [];
    const places = joined(segments).flatMap((piece) => [...piece, [null, null]]);
    return {
      type: "scatter",
      mode: "lines",
      name,
      x: places.map(([x]) => x),
      y: places.map(([, y]) => y),
      line: { ...line, color: INK },
      hoverinfo: "skip",
    };
  });
}

/** But for rounding. */
function isSameLine(one: readonly Segment[], other: readonly Segment[]): boolean {
  const numbers = other.flat(2);
  const isNear = (value: number, index: number) => Math.abs(value - numbers[index]) <= 1e-9 * Math.abs(value);
  return one.length === other.length && one.flat(2).every(isNear);
}

function lineOfZero(end: keyof Interval, cells: Crossover["cells"], columns: Drawn, rows: Drawn): Segment[] {
  const field = differenceField(end);
  if (!columns.isNames && !rows.isNames) return zeroContour(columns, rows, cells, field);
  if (columns.isNames && rows.isNames) return [];
  if (rows.isNames)
    return cells.flatMap((row, j) =>
      zerosAlong(columns, row, field).map(
        ({ at }): Segment => [
          [at, rows.edges[j]],
          [at, rows.edges[j + 1]],
        ],
      ),
    );
  return columns.at.flatMap((_, i) => {
    const column = cells.map((row) => row[i]);
    return zerosAlong(rows, column, field).map(
      ({ at }): Segment => [
        [columns.edges[i], at],
        [columns.edges[i + 1], at],
      ],
    );
  });
}
