/** A CSV file with a header: its cells by line and column, and its mistakes by file, line, column and value. */
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { parse } from "csv-parse/sync";
import { InputError, notAllowed } from "./input.js";
import { wholeLines } from "./whole-lines.js";

export class CsvFile<Column extends string> {
  readonly name: string;
  /** A record a line, with the columns asked for. A cell that is not there is "", as are those of a column that is not. */
  readonly records: readonly Readonly<Record<Column, string>>[];

  /** @throws InputError for a file that cannot be read or lacks a column of `columns` */
  constructor(path: string, columns: readonly Column[], optional: readonly Column[] = []) {
    this.name = basename(path);
    const [header, ...lines] = parseCsv(path);
    for (const column of columns) {
      if (!header?.includes(column))
        throw new InputError(`${this.name}: column ${column}`, notAllowed(undefined), columns.join(", "));
    }
    this.records = lines.map((cells) => {
      const named = [...columns, ...optional].map((column) => [column, cells[header.indexOf(column)] ?? ""]);
      return Object.fromEntries(named) as Record<Column, string>;
    });
  }

  /** A cell that holds a positive number. @throws InputError */
  positive(index: number, column: Column): number {
    const text = this.records[index][column];
    const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : 0;
    if (value === 0) throw this.mistake(index, column, "a positive number");
    return value;
  }

  /** For a cell that is not as it should be. Lines are counted from 1, and the header is the first. */
  mistake(index: number, column: Column, allowed: string): InputError {
    return new InputError(
      `${this.name}: line ${index + 2}, column ${column}`,
      notAllowed(this.records[index][column]),
      allowed,
    );
  }
}

function parseCsv(path: string): string[][] {
  try {
    const text = readFileSync(path, "utf8");
    // A last line without an end may have been cut in its last cell.
    if (text !== "") wholeLines(text, path);
    return parse(text, { bom: true });
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError(path, (error as Error).message, "a readable CSV file with commas between columns");
  }
}
