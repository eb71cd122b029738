/**
 * Published measurements: one CSV file per machine, one row per access that was timed.
 */
import { CsvFile } from "./csv-file.js";
import { dataPath, InputError } from "./input.js";

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
  const file = new CsvFile(path, COLUMNS);
  const { name, records } = file;
  const only = (column: Column) => {
    const value = records[0][column];
    records.forEach((record, index) => {
      if (record[column] !== value) throw file.mistake(index, column, `one machine a file: ${value}`);
    });
    // It goes into a mail.
    if (!/^[\x20-\x7e]+$/.test(value) || /\S{70}/.test(value))
      throw file.mistake(0, column, "ASCII, words of less than 70 characters");
    return value;
  };

  if (records.length === 0) throw new InputError(name, "has no rows", "at least one row");
  const cycles = new Map<string, number>();
  records.forEach(({ row, unit }, index) => {
    if (row === "" || cycles.has(row)) throw file.mistake(index, "row", "a name, once a file");
    const value = file.positive(index, "cycles");
    if (unit !== "TSC cycles") throw file.mistake(index, "unit", "TSC cycles");
    cycles.set(row, value);
  });
  return new Measurement(name, cycles, only("machine"), only("kernel"), only("source"));
}
