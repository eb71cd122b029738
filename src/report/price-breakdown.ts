/**
 * Where the cycles of some runs go: for each a bar by cost category, with the range of the whole over what its costs may be.
 */
import { InputError } from "../cost/input.js";
import { CATEGORIES, type Category } from "../cost/primitive-costs.js";
import { joinConditions } from "../study/conditions.js";
import type { RunPrice } from "../study/price.js";
import type { Breakdown, Provenance } from "../study/result.js";
import { categoryBars } from "./category-bars.js";
import { cyclesAxis, Figure, plotlyText } from "./figure.js";
import { cycles, range, smallCycles } from "./format.js";
import type { Records } from "./records.js";
import { CHARACTER_WIDTH, INK, LABEL_TICKS } from "./theme.js";

const ROW_HEIGHT = 44;

/** Prices as `priceRun()` has them, by what their run is called. */
export type NamedPrices = Readonly<Record<string, RunPrice>>;
type NamedPrice = readonly [name: string, price: RunPrice];

/**
 * One record per run: TSC cycles per access by category, in total, and the total's lowest and highest over what its costs may
 * be.
 */
export function tablePrices(prices: NamedPrices): Records {
  return Object.entries(prices).map(([name, price]) => ({
    name,
    ...breakdownOf(price),
    total: price.perAccess.value,
    low: price.perAccess.low,
    high: price.perAccess.high,
  }));
}

/** Horizontal stacked bars, TSC cycles per access by category; the bar's range is that of the whole. @throws InputError for none */
export function plotPrices(prices: NamedPrices): Figure {
  const runs = Object.entries(prices);
  if (runs.length === 0) throw new InputError("prices", "has no run", "at least one, by its name");
  const totals = runs.map(([, { perAccess }]) => `${cycles(perAccess.value)} (${range(perAccess, cycles)})`);
  const longest = (texts: readonly string[]) => Math.max(...texts.map(({ length }) => length));
  const models = [...new Set(runs.map(([, { conditions }]) => conditions.model))];
  return new Figure({
    title: "SIMULATED: what an access costs, by category",
    provenance: provenanceOf(runs.map(([, { provenance }]) => provenance)),
    machine: `${models.join("; ")}. Each cost at its value; the thin bar is the range of the whole over what the costs may be`,
    plotHeight: ROW_HEIGHT * Math.max(runs.length, 2),
    left: 24 + longest(runs.map(([name]) => name)) * CHARACTER_WIDTH,
    right: 24 + longest(totals) * CHARACTER_WIDTH,
    rest: {
      barmode: "stack",
      bargap: 0.4,
      xaxis: {
        ...cyclesAxis("TSC cycles per access"),
        range: [
          Math.min(0, ...runs.map(([, { perAccess }]) => perAccess.low)),
          Math.max(...runs.map(([, { perAccess }]) => perAccess.high)) || 1,
        ],
        zerolinecolor: INK,
      },
      yaxis: { type: "category", autorange: "reversed", ...LABEL_TICKS },
    },
    data: [
      ...categoryBars(
        runs.map(([name, price]) => ({
          name,
          breakdown: breakdownOf(price),
          beside: byCategories((category) => ` (${range(price.byCategory[category], smallCycles)})`),
        })),
      ),
      wholes(runs, totals),
      words(runs, totals),
    ],
    table: () => tablePrices(prices),
  });
}

const breakdownOf = ({ byCategory }: RunPrice): Breakdown =>
  byCategories((category) => byCategory[category].value);

function byCategories<Value>(of: (category: Category) => Value): Record<Category, Value> {
  const entries = CATEGORIES.map((category) => [category, of(category)]);
  return Object.fromEntries(entries) as Record<Category, Value>;
}

/** That of the first run under the conditions of all. No one command makes several. */
function provenanceOf(provenances: readonly Provenance[]): Provenance {
  const [first] = provenances;
  return {
    ...first,
    conditions: joinConditions(provenances.map(({ conditions }) => conditions)),
    command: provenances.length === 1 ? first.command : null,
  };
}

function wholes(runs: readonly NamedPrice[], totals: readonly string[]): Figure["data"][number] {
  const prices = runs.map(([, { perAccess }]) => perAccess);
  return {
    type: "scatter",
    mode: "markers",
    name: "total",
    y: runs.map(([name]) => plotlyText(name)),
    x: prices.map(({ value }) => value),
    error_x: {
      type: "data",
      symmetric: false,
      array: prices.map(({ value, high }) => high - value),
      arrayminus: prices.map(({ value, low }) => value - low),
      color: INK,
      thickness: 1.6,
      width: 5,
    },
    marker: { symbol: "line-ns", size: 14, color: INK, line: { color: INK, width: 2 } },
    cliponaxis: false,
    customdata: totals,
    hovertemplate: "%{y}<br>total: %{customdata} cycles<extra></extra>",
  };
}

/** The totals in words, right of their ranges. */
function words(runs: readonly NamedPrice[], totals: readonly string[]): Figure["data"][number] {
  return {
    type: "scatter",
    mode: "text",
    showlegend: false,
    y: runs.map(([name]) => plotlyText(name)),
    x: runs.map(([, { perAccess }]) => perAccess.high),
    text: totals.map((text) => `  ${text}`),
    textposition: "middle right",
    textfont: { size: 11 },
    cliponaxis: false,
    hoverinfo: "skip",
  };
}
