/**
 * Every published row predicted from the other rows of its machine alone, where they decide it.
 *
 * A row is a vector: how often each cost occurs per access. If it is a sum of multiples of other rows of its machine, then
 * the same sum of their measured cycles is a prediction that no assumed cost has entered; of several such sums the one with
 * the smallest weights is taken. Else the row is not predictable. Nothing is fitted to the row itself.
 *
 * What priors would contribute stands beside: the range that they leave without any row, and with the other rows.
 */
import { Matrix, pseudoInverse } from "ml-matrix";
import { Calibration, ROW_TOLERANCE } from "../cost/calibration.js";
import { type Bounds, type Counts, occurrences } from "../cost/counts.js";
import { loadCpu } from "../cost/cpu-profile.js";
import { loadMeasurement } from "../cost/measurements.js";
import { type PrimitiveCost, primitiveCosts } from "../cost/primitive-costs.js";
import { studyCommand } from "./command.js";
import { conditionsOf } from "./conditions.js";
import { type ErrorSummary, relativeError, summarise } from "./errors.js";
import { provenanceOf } from "./provenance.js";
import { PUBLISHED_EXITS, type PublishedMachine, type PublishedRow } from "./published-exits.js";
import type { Provenance } from "./result.js";
import { countRow, vmexitRow } from "./vmexit-rows.js";

/** A prediction further off than this, as a share of the row, has failed. */
export const PREDICTION_LIMIT = 0.15;
/** One further off than this has a physical explanation beside it. */
export const EXPLAINED_FROM = 0.05;

/** Another row of the machine in a prediction. */
export interface Weight {
  readonly row: string;
  readonly weight: number;
}

/** Cycles are TSC cycles per access. */
export interface Prediction {
  readonly predicted: number;
  /** (predicted - measured) / measured. */
  readonly error: number;
  /** By how much the spread of the measured rows lets it be off, as a share: that of the row and of those it is made of. */
  readonly spread: number;
  readonly from: readonly Weight[];
  /** "same path": another row has the same vector, so that two measurements of one thing are compared, which is weak. */
  readonly evidence: "same path" | "difference";
  /** No declared step has entered: all rows in it are simulated. */
  readonly simulated: boolean;
  /** It needs one cost to price several primitives, such as all kinds of exits; no other prediction rests on the costs. */
  readonly needsSharedCosts: boolean;
  readonly explanation?: string;
}

export interface ExitRow {
  readonly row: string;
  readonly measured: number;
  /** Where the steps of the row come from. */
  readonly steps: "simulated" | "simulated and declared" | "declared" | "none";
  /** The declared steps, and why these, or why none; "" of a row that is only simulated. */
  readonly declared: Counts;
  readonly because: string;
  readonly outcome: "predicted" | "not predictable" | "not simulated";
  readonly prediction?: Prediction;
  /** What the prior ranges leave of the row: alone, and with the other rows; null where no costs meet these within 1%. */
  readonly priors?: Bounds;
  readonly priorsAndRows?: Bounds | null;
}

export interface ExitMachine {
  /** The file of its rows, in `data/measurements`. */
  readonly measurement: string;
  readonly machine: string;
  readonly kernel: string;
  readonly source: string;
  /** What simulated rows run on, and whose priors are shown. */
  readonly as: PublishedMachine["as"];
  readonly rows: readonly ExitRow[];
  /** Independent relations between the rows: so many of the predictions say something new, the others repeat it. */
  readonly relations: number;
}

export interface ExitRowsStudy {
  readonly provenance: Provenance;
  readonly machines: readonly ExitMachine[];
  /** Of all predictions, of those that are more than two measurements of one path, and of those of simulated rows alone. */
  readonly all: ErrorSummary;
  readonly differences: ErrorSummary;
  readonly simulated: ErrorSummary;
}

/** Instructions per simulated row; the rows are loops over one address. */
const ACCESSES = 1000;
const MEMORY = [{ gpa: 0, size: 64 * 2 ** 20 }];
const SEED = 1;

/** Runs the study. @throws InputError for a data file that is not as it should be */
export function studyExitRows(): ExitRowsStudy {
  const machines = PUBLISHED_EXITS.map(studyMachine);
  const predictions = machines.flatMap(({ rows }) => rows.flatMap(({ prediction }) => prediction ?? []));
  const errorsOf = (counts: (prediction: Prediction) => boolean) =>
    summarise(predictions.filter(counts).map(({ error }) => error));
  return {
    provenance: provenanceOf({
      seed: SEED,
      conditions: conditionsOf(PUBLISHED_EXITS.map(({ as }) => as)),
      command: studyCommand("exit-rows", {}),
    }),
    machines,
    all: errorsOf(() => true),
    differences: errorsOf(({ evidence }) => evidence === "difference"),
    simulated: errorsOf(({ simulated }) => simulated),
  };
}

/** A row whose steps are known. */
interface Known {
  readonly name: string;
  readonly measured: number;
  /** By how many cycles it may be off. */
  readonly spread: number;
  readonly counts: Counts;
  readonly simulated: boolean;
}

function studyMachine(published: PublishedMachine): ExitMachine {
  const { measurement: file, as, rows } = published;
  const measurement = loadMeasurement(file);
  const known = Object.entries(rows).flatMap(([name, row]): Known[] => {
    const counts = stepsOf(row, as);
    if (counts === null) return [];
    const measured = measurement.row(name);
    const spread = measurement.spread(name) ?? ROW_TOLERANCE * measured;
    return [{ name, measured, spread, counts, simulated: row.declared === undefined }];
  });
  const costs = costsOf(published, known);
  const { machine, kernel, source } = measurement;
  return {
    measurement: file,
    machine,
    kernel,
    source,
    as,
    relations: known.length - new Calibration(costs, known).rank,
    rows: Object.entries(rows).map(([name, row]) => ({
      row: name,
      measured: measurement.row(name),
      steps: stepsAre(row),
      declared: row.declared ?? {},
      because: row.because ?? "",
      ...outcomeOf(name, row, known, costs),
    })),
  };
}

function stepsAre({ simulated, declared }: PublishedRow): ExitRow["steps"] {
  if (simulated === undefined) return declared === undefined ? "none" : "declared";
  return declared === undefined ? "simulated" : "simulated and declared";
}

/** Steps per access, or null where nothing is said of them. */
function stepsOf({ simulated, declared }: PublishedRow, as: PublishedMachine["as"]): Counts | null {
  if (simulated === undefined) return declared ?? null;
  const row = vmexitRow(simulated, as.kernel);
  if (row === undefined || !("scenario" in row)) throw new RangeError(`${simulated} is no simulated row`);
  const machine = { ...as, memslots: MEMORY, accesses: ACCESSES, seed: SEED };
  const counts = { ...countRow(machine, row.scenario, "exit rows") };
  for (const [step, times] of Object.entries(declared ?? {})) counts[step] = (counts[step] ?? 0) + times;
  return counts;
}

/** Of a declared step that no file prices, all that is known is that it takes time, and no more than the dearest row. */
function costsOf({ as: { cpu, kernel }, rows }: PublishedMachine, known: readonly Known[]): PrimitiveCost[] {
  const costs = primitiveCosts(loadCpu(cpu), kernel);
  const priced = new Set(costs.flatMap(({ primitives }) => primitives));
  const declared = new Set(Object.values(rows).flatMap(({ declared = {} }) => Object.keys(declared)));
  const dearest = Math.max(...known.map(({ measured }) => measured));
  const unpriced = [...declared].filter((name) => !priced.has(name));
  const range = { value: dearest / 2, low: 0, high: dearest, tag: "assumed", source: "declared" } as const;
  return [
    ...costs,
    ...unpriced.map((name) => ({ name, category: "handler" as const, primitives: [name], ...range })),
  ];
}

function outcomeOf(
  name: string,
  { explanation }: PublishedRow,
  known: readonly Known[],
  costs: readonly PrimitiveCost[],
): Pick<ExitRow, "outcome" | "prediction" | "priors" | "priorsAndRows"> {
  const target = known.find((row) => row.name === name);
  if (target === undefined) return { outcome: "not simulated" };
  const others = known.filter((row) => row !== target);
  const prediction = predict(target, others, costs);
  const calibration = new Calibration(costs, others);
  return {
    outcome: prediction === null ? "not predictable" : "predicted",
    ...(prediction !== null && {
      prediction: explanation === undefined ? prediction : { ...prediction, explanation },
    }),
    priors: new Calibration(costs, []).bounds(target.counts),
    priorsAndRows: calibration.feasible ? calibration.bounds(target.counts) : null,
  };
}

function predict(
  target: Known,
  others: readonly Known[],
  costs: readonly PrimitiveCost[],
): Prediction | null {
  const vector = ({ counts }: Known) => occurrences(costs, counts);
  const weights = combination(vector(target), others.map(vector));
  if (weights === null) return null;
  const from = others
    .map((row, index) => ({ row, weight: weights[index] }))
    .filter(({ weight }) => Math.abs(weight) > TOLERANCE);
  const { measured } = target;
  const predicted = from.reduce((sum, { row, weight }) => sum + weight * row.measured, 0);
  const spread = Math.hypot(target.spread, ...from.map(({ row, weight }) => weight * row.spread));
  const samePath = from.every(({ row }) => isSame(vector(row), vector(target)));
  const apart = separately(costs);
  return {
    predicted,
    error: relativeError(predicted, measured),
    spread: spread / measured,
    from: from.map(({ row, weight }) => ({ row: row.name, weight })),
    evidence: samePath ? "same path" : "difference",
    simulated: target.simulated && from.every(({ row }) => row.simulated),
    needsSharedCosts:
      combination(
        occurrences(apart, target.counts),
        others.map(({ counts }) => occurrences(apart, counts)),
      ) === null,
  };
}

/** The costs as if each primitive had one of its own. */
function separately(costs: readonly PrimitiveCost[]): PrimitiveCost[] {
  return costs.flatMap((cost) => cost.primitives.map((name) => ({ ...cost, primitives: [name] })));
}

/** Occurrences that differ by less are equal: they are counted, and divided once. */
const TOLERANCE = 1e-6;

function isSame(one: readonly number[], other: readonly number[]): boolean {
  return one.every((value, index) => Math.abs(value - other[index]) < TOLERANCE);
}

/** The smallest weights with which the others add up to the target; null where none do. */
function combination(target: readonly number[], others: readonly (readonly number[])[]): number[] | null {
  if (others.length === 0) return null;
  const columns = new Matrix(others.map((other) => [...other])).transpose();
  const weights = pseudoInverse(columns, TOLERANCE).mmul(Matrix.columnVector([...target]));
  return isSame(columns.mmul(weights).to1DArray(), target) ? weights.to1DArray() : null;
}
