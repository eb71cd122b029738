/**
 * Memory accesses as a CSV file (RFC 4180) with a header: columns op, address, size and perhaps thread, in any order. The one
 * format here that anybody can write.
 */
import { parse } from "csv-parse/sync";
import { type InputError, notAllowed } from "../../cost/input.js";
import type { Line } from "./line.js";
import type { LineReader } from "./line-reader.js";
import { FETCH, LOAD, MAX_SIZE, MODIFY, type Output, STORE } from "./steps.js";
import { Threads } from "./threads.js";

const OPS = [
  ["load", LOAD],
  ["store", STORE],
  ["fetch", FETCH],
  ["modify", MODIFY],
] as const;

const COLUMNS = ["op", "address", "size", "thread"] as const;
type Column = (typeof COLUMNS)[number];
const OPTIONAL: readonly Column[] = ["thread"];
const HEADER = "op, address, size and perhaps thread, in any order";

const MAX_THREAD_ID = 2 ** 32 - 1;

const ALLOWED: Readonly<Record<Column, string>> = {
  op: OPS.map(([name]) => name).join(", "),
  address: "a whole number of bytes below 2^64, decimal or 0x and hexadecimal",
  size: `bytes, a whole number from 1 to ${MAX_SIZE}`,
  thread: `a whole number from 0 to ${MAX_THREAD_ID}`,
};

const COMMA = 0x2c;
const QUOTE = 0x22;
/** Numbers of 64 bits, with as many digits as these can have. */
const DECIMAL = /^\d{1,20}$/;
const HEXADECIMAL = /^0x[0-9a-fA-F]{1,16}$/;

export class CsvReader implements LineReader {
  private readonly threads = new Threads();
  private columns: readonly Column[] | undefined;
  /** The values of a line, -1 where a cell is not as it should be. */
  private readonly values: Record<Column, number> = { op: -1, address: -1, size: -1, thread: 0 };

  constructor(private readonly output: Output) {}

  line(line: Line): void {
    if (this.columns === undefined) {
      this.columns = header(line);
      this.output.leftOut.add("header");
    } else if (line.done) {
      this.output.leftOut.add("blank line");
    } else {
      if (!this.read(line, this.columns)) throw mistake(line, this.columns);
      const { op, address, size, thread } = this.values;
      this.output.access(op, address, size, this.threads.number(thread, line));
    }
  }

  end(): boolean {
    return true;
  }

  /** Reads the cells, quoted or not, into `values`. False: there is a mistake. */
  private read(line: Line, columns: readonly Column[]): boolean {
    const { values } = this;
    for (let index = 0; index < columns.length; index++) {
      if (index > 0 && !line.skip(COMMA)) return false;
      const column = columns[index];
      const quoted = line.skip(QUOTE);
      const value = valueAt(line, column);
      if (!isAllowed(column, value) || (quoted && !line.skip(QUOTE))) return false;
      values[column] = value;
    }
    return line.done;
  }
}

/** What is wrong with a line. @throws InputError for quotes that are wrong */
function mistake(line: Line, columns: readonly Column[]): InputError {
  const cells = cellsOf(line);
  if (cells.length !== columns.length)
    return line.error("", `has ${cells.length} cells`, `${columns.length}, as the header has`);
  const index = cells.findIndex((cell, at) => !isAllowed(columns[at], cellValue(cell, columns[at])));
  const column = columns[index];
  return line.error(`, column ${column}`, notAllowed(cells[index]), ALLOWED[column]);
}

function isAllowed(column: Column, value: number): boolean {
  switch (column) {
    case "size":
      return value >= 1 && value <= MAX_SIZE;
    case "thread":
      return value >= 0 && value <= MAX_THREAD_ID;
    default:
      return value >= 0;
  }
}

/** Reads a value. -1: there is none. */
function valueAt(line: Line, column: Column): number {
  switch (column) {
    case "op":
      for (const [name, op] of OPS) if (line.skipText(name)) return op;
      return -1;
    case "address":
      return line.skipText("0x") ? line.hexadecimal() : line.decimal();
    default:
      return line.decimal();
  }
}

/** The value of a cell. -1: it is none. */
function cellValue(cell: string, column: Column): number {
  if (column === "op") return OPS.find(([name]) => name === cell)?.[1] ?? -1;
  return DECIMAL.test(cell) || (column === "address" && HEXADECIMAL.test(cell)) ? Number(cell) : -1;
}

function header(line: Line): readonly Column[] {
  const names = cellsOf(line);
  names.forEach((name, index) => {
    const place = `, column ${name}`;
    if (!COLUMNS.some((column) => column === name)) throw line.error(place, "is an unknown column", HEADER);
    if (names.indexOf(name) < index) throw line.error(place, "is there twice", HEADER);
  });
  for (const column of COLUMNS) {
    if (!names.includes(column) && !OPTIONAL.includes(column))
      throw line.error(`, column ${column}`, notAllowed(undefined), HEADER);
  }
  return names as Column[];
}

function cellsOf(line: Line): string[] {
  try {
    const records: string[][] = parse(line.text(), { bom: line.number === 1, record_delimiter: "\n" });
    return records[0] ?? [];
  } catch (error) {
    throw line.error("", (error as Error).message, "cells with commas between them, quoted as in RFC 4180");
  }
}
