/**
 * Which costs a result hangs on, as a tornado: for each cost a bar from the result with the cost at the low end of its range
 * to that with it at the high end, the other costs at their values; the widest on top.
 */
import type { PrimitiveCost } from "../cost/primitive-costs.js";
import type { Swing } from "../cost/sensitivity.js";
import type { UncertainCost } from "../cost/uncertainty.js";
import type { Provenance } from "../study/result.js";
import { Figure, plotlyText } from "./figure.js";
import { cycles, range, smallCycles } from "./format.js";
import { mail } from "./mail.js";
import type { Records } from "./records.js";
import { headed, simulated, type TextColumn, textTables, wrapText } from "./text-table.js";
import { barMarker, CHARACTER_WIDTH, FONT, GRID, INK, LABEL_TICKS, SIMULATED_RANGE } from "./theme.js";

const ROW_HEIGHT = 26;
export interface Tornado {
  /** What the result is, such as "fast MMIO - port I/O". */
  readonly result: string;
  /** Of the result, such as "TSC cycles per kick". */
  readonly unit: string;
  /** Of `oneAtATime()`; at least one. */
  readonly swings: readonly Swing<UncertainCost & Pick<PrimitiveCost, "tag">>[];
  /** How many costs have a bar at most; what lies beyond is one more, their sum. */
  readonly most: number;
  readonly provenance: Provenance;
  /** The machine that the result is for. */
  readonly machine: string;
}

/** A bar: one cost, or the sum of those that have none. */
interface Bar {
  readonly label: string;
  /** How the cost is known, "" for a sum. */
  readonly tag: string;
  /** The cost's range, cycles. */
  readonly range: string;
  /** The result at either end of it; of a sum, the least and the greatest. */
  readonly atLow: number;
  readonly atHigh: number;
}

/**
 * One record per cost that moves the result, the widest first; costs in cycles, results in `unit`.
 *
 * @throws Error when no cost moves the result
 */
export function tableTornado({ swings, unit }: Tornado): Records {
  return widestFirst(swings).map(({ cost, atLow, atValue, atHigh }) => ({
    cost: cost.name,
    tag: cost.tag,
    low: cost.low,
    value: cost.value,
    high: cost.high,
    unit,
    atLow,
    atValue,
    atHigh,
    swing: widthOf({ atLow, atValue, atHigh }),
  }));
}

/**
 * Horizontal bars from the result at the costs' values, dark where the cost is high and pale where it is low.
 *
 * @throws Error when no cost moves the result
 */
export function plotTornado(tornado: Tornado): Figure {
  const bars = barsOf(tornado);
  const { atValue } = tornado.swings[0];
  const labels = bars.map(({ label, tag }) => (tag === "" ? label : `${label} (${tag})`));
  const longest = Math.max(...labels.map(({ length }) => length));
  const end = (name: string, color: string, at: (bar: Bar) => number): Figure["data"][number] => ({
    type: "bar",
    orientation: "h",
    name,
    y: labels.map(plotlyText),
    x: bars.map((bar) => at(bar) - atValue),
    base: atValue,
    marker: barMarker({ color, shape: "" }),
    customdata: bars.map((bar) => [plotlyText(bar.range), resultText(at(bar))]),
    hovertemplate: `%{y}<br>range %{customdata[0]}<br>${name}: %{customdata[1]} ${plotlyText(tornado.unit)}<extra></extra>`,
  });
  return new Figure({
    title: `SIMULATED: ${plotlyText(tornado.result)}, by what its costs may be`,
    provenance: tornado.provenance,
    machine: `${tornado.machine}. ${methodOf(tornado)}`,
    plotHeight: ROW_HEIGHT * bars.length,
    left: 24 + longest * CHARACTER_WIDTH,
    right: 24,
    rest: {
      barmode: "overlay",
      bargap: 0.35,
      shapes: [
        {
          type: "line",
          x0: atValue,
          x1: atValue,
          yref: "paper",
          y0: 0,
          y1: 1,
          line: { color: INK, width: 1.6, dash: "dash" },
        },
      ],
      xaxis: {
        title: {
          text: `${plotlyText(tornado.unit)}; dashed line: ${resultText(atValue)}, every cost at its value`,
          standoff: 8,
          font: FONT,
        },
        gridcolor: GRID,
        zeroline: true,
        zerolinecolor: INK,
        zerolinewidth: 0.6,
      },
      yaxis: { type: "category", autorange: "reversed", ...LABEL_TICKS },
    },
    data: [
      end("cost at the low end of its range", SIMULATED_RANGE.fill, ({ atLow }) => atLow),
      end("cost at the high end", SIMULATED_RANGE.line, ({ atHigh }) => atHigh),
    ],
    table: () => tableTornado(tornado),
  });
}

const COLUMNS: readonly TextColumn<Bar>[] = [
  { header: simulated("cost"), align: "left", text: ({ label }) => label },
  { header: "is", align: "left", text: ({ tag }) => tag },
  { header: "cycles", align: "right", text: (bar) => bar.range },
  { header: "at low", align: "right", text: ({ atLow }) => resultText(atLow) },
  { header: "at high", align: "right", text: ({ atHigh }) => resultText(atHigh) },
];

/** The bars as a table for a mail. @throws Error when no cost moves the result */
export function tornadoTable(tornado: Tornado): string {
  const { result, unit, swings, provenance, machine } = tornado;
  const heading = `${result} [${unit}]: ${resultText(swings[0].atValue)} with every cost at its value`;
  return mail({
    provenance,
    head: [`Machine: ${machine}`],
    parts: [...headed(heading, textTables(COLUMNS, barsOf(tornado))), wrapText(methodOf(tornado))],
  });
}

function methodOf(tornado: Tornado): string {
  const { rest } = split(tornado);
  const summed =
    rest.length === 0
      ? ""
      : `. The last bar adds up what ${rest.length} others do so, each at the end that makes the result less, and at the other`;
  return `A bar is one cost from the low to the high end of its range, the other costs at their values${summed}`;
}

function barsOf(tornado: Tornado): Bar[] {
  const { single, rest } = split(tornado);
  const bars = single.map(({ cost, atLow, atHigh }) => ({
    label: cost.name,
    tag: cost.tag,
    range: range(cost, smallCycles),
    atLow,
    atHigh,
  }));
  if (rest.length === 0) return bars;
  const sum = (end: (...results: number[]) => number) =>
    rest.reduce(
      (total, { atLow, atValue, atHigh }) => total + end(atLow, atValue, atHigh) - atValue,
      rest[0].atValue,
    );
  const label = `${rest.length} other costs`;
  return [...bars, { label, tag: "", range: "", atLow: sum(Math.min), atHigh: sum(Math.max) }];
}

/** Which costs have a bar of their own. A sum of one would save no bar. */
function split({ swings, most }: Tornado): { single: Tornado["swings"]; rest: Tornado["swings"] } {
  const sorted = widestFirst(swings);
  const bars = sorted.length === most + 1 ? sorted.length : most;
  return { single: sorted.slice(0, bars), rest: sorted.slice(bars) };
}

/** Swings of costs that move the result; what is equally wide stays in its order. */
function widestFirst(swings: Tornado["swings"]): Tornado["swings"] {
  const moving = swings.filter((swing) => widthOf(swing) > 0);
  if (moving.length === 0) throw new Error("no cost moves the result within its range");
  return moving.sort((one, other) => widthOf(other) - widthOf(one));
}

/** How far a cost moves the result, which may turn on the way. */
function widthOf({ atLow, atValue, atHigh }: Omit<Swing, "cost">): number {
  return Math.max(atLow, atValue, atHigh) - Math.min(atLow, atValue, atHigh);
}

/** Whole numbers from a hundred on, else three digits: a result may be cycles, a ratio or a share. */
function resultText(value: number): string {
  return Math.abs(value) < 99.95 ? String(Number(value.toPrecision(3))) : cycles(value);
}
