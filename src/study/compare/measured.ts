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
}

interface Column {
  readonly file: string;
  readonly source: TimeSource;
  readonly rows: ReadonlyMap<string, Row>;
}

const UNITS: Readonly<Record<TimeSource, string>> = {
  vmexit: "TSC cycles",
  CSV: "TSC cycles",
  "perf kvm stat": "us",
  ftrace: "us",
};

/** The last digits that perf prints: hundredths of a microsecond, and of a percent. Either may be off by half of one. */
const PERF_ROUNDING_US = 0.005;
const PERF_ROUNDING_SHARE = 0.00005;

/** Whether a file is of a kind that can be compared. @throws InputError if it cannot be read */
export function isMeasured(path: string): boolean {
  return sourceOf(readText(path)) !== null;
}

/**
 * Compares files, each against the first. Rows are in the order of the first; those it lacks come after them.
 *
 * @param names of the columns, one a file; without them, the ends of the paths that tell the files apart
 * @throws InputError for fewer than two files, one that is broken or of no kind that is known, units that differ, names that
 * do not
 */
export function compareMeasured(
  files: readonly string[],
  names: readonly string[] = columnNames(files),
): MeasuredComparison {
  if (files.length < 2) throw new InputError("files", notAllowed(files), "two or more");
  if (names.length !== files.length || new Set(names).size < names.length)
    throw new InputError("names of columns", notAllowed(names), `${files.length}, each once`);
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
    unit,
    columns: [...names],
    rows: [...rows].map((name) => compareRow(name, columns)),
    notes: notesOf(columns),
  };
}

/** What p does not say. */
function notesOf(columns: readonly Column[]): string[] {
  const oneRun = columns.filter(({ source }) => source === "perf kvm stat" || source === "ftrace");
  return oneRun.length === 0
    ? []
    : [
        "the samples of perf and ftrace are the exits of one run; that two runs differ significantly may be no more than two runs of one kernel do",
      ];
}

function compareRow(name: string, columns: readonly Column[]): MeasuredRow {
  const rows = columns.map((column) => column.rows.get(name) ?? null);
  // A median is no match for a mean: times are skewed.
  const byMedian = rows.every((row) => row === null || row.samples !== null);
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

function centreOf({ summary }: Row, byMedian: boolean): number {
  return byMedian && summary.median !== null ? summary.median : summary.mean;
}

function intervalOf({ summary, samples, mean, spread }: Row, byMedian: boolean): Bounds | null {
  if (byMedian && samples !== null) return medianInterval(samples);
  if (mean !== null) return meanInterval(mean);
  return spread === null ? null : { low: summary.mean - spread, high: summary.mean + spread };
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
  const source = sourceOf(text);
  if (source === null)
    throw new InputError(
      file,
      "is of no kind that is known",
      `what one of these printed: ${TIME_SOURCES.join(", ")}`,
    );
  const rows = new Map<string, Row>();
  for (const row of readRows(file, text, source)) {
    if (rows.has(row.name))
      throw new InputError(`${file}: row ${row.name}`, "is there twice", "each row once");
    rows.set(row.name, row);
  }
  return { file, source, rows };
}

function readRows(file: string, text: string, source: TimeSource): Row[] {
  switch (source) {
    case "CSV":
      return rowsOfCsv(readMeasurement(file));
    case "perf kvm stat":
      return parsePerfKvmStat(text, file).map(rowOfPerf);
    case "ftrace":
      return parseExitTimes(text, file).exits.map(({ reason, timesUs }) => rowOf(reason, timesUs));
    default:
      return runsByName(parseVmexit(text, file)).map(([name, cycles]) => rowOf(name, cycles));
  }
}

function rowOf(name: string, samples: readonly number[]): Row {
  const summary = summarize(samples);
  const { mean, standardDeviation } = summary;
  const standardError = standardDeviation === null ? null : standardDeviation / Math.sqrt(samples.length);
  return {
    name,
    summary,
    samples,
    mean: standardError === null ? null : { samples: samples.length, mean, standardError },
    spread: null,
  };
}

/** The standard error is as great as what perf prints leaves open, since an error of 0.00% is none of 0. */
function rowOfPerf({ reason, samples, averageUs, minUs, maxUs, relativeError }: PerfExits): Row {
  const standardError =
    relativeError === null
      ? null
      : Math.hypot((relativeError + PERF_ROUNDING_SHARE) * averageUs, PERF_ROUNDING_US);
  const standardDeviation = relativeError === null ? null : relativeError * averageUs * Math.sqrt(samples);
  return {
    name: reason,
    summary: { samples, mean: averageUs, standardDeviation, min: minUs, median: null, max: maxUs },
    samples: null,
    mean: standardError === null ? null : { samples, mean: averageUs, standardError },
    spread: null,
  };
}

function rowsOfCsv(rows: Measurement): Row[] {
  const unknown = { standardDeviation: null, min: null, median: null, max: null };
  return rows.names.map((name) => ({
    name,
    summary: { samples: 1, mean: rows.row(name), ...unknown },
    samples: null,
    mean: null,
    spread: rows.spread(name),
  }));
}
