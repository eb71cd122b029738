/**
 * Records to danfo frames, and frames to HTML.
 *
 * A frame is built column by column from checked records: danfo's own reading of records goes by position. danfo takes half a
 * second to load, so it is loaded by the first frame and not with the package.
 */
import { createRequire } from "node:module";
import type { DataFrame } from "danfojs-node";
import { escapeHtml } from "./html.js";
import { columnsOf, type Records } from "./records.js";

// So that a notebook outside of this folder can name what `toFrame` returns.
export type { DataFrame, Series } from "danfojs-node";
export type { default as GroupedFrame } from "danfojs-node/dist/danfojs-base/aggregators/groupby.js";
export type {
  DataFrame as BaseDataFrame,
  Series as BaseSeries,
} from "danfojs-node/dist/danfojs-base/index.js";

const require = createRequire(import.meta.url);

/**
 * A danfo frame with one row per record and one column per key. For looking, grouping and merging; danfo's arithmetic on
 * whole frames is float32, too coarse for cycle counters above 2^24 (on a single column it is exact).
 *
 * @throws Error when the list is empty or the records differ in their keys, naming the row and the key.
 */
export function toFrame(rows: Records): DataFrame {
  const columns = columnsOf(rows);
  const { DataFrame } = require("danfojs-node") as typeof import("danfojs-node");
  return new DataFrame(Object.fromEntries(columns.map((key) => [key, rows.map((row) => row[key])])));
}

/** The records or the frame as an HTML table: everything escaped, numbers to the right, a column's with the same decimals. */
export function frameHtml(table: Records | DataFrame): string {
  const records = recordsOf(table);
  const columns = columnsOf(records).map((key) => htmlColumn(key, records));
  const line = (cells: readonly string[]) => `<tr>${cells.join("")}</tr>`;
  const head = line(columns.map(({ head }) => head));
  const body = records.map((_, row) => line(columns.map(({ cells }) => cells[row])));
  return `<table><thead>${head}</thead><tbody>\n${body.join("\n")}\n</tbody></table>`;
}

function htmlColumn(key: string, records: Records): { head: string; cells: string[] } {
  const values = records.map((row) => row[key]);
  const numbers = values.filter((value) => typeof value === "number");
  const numeric = numbers.length === values.length;
  const decimals = decimalsOf(numbers);
  const cell = (tag: "td" | "th", text: string) =>
    `<${tag} style="text-align:${numeric ? "right" : "left"};white-space:nowrap">${escapeHtml(text)}</${tag}>`;
  return {
    head: cell("th", key),
    cells: values.map((value) =>
      cell("td", typeof value === "number" ? value.toFixed(decimals) : String(value)),
    ),
  };
}

/** None for counts, one for cycles, more for what is small, such as a fraction. */
function decimalsOf(numbers: readonly number[]): number {
  if (numbers.every(Number.isInteger)) return 0;
  return numbers.some((value) => Math.abs(value) >= 10) ? 1 : 4;
}

/** The rows of a frame, or the records themselves. */
export function recordsOf(table: Records | DataFrame): Records {
  if (isRecords(table)) return table;
  const values = table.values as readonly (readonly (string | number | boolean)[])[];
  return values.map((row) => Object.fromEntries(table.columns.map((key, i) => [key, row[i]])));
}

function isRecords(table: Records | DataFrame): table is Records {
  return Array.isArray(table);
}
