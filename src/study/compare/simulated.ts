/**
 * Compares simulated runs: each column is held against the first, row by row, and rows are runs that have their values in common
 * and differ in the seed only.
 *
 * What the seeds leave open and what the costs leave open stand apart. Seeds are paired: a column's run is held against the
 * base's with the same seed. Costs are ranges, in which both sides always have one cost vector.
 */
import { type Bounds, type Counts, perOne } from "../../cost/counts.js";
import { loadCpu } from "../../cost/cpu-profile.js";
import { InputError, notAllowed, oneOf, parseInput } from "../../cost/input.js";
import { conditionsOf } from "../conditions.js";
import { provenanceOf } from "../provenance.js";
import type { Measured } from "../run/run.js";
import type { Scenario } from "../run/scenario.js";
import { canonicalJson } from "../sweep/canonical-json.js";
import { nameOf, type Point } from "../sweep/point.js";
import { type ComparedFigure, type Counted, figureOf } from "./compared-figure.js";
import { differencesOf, valueText } from "./differences.js";
import {
  type SimulatedCell,
  type SimulatedComparison,
  type SimulatedDifference,
  type SimulatedRow,
  verdictOf,
} from "./result.js";

export interface SimulatedOptions {
  /** "cycles", or a primitive that is counted; by default cycles. */
  readonly of?: string;
  /** Of what each; by default of an access. */
  readonly per?: (typeof PER)[number];
  /** Which column is the base; by default the first. */
  readonly base?: unknown;
}

export const PER = ["access", "signal"] as const;

/** A run with its seed, in the row that these values name. */
export interface ColumnRun {
  readonly values: Point["values"];
  readonly scenario: Scenario;
  readonly measured: Pick<Measured, "accesses" | "counts" | "signals">;
}

export interface Column {
  readonly name: string;
  readonly runs: readonly ColumnRun[];
}

/** What the columns were made of. */
export interface Origin {
  /** See `Provenance`. */
  readonly command: string | null;
  /** Fields of the scenario that the columns are there to differ in. */
  readonly compared: readonly string[];
  readonly notes: readonly string[];
}

/**
 * @throws InputError for fewer than two columns, names that are not distinct, a base that is none of them, a figure that is
 *   none, what nothing prices, columns on two processors, or a seed that is there twice
 */
export function compareColumns(
  columns: readonly Column[],
  options: SimulatedOptions,
  { command, compared, notes }: Origin,
): SimulatedComparison {
  const { figure, per } = checkOptions(
    columns.map(({ name }) => name),
    options,
  );
  const ordered = baseFirst(columns, options.base);
  const cells = ordered.map(({ name, runs }) => cellsOf(name, runs, per));
  const names = new Map(cells.flatMap((column) => [...column].map(([key, { row }]) => [key, row])));
  const scenarios = ordered.flatMap(({ runs }) => runs.map(({ scenario }) => scenario));
  const seeds = cells.flatMap((column) => [...column.values()].map(({ bySeed }) => bySeed.size));
  const [ofBase, ...ofOthers] = cells;
  if (!ofOthers.some((column) => [...column.keys()].some((key) => ofBase.has(key)))) {
    const found = `have no row in common: ${[ofBase, ...ofOthers].map(rowNames).join("; ")}`;
    throw new InputError("columns", found, "results of which some have the same values");
  }
  const all = [...new Set(scenarios.map(({ seed }) => seed))].sort((one, other) => one - other);
  return {
    kind: "simulated",
    provenance: provenanceOf({
      seed: all[0],
      ...(all.length > 1 && { seeds: all }),
      conditions: conditionsOf(scenarios),
      command,
    }),
    machine: [...new Set(scenarios.map(({ cpu }) => cpu))].map((cpu) => loadCpu(cpu).model).join("; "),
    unit: `${figure.name} per ${per}`,
    columns: ordered.map(({ name }) => name),
    rows: [...names].map(([key, name]) =>
      rowOf(
        name,
        cells.map((column) => column.get(key) ?? null),
        figure,
      ),
    ),
    seeds: endsOf(seeds),
    notes: [...notes, ...notesOf(ordered, cells, compared)],
  };
}

/**
 * Checks what can be checked before anything is run, which may take hours.
 *
 * @throws InputError as `compareColumns()`
 */
export function checkOptions(
  names: readonly string[],
  { of = "cycles", per = "access", base }: SimulatedOptions,
): { readonly figure: ComparedFigure; readonly per: (typeof PER)[number] } {
  if (names.length < 2) throw new InputError("columns", `are ${names.length}`, "two or more to compare");
  if (new Set(names).size < names.length)
    throw new InputError("names of columns", notAllowed(names), "each once");
  if (base !== undefined && !names.includes(valueText(base)))
    throw new InputError("base", notAllowed(base), `one of ${names.join(", ")}`);
  return { figure: figureOf(of), per: parseInput(oneOf(PER), per, "per") };
}

function baseFirst(columns: readonly Column[], base: unknown): readonly Column[] {
  const first = columns.find(({ name }) => base !== undefined && name === valueText(base)) ?? columns[0];
  return [first, ...columns.filter((column) => column !== first)];
}

const rowNames = (cells: ReadonlyMap<string, Cell>) =>
  Array.from(cells.values(), ({ row }) => row)
    .slice(0, 3)
    .join(", ");

/** Runs that differ in the seed only. */
interface Cell extends Counted {
  readonly row: string;
  /** Of the first seed. */
  readonly scenario: Scenario;
  /** The mean of the seeds. */
  readonly counts: Counts;
  readonly bySeed: ReadonlyMap<number, Counted>;
}

/** By the values of the row. */
function cellsOf(column: string, runs: readonly ColumnRun[], per: (typeof PER)[number]): Map<string, Cell> {
  const rows = new Map<string, { readonly row: string; readonly bySeed: Map<number, Counted> }>();
  for (const { values, scenario, measured } of runs) {
    const key = canonicalJson(values);
    const row = nameOf(values) || "all";
    const { bySeed } = rows.get(key) ?? { bySeed: new Map<number, Counted>() };
    const where = `${column}: ${row}`;
    if (bySeed.has(scenario.seed))
      throw new InputError(where, `has seed ${scenario.seed} twice`, "each seed once");
    bySeed.set(scenario.seed, { scenario, counts: countsPer(measured, per, where) });
    rows.set(key, { row, bySeed });
  }
  return new Map(
    [...rows].map(([key, { row, bySeed }]) => {
      const counted = [...bySeed.values()];
      const [{ scenario }] = counted;
      return [key, { row, bySeed, scenario, counts: meanOf(counted.map(({ counts }) => counts)) }];
    }),
  );
}

function countsPer(
  { accesses, counts, signals }: ColumnRun["measured"],
  per: (typeof PER)[number],
  where: string,
): Counts {
  const all = per === "access" ? accesses : signals.reduce((sum, each) => sum + each, 0);
  if (all === 0) throw new InputError(where, "has no signal", "runs with signals, or per: access");
  return perOne(counts, all);
}

function meanOf(all: readonly Counts[]): Counts {
  const [first, ...others] = all;
  const names = new Set(all.flatMap((counts) => Object.keys(counts)));
  return Object.fromEntries(
    Array.from(names, (name) => {
      // From the first on, so that the mean of equal counts is that count to the last bit.
      const from = first[name] ?? 0;
      const more = others.reduce((sum, counts) => sum + ((counts[name] ?? 0) - from), 0);
      return [name, from + more / all.length];
    }),
  );
}

function rowOf(name: string, cells: readonly (Cell | null)[], figure: ComparedFigure): SimulatedRow {
  const [base] = cells;
  return {
    name,
    cells: cells.map((cell, index): SimulatedCell | null => {
      if (cell === null) return null;
      const { low, value, high } = figure.of(cell);
      const ofSeeds = Array.from(cell.bySeed.values(), (run) => figure.of(run).value);
      return {
        mean: value,
        ofSeeds: endsOf(ofSeeds),
        ofCosts: { low, high },
        versusBase: index === 0 || base === null ? null : difference(base, cell, figure),
      };
    }),
  };
}

/** Of the runs with seeds that both have: the means of other seeds differ by those too. */
function difference(base: Cell, cell: Cell, figure: ComparedFigure): SimulatedDifference | null {
  const seeds = sharedSeeds(base, cell);
  if (seeds.length === 0) return null;
  const [from, to] = [base, cell].map(({ scenario, bySeed }) => ({
    scenario,
    counts: meanOf([...bySeed].filter(([seed]) => seeds.includes(seed)).map(([, { counts }]) => counts)),
  }));
  const ratio = figure.versus(from, to);
  if (ratio === null) return null;
  const { low, value: relative, high } = ratio;
  return {
    relative,
    ofSeeds: pairedBySeed(base, cell, figure),
    ofCosts: { low, high },
    verdict: verdictOf(ratio),
  };
}

function sharedSeeds(base: Cell, cell: Cell): number[] {
  return [...cell.bySeed.keys()].filter((seed) => base.bySeed.has(seed));
}

function pairedBySeed(base: Cell, cell: Cell, figure: ComparedFigure): Bounds | null {
  const pairs = [...cell.bySeed].flatMap(([seed, run]) => {
    const other = base.bySeed.get(seed);
    return other === undefined ? [] : { from: figure.of(other).value, to: figure.of(run).value };
  });
  if (pairs.length === 0 || pairs.some(({ from }) => from === 0)) return null;
  return endsOf(pairs.map(({ from, to }) => (to - from) / from));
}

function endsOf(values: readonly number[]): Bounds {
  return {
    low: values.reduce((least, value) => Math.min(least, value)),
    high: values.reduce((greatest, value) => Math.max(greatest, value)),
  };
}

/** What else the columns differ in, as benchstat warns of what varies and was not asked for. */
function notesOf(
  [base, ...others]: readonly Column[],
  [ofBase, ...ofOthers]: readonly ReadonlyMap<string, Cell>[],
  compared: readonly string[],
): string[] {
  return others.flatMap(({ name }, index) => {
    const differences = [...ofOthers[index]].flatMap(([key, cell]) => {
      const before = ofBase.get(key);
      return before === undefined ? [] : differencesOf(before.scenario, cell.scenario, compared);
    });
    const distinct = [...new Set(differences)];
    return [
      ...(distinct.length === 0 ? [] : [`${name} differs from ${base.name} in ${distinct.join(", ")}`]),
      ...seedNotes(name, ofBase, ofOthers[index]),
    ];
  });
}

function seedNotes(
  name: string,
  ofBase: ReadonlyMap<string, Cell>,
  cells: ReadonlyMap<string, Cell>,
): string[] {
  const pairs = [...cells].flatMap(([key, cell]) => {
    const before = ofBase.get(key);
    return before === undefined ? [] : { before, cell, shared: sharedSeeds(before, cell).length };
  });
  if (pairs.some(({ shared }) => shared === 0))
    return [`${name}: no difference is shown, for it has no seed in common with the base`];
  const isPart = pairs.some(
    ({ before, cell, shared }) => shared < Math.max(before.bySeed.size, cell.bySeed.size),
  );
  return isPart ? [`${name}: differences are over the seeds that the base has too`] : [];
}
