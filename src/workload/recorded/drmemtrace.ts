/**
 * Memory accesses as DynamoRIO's drmemtrace prints them: `drrun -t drmemtrace -tool view` (once `-simulator_type view`).
 *
 * Written against the source of the tool as of DynamoRIO 11.91 and the outputs printed in its documentation; no output of a
 * DynamoRIO run here was at hand. The columns before a record's details are "<record> <instruction>: W<workload>.T<thread>"
 * in 11.91, "<record> <instruction>: <thread>" before, and "<record>: T<thread>" in 9.x. Still older versions print
 * instructions only, without sizes, which is no memory trace.
 */
import type { Line } from "./line.js";
import type { LineReader } from "./line-reader.js";
import { FETCH, LOAD, MAX_SIZE, type Output, STORE } from "./steps.js";
import { Threads } from "./threads.js";

const COLON = 0x3a;
const LESS_THAN = 0x3c;

/** Thread numbers have 32 bits. */
const WORKLOAD = 2 ** 32;

const ACCESSES = [
  ["ifetch ", FETCH],
  ["read ", LOAD],
  ["write ", STORE],
] as const;

/** Names of other records with an address: iterations of a string instruction after its first, flushes, prefetches. */
const NO_ACCESS = /^(non-fetched|iflush|dflush|pref[\w-]*) +\d+ byte\(s\) @ 0x[0-9a-f]+(?: |$)/;

/** Such an iteration in versions that call it an ifetch, if the trace has no encodings. */
const NON_FETCHED = " non-fetched instruction";

/** Bytes of a long instruction that did not fit into its line. */
const MORE_BYTES = /^ +[0-9a-f]+(?: [0-9a-f]+)* *$/;

const RULE = /^-+$/;
const FRAME =
  /^(?:Output format:|<-*record#-*>.*<record details>|View tool results:| *\d+ : total instructions)$/;

const ALLOWED = `a record of the view tool, such as "1 0: W0.T7 read 8 byte(s) @ 0x7fff9a9e3528 by PC 0x401000", its size 1 to ${MAX_SIZE}, a marker "<marker: ...>", or the tool's head, rule or result lines; the output of the program kept apart`;

export class DrmemtraceReader implements LineReader {
  private readonly threads = new Threads();

  constructor(private readonly output: Output) {}

  line(line: Line): void {
    const id = this.thread(line);
    if (id < 0) {
      line.rewind();
      this.output.leftOut.add(this.frame(line));
      return;
    }
    for (const [name, op] of ACCESSES) {
      if (line.skipText(name)) {
        this.access(line, op, id);
        return;
      }
    }
    this.output.leftOut.add(this.noAccess(line));
  }

  end(): boolean {
    return true;
  }

  /** Reads the columns up to the details. A number for the thread; -1: this is no record. */
  private thread(line: Line): number {
    line.skipSpaces();
    if (line.decimal() < 0) return -1;
    line.skipSpaces();
    if (!line.skip(COLON) && (line.decimal() < 0 || !line.skip(COLON))) return -1;
    line.skipSpaces();
    let workload = 0;
    if (line.skipText("W")) {
      workload = line.decimal();
      if (workload < 0 || !line.skipText(".T")) return -1;
    } else {
      line.skipText("T");
    }
    const thread = line.decimal();
    return thread < 0 || !line.skipText(" ") ? -1 : workload * WORKLOAD + thread;
  }

  private access(line: Line, op: number, id: number): void {
    line.skipSpaces();
    const size = line.decimal();
    const text = line.skipText(" byte(s) @ 0x");
    const address = line.hexadecimal();
    if (!(size >= 1 && size <= MAX_SIZE && text && address >= 0)) throw line.mistake(ALLOWED);
    if (op === FETCH) {
      if (line.skipText(NON_FETCHED) && line.done) {
        this.output.leftOut.add("non-fetched");
        return;
      }
    } else {
      const by = line.skipText(" by PC 0x");
      if (!(by && line.hexadecimal() >= 0 && line.done)) throw line.mistake(ALLOWED);
    }
    this.output.access(op, address, size, this.threads.number(id, line));
  }

  /** The kind of a record that is no access. */
  private noAccess(line: Line): string {
    const details = line.rest();
    if (line.skip(LESS_THAN)) {
      // What has a digit is a value: without it, the kind is left. Some markers lack the bracket at their end.
      const kind = details.replace(/\S*\d\S*/g, "").replace(/[<>]/g, "");
      return kind.trim().replace(/ +/g, " ");
    }
    const name = NO_ACCESS.exec(details)?.[1];
    if (name !== undefined) return name;
    if (MORE_BYTES.test(details)) return "bytes of an instruction, continued";
    throw line.mistake(ALLOWED);
  }

  /** The kind of a line that is no record. */
  private frame(line: Line): string {
    const text = line.text();
    if (text === "") return "blank line";
    if (RULE.test(text)) return "rule";
    if (FRAME.test(text)) return "head or result";
    throw line.mistake(ALLOWED);
  }
}
