/**
 * A finished sweep as a report: cycles per access over the field that takes most values, a line for each combination of the
 * others, and all rows with their counts.
 */
import { loadCpu } from "../cost/cpu-profile.js";
import { InputError, notAllowed } from "../cost/input.js";
import { type Cycles, priceCounts } from "../cost/price.js";
import { type PrimitiveCost, primitiveCosts } from "../cost/primitive-costs.js";
import { KERNEL_VERSIONS, type KernelVersion } from "../kvm/eras.js";
import { PRIMITIVES } from "../kvm/primitives.js";
import { exitlabCommand } from "../study/command.js";
import type { Provenance } from "../study/result.js";
import { nameOf } from "../study/sweep/point.js";
import type { SweepSpec } from "../study/sweep/spec.js";
import type { FailedPoint, SweepResult, SweepRow } from "../study/sweep/sweep.js";
import type { Report } from "./export.js";
import type { Figure } from "./figure.js";
import { range, smallCycles } from "./format.js";
import { mail } from "./mail.js";
import type { FlatRecord, Records } from "./records.js";
import { summary, tableSweep } from "./sweep.js";
import { plotSweep, type SweepPlot } from "./sweep-figure.js";
import { headed, simulated, type TextColumn, textTables, wrapText } from "./text-table.js";
import { LINES } from "./theme.js";

export interface SweepReportOptions {
  /** A field for the horizontal axis, in place of the one that takes most values. */
  readonly x?: string;
}

const UNIT = "TSC cycles per access";
const SPAN = "what the ranges of the costs allow";

/** More figures than that nobody looks through; the table has all rows. */
const MOST_FIGURES = 8;
/** Marks of the mail. */
const MOST_MARKS = 60;
/** Failed points that the mail names. */
const MOST_FAILED = 5;

/**
 * The report of a sweep, for `exportReport()`. Each cost is priced by the data files.
 *
 * @throws InputError for an axis that does not vary in the sweep, a sweep without a result, or a count that nothing prices
 */
export function sweepReport(result: SweepResult, { x }: SweepReportOptions = {}): Report {
  const { spec, rows, failed } = result;
  if (rows.length === 0) throw new InputError(`sweep ${spec.name}`, "has no result", "a point that is done");
  const provenance = exported(result, x);
  const prices = pricesOf(result);
  const cyclesOf = (row: SweepRow) => prices.get(row) as Cycles;
  const dimension = dimensionOf(spec, x);
  const lineOf = (values: SweepRow["values"]) => {
    const others = Object.entries(values).filter(([field]) => field !== "seed" && !dimension.includes(field));
    return nameOf(Object.fromEntries(others)) || spec.name;
  };
  const names = [...new Set(rows.map(({ values }) => lineOf(values)))];
  const groups = chunks(names, LINES.length).slice(0, MOST_FIGURES);
  const figures = groups.map((group, index) => {
    const first = index * LINES.length + 1;
    const which =
      names.length === group.length
        ? ""
        : `, lines ${first} to ${first + group.length - 1} of ${names.length}`;
    const plot: SweepPlot = {
      title: `${spec.name}, ${UNIT}${which}`,
      ...axisOf(dimension, x),
      yTitle: UNIT,
      y: (row) => cyclesOf(row).value,
      span: { of: cyclesOf, words: SPAN },
      line: lineOf,
    };
    const shown = rows.filter(({ values }) => group.includes(lineOf(values)));
    return plotSweep({ ...result, provenance, rows: shown }, plot);
  });
  return {
    title: `The sweep ${spec.name}: ${summary(result)}`,
    provenance,
    scenario: spec,
    rows: { rows: rows.map((row) => ({ ...row, cycles: cyclesOf(row) })), failed },
    text: mailOf(provenance, result, figures),
    figures: Object.fromEntries(
      figures.map((figure, index) => [index === 0 ? "cycles" : `cycles-${index + 1}`, figure]),
    ),
    tables: { rows: tableRows(result, cyclesOf) },
  };
}

/** The sweep, then its export, from the folder that a sweep has unless it was given another. */
function exported({ spec: { name }, provenance }: SweepResult, x: string | undefined): Provenance {
  const { command } = provenance;
  const folder = `out/${name}`;
  const axis = x === undefined ? [] : ["--x", x];
  const then = exitlabCommand("export", folder, "--out", `${folder}/report`, ...axis);
  return { ...provenance, command: command && `${command} && ${then}` };
}

/** Cycles per access of each row. */
function pricesOf({ spec, rows }: SweepResult): Map<SweepRow, Cycles> {
  const known = new Map<string, PrimitiveCost[]>();
  const costsOf = ({ values }: SweepRow) => {
    const cpu = String(values.cpu ?? spec.base.cpu);
    const kernel = kernelOf(values.kernel ?? spec.base.kernel);
    const key = `${cpu} ${kernel}`;
    const costs = known.get(key) ?? primitiveCosts(loadCpu(cpu), kernel);
    known.set(key, costs);
    return costs;
  };
  return new Map(
    rows.map((row) => [row, priceCounts(costsOf(row), row.counts, row.accesses).perAccess] as const),
  );
}

function kernelOf(name: unknown): KernelVersion {
  const kernel = KERNEL_VERSIONS.find((version) => version === name);
  if (kernel === undefined)
    throw new InputError("kernel", notAllowed(name), `one of ${KERNEL_VERSIONS.join(", ")}`);
  return kernel;
}

/** Fields whose values go together: an axis, or a zipped group. Of those, the one with `x`, or with most values. */
function dimensionOf({ axes, zip }: SweepSpec, x: string | undefined): readonly string[] {
  const dimensions = [
    ...Object.entries(axes).map(([field, { length }]) => ({ fields: [field], length })),
    ...zip.map((group) => ({ fields: Object.keys(group), length: Object.values(group)[0].length })),
  ];
  if (x !== undefined) {
    const chosen = dimensions.find(({ fields }) => fields.includes(x));
    const allowed = dimensions.flatMap(({ fields }) => fields).join(", ") || "none: no field varies";
    if (chosen === undefined)
      throw new InputError("x", `${notAllowed(x)}: it does not vary in the sweep`, allowed);
    return chosen.fields;
  }
  const most = Math.max(...dimensions.map(({ length }) => length));
  return dimensions.find(({ length }) => length === most)?.fields ?? [];
}

/** One field as it is, several by all that they say. */
function axisOf(fields: readonly string[], x: string | undefined): Pick<SweepPlot, "x" | "xTitle"> {
  const [field] = x === undefined ? fields : [x];
  if (field !== undefined && (x !== undefined || fields.length === 1)) return { x: field, xTitle: field };
  return {
    x: (values) => nameOf(Object.fromEntries(fields.map((name) => [name, values[name]]))),
    xTitle: fields.join(", "),
  };
}

/**
 * One record per row: values and seed, TSC cycles per access with what the ranges of the costs allow, the instructions that
 * count, and how often each primitive happened in them.
 */
function tableRows(result: SweepResult, cyclesOf: (row: SweepRow) => Cycles): Records {
  const counted = PRIMITIVES.filter((name) => result.rows.some(({ counts }) => counts[name] > 0));
  return tableSweep(result, {
    cyclesLow: (row) => cyclesOf(row).low,
    cycles: (row) => cyclesOf(row).value,
    cyclesHigh: (row) => cyclesOf(row).high,
    instructions: (row) => row.accesses,
    ...Object.fromEntries(counted.map((name) => [name, (row: SweepRow) => row.counts[name]])),
  });
}

function mailOf(provenance: Provenance, result: SweepResult, figures: readonly Figure[]): string {
  const marks = figures.flatMap(({ table }) => table);
  const shown = marks.slice(0, MOST_MARKS);
  const seeds = result.spec.seeds.length;
  const points = new Set(result.rows.map(({ values: { seed: _, ...values } }) => nameOf(values))).size;
  return mail({
    provenance,
    head: [`Sweep: ${result.spec.name}, ${summary(result)}`],
    parts: [
      ...headed(`Each point [${UNIT}]`, textTables(columnsOf(Object.keys(marks[0]), seeds), shown)),
      wrapText(
        `cycles: each cost at its value${seeds > 1 ? `, mean of ${seeds} seeds` : ""}. costs: ${SPAN}, the lowest and the highest.` +
          `${seeds > 1 ? " seeds: the least and the greatest of them, each cost at its value." : ""}` +
          (points > shown.length ? ` These are ${shown.length} of ${points} points; rows.csv has all.` : ""),
      ),
      ...failedText(result.failed),
    ],
  });
}

/** Of a mark of the figure, whose second key is what the axis is called. */
function columnsOf(
  [line, x, cycles, least, greatest, low, high]: readonly string[],
  seeds: number,
): TextColumn<FlatRecord>[] {
  const ends = (header: string, from: string, to: string): TextColumn<FlatRecord> => ({
    header,
    align: "right",
    text: (mark) => range({ low: Number(mark[from]), high: Number(mark[to]) }, smallCycles),
  });
  return [
    { header: simulated(line), align: "left", text: (mark) => String(mark[line]) },
    { header: x, align: "left", text: (mark) => String(mark[x]) },
    { header: "cycles", align: "right", text: (mark) => smallCycles(Number(mark[cycles])) },
    ends("costs", low, high),
    ...(seeds > 1 ? [ends("seeds", least, greatest)] : []),
  ];
}

function failedText(failed: readonly FailedPoint[]): string[] {
  if (failed.length === 0) return [];
  const some = failed.slice(0, MOST_FAILED).map(({ values, error }) => `${nameOf(values)} (${error})`);
  const more = failed.length > some.length ? `; and ${failed.length - some.length} more` : "";
  return [wrapText(`Failed: ${some.join("; ")}${more}.`)];
}

function chunks<Item>(items: readonly Item[], size: number): Item[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );
}
