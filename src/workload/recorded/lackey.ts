/**
 * Memory accesses as `valgrind --tool=lackey --trace-mem=yes` prints them: "I  04001000,3" for an instruction and " L", " S"
 * and " M" for its loads, stores and read-modify-writes, with the address in hexadecimal and the size in bytes in decimal.
 * Specified in the comments at the head of Lackey's source; written against the output of valgrind 3.19.
 *
 * Lackey does not tell threads apart, and leaves out some accesses, which the same comments name.
 */
import type { Line } from "./line.js";
import type { LineReader } from "./line-reader.js";
import { FETCH, LOAD, MAX_SIZE, MODIFY, type Output, STORE } from "./steps.js";

const SPACE = 0x20;
const COMMA = 0x2c;

const LETTERS = [
  ["L", LOAD],
  ["S", STORE],
  ["M", MODIFY],
] as const;

/** How valgrind begins lines of its own: process number between "==", "--" or "**", perhaps after the time. */
const VALGRIND = /^(==|--|\*\*)(?:[\d:.]+ )?\d+\1(?: |$)/;

const ALLOWED = `"I  <address>,<size>", " L <address>,<size>", " S ..." or " M ...", the address hexadecimal, the size 1 to ${MAX_SIZE}; valgrind's own "==<process>== ..."; the output of the program kept apart, with --log-file`;

export class LackeyReader implements LineReader {
  constructor(private readonly output: Output) {}

  line(line: Line): void {
    const op = this.op(line);
    if (op === undefined) {
      this.output.leftOut.add(this.other(line));
      return;
    }
    const address = line.hexadecimal();
    const comma = line.skip(COMMA);
    const size = line.decimal();
    if (!(address >= 0 && comma && size >= 1 && size <= MAX_SIZE && line.done)) throw line.mistake(ALLOWED);
    this.output.access(op, address, size, 0);
  }

  end(): boolean {
    return true;
  }

  private op(line: Line): number | undefined {
    if (line.skipText("I  ")) return FETCH;
    if (!line.skip(SPACE)) return undefined;
    for (const [letter, op] of LETTERS) {
      if (line.skipText(letter)) return line.skip(SPACE) ? op : undefined;
    }
    return undefined;
  }

  private other(line: Line): string {
    const text = line.text();
    if (text === "") return "blank line";
    if (VALGRIND.test(text)) return "valgrind's own";
    throw line.mistake(ALLOWED);
  }
}
