/** Values with the ranges around them, as marks with bars: one series of them. */
import type { Interval } from "../../../study/result.js";
import type { Figure } from "../../figure.js";
import { plotlyText } from "../../figure.js";
import { smallCycles } from "../../format.js";
import type { Series } from "../../theme.js";

export interface RangeMark {
  /** Place on the axis of lines. */
  readonly at: number;
  readonly range: Interval;
  /** What the mark is of, in its own words. */
  readonly of: string;
}

export interface RangeMarks extends Series {
  readonly name: string;
  readonly marks: readonly RangeMark[];
  /** Of the values, for the hover. */
  readonly unit: string;
  /** Direction in which the ranges lie. */
  readonly along: "x" | "y";
  /** What plotly adds to the names of the panel's axes. */
  readonly axes: "" | "2";
}

export function rangeMarks(series: RangeMarks): Figure["data"][number] {
  const { name, color, symbol, marks, unit, along, axes } = series;
  const values = marks.map(({ range }) => range.value);
  const places = marks.map(({ at }) => at);
  const bars = {
    type: "data",
    symmetric: false,
    array: marks.map(({ range }) => range.high - range.value),
    arrayminus: marks.map(({ range }) => range.value - range.low),
    color,
    thickness: 1.4,
    width: 3,
  };
  return {
    type: "scatter",
    mode: "markers",
    name: plotlyText(name),
    xaxis: `x${axes}`,
    yaxis: `y${axes}`,
    ...(along === "x" ? { x: values, y: places, error_x: bars } : { x: places, y: values, error_y: bars }),
    marker: { color, symbol, size: 7.5, line: { width: 1.2, color } },
    customdata: marks.map(({ of, range }) => [
      plotlyText(of),
      smallCycles(range.value),
      smallCycles(range.low),
      smallCycles(range.high),
    ]),
    hovertemplate:
      `%{customdata[0]}<br>${plotlyText(name)}: %{customdata[1]} ${unit}, %{customdata[2]} to ` +
      "%{customdata[3]}<extra></extra>",
  };
}
