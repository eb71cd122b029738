/**
 * Published measurements: one CSV file per machine, one row per access that was timed.
 */
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { parse } from "csv-parse/sync";
import { dataPath, InputError, notAllowed } from "./input.js";

const COLUMNS = ["row", "cycles", "unit", "machine", "kernel", "source"] as const;
type Column = (typeof COLUMNS)[number];

export class Measurement {
  constructor(
    private readonly file: string,
    private readonly cycles: ReadonlyMap<string, number>,
    /** What is known of the machine and of its kernel. */
    readonly machine: string,
    readonly kernel: string,
    readonly source: string,
  ) {}

  /** TSC cycles per access of a row, by its name in kvm-unit-tests. @throws InputError */
  row(name: string): number {
    const cycles = this.cycles.get(name);
    if (cycles === undefined) {
      const rows = [...this.cycles.keys()].join(", ");
      throw new InputError(`${this.file}: row ${name}`, `is not among ${rows}`, "a file with this row");
    }
    return cycles;
  }
}

/** Reads `data/measurements/NAME.csv`. @throws InputError */
export function loadMeasurement(name: string): Measurement {
  return readMeasurement(dataPath("measurements", `${name}.csv`));
}

/** Reads a file of measurements, all of one machine. @throws InputError that names the column, line and value */
export function readMeasurement(path: string): Measurement {
  const file = basename(path);
  const [header, ...lines] = parseCsv(path);
  for (const column of COLUMNS) {
    if (!header?.includes(column))
      throw new InputError(`${file}: column ${column}`, notAllowed(undefined), COLUMNS.join(", "));
  }
  const cell = (line: number, column: Column) => lines[line][header.indexOf(column)] ?? "";
  const only = (column: Column) => {
    lines.forEach((_, line) => {
      if (cell(line, column) !== cell(0, column)) {
        throw new InputError(
          at(file, line, column),
          notAllowed(cell(line, column)),
          `one machine a file: ${cell(0, column)}`,
        );
      }
    });
    // It goes into a mail.
    if (!/^[\x20-\x7e]+$/.test(cell(0, column)) || /\S{70}/.test(cell(0, column))) {
      throw new InputError(
        at(file, 0, column),
        notAllowed(cell(0, column)),
        "ASCII, words of less than 70 characters",
      );
    }
    return cell(0, column);
  };

  if (lines.length === 0) throw new InputError(file, "has no rows", "at least one row");
  const cycles = new Map<string, number>();
  lines.forEach((_, line) => {
    const name = cell(line, "row");
    if (name === "" || cycles.has(name))
      throw new InputError(at(file, line, "row"), notAllowed(name), "a name, once a file");
    const value = /^\d+(\.\d+)?$/.test(cell(line, "cycles")) ? Number(cell(line, "cycles")) : 0;
    if (value === 0) {
      throw new InputError(at(file, line, "cycles"), notAllowed(cell(line, "cycles")), "a positive number");
    }
    if (cell(line, "unit") !== "TSC cycles") {
      throw new InputError(at(file, line, "unit"), notAllowed(cell(line, "unit")), "TSC cycles");
    }
    cycles.set(name, value);
  });
  return new Measurement(file, cycles, only("machine"), only("kernel"), only("source"));
}

function parseCsv(path: string): string[][] {
  try {
    return parse(readFileSync(path, "utf8"), { bom: true, relax_column_count: true });
  } catch (error) {
    throw new InputError(path, (error as Error).message, "a readable CSV file with commas between columns");
  }
}

/** Lines are counted from 1, and the header is the first. */
function at(file: string, line: number, column: Column): string {
  return `${file}: line ${line + 2}, column ${column}`;
}
