/**
 * A figure is plotly's JSON with the numbers that it shows: a notebook displays it, a browser draws it, a file keeps it.
 *
 * Sizes are fixed in pixels, because a provenance line that a viewer rewraps or clips is none.
 */
import type { Provenance } from "../study/result.js";
import { footprint } from "./format.js";
import { basisText, kernelText, switchesText, versionText } from "./provenance.js";
import type { Records } from "./records.js";
import { saveFigure } from "./save.js";
import { fillLines } from "./text-table.js";
import { FIGURE_WIDTH, FONT, GRID, INK, LABEL_TICKS } from "./theme.js";

/** Plotly's layout, of which the width and the height (CSS pixels) and the title are always there. */
export interface FigureLayout {
  readonly width: number;
  readonly height: number;
  readonly title: { readonly text: string; readonly [key: string]: unknown };
  readonly [key: string]: unknown;
}

/** What a figure is made of. */
export interface FigureSpec extends FigureFrame {
  /** Plotly's traces. */
  readonly data: Figure["data"];
  /** The numbers that the traces show, as the `tableX` beside a `plotX` returns them. */
  readonly table: () => Records;
}

/** A figure. As JSON it is what `Plotly.newPlot` takes. */
export class Figure {
  readonly data: readonly Readonly<Record<string, unknown>>[];
  readonly layout: FigureLayout;
  readonly #spec: FigureSpec;

  constructor(spec: FigureSpec) {
    this.data = spec.data;
    this.layout = figureLayout(spec);
    this.#spec = spec;
  }

  /** The numbers that the figure shows. */
  get table(): Records {
    return this.#spec.table();
  }

  /** The title as a reader sees it. */
  get title(): string {
    return plainText(this.layout.title.text);
  }

  /** null for a figure of measurements. */
  get provenance(): Provenance | null {
    return this.#spec.provenance;
  }

  /** The machine that the figure speaks of. */
  get machine(): string {
    return this.#spec.machine;
  }

  /**
   * Writes the figure into files, their endings say as what: .html (with plotly.js and the numbers in it), .svg, .png (two
   * pixels per CSS pixel), .pdf, .csv (its numbers), .json (all of it), .txt (its numbers as a mail). Folders are made.
   *
   * @throws InputError for another ending, before anything is written, and for a file that cannot be written;
   *   NoChromiumError for a picture where there is no Chromium, after all other files are written
   */
  save(...paths: readonly string[]): Promise<void> {
    return saveFigure(this, paths);
  }
}

/** Text for a figure. Plotly reads a little HTML in every string; this keeps foreign text from being read so. */
export function plotlyText(text: string): string {
  // Not escapeHtml: plotly would show the entity of a quote as it stands.
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** The text that a reader sees for a string of a figure, such as its title. */
export function plainText(text: string): string {
  return text
    .replaceAll(/<[^>]*>/g, " ")
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&amp;", "&");
}

/** What differs between the figures. Lengths are CSS pixels. */
export interface FigureFrame {
  /** Foreign text in it as `plotlyText` has it. */
  readonly title: string;
  /** null for a figure of measurements, on which nothing is simulated. */
  readonly provenance: Provenance | null;
  /** The machine that the figure speaks of. */
  readonly machine: string;
  /** Height of the plot area, without title, axes and provenance. */
  readonly plotHeight: number;
  /** Room for the labels left of the plot area. */
  readonly left: number;
  /** Room for what is written right of the plot area. */
  readonly right: number;
  /** Room for tick labels and axis title under the plot area, where it is not the usual. */
  readonly below?: number;
  /** Text in the plot area, as plotly's annotations. */
  readonly notes?: readonly Readonly<Record<string, unknown>>[];
  /** Axes, and what else is the figure's own. */
  readonly rest: Readonly<Record<string, unknown>>;
}

/** Title and legend above the plot area. */
const TOP = 88;
/** Where the legend starts. */
const LEGEND = 38;
const EDGE = 12;
/** Tick labels and axis title under the plot area. */
const AXIS = 66;
const SMALL = 10.5;
const SMALL_LINE = 15;
/** Characters of the small font in one line of the whole figure. */
const SMALL_COLUMNS = 140;

/** A horizontal axis of cycles. */
export function cyclesAxis(title: string): Readonly<Record<string, unknown>> {
  return { title: { text: title, standoff: 8, font: FONT }, gridcolor: GRID, tickformat: "d" };
}

/** A vertical axis of lines of text, from top to bottom, at 0, 1 and so on. */
export function linesAxis(texts: readonly string[]): Readonly<Record<string, unknown>> {
  return {
    range: [texts.length - 0.5, -0.5],
    tickvals: texts.map((_, y) => y),
    ticktext: texts,
    gridcolor: GRID,
    zeroline: false,
    ...LABEL_TICKS,
  };
}

/** Figures further apart than this, as greatest over least, are read on a logarithmic axis. */
const LINEAR_UP_TO = 20;

/** The scale of an axis of figures that are no less than 0. */
export function scaleOf(least: number, greatest: number): Readonly<Record<string, unknown>> {
  if (least <= 0 || greatest / least <= LINEAR_UP_TO) return { rangemode: "tozero" };
  // Labels at 1, 2 and 5 of each power of ten.
  return { type: "log", dtick: "D2" };
}

/** A horizontal logarithmic axis of footprints in KiB, from the least to the greatest. */
export function footprintAxis(
  title: string,
  footprintsKib: readonly number[],
): Readonly<Record<string, unknown>> {
  // Every other power of 4, so that labels do not touch.
  const tickvals = Array.from({ length: 6 }, (_, index) => 4 * 16 ** index);
  const [low, high] = [Math.min(...footprintsKib), Math.max(...footprintsKib)].map(Math.log10);
  // As much as half a label, which the other axis must not meet.
  const margin = 0.06 * (high - low);
  return {
    title: { text: title, standoff: 8, font: FONT },
    type: "log",
    range: [low - margin, high + margin],
    gridcolor: GRID,
    tickvals,
    ticktext: tickvals.map(footprint),
    ...LABEL_TICKS,
  };
}

/** The layout that all figures share: title on top, legend under it, provenance along the bottom. */
function figureLayout(frame: FigureSpec): FigureLayout {
  const lines = provenanceLines(frame.provenance, frame.machine);
  const below = frame.below ?? AXIS;
  const bottom = below + SMALL_LINE * lines.length + EDGE;
  const height = TOP + frame.plotHeight + bottom;
  return {
    width: FIGURE_WIDTH,
    height,
    title: {
      text: frame.title,
      font: { ...FONT, size: 15 },
      pad: { l: EDGE, t: 14 },
      x: 0,
      xref: "container",
      xanchor: "left",
      y: 1,
      yanchor: "top",
    },
    font: FONT,
    margin: { l: frame.left, r: frame.right, t: TOP, b: bottom },
    paper_bgcolor: "#ffffff",
    plot_bgcolor: "#ffffff",
    hoverlabel: { align: "left" },
    legend: {
      orientation: "h",
      x: 0,
      xref: "container",
      xanchor: "left",
      y: 1 - LEGEND / height,
      yref: "container",
      yanchor: "top",
      traceorder: "normal",
      // At a constant width the legend shows no more of a line than its first dash.
      itemsizing: frame.data.some(isDashed) ? "trace" : "constant",
      font: { ...FONT, size: 11 },
    },
    annotations: [provenanceNote(lines, frame.left, below), ...(frame.notes ?? [])],
    ...frame.rest,
  };
}

const isDashed = ({ line }: Figure["data"][number]) =>
  (line as { dash?: string } | undefined)?.dash !== undefined;

function provenanceNote(
  lines: readonly string[],
  left: number,
  below: number,
): Readonly<Record<string, unknown>> {
  return {
    name: "provenance",
    text: lines.map(plotlyText).join("<br>"),
    showarrow: false,
    align: "left",
    xref: "paper",
    x: 0,
    xanchor: "left",
    xshift: EDGE - left,
    yref: "paper",
    y: 0,
    yanchor: "top",
    yshift: -below,
    font: { ...FONT, size: SMALL, color: INK },
  };
}

/** What stands under every figure, in lines that fit. */
function provenanceLines(provenance: Provenance | null, machine: string): string[] {
  if (provenance === null) return fillLines(`MEASURED. Machine: ${machine}`, SMALL_COLUMNS);
  const parts = [
    versionText(provenance),
    basisText(provenance),
    kernelText(provenance),
    switchesText(provenance, "changed"),
  ].filter((part) => part !== "");
  return fillLines(`SIMULATED - ${parts.join(", ")}. Machine: ${machine}`, SMALL_COLUMNS);
}
