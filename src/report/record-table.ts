/** Records as tables for a mail, whatever their columns are. */
import { columnsOf, type Records } from "./records.js";
import { simulated, type TextColumn, textTables } from "./text-table.js";

/** Digits of a number that is no whole one. */
const DIGITS = 6;

/**
 * The records as `textTables()` lays them out, the first key in front. Where that does not name a record, its number goes
 * before it: a table that wraps has to say whose the further columns are.
 *
 * @param headerOf the first column, which says whether the records are `simulated()` or `measured()`
 * @throws Error when the list is empty or the records differ in their keys, naming the row and the key
 */
export function recordTables(records: Records, headerOf = simulated): string[] {
  const keys = columnsOf(records);
  const isNamed = new Set(records.map((record) => record[keys[0]])).size === records.length;
  const columns = keys.map((key, index): TextColumn<Records[number]> => {
    const isName = isNamed && index === 0;
    const isNumeric = records.every((record) => typeof record[key] === "number");
    return {
      header: isName ? headerOf(key) : key,
      align: isNumeric && !isName ? "right" : "left",
      text: (record) => cell(record[key]),
    };
  });
  const numbers = new Map(records.map((record, index) => [record, String(index + 1)]));
  const number: TextColumn<Records[number]> = {
    header: headerOf("#"),
    align: "left",
    text: (record) => numbers.get(record) ?? "",
  };
  return textTables(isNamed ? columns : [number, ...columns], records);
}

function cell(value: Records[number][string]): string {
  if (Number.isNaN(value)) return "-";
  if (typeof value !== "number" || Number.isInteger(value)) return String(value);
  return String(Number(value.toPrecision(DIGITS)));
}
