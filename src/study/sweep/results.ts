/**
 * The result file of a sweep: JSON Lines, the head first, then a row for each point. It holds what was found and nothing of
 * how it was; so the same head and rows give the same bytes, whoever ran the points, when and in which order.
 */
import { dirname } from "node:path";
import { InputError } from "../../cost/input.js";
import { type Line, linesOf } from "./lines.js";
import { makeFolder, writeWhole } from "./whole-file.js";

export interface Results {
  readonly head: unknown;
  readonly rows: readonly unknown[];
}

/**
 * Writes a result file, rows in the order given, and its folder where it is not there. A file that stands there is replaced
 * as a whole or not at all.
 *
 * @throws Error of the file system, or for what JSON cannot hold
 */
export function writeResults(path: string, head: object, rows: readonly object[]): void {
  makeFolder(dirname(path));
  writeWhole(path, linesFor(head, rows));
}

function* linesFor(head: object, rows: readonly object[]): Generator<string> {
  yield `${JSON.stringify(head)}\n`;
  for (const row of rows) yield `${JSON.stringify(row)}\n`;
}

/** @throws InputError for a file that cannot be read, has no head, or a line that is no JSON or cut off */
export function readResults(path: string): Results {
  const lines: unknown[] = [];
  try {
    for (const line of linesOf(path)) lines.push(parse(line, `${path}: line ${lines.length + 1}`));
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError(path, (error as Error).message, "a result file of a sweep");
  }
  if (lines.length === 0) throw new InputError(path, "is empty", "a result file of a sweep");
  const [head, ...rows] = lines;
  return { head, rows };
}

function parse({ bytes, whole }: Line, where: string): unknown {
  const allowed = "a line as it was written; write the results again";
  if (!whole) throw new InputError(where, "is cut off", allowed);
  try {
    return JSON.parse(bytes.toString());
  } catch (error) {
    throw new InputError(where, (error as Error).message, allowed);
  }
}
