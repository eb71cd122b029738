/**
 * Compares measurements as benchstat does: rows by name, each file a column, the first one the base.
 *
 * A file is what one tool printed. `vmexit` and ftrace text hold the samples themselves; `perf kvm stat report` holds their
 * mean and its standard error, a CSV file one value a row.
 */
import type { Bounds } from "../../cost/counts.js";
import { parseExitTimes } from "../../cost/exit-times.js";
import { InputError, notAllowed } from "../../cost/input.js";
import { type Measurement, readMeasurement } from "../../cost/measurements.js";
import { type PerfExits, parsePerfKvmStat } from "../../cost/perf-kvm-stat.js";
import { parseVmexit } from "../../cost/vmexit-output.js";
import { readText, runsByName, sourceOf, TIME_SOURCES, type TimeSource } from "../calibrate/times.js";
import { exitlabCommand } from "../command.js";
import { packageVersion } from "../provenance.js";
import { columnNames } from "./column-names.js";
import type {
  MeasuredCell,
  MeasuredComparison,
  MeasuredDifference,
  MeasuredRow,
  SampleSummary,
} from "./result.js";
import {
  ALPHA,
  type Mean,
  mannWhitney,
  meanInterval,
  medianInterval,
  summarize,
  welch,
} from "./statistics.js";

/** What a file says of a row. */
interface Row {
  readonly name: string;
  readonly summary: Omit<SampleSummary, "interval" | "centre">;
  /** Each of them; null where only their mean is known. */
  readonly samples: readonly number[] | null;
  /** null where its standard error is not known: with one sample, and of a CSV row. */
  readonly mean: Mean | null;
  /** By how much the value of a CSV row may be off; else null. */
  readonly spread: number | null;
  /** The last digit of its samples; 0 where there are none. */
  readonly resolution: number;
}

interface Column {
  readonly file: string;
  readonly source: TimeSource;
  /** Exits that are in no row. Of ftrace text, else 0. */
  readonly lost: { readonly withoutEntry: number; readonly amidLostEvents: number };
  readonly rows: ReadonlyMap<string, Row>;
}

/**
 * Where the last digit of the samples is a greater share of their median, their means are compared: the median of whole
 * microseconds is 2 or 3, however little lies between, while their mean is as good as their number.
 */
const COARSE = 0.02;

/** vmexit prints whole cycles. */
const VMEXIT_RESOLUTION = 1;

const UNITS: Readonly<Record<TimeSource, string>> = {
  vmexit: "TSC cycles",
  CSV: "TSC cycles",
  "perf kvm stat": "us",
  ftrace: "us",
};

/** The last digits that perf prints: hundredths of a microsecond, and of a percent. Either may be off by half of one. */
const PERF_ROUNDING_US = 0.005;
const PERF_ROUNDING_SHARE = 0.00005;

/** Whether a file is of a kind that can be compared. @throws InputError if it cannot be read, or says that it is simulated */
export function isMeasured(path: string): boolean {
  return sourceOf(readText(path), path) !== null;
}

/**
 * Compares files, each against the first. Rows are in the order of the first; those it lacks come after them.
 *
 * @param names of the columns, one a file; without them, the ends of the paths that tell the files apart
 * @throws InputError for fewer than two files, one that is broken, simulated or of no kind that is known, units that differ,
 * names that do not
 */
export function compareMeasured(files: readonly string[], names?: readonly string[]): MeasuredComparison {
  if (files.length < 2) throw new InputError("files", notAllowed(files), "two or more");
  const named = names ?? columnNames(files);
  if (named.length !== files.length || new Set(named).size < named.length)
    throw new InputError("names of columns", notAllowed(named), `${files.length}, each once`);
  const columns = files.map(readColumn);
  const [base, ...others] = columns;
  const unit = UNITS[base.source];
  for (const { file, source } of others) {
    if (UNITS[source] !== unit)
      throw new InputError(
        file,
        `is ${source}, in ${UNITS[source]}`,
        `files in ${unit}, as ${base.file} (${base.source})`,
      );
  }
  const rows = new Set(columns.flatMap((column) => [...column.rows.keys()]));
  return {
    kind: "measured",
    version: packageVersion(),
    command: names === undefined ? exitlabCommand("compare", ...files) : null,
    unit,
    exitsOfOneRun: isOneRun(base),
    columns: [...named],
    rows: [...rows].map((name) => compareRow(name, columns)),
    notes: notesOf(columns, named, rows),
  };
}

/** Those of other columns are too, or the units would differ. */
function isOneRun({ source }: Column): boolean {
  return source === "perf kvm stat" || source === "ftrace";
}

/** What p does not say. */
function notesOf(columns: readonly Column[], names: readonly string[], rows: ReadonlySet<string>): string[] {
  const notes: string[] = [];
  if (columns.some(isOneRun)) {
    notes.push(
      "the samples of perf and ftrace are the exits of one run; that two runs differ significantly may be no more than two runs of one kernel do",
    );
    if ([...rows].some((name) => /^(EXIT_)?HLT$/i.test(name)))
      notes.push("HLT is the time for which the guest is idle: less of it is no better");
  }
  if (new Set(columns.map(({ source }) => source)).size > 1) {
    const tools = columns.map(({ source }, index) => `${names[index]} is ${source}`).join(", ");
    notes.push(`the tools differ, and may do so in what they time: ${tools}`);
  }
  for (const [index, { lost }] of columns.entries()) {
    const { withoutEntry, amidLostEvents } = lost;
    if (withoutEntry + amidLostEvents > 0)
      notes.push(
        `of ${names[index]} are left out ${amidLostEvents} exits amid lost events, and ${withoutEntry} without kvm_entry`,
      );
  }
  return notes;
}

function compareRow(name: string, columns: readonly Column[]): MeasuredRow {
  const rows = columns.map((column) => column.rows.get(name) ?? null);
  // A median is no match for a mean: times are skewed.
  const byMedian = rows.every((row) => row === null || hasMedian(row));
  const [base] = rows;
  const from = base === null ? 0 : centreOf(base, byMedian);
  const cells = rows.map((row, index): MeasuredCell | null => {
    if (row === null) return null;
    const centre = centreOf(row, byMedian);
    const isAlone = index === 0 || base === null || from === 0;
    return {
      ...row.summary,
      interval: intervalOf(row, byMedian),
      centre,
      versusBase: isAlone ? null : difference(base, row, (centre - from) / from, byMedian),
    };
  });
  return { name, cells };
}

/** Whether a row has one that its last digit leaves some meaning. */
function hasMedian({ summary: { median }, resolution }: Row): boolean {
  return median !== null && resolution <= COARSE * median;
}

function centreOf({ summary }: Row, byMedian: boolean): number {
  return byMedian && summary.median !== null ? summary.median : summary.mean;
}

/** What samples tell reaches half of their last digit to either side, at least. */
function intervalOf(row: Row, byMedian: boolean): Bounds | null {
  const { summary, samples, mean, spread, resolution } = row;
  if (spread !== null) return { low: summary.mean - spread, high: summary.mean + spread };
  const ofMean = mean === null ? null : meanInterval(mean);
  const interval = byMedian && samples !== null ? medianInterval(samples) : ofMean;
  if (interval === null) return null;
  const [centre, half] = [centreOf(row, byMedian), resolution / 2];
  return { low: Math.min(interval.low, centre - half), high: Math.max(interval.high, centre + half) };
}

function difference(base: Row, row: Row, relative: number, byMedian: boolean): MeasuredDifference {
  const ofMeans = base.mean === null || row.mean === null ? null : welch(base.mean, row.mean);
  const means = ofMeans?.difference ?? null;
  const p =
    byMedian && base.samples !== null && row.samples !== null
      ? mannWhitney(base.samples, row.samples)
      : (ofMeans?.p ?? null);
  if (p === null) return { relative, p, test: null, significant: false, means };
  return { relative, p, test: byMedian ? "Mann-Whitney U" : "Welch's t", significant: p < ALPHA, means };
}

function readColumn(file: string): Column {
  const text = readText(file);
  const source = sourceOf(text, file);
  if (source === null)
    throw new InputError(
      file,
      "is of no kind that is known",
      `what one of these printed: ${TIME_SOURCES.join(", ")}`,
    );
  const { rows: read, lost = { withoutEntry: 0, amidLostEvents: 0 } } = readRows(file, text, source);
  const rows = new Map<string, Row>();
  for (const row of read) {
    if (rows.has(row.name))
      throw new InputError(`${file}: row ${row.name}`, "is there twice", "each row once");
    rows.set(row.name, row);
  }
  return { file, source, lost, rows };
}

function readRows(
  file: string,
  text: string,
  source: TimeSource,
): { readonly rows: Row[]; readonly lost?: Column["lost"] } {
  switch (source) {
    case "CSV":
      return { rows: rowsOfCsv(readMeasurement(file)) };
    case "perf kvm stat":
      return { rows: parsePerfKvmStat(text, file).map(rowOfPerf) };
    case "ftrace": {
      const { exits, ...lost } = parseExitTimes(text, file);
      return {
        rows: exits.map(({ reason, timesUs, resolutionUs }) => rowOf(reason, timesUs, resolutionUs)),
        lost,
      };
    }
    default: {
      const runs = runsByName(parseVmexit(text, file));
      return { rows: runs.map(([name, cycles]) => rowOf(name, cycles, VMEXIT_RESOLUTION)) };
    }
  }
}

function rowOf(name: string, samples: readonly number[], resolution: number): Row {
  const summary = summarize(samples);
  const error = standardErrorOf(summary, samples.length, resolution);
  return {
    name,
    summary,
    samples,
    mean: error === null ? null : { samples: samples.length, mean: summary.mean, standardError: error },
    spread: null,
    resolution,
  };
}

/** That samples are all equal is no certainty: the digits they lack would tell them apart. */
function standardErrorOf(
  { standardDeviation, min, max }: Row["summary"],
  samples: number,
  resolution: number,
): number | null {
  if (standardDeviation === null) return null;
  return min === max ? resolution / 2 : standardDeviation / Math.sqrt(samples);
}

/**
 * The standard error is as great as what perf prints leaves open, since an error of 0.00% is none of 0. What it prints is too
 * coarse to tell the standard deviation from it, times the root of many samples.
 */
function rowOfPerf({ reason, samples, averageUs, minUs, maxUs, relativeError }: PerfExits): Row {
  const standardError =
    relativeError === null
      ? null
      : Math.hypot((relativeError + PERF_ROUNDING_SHARE) * averageUs, PERF_ROUNDING_US);
  return {
    name: reason,
    summary: { samples, mean: averageUs, standardDeviation: null, min: minUs, median: null, max: maxUs },
    samples: null,
    mean: standardError === null ? null : { samples, mean: averageUs, standardError },
    spread: null,
    resolution: 0,
  };
}

function rowsOfCsv(rows: Measurement): Row[] {
  const unknown = { samples: null, standardDeviation: null, min: null, median: null, max: null };
  return rows.names.map((name) => ({
    name,
    summary: { ...unknown, mean: rows.row(name) },
    samples: null,
    mean: null,
    spread: rows.spread(name),
    resolution: 0,
  }));
}
