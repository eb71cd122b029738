/**
 * What `perf kvm stat report` prints of VM exits: by reason how often and how long, from kvm_exit to the kvm_entry after it.
 * The format is print_result() of tools/perf/builtin-kvm.c since it has columns for the shortest and the longest time; the
 * percentage in brackets is stddev_stats() of tools/perf/util/stat.c, the standard error of the mean.
 *
 * A table begins with the names of its columns and ends with the total of its samples; a table without that end was cut.
 * Between them are rows and blank lines only, outside is what perf says to it, which is left out. The first column's name
 * tells the event: VM-EXIT, and others with `--event=mmio` or `--event=ioport`. Tables of those are checked and left out.
 */
import { InputError, notAllowed } from "./input.js";
import { shortLine } from "./whole-lines.js";

/** The exits of one reason. Times are in microseconds, as perf rounds them: to a hundredth. */
export interface PerfExits {
  readonly reason: string;
  readonly samples: number;
  readonly minUs: number;
  readonly maxUs: number;
  readonly averageUs: number;
  /** Standard error of the average as a share of it, 0.01 for +- 1%; null with one sample, where perf prints 0. */
  readonly relativeError: number | null;
  /** Where it stands, counted from 1. */
  readonly line: number;
}

interface Table {
  readonly event: string;
  readonly line: number;
  readonly rows: PerfExits[];
}

const LAST_LINE = "Total Samples:N, Total events handled time:Tus.";
const COLUMNS = "VM-EXIT Samples Samples% Time% Min Time Max Time Avg time";
const HEAD = /^\s*(\S+(?: \S+)*)\s+Samples\s+Samples%\s+Time%\s+Min Time\s+Max Time\s+Avg time\s*$/;
/** A reason of SVM for an exception is two words. */
const ROW = new RegExp(
  [
    "^\\s*(\\S+(?: excp)?)",
    "([1-9]\\d*)",
    "\\d+\\.\\d\\d%",
    "\\d+\\.\\d\\d%",
    "(\\d+\\.\\d\\d)(?:us)?",
    "(\\d+\\.\\d\\d)(?:us)?",
    "(\\d+\\.\\d\\d)(?:us)?",
    "\\( *\\+- *(\\d+\\.\\d\\d)% *\\)\\s*$",
  ].join("\\s+"),
);
const FOOT = /^\s*Total Samples:(\d+), Total events handled time:\d+\.\d\d(?:us)?\.\s*$/;

/**
 * The rows of the table of VM exits, in its order.
 *
 * @param what names the text in mistakes, such as its file
 * @throws InputError for a table that is cut, has a line of another kind or another sum of samples, for text without a table
 * of VM exits or with two
 */
export function parsePerfKvmStat(text: string, what: string): PerfExits[] {
  const tables = readTables(text, what);
  const [exits, second] = tables.filter(({ event }) => event === "VM-EXIT");
  if (second !== undefined)
    throw new InputError(`${what}: line ${second.line}`, "begins a second table of VM-EXIT", "one report");
  if (exits !== undefined) return exits.rows;
  const found = tables.map(({ event, line }) => `of ${event} in line ${line}`).join(", ");
  throw new InputError(
    what,
    found === "" ? "has no table" : `has only tables ${found}`,
    "a table of VM-EXIT, which perf kvm stat report --event=vmexit prints",
  );
}

function readTables(text: string, what: string): Table[] {
  const tables: Table[] = [];
  let open: Table | undefined;
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const mistake = (allowed: string) =>
      new InputError(`${what}: line ${index + 1}`, notAllowed(shortLine(line)), allowed);
    if (open === undefined) {
      const event = HEAD.exec(line)?.[1];
      if (event !== undefined) open = { event, line: index + 1, rows: [] };
      else if (/Samples%|Total Samples:/.test(line)) throw mistake(`a table that begins with ${COLUMNS}`);
      continue;
    }
    const row = ROW.exec(line);
    const total = FOOT.exec(line)?.[1];
    if (row !== null) {
      const exits = readRow(row, index + 1);
      if (!(exits.minUs <= exits.averageUs && exits.averageUs <= exits.maxUs))
        throw mistake("an average time from the shortest to the longest");
      open.rows.push(exits);
    } else if (total !== undefined) {
      const sum = open.rows.reduce((samples, exits) => samples + exits.samples, 0);
      if (sum === 0) throw mistake("a table with samples");
      if (Number(total) !== sum) throw mistake(`the sum of the samples above, ${sum}`);
      tables.push(open);
      open = undefined;
    } else if (line.trim() !== "") throw mistake(`a row under ${COLUMNS}, or ${LAST_LINE}`);
  }
  if (open === undefined) return tables;
  throw new InputError(`${what}: line ${open.line}`, "begins a table without end", `${LAST_LINE} at its end`);
}

function readRow([, reason, ...figures]: RegExpExecArray, line: number): PerfExits {
  const [samples, minUs, maxUs, averageUs, percent] = figures.map(Number);
  return {
    reason,
    samples,
    minUs,
    maxUs,
    averageUs,
    relativeError: samples > 1 ? percent / 100 : null,
    line,
  };
}
