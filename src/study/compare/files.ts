/**
 * Compares files, whatever they hold: what measuring tools printed, or what was simulated. The two never mix.
 *
 * Simulated are results of sweeps, what `exitlab run --json` printed, and scenarios, which are run.
 */
import { statSync } from "node:fs";
import { dirname } from "node:path";
import { InputError, notAllowed } from "../../cost/input.js";
import { readText } from "../calibrate/times.js";
import { exitlabCommand, inlineJson, shellWord } from "../command.js";
import { coreVersion, dataVersion, modelVersion } from "../provenance.js";
import { parseScenario, type Scenario, scenarioInput } from "../run/scenario.js";
import { isRunJson, parseRunJson } from "../run-json.js";
import { linesOf } from "../sweep/lines.js";
import { readWritten } from "../sweep/read.js";
import { expand, type SweepSpec } from "../sweep/spec.js";
import { columnNames } from "./column-names.js";
import { compareMeasured, isMeasured } from "./measured.js";
import { optionWords } from "./option-words.js";
import type { Compared, SimulatedComparison } from "./result.js";
import { comparePatched, runsOfScenario } from "./scenarios.js";
import {
  type Column,
  type ColumnRun,
  checkOptions,
  compareColumns,
  type SimulatedOptions,
} from "./simulated.js";
import { compareBy, leftOut, runsOfSweep, type SweptRow, sweepCommand } from "./sweep-columns.js";

/** Of simulated results only. */
export interface CompareFilesOptions extends SimulatedOptions {
  /** Of one sweep: the field to compare along. */
  readonly by?: string;
  /** Of one scenario: the series of patches to compare. */
  readonly patches?: readonly (readonly unknown[])[];
  /** Of scenarios: how many. */
  readonly seeds?: number;
}

const KINDS =
  "results.jsonl of a sweep or its folder, what exitlab run --json printed, a scenario, or what vmexit, perf kvm stat report or ftrace printed, or a CSV file of rows";

/**
 * Compares files, a column each, the first being the base; or one sweep along a field, or one scenario under series of patches.
 *
 * @param files paths; a scenario may also stand here itself, as JSON
 * @throws InputError for a file of no kind that is known, measured files beside simulated ones or with options, one file that is
 *   not to be compared with itself, and as `compareMeasured()`, `compareSweep()` and `compareScenarios()`
 */
export async function compareFiles(
  files: readonly string[],
  options: CompareFilesOptions = {},
): Promise<Compared> {
  const isSimulated = files.map(holdsSimulated);
  if (!isSimulated.includes(true)) {
    const [given] = optionWords(options);
    if (given !== undefined)
      throw new InputError(given, "is for what is simulated", `nothing: ${files.join(", ")} were measured`);
    return compareMeasured(files);
  }
  const odd = isSimulated.indexOf(!isSimulated[0]);
  if (odd >= 0)
    throw new InputError(
      files[odd],
      `is ${isSimulated[odd] ? "simulated" : "measured"}, and ${files[0]} is not`,
      "files of one kind: what was simulated is no measurement",
    );
  return compareSimulated(files.map(sourceOf), options);
}

/** A sweep's results, a run, or a scenario that is to be run. */
interface Source {
  readonly file: string;
  /** What its counts, made by another version, may differ in. */
  readonly notes: readonly string[];
  readonly sweep?: { readonly spec: SweepSpec; readonly rows: readonly SweptRow[] };
  readonly run?: ColumnRun;
  readonly scenario?: Scenario;
}

async function compareSimulated(
  sources: readonly Source[],
  options: CompareFilesOptions,
): Promise<SimulatedComparison> {
  const { by, patches, seeds } = options;
  const [source, ...others] = sources;
  const names = columnNames(sources.map(({ file }) => file)).map((name, index) =>
    nameFor(sources[index], name, index),
  );
  const repeating = (given: CompareFilesOptions) => commandOf(sources, names, given);
  const command = repeating(options);
  const scenarios = sources.filter(({ scenario }) => scenario !== undefined);
  if (seeds !== undefined && scenarios.length === 0)
    throw new InputError("seeds", notAllowed(seeds), "nothing: results have their seeds; scenarios are run");
  const notes = sources.flatMap((each) => each.notes);
  if (by !== undefined) {
    if (others.length > 0 || patches !== undefined || source.sweep === undefined)
      throw new InputError("by", notAllowed(by), "the results of one sweep, and no patches");
    return compareBy(source.sweep.spec, source.sweep.rows, { ...options, by }, { command, notes });
  }
  if (patches !== undefined) {
    if (others.length > 0 || source.scenario === undefined)
      throw new InputError("patches", notAllowed(patches), "one scenario");
    return comparePatched(source.scenario, patches, options, (series) =>
      repeating({ ...options, patches: series }),
    );
  }
  if (others.length === 0) {
    const allowed = "a second file; or by, a field of one sweep; or patches, series for one scenario";
    throw new InputError(source.file, "is alone", allowed);
  }
  checkOptions(names, options);
  const first = firstSeed(sources);
  const columns: Column[] = [];
  for (const [index, each] of sources.entries())
    columns.push({ name: names[index], runs: await runsOf(each, seeds, first) });
  return compareColumns(columns, options, { command, compared: [], notes });
}

/** A scenario that stands in the command itself has no file's name. */
function nameFor({ file, scenario }: Source, name: string, index: number): string {
  return isInline(file) ? (scenario?.name ?? `scenario ${index + 1}`) : name;
}

/** That scenarios are run with from on: of the first that has been run, or would be. */
function firstSeed(sources: readonly Source[]): number | undefined {
  const seedOf = ({ sweep, run, scenario }: Source) =>
    sweep?.spec.seeds[0] ?? (run?.scenario ?? scenario)?.seed;
  const isRun = ({ scenario }: Source) => scenario === undefined;
  return seedOf(sources.find(isRun) ?? sources[0]);
}

async function runsOf(
  { file, sweep, run, scenario }: Source,
  seeds: number | undefined,
  first: number | undefined,
): Promise<readonly ColumnRun[]> {
  if (sweep !== undefined) return runsOfSweep(sweep.spec, sweep.rows, file);
  if (run !== undefined) return [run];
  return scenario === undefined ? [] : runsOfScenario(scenario, seeds, first);
}

/** Makes the results that it needs first: who reads it has none of the files. */
function commandOf(
  sources: readonly Source[],
  names: readonly string[],
  options: CompareFilesOptions,
): string {
  // What a column is called stands in the scenario, where it has no file.
  const named = (index: number) => sources.length > 1 && { name: names[index] };
  const words = sources.map(({ file, scenario }, index) =>
    scenario === undefined ? file : inlineJson({ ...scenarioInput(scenario), ...named(index) }),
  );
  const made = sources.flatMap(({ file, sweep, run }) => {
    if (sweep !== undefined) return sweepCommand(sweep.spec, isFolder(file) ? file : dirname(file));
    return run === undefined
      ? []
      : `${exitlabCommand("run", inlineJson(scenarioInput(run.scenario)), "--json")} > ${shellWord(file)}`;
  });
  return [...new Set(made), exitlabCommand("compare", ...words, ...optionWords(options))].join(" && ");
}

// What a file holds.

function isInline(file: string): boolean {
  return file.trimStart().startsWith("{");
}

/** JSON is what exitlab writes; the tools that measure print text. */
function holdsSimulated(file: string): boolean {
  if (isInline(file) || isFolder(file) || firstLine(file).trimStart().startsWith("{")) return true;
  if (isMeasured(file)) return false;
  throw new InputError(file, "is of no kind that is known", KINDS);
}

function isFolder(file: string): boolean {
  return !isInline(file) && (statSync(file, { throwIfNoEntry: false })?.isDirectory() ?? false);
}

function sourceOf(file: string): Source {
  if (isFolder(file)) return sweepOf(file);
  // Results may be larger than memory would hold as text.
  if (!isInline(file) && isHead(parseJson(firstLine(file)))) return sweepOf(file);
  const json = parseJson(isInline(file) ? file : readText(file));
  if (isRunJson(json)) return runOf(file, json);
  if (isObject(json) && "cpu" in json) {
    const scenario = parseScenario(json, isInline(file) ? "scenario" : file);
    return { file, notes: [], scenario };
  }
  const isSweep = isObject(json) && "base" in json;
  throw new InputError(
    isInline(file) ? "scenario" : file,
    isSweep ? "is a sweep without results" : "is of no kind that is known",
    isSweep ? "its results, which exitlab sweep writes" : KINDS,
  );
}

function firstLine(file: string): string {
  try {
    for (const { bytes } of linesOf(file)) return bytes.toString();
    return "";
  } catch (error) {
    throw new InputError(file, (error as Error).message, "a file that can be read");
  }
}

function isHead(json: unknown): boolean {
  return isObject(json) && "simulated" in json;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** undefined for what is none. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function sweepOf(file: string): Source {
  const { spec, core, data, points } = readWritten(file);
  const rows = points.flatMap(({ values, result }) =>
    result === undefined ? [] : { values, measured: result },
  );
  const notes = [
    ...otherVersion(file, "model", core, coreVersion()),
    ...otherVersion(file, "data", data, dataVersion()),
    ...leftOut(points.length - rows.length).map((note) => `${file}: ${note}`),
    ...missing(file, points.length, expand(spec, file).length),
  ];
  return { file, notes, sweep: { spec, rows } };
}

function runOf(file: string, json: unknown): Source {
  const { run, price } = parseRunJson(json, file);
  const { scenario, ...measured } = run;
  const notes = [
    ...otherVersion(file, "model", price.provenance.model, modelVersion()),
    ...(price.conditions.stretch === undefined
      ? []
      : [`${file} had costs of a calibration; here the data files price it`]),
  ];
  return { file, notes, run: { values: {}, scenario, measured } };
}

function missing(file: string, there: number, wanted: number): string[] {
  return there === wanted ? [] : [`${file} has ${there} of ${wanted} points`];
}

/** Its counts are those of that version; its costs are always today's. */
function otherVersion(file: string, of: string, then: string, now: string): string[] {
  return then === now ? [] : [`${file} was counted by another ${of}, ${then}, not ${now}`];
}
