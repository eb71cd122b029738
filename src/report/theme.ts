/**
 * One look for all figures. Colours are Okabe and Ito's, which colour-blind readers tell apart ("Color Universal Design", 2008),
 * and no colour stands alone: lines differ in dash and mark, bars in lightness or pattern, so that a grey print still reads.
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
/** Not one of Okabe and Ito's, whose yellow is too pale for a line. */
const BROWN = "#6b3d00";

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
  walk: { color: VERMILLION, shape: "-" },
  memory: { color: PURPLE, shape: "\\" },
  exit: { color: BLUE, shape: "" },
  handler: { color: SKY, shape: "." },
  emulation: { color: ORANGE, shape: "/" },
  bus: { color: YELLOW, shape: "" },
  eventfd: { color: GREEN, shape: "x" },
  userspace: { color: GREY, shape: "|" },
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

/** Series of lines, in the order in which they are taken; no two have a dash or a symbol in common. A dash fits the legend. */
export const LINES: readonly (Series & { readonly dash: string })[] = [
  { color: INK, symbol: "circle", dash: "solid" },
  { color: VERMILLION, symbol: "diamond", dash: "8px,2px" },
  { color: ORANGE, symbol: "square-open", dash: "2px,3px" },
  { color: GREEN, symbol: "triangle-up-open", dash: "8px,3px,2px,3px" },
  { color: BLUE, symbol: "x", dash: "4px,4px" },
  { color: PURPLE, symbol: "star", dash: "12px,2px,2px,2px,2px,2px" },
  { color: BROWN, symbol: "triangle-down-open", dash: "2px,8px" },
  { color: SKY, symbol: "cross", dash: "5px,2px,5px,8px" },
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
  "MMIO, stale": { color: "#b5dcf4", shape: "/" },
  memory: { color: GREEN, shape: "" },
};

/** From few to many, light to dark; dark text stays readable on all of them. */
export const SHADES: readonly (readonly [number, string])[] = [
  [0, "#ffffff"],
  [1, SKY],
];

/** From less than nothing to more, alike in lightness at both ends; dark text stays readable on all of them. */
export const DIVERGING: readonly (readonly [number, string])[] = [
  [0, SKY],
  [0.5, "#ffffff"],
  [1, "#f0904a"],
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
