/** Times that people have, from the files that their tools print: whatever kind a file is of, it shows by itself. */
import { readFileSync } from "node:fs";
import { type ExitTime, parseExitTimes } from "../../cost/exit-times.js";
import { InputError, notAllowed } from "../../cost/input.js";
import { readMeasurement } from "../../cost/measurements.js";
import { parsePerfKvmStat } from "../../cost/perf-kvm-stat.js";
import { parseVmexit, type VmexitRow } from "../../cost/vmexit-output.js";

export const TIME_SOURCES = ["vmexit", "CSV", "perf kvm stat", "ftrace"] as const;
export type TimeSource = (typeof TIME_SOURCES)[number];

/** One row of `vmexit` or of a CSV file, or the exits of one reason. */
export interface Timed {
  readonly file: string;
  readonly source: TimeSource;
  /** Name of the row, or the kernel's name of the exit reason. */
  readonly name: string;
  /** TSC cycles, on average. */
  readonly cycles: number;
  /** By how many TSC cycles that may be off. null where the file does not say: one run of a row, or one exit. */
  readonly spread: number | null;
  /** Of an exit in ftrace text: events recorded from its kvm_exit on, before its kvm_entry, on average. Else null. */
  readonly events: number | null;
}

/** A mean and its standard error: two of them cover what repetition would give in 95 of 100 cases, if there were many. */
const STANDARD_ERRORS = 2;

/** perf prints hundredths of a microsecond: by how much of one that may be off. */
const PERF_ROUNDING = 0.005;

/**
 * Reads a file.
 *
 * @param tscMhz frequency of the machine's TSC, for times that are not in TSC cycles
 * @throws InputError for a file that cannot be read, that is cut or simulated, or of no kind that is known
 */
export function readTimes(path: string, tscMhz: number): Timed[] {
  const text = readText(path);
  // Of what is nothing else, the parser of vmexit says what it is not.
  const source = sourceOf(text, path) ?? "vmexit";
  const timed = (name: string, cycles: number, spread: number | null, events: number | null = null) => {
    return { file: path, source, name, cycles, spread, events };
  };
  switch (source) {
    case "CSV": {
      const rows = readMeasurement(path);
      if (rows.tscMhz !== null && rows.tscMhz !== tscMhz)
        throw new InputError(`${path}: tsc_mhz`, notAllowed(rows.tscMhz), `${tscMhz}, as for all the times`);
      return rows.names.map((name) => timed(name, rows.row(name), rows.spread(name)));
    }
    case "perf kvm stat":
      return parsePerfKvmStat(text, path).map(({ reason, averageUs, relativeError }) => {
        const off =
          relativeError === null ? null : STANDARD_ERRORS * relativeError * averageUs + PERF_ROUNDING;
        return timed(reason, averageUs * tscMhz, off === null ? null : off * tscMhz);
      });
    case "ftrace":
      return parseExitTimes(text, path).exits.map((exits) => {
        const off = offMean(exits);
        return timed(
          exits.reason,
          exits.meanUs * tscMhz,
          off === null ? null : off * tscMhz,
          exits.meanEvents,
        );
      });
    default:
      return runsByName(parseVmexit(text, path)).map(([name, cycles]) =>
        timed(name, mean(cycles), spreadOf(cycles)),
      );
  }
}

/** In microseconds. Times that are all equal may be so because their digits are few: then the last digit alone decides. */
function offMean({ samples, standardErrorUs, resolutionUs }: ExitTime): number | null {
  if (standardErrorUs === null) return null;
  return Math.max(STANDARD_ERRORS * standardErrorUs, resolutionUs / Math.sqrt(samples));
}

/** The text of a file. @throws InputError if it cannot be read */
export function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new InputError(path, (error as Error).message, "a file that can be read");
  }
}

/**
 * What printed a text, as far as it looks like it; its parser says what is broken. null where it looks like nothing known.
 *
 * @param file names the text in mistakes
 * @throws InputError for text that exitlab made, such as that of `kvm/ftrace.ts`: it looks like a tool's and says at its head
 * that it is simulated
 */
export function sourceOf(text: string, file: string): TimeSource | null {
  if (/^(# )?SIMULATED\b/m.test(text))
    throw new InputError(file, "says that it is simulated", "what was measured: exitlab's times are none");
  const [head] = text.split("\n", 1);
  if (head.includes(",") && /(^|,)\s*"?row"?\s*(,|$)/.test(head)) return "CSV";
  if (/\bSamples\s+Samples%|^Analyze events for|\bTotal Samples:/m.test(text)) return "perf kvm stat";
  if (/^# tracer:/m.test(text) || /\bkvm_(exit|entry): /.test(text)) return "ftrace";
  return /^ *[a-z][a-z0-9_+-]*(:pci-mem|:pci-io)? +[1-9]\d* *\r?$/m.test(text) ? "vmexit" : null;
}

/** TSC cycles of each run, by row. */
export function runsByName(rows: readonly VmexitRow[]): [string, number[]][] {
  const runs = new Map<string, number[]>();
  for (const { row, cycles } of rows) {
    const before = runs.get(row);
    if (before === undefined) runs.set(row, [cycles]);
    else before.push(cycles);
  }
  return [...runs];
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** One run says nothing of its spread. */
function spreadOf(values: readonly number[]): number | null {
  if (values.length < 2) return null;
  const middle = mean(values);
  const variance = values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1);
  return STANDARD_ERRORS * Math.sqrt(variance / values.length);
}
