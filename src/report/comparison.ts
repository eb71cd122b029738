/**
 * Two scenarios compared: what each takes, how the difference is spread over what the costs may be, where both cost the
 * same, and which costs decide.
 */
import type { SobolIndices } from "../cost/sensitivity.js";
import type { Spread } from "../cost/uncertainty.js";
import type { ComparedSide, Comparison } from "../study/comparison.js";
import { patchName } from "../study/run/patch-source.js";
import { Figure, plotlyText } from "./figure.js";
import { cycles, range, signed, smallCycles } from "./format.js";
import { mail } from "./mail.js";
import type { Records } from "./records.js";
import { headed, listItem, simulated, type TextColumn, textTables, wrapText } from "./text-table.js";
import { FONT, GRID, INK, SIMULATED_RANGE } from "./theme.js";
import type { Tornado } from "./tornado.js";

const UNIT = "TSC cycles per access";
const PLOT_HEIGHT = 300;
/** Of a curve over the draws. */
const MOST_STEPS = 256;

/** One record per side and one for the difference, A less B; TSC cycles per access. */
export function tableComparison({ a, b, difference }: Comparison): Records {
  const record = (of: string, { low, p05, median, p95, high, value }: Spread) => ({
    of,
    low,
    p05,
    median,
    p95,
    high,
    value,
  });
  return [record(a.name, a.cycles), record(b.name, b.cycles), record(`${a.name} - ${b.name}`, difference)];
}

/** One record per cost that does not cancel: where both sides cost the same, cycles. */
export function tableBreakEven({ breakEvens }: Comparison): Records {
  return breakEvens.map(({ cost, times, at, range: { low, high }, assumed, below, above, words }) => ({
    cost,
    times,
    at,
    low,
    high,
    withinRange: assumed,
    below,
    above,
    words,
  }));
}

/** What each cost does to the difference, for `plotTornado` and `tornadoTable`. @param most bars of single costs */
export function tornadoOf({ a, b, swings, provenance, machine }: Comparison, most = 8): Tornado {
  return { result: `${a.name} - ${b.name}`, unit: UNIT, swings, most, provenance, machine };
}

/** One record per point of `plotComparison`: a difference, A less B, and the share of the draws that is at most that. */
export function tableDifference({ differenceByDraw }: Comparison): Records {
  return evenly(differenceByDraw.length).map((index) => ({
    difference: differenceByDraw[index],
    share: (index + 1) / differenceByDraw.length,
  }));
}

/** The difference over the draws, in ascending order: how large a share of them is at most so much. Zero is marked. */
export function plotComparison(comparison: Comparison): Figure {
  const { a, b, difference, provenance, machine } = comparison;
  const points = tableDifference(comparison);
  const side = (x: number, xanchor: string, name: string, xshift: number) => ({
    text: `${plotlyText(name)} costs less`,
    x,
    xanchor,
    xshift,
    y: 1,
    yref: "paper",
    yanchor: "bottom",
    showarrow: false,
    font: { ...FONT, size: 11 },
  });
  return new Figure({
    title: `SIMULATED: ${plotlyText(a.name)} - ${plotlyText(b.name)}, over what its costs may be`,
    provenance,
    machine: `${machine}. ${shareText(comparison)} The ranges allow ${range(difference, signedCycles)}`,
    plotHeight: PLOT_HEIGHT,
    left: 72,
    right: 24,
    notes: [side(0, "right", a.name, -6), side(0, "left", b.name, 6)],
    rest: {
      shapes: [{ type: "line", x0: 0, x1: 0, yref: "paper", y0: 0, y1: 1, line: { color: INK, width: 1.6 } }],
      xaxis: {
        // Zero is always in sight, and room for a word on either side.
        range: axisRange(difference),
        title: { text: `difference, ${UNIT}`, standoff: 8, font: FONT },
        gridcolor: GRID,
        zeroline: false,
      },
      yaxis: {
        range: [0, 1],
        tickformat: ".0%",
        title: { text: "share of the draws", font: FONT },
        gridcolor: GRID,
        zeroline: false,
      },
    },
    data: [
      {
        type: "scatter",
        mode: "lines",
        name: "draws",
        showlegend: false,
        x: points.map((point) => point.difference),
        y: points.map(({ share }) => share),
        line: { color: SIMULATED_RANGE.line, width: 2, shape: "hv" },
        hovertemplate: `at most %{x:.1f} ${UNIT} in %{y:.1%} of the draws<extra></extra>`,
      },
    ],
    table: () => tableDifference(comparison),
  });
}

function axisRange({ low, high }: Spread): [number, number] {
  const [from, to] = [Math.min(low, 0), Math.max(high, 0)];
  const margin = 0.25 * (to - from || 1);
  return [from - margin, to + margin];
}

const signedCycles = (value: number) => signed(smallCycles(value));

interface SpreadRow {
  readonly of: string;
  readonly spread: Spread;
  readonly format: (value: number) => string;
}

const spreadColumn = (header: string, key: keyof Spread): TextColumn<SpreadRow> => ({
  header,
  align: "right",
  text: ({ spread, format }) => format(spread[key]),
});

const SPREADS: readonly TextColumn<SpreadRow>[] = [
  { header: simulated("side"), align: "left", text: ({ of }) => of },
  spreadColumn("low", "low"),
  spreadColumn("5%", "p05"),
  spreadColumn("median", "median"),
  spreadColumn("95%", "p95"),
  spreadColumn("high", "high"),
  spreadColumn("value", "value"),
];

/**
 * The comparison for a mail: both sides, the difference, the share of the ranges, break-evens in words and
 * the costs that decide.
 */
export function comparisonTable(comparison: Comparison): string {
  const { provenance, machine, a, b, difference, differenceByDraw } = comparison;
  const rows = [
    { of: "A", spread: a.cycles, format: cycles },
    { of: "B", spread: b.cycles, format: cycles },
    { of: "A - B", spread: difference, format: signedCycles },
  ];
  const fitted = provenance.calibration !== undefined;
  const parts = [
    ...headed(`What each takes [${UNIT}]`, textTables(SPREADS, rows)),
    wrapText(
      `low and high: what the ranges of the costs allow${fitted ? ", and the rows with them" : ""}. 5%, median, 95%: of ` +
        `${differenceByDraw.length} cost vectors ${fitted ? "fitted to the rows" : "spread evenly over the ranges"}. ` +
        `value: ${fitted ? "the fit" : "each cost at its value"}. Both sides always have one vector.` +
        (fitted ? " A fit of least squares may miss a row by a little more than the ends do." : ""),
    ),
    wrapText(shareText(comparison)),
    ...breakEvenTexts(comparison),
    ...decisiveTexts(comparison),
    ...byKernelText(comparison),
  ];
  const head = [`Machine: ${machine}`, `A: ${sideText(a)}`, `B: ${sideText(b)}`];
  return mail({ provenance, head, parts });
}

/** Indexes of some of so many draws, the first and the last among them: more steps than that nobody sees. */
function evenly(draws: number): number[] {
  const steps = Math.min(draws, MOST_STEPS);
  return Array.from({ length: steps }, (_, step) =>
    Math.round((step * (draws - 1)) / Math.max(1, steps - 1)),
  );
}

function sideText({ name, scenario, accesses }: ComparedSide): string {
  const { kernel, patches, paging, mitigations, vcpus, exitEvicts, exitFootprint } = scenario;
  return [
    `${name}: Linux ${kernel.slice(1)}${patches.map((patch) => ` + ${patchName(patch)}`).join("")}`,
    paging,
    `mitigations ${mitigations}`,
    exitFootprint === undefined ? `exits evict ${exitEvicts}` : `exits touch ${exitFootprint.lines} lines`,
    ...(vcpus > 1 ? [`${vcpus} vCPUs`] : []),
    `${accesses} accesses`,
  ].join(", ");
}

/** In how much of what the costs may be A costs less. */
function shareText({ a, b, difference, shareOfRangesBelow: share, provenance }: Comparison): string {
  const ranges =
    provenance.calibration === undefined ? "the assumed ranges" : "what rows and assumed ranges allow";
  if (difference.low === 0 && difference.high === 0) return `${a.name} and ${b.name} cost the same.`;
  if (difference.high < 0) return `${a.name} costs less than ${b.name} in all of ${ranges}.`;
  if (difference.low > 0) return `${b.name} costs less than ${a.name} in all of ${ranges}.`;
  const less = `${a.name} costs less than ${b.name} in`;
  const caveat = "That is no probability.";
  if (share === 0) return `${less} none of the draws, though the ranges may allow it. ${caveat}`;
  if (share === 1) return `${less} all of the draws, though the ranges may allow the opposite. ${caveat}`;
  return `${less} ${percentOf(share)} of ${ranges}. ${caveat}`;
}

const percentOf = (share: number) => `${(100 * share + 0).toFixed(1)}%`;

function breakEvenTexts({ breakEvens }: Comparison): string[] {
  const within = breakEvens.filter(({ assumed }) => assumed);
  const others = breakEvens.filter(({ assumed }) => !assumed).map(({ cost }) => cost);
  return [
    ...(within.length === 0
      ? []
      : [
          [
            "Both cost the same, the other costs at their values:",
            ...within.map(({ words }) => listItem(words)),
          ].join("\n"),
        ]),
    ...(others.length === 0
      ? []
      : [wrapText(`None of these alone, within its range, turns the result: ${others.join(", ")}.`)]),
  ];
}

/** Of the table of costs; what lies beyond decides little. */
const MOST_ROWS = 8;

type Swing = Comparison["swings"][number];
interface Decisive {
  readonly swing: Swing;
  readonly indices: SobolIndices | undefined;
}

const COSTS: readonly TextColumn<Decisive>[] = [
  { header: simulated("cost"), align: "left", text: ({ swing }) => swing.cost.name },
  { header: "is", align: "left", text: ({ swing }) => swing.cost.tag },
  { header: "cycles", align: "right", text: ({ swing }) => range(swing.cost, smallCycles) },
];
const BY_VARIANCE: readonly TextColumn<Decisive>[] = [
  ...COSTS,
  { header: "share", align: "right", text: ({ indices }) => percentOf(indices?.total.mean ?? 0) },
  {
    header: "over sets",
    align: "right",
    text: ({ indices }) => range(indices?.total ?? { low: 0, high: 0 }, (share) => (100 * share).toFixed(1)),
  },
];
const BY_SWING: readonly TextColumn<Decisive>[] = [
  ...COSTS,
  { header: "at low", align: "right", text: ({ swing }) => signedCycles(swing.atLow) },
  { header: "at high", align: "right", text: ({ swing }) => signedCycles(swing.atHigh) },
];

function decisiveTexts({ swings, indices }: Comparison): string[] {
  const moving = swings
    .map((swing) => ({ swing, indices: indices?.find(({ cost }) => cost === swing.cost.name) }))
    .filter(({ swing }) => widthOf(swing) > 0)
    .sort((one, other) => widthOf(other.swing) - widthOf(one.swing));
  if (moving.length === 0) return ["No cost that may vary is in the difference."];
  const rest = moving.length > MOST_ROWS ? ` ${moving.length - MOST_ROWS} more move it less.` : "";
  return [
    ...headed(
      "The costs that decide [TSC cycles]",
      textTables(indices === null ? BY_SWING : BY_VARIANCE, moving.slice(0, MOST_ROWS)),
    ),
    wrapText(
      indices === null
        ? `at low, at high: the difference with this cost at the ends of what the rows leave of it, the others as fitted.${rest}`
        : `share: of the difference's variance over the ranges, what the cost takes part in; over sets: the least and the most of repetitions.${rest}`,
    ),
  ];
}

function widthOf({ atLow, atHigh }: Swing): number {
  return Math.abs(atHigh - atLow);
}

function byKernelText({ byKernel }: Comparison): string[] {
  if (byKernel.length === 0) return [];
  return [
    wrapText(
      `Ranges of their own by kernel, and drawn apart, which makes the difference wider rather than narrower: ${byKernel.join(", ")}.`,
    ),
  ];
}
