/**
 * Text that a program wrote, as lines. A program ends each line that it writes: a last line without an end may have been
 * cut, and a figure cut short reads like another figure.
 */
import { InputError, notAllowed } from "./input.js";

/** The lines without their ends; `what` names the text. @throws InputError for a last line without an end */
export function wholeLines(text: string, what: string): string[] {
  const lines = text.split(/\r?\n/);
  const rest = lines.pop() ?? "";
  if (rest === "") return lines;
  throw new InputError(
    `${what}: line ${lines.length + 1}`,
    `${notAllowed(shortLine(rest))} without a line end`,
    "whole lines, since a figure cut short reads like another",
  );
}

/** As much of a line as a message can take. */
export function shortLine(line: string): string {
  return line.length > 120 ? `${line.slice(0, 120)}...` : line;
}
