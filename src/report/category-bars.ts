/** Bars of cycles by cost category, one stacked on the other. */
import { CATEGORIES, type Category } from "../cost/primitive-costs.js";
import type { Breakdown } from "../study/result.js";
import { type Figure, plotlyText } from "./figure.js";
import { barMarker, CATEGORY_FILLS } from "./theme.js";

/** A row of a figure with stacked bars. */
export interface CategoryRow {
  readonly name: string;
  readonly breakdown: Breakdown;
  /** What the hover text of a category says beside its cycles. */
  readonly beside?: Readonly<Record<Category, string>>;
}

/** A trace per category; one without a cycle in any row would only lengthen the legend. */
export function categoryBars(rows: readonly CategoryRow[]): Figure["data"][number][] {
  const categories = CATEGORIES.filter((category) => rows.some(({ breakdown }) => breakdown[category] !== 0));
  return categories.map((category) => ({
    type: "bar",
    orientation: "h",
    name: category,
    y: rows.map(({ name }) => plotlyText(name)),
    x: rows.map(({ breakdown }) => breakdown[category]),
    marker: barMarker(CATEGORY_FILLS[category]),
    customdata: rows.map(({ beside }) => beside?.[category] ?? ""),
    hovertemplate: `%{y}<br>${category}: %{x:.1f} cycles%{customdata}<extra></extra>`,
  }));
}
