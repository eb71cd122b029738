/**
 * One look for all figures. Colours are Okabe and Ito's, which colour-blind readers tell apart; neighbours in a stack differ
 * in lightness too, and every other one carries a pattern, so that a grey print still reads.
 */
import type { Category } from "../cost/primitive-costs.js";
import type { SpteState } from "../study/life-of-a-fault.js";

/** Width of every figure, CSS pixels: what an output cell of the classic Notebook holds. */
export const FIGURE_WIDTH = 900;

export const INK = "#222222";
export const GRID = "#e2e2e2";

const BLUE = "#0072b2";
const SKY = "#56b4e9";
const GREEN = "#009e73";
const YELLOW = "#f0e442";
const ORANGE = "#e69f00";
const VERMILLION = "#d55e00";
const PURPLE = "#cc79a7";
const GREY = "#c8c8c8";

/** How a category's bars are filled; `shape` is a plotly pattern, empty for a plain fill. */
export interface Fill {
  readonly color: string;
  readonly shape: string;
}

/** What plotly makes a filled bar from. */
export const barMarker = ({ color, shape }: Fill) => ({
  color,
  line: { color: INK, width: 0.6 },
  pattern: { shape, fgcolor: INK, fillmode: "overlay", size: 7, solidity: 0.15 },
});

export const CATEGORY_FILLS: Readonly<Record<Category, Fill>> = {
  walk: { color: VERMILLION, shape: "" },
  memory: { color: PURPLE, shape: "\\" },
  exit: { color: BLUE, shape: "" },
  handler: { color: SKY, shape: "." },
  emulation: { color: ORANGE, shape: "/" },
  bus: { color: YELLOW, shape: "" },
  eventfd: { color: GREEN, shape: "x" },
  userspace: { color: GREY, shape: "" },
};

/** Colour and plotly symbol of a series of points; the symbols differ, so that colour is not needed. */
export interface Series {
  readonly color: string;
  readonly symbol: string;
}

export const SERIES = {
  portIo: { color: BLUE, symbol: "circle" },
  fastMmio: { color: VERMILLION, symbol: "diamond" },
  difference: { color: INK, symbol: "square" },
  walk: { color: GREEN, symbol: "triangle-up-open" },
} as const;

/** Series of lines, in the order in which they are taken; the dashes differ too. */
export const LINES: readonly (Series & { readonly dash: string })[] = [
  { color: INK, symbol: "circle", dash: "solid" },
  { color: VERMILLION, symbol: "diamond", dash: "solid" },
  { color: ORANGE, symbol: "square-open", dash: "dash" },
  { color: GREEN, symbol: "triangle-up-open", dash: "dot" },
  { color: BLUE, symbol: "x", dash: "dashdot" },
];

/** The entries of a walk, the guest's darker than the EPT's. */
export const ENTRY_FILLS = {
  guest: { color: ORANGE, symbol: "circle" },
  EPT: { color: "#d3ebf8", symbol: "square" },
} as const;

/** What an SPTE says of its page; a stale one is a paler MMIO. */
export const SPTE_FILLS: Readonly<Record<SpteState, Fill>> = {
  "not present": { color: "#ffffff", shape: "" },
  MMIO: { color: SKY, shape: "" },
  "MMIO, stale": { color: "#d3ebf8", shape: "/" },
  memory: { color: GREEN, shape: "" },
};

/** From few to many, light to dark; dark text stays readable on all of them. */
export const SHADES: readonly (readonly [number, string])[] = [
  [0, "#ffffff"],
  [1, SKY],
];

/** What was measured, over what was simulated as a range. */
export const MEASURED: Series = { color: INK, symbol: "circle" };
export const SIMULATED_RANGE = { line: BLUE, fill: "rgba(86, 180, 233, 0.45)" } as const;

/** DejaVu first: it is the widest of these, so what fits in it fits in the others. */
export const FONT = { family: "DejaVu Sans, Verdana, Arial, sans-serif", size: 12, color: INK };

/** Mean width of a character of `FONT`, pixels; errs on the wide side. */
export const CHARACTER_WIDTH = 7.4;

/** Ticks of an axis of names: only the gap between a name and the plot. */
export const LABEL_TICKS = { ticks: "outside", ticklen: 6, tickcolor: "#ffffff" } as const;
