/** Errors of predictions in a few columns, for mails. */
import type { ErrorSummary } from "../study/errors.js";
import { percent } from "./format.js";
import { simulated, type TextColumn, textTables } from "./text-table.js";

/** A line of the table: errors, or only a name of what the lines below are of. */
export interface ErrorLine {
  readonly of: string;
  readonly errors?: ErrorSummary;
}

/** @param points what the errors are counted in, such as rows */
export function errorTables(points: string, lines: readonly ErrorLine[]): string[] {
  const column = (header: string, text: (errors: ErrorSummary) => string): TextColumn<ErrorLine> => ({
    header,
    align: "right",
    text: ({ errors }) => (errors === undefined ? "" : text(errors)),
  });
  return textTables<ErrorLine>(
    [
      { header: simulated("errors of"), align: "left", text: ({ of }) => of },
      column(points, (errors) => String(errors.points)),
      column("median", ({ median }) => unsigned(median)),
      column("p90", ({ p90 }) => unsigned(p90)),
      column("worst", ({ worst }) => percent(worst)),
      column("bias", ({ bias }) => percent(bias)),
    ],
    lines,
  );
}

/** The size of an error, such as "0.14%". */
export function unsigned(fraction: number): string {
  return percent(fraction).slice(1);
}
