/**
 * Records as CSV after RFC 4180: a header line, CRLF line ends, a field quoted when it has to be.
 */
import { columnsOf, type Records } from "./records.js";

/**
 * The CSV text of the records, one line each, columns in the order of the first record's keys.
 *
 * @throws Error when the records do not all have the same keys, see `columnsOf`.
 */
export function toCsv(rows: Records): string {
  const columns = columnsOf(rows);
  const line = (cells: readonly unknown[]) => `${cells.map(field).join(",")}\r\n`;
  return line(columns) + rows.map((row) => line(columns.map((column) => row[column]))).join("");
}

function field(cell: unknown): string {
  const text = String(cell);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
