/**
 * Measurements: one CSV file per machine, one row per access that was timed.
 *
 * `cycles` is a time per access in the row's `unit`: TSC cycles, ns or us. `spread`, a column that may be missing and a cell
 * that may be empty, is by how much it may be off, in the same unit: half the width of its range, or the standard error of
 * the mean. `tsc_mhz`, which may be missing too, is the frequency of the machine's TSC, and turns ns and us into TSC cycles.
 */
import { CsvFile } from "./csv-file.js";
import { dataPath, InputError } from "./input.js";

const COLUMNS = ["row", "cycles", "unit", "machine", "kernel", "source"] as const;
const OPTIONAL_COLUMNS = ["spread", "tsc_mhz"] as const;
type Column = (typeof COLUMNS)[number] | (typeof OPTIONAL_COLUMNS)[number];

/** In TSC cycles. */
interface Row {
  readonly cycles: number;
  readonly spread: number | null;
}

export class Measurement {
  constructor(
    private readonly file: string,
    private readonly rows: ReadonlyMap<string, Row>,
    /** What is known of the machine and of its kernel. */
    readonly machine: string,
    readonly kernel: string,
    readonly source: string,
    /** Frequency of the machine's TSC, or null where the file does not say. */
    readonly tscMhz: number | null,
  ) {}

  /** Names of its rows. */
  get names(): readonly string[] {
    return [...this.rows.keys()];
  }

  /** TSC cycles per access of a row, by its name in kvm-unit-tests. @throws InputError */
  row(name: string): number {
    return this.find(name).cycles;
  }

  /** By how many TSC cycles a row may be off, or null where the file does not say. @throws InputError */
  spread(name: string): number | null {
    return this.find(name).spread;
  }

  private find(name: string): Row {
    const row = this.rows.get(name);
    if (row !== undefined) return row;
    const rows = [...this.rows.keys()].join(", ");
    throw new InputError(`${this.file}: row ${name}`, `is not among ${rows}`, "a file with this row");
  }
}

/** Reads `data/measurements/NAME.csv`. @throws InputError */
export function loadMeasurement(name: string): Measurement {
  return readMeasurement(dataPath("measurements", `${name}.csv`));
}

/** Reads a file of measurements, all of one machine. @throws InputError that names the column, line and value */
export function readMeasurement(path: string): Measurement {
  const file = new CsvFile<Column>(path, COLUMNS, OPTIONAL_COLUMNS);
  const { name, records } = file;
  const only = (column: Column) => {
    const value = records[0][column];
    records.forEach((record, index) => {
      if (record[column] !== value) throw file.mistake(index, column, `one machine a file: ${value}`);
    });
    return value;
  };
  const text = (column: Column) => {
    const value = only(column);
    // It goes into a mail.
    if (!/^[\x20-\x7e]+$/.test(value) || /\S{70}/.test(value))
      throw file.mistake(0, column, "ASCII, words of less than 70 characters");
    return value;
  };

  if (records.length === 0) throw new InputError(name, "has no rows", "at least one row");
  const rows = new Map<string, Row>();
  records.forEach(({ row, spread }, index) => {
    if (row === "" || rows.has(row)) throw file.mistake(index, "row", "a name, once a file");
    const cycles = file.positive(index, "cycles");
    const inTscCycles = conversion(file, index);
    rows.set(row, {
      cycles: inTscCycles(cycles),
      spread: spread === "" ? null : inTscCycles(file.positive(index, "spread")),
    });
  });
  const tscMhz = only("tsc_mhz") === "" ? null : file.positive(0, "tsc_mhz");
  return new Measurement(name, rows, text("machine"), text("kernel"), text("source"), tscMhz);
}

/** From the unit of a record to TSC cycles. */
function conversion(file: CsvFile<Column>, index: number): (value: number) => number {
  const { unit, tsc_mhz } = file.records[index];
  const megahertz = tsc_mhz === "" ? null : file.positive(index, "tsc_mhz");
  if (unit === "TSC cycles") return (value) => value;
  if (megahertz !== null && unit === "us") return (value) => value * megahertz;
  if (megahertz !== null && unit === "ns") return (value) => (value * megahertz) / 1000;
  throw file.mistake(index, "unit", "TSC cycles, or ns and us with a column tsc_mhz");
}
