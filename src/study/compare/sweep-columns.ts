/** A sweep compared along one of its fields: a column for each value of it. */
import { dirname, join } from "node:path";
import { InputError, notAllowed, suggestion } from "../../cost/input.js";
import { exitlabCommand, inlineJson } from "../command.js";
import type { Measured } from "../run/run.js";
import { parseScenario } from "../run/scenario.js";
import { canonicalJson } from "../sweep/canonical-json.js";
import { nameOf } from "../sweep/point.js";
import { expand, type Json, type SweepSpec, sweepInput } from "../sweep/spec.js";
import type { SweepResult } from "../sweep/sweep.js";
import { valueText } from "./differences.js";
import { optionWords } from "./option-words.js";
import type { SimulatedComparison } from "./result.js";
import { type ColumnRun, compareColumns, type SimulatedOptions } from "./simulated.js";

export interface CompareSweepOptions extends SimulatedOptions {
  /** A field that varies, such as "kernel"; those zipped with it go with it. */
  readonly by: string;
}

/** A point of a sweep with what it yielded. */
export interface SweptRow {
  /** Values by field, and the seed. */
  readonly values: Readonly<Record<string, Json>>;
  readonly measured: Pick<Measured, "accesses" | "counts" | "signals">;
}

/**
 * Compares the points of a sweep along one of its fields: a column for each of its values, in the order of the sweep, the
 * first or `base` being the base; a row for all that the other fields have in common.
 *
 * @throws InputError for a field that does not vary, and as `compareColumns()`
 */
export function compareSweep(result: SweepResult, options: CompareSweepOptions): SimulatedComparison {
  const { spec, rows, failed, results } = result;
  const swept = rows.map(({ values, ...measured }) => ({ values, measured }));
  return compareBy(spec, swept, options, {
    command: results === null ? null : commandOf(spec, dirname(results), options),
    notes: leftOut(failed.length),
  });
}

/** Runs the sweep, where that is not done, and compares it. */
function commandOf(spec: SweepSpec, folder: string, options: CompareSweepOptions): string {
  return `${sweepCommand(spec, folder)} && ${exitlabCommand("compare", folder, ...optionWords(options))}`;
}

/** Runs the sweep into the folder, or what is left of it. */
export function sweepCommand(spec: SweepSpec, folder: string): string {
  const out = folder === join("out", spec.name) ? [] : ["--out", folder];
  return exitlabCommand("sweep", inlineJson(sweepInput(spec)), ...out);
}

export function leftOut(failed: number): string[] {
  return failed === 0 ? [] : [`${failed} points that failed are left out`];
}

/** See `compareSweep()`. */
export function compareBy(
  spec: SweepSpec,
  rows: readonly SweptRow[],
  options: CompareSweepOptions,
  origin: { readonly command: string | null; readonly notes: readonly string[] },
): SimulatedComparison {
  const { by } = options;
  const group = groupOf(spec, by);
  const columns = new Map<
    string,
    { readonly name: string; readonly value: Json; readonly runs: ColumnRun[] }
  >();
  for (const { values, ...run } of runsOfSweep(spec, rows)) {
    const own = pick(values, (field) => group.includes(field));
    const key = canonicalJson(own);
    const column = columns.get(key) ?? { name: columnName(own, by), value: own[by], runs: [] };
    column.runs.push({ ...run, values: pick(values, (field) => !group.includes(field)) });
    columns.set(key, column);
  }
  if (columns.size < 2)
    throw new InputError("by", `${by} has ${columns.size} value`, "a field with two or more");
  const compared = group.map((field) => field.split(/\W/, 1)[0]);
  const { base } = options;
  const meant = [...columns.values()].find(({ value }) => valueText(value) === valueText(base));
  return compareColumns(
    [...columns.values()],
    { ...options, ...(base !== undefined && { base: meant?.name ?? base }) },
    { ...origin, compared },
  );
}

/** A text or a series of patches says what it is; a number or several fields do not. */
function columnName(own: SweptRow["values"], by: string): string {
  const { [by]: value, ...others } = own;
  const isPlain = typeof value === "string" || Array.isArray(value);
  return isPlain && Object.keys(others).length === 0 ? valueText(value) : nameOf(own);
}

/** The field, and those that are zipped with it. */
function groupOf({ axes, zip }: SweepSpec, by: string): readonly string[] {
  const groups = [...Object.keys(axes).map((field) => [field]), ...zip.map((group) => Object.keys(group))];
  const group = groups.find((fields) => fields.includes(by));
  if (group !== undefined) return group;
  const known = groups.flat();
  const allowed =
    known.length === 0 ? "nothing: only the seed varies" : `fields that vary: ${known.join(", ")}`;
  throw new InputError("by", `${notAllowed(by)}${suggestion(by, known)}`, allowed);
}

/** The rows of a sweep with their scenarios; values are without the seed. @throws InputError for a row that is none of its points */
export function runsOfSweep(spec: SweepSpec, rows: readonly SweptRow[], what = "sweep"): ColumnRun[] {
  const scenarios = new Map(
    expand(spec, what).map(({ values, scenario }) => [canonicalJson(values), scenario]),
  );
  return rows.map(({ values, measured }) => {
    const scenario = scenarios.get(canonicalJson(values));
    if (scenario === undefined)
      throw new InputError(
        what,
        `${nameOf(values)} is no point of it`,
        "the points of the sweep in the first line",
      );
    return {
      values: pick(values, (field) => field !== "seed"),
      scenario: parseScenario(scenario, what),
      measured,
    };
  });
}

function pick(values: SweptRow["values"], isWanted: (field: string) => boolean): SweptRow["values"] {
  return Object.fromEntries(Object.entries(values).filter(([field]) => isWanted(field)));
}
