/**
 * Where one design begins to cost more than another: over two fields of a sweep, the difference between two values of a third,
 * in TSC cycles per access, as far as the costs are known.
 *
 * A cell is the mean over the seeds that both sides have. Both sides are priced under one cost vector at a time, so that what
 * they have in common cancels; a cost whose range differs by kernel varies apart on both sides, see `kernel-costs.ts`.
 */
import { type Counts, occurrences } from "../cost/counts.js";
import { loadCpu } from "../cost/cpu-profile.js";
import { InputError, notAllowed } from "../cost/input.js";
import { priceCounts } from "../cost/price.js";
import { type PrimitiveCost, primitiveCosts } from "../cost/primitive-costs.js";
import { linearBounds } from "../cost/uncertainty.js";
import { valueText } from "./compare/differences.js";
import { costsOfBoth, countsOfKernel, type KernelCosts } from "./kernel-costs.js";
import type { Interval } from "./result.js";
import { parseScenario, type Scenario } from "./run/scenario.js";
import { canonicalJson } from "./sweep/canonical-json.js";
import { withField } from "./sweep/field-path.js";
import { nameOf } from "./sweep/point.js";
import { jsonText } from "./sweep/shown-value.js";
import type { Json } from "./sweep/spec.js";
import type { SweepResult, SweepRow } from "./sweep/sweep.js";
import { type Field, type GridAxis, NUMBERS } from "./zero-contour.js";

export interface CrossoverOptions {
  /** The field whose values are the columns. */
  readonly x: string;
  /** The field whose values are the rows. */
  readonly y: string;
  /** The field of which two values are compared. */
  readonly by: string;
  /** Two values of `by`. Where it has no more, both may be left out: the first of the sweep is the base. */
  readonly base?: unknown;
  readonly new?: unknown;
}

export interface CrossoverAxis {
  readonly field: string;
  /** Numbers in ascending order, or names in the order of the sweep. */
  readonly labels: readonly string[];
  /** The numbers, on a logarithmic axis where they are at equal ratios; null for names, between which nothing lies. */
  readonly numbers: GridAxis | null;
}

/** TSC cycles per access. The difference is new less base; its ends are what the costs allow. */
export interface CrossoverCell {
  readonly base: number;
  readonly new: number;
  readonly difference: Interval;
  /** What the difference is made of: how often more per access each cost occurs in the new side. */
  readonly terms: ReadonlyMap<PrimitiveCost, number>;
}

export interface Crossover {
  readonly x: CrossoverAxis;
  readonly y: CrossoverAxis;
  /** The compared values as a person knows them. */
  readonly base: string;
  readonly new: string;
  /** A row for each value of y, in it a cell for each of x; null where a side has no result. */
  readonly cells: readonly (readonly (CrossoverCell | null)[])[];
  /** The processors as their makers call them. */
  readonly models: readonly string[];
}

/**
 * The difference as a field over the cells, each cost at its value, or the lowest or the highest that the costs allow. Between
 * two cells the counts are taken to change in proportion, so that a cost vector has one place where both sides cost the same.
 */
export function differenceField(end: keyof Interval): Field<CrossoverCell> {
  return {
    valueAt: ({ difference }) => difference[end],
    zeroBetween: (one, other) => {
      const [from, to] = [one.difference[end], other.difference[end]];
      if (end === "value" || from === 0 || to === 0) return NUMBERS.zeroBetween(from, to);
      return (end === "low") === from < 0 ? zeroOfEnd(one, other, end) : 1 - zeroOfEnd(other, one, end);
    },
  };
}

/** Vectors until there is none better: each is the extreme one where that before it is zero. Few are needed. */
const MOST_STEPS = 100;

/**
 * Where the lowest or the highest difference is zero, from a cell where it is less or more than that to one where it is not. The
 * lowest is that of one cost vector at every place, and beyond it that vector's own line is no lower; so its zero is not too far.
 */
function zeroOfEnd(one: CrossoverCell, other: CrossoverCell, end: "low" | "high"): number {
  const costs = [...new Set([...one.terms.keys(), ...other.terms.keys()])];
  const [from, to] = [one, other].map(({ terms }) => costs.map((cost) => terms.get(cost) ?? 0));
  let share = 0;
  for (let step = 0; step < MOST_STEPS; step++) {
    const cycles = costs.map(({ low, high }, index) => {
      const times = from[index] + share * (to[index] - from[index]);
      return times > 0 === (end === "low") ? low : high;
    });
    const sum = (times: readonly number[]) => times.reduce((total, n, index) => total + n * cycles[index], 0);
    const next = NUMBERS.zeroBetween(sum(from), sum(to));
    if (!(next > share)) break;
    share = next;
  }
  return share;
}

/**
 * The two sides of every cell.
 *
 * @throws InputError for a field that does not vary, a value that it does not have, more than two values without a choice,
 *   rows of one cell that differ in more than the seed, sides on two processors, no cell with both, and primitives that
 *   nothing prices
 */
export function studyCrossover(result: SweepResult, options: CrossoverOptions): Crossover {
  const points = [...result.rows, ...result.failed].map(({ values }) => values);
  const varying = varyingFields(points);
  const [x, y] = [axisOf(points, varying, "x", options), axisOf(points, varying, "y", options)];
  const sides = sidesOf(points, varying, options);
  const groups = groupedRows(result.rows, options);
  const models = new Set<string>();
  const costs = new Costs();
  const cells = y.values.map((yValue) =>
    x.values.map((xValue) => {
      const [base, other] = sides.map((side) => groups.get(keyOf([xValue, yValue, side])) ?? []);
      const seeds = base.flatMap(({ values: { seed } }) => (other.some(has(seed)) ? [seed] : []));
      if (seeds.length === 0) return null;
      const [ofBase, ofNew] = [base, other].map((rows) =>
        sideOf(
          result,
          rows.filter(({ values }) => seeds.includes(values.seed)),
          costs,
        ),
      );
      if (ofNew.cpu !== ofBase.cpu) {
        const allowed = `sides on one processor, as ${ofBase.cpu}: costs belong to their machine`;
        throw new InputError(`by: ${options.by}`, `compares ${ofBase.cpu} with ${ofNew.cpu}`, allowed);
      }
      models.add(loadCpu(ofBase.cpu).model);
      return cellOf(ofBase, ofNew, costs);
    }),
  );
  if (models.size === 0)
    throw new InputError("sweep", "has no cell with both sides", "results of both with the same seed");
  return {
    x: x.axis,
    y: y.axis,
    base: valueText(sides[0]),
    new: valueText(sides[1]),
    cells,
    models: [...models],
  };
}

type Values = SweepRow["values"];

const has =
  (seed: Json) =>
  ({ values }: SweepRow) =>
    values.seed === seed;
const keyOf = (values: readonly unknown[]) => canonicalJson(values);

/** Values by field, of fields with two and more, each once and in the order of the sweep; without the seed. */
function varyingFields(points: readonly Values[]): Map<string, Json[]> {
  const fields = new Map<string, Map<string, Json>>();
  for (const { seed: _, ...values } of points) {
    for (const [field, value] of Object.entries(values)) {
      const known = fields.get(field) ?? new Map<string, Json>();
      fields.set(field, known.set(keyOf([value]), value));
    }
  }
  return new Map(
    [...fields].flatMap(([field, known]) => (known.size < 2 ? [] : [[field, [...known.values()]]])),
  );
}

function valuesOf(varying: ReadonlyMap<string, Json[]>, option: "x" | "y" | "by", field: string): Json[] {
  const values = varying.get(field);
  if (values !== undefined) return values;
  const found = `${JSON.stringify(field) ?? "nothing"} does not vary in the sweep`;
  throw new InputError(option, found, `one of ${[...varying.keys()].join(", ") || "no field: none varies"}`);
}

/** "0x..." is a number as scenarios have it. */
function numberOf(value: Json): number | null {
  if (typeof value === "number") return value;
  return typeof value === "string" && /^0x[0-9a-f]+$/i.test(value) ? Number(value) : null;
}

function axisOf(
  points: readonly Values[],
  varying: ReadonlyMap<string, Json[]>,
  option: "x" | "y",
  options: CrossoverOptions,
): { readonly values: Json[]; readonly axis: CrossoverAxis } {
  const field = options[option];
  const values = valuesOf(varying, option, field);
  const others = { x: [options.by], y: [options.by, options.x] }[option];
  if (others.includes(field))
    throw new InputError(option, notAllowed(field), `another field than ${others.join(" and ")}`);
  if (points.some((point) => numberOf(point[field]) === null))
    return { values, axis: { field, labels: values.map(valueText), numbers: null } };
  const sorted = [...values].sort((one, other) => Number(one) - Number(other));
  const at = sorted.map(Number);
  return {
    values: sorted,
    axis: { field, labels: sorted.map(valueText), numbers: { at, log: isGeometric(at) } },
  };
}

/** Three points and more at equal ratios. */
function isGeometric(numbers: readonly number[]): boolean {
  if (numbers.length < 3 || numbers[0] <= 0) return false;
  const ratios = numbers.slice(1).map((number, index) => number / numbers[index]);
  return Math.max(...ratios) < 1.01 * Math.min(...ratios);
}

/** The two values of `by`, the base first. */
function sidesOf(
  points: readonly Values[],
  varying: ReadonlyMap<string, Json[]>,
  options: CrossoverOptions,
): [base: Json, other: Json] {
  const { by } = options;
  const values = valuesOf(varying, "by", by);
  const allowed = values.map((value) => jsonText(by, value)).join(", ");
  const named = (option: "base" | "new") => {
    const { [option]: value } = options;
    if (value === undefined) return undefined;
    const found = values.find((known) => jsonText(by, known) === jsonText(by, value));
    if (found === undefined) throw new InputError(option, notAllowed(value), `one of ${allowed}`);
    return found;
  };
  const [base, other] = [named("base"), named("new")];
  if (values.length > 2 && (base === undefined || other === undefined))
    throw new InputError(`by: ${by}`, `has ${values.length} values`, `two, as base and new, of ${allowed}`);
  const first = base ?? values.find((value) => value !== other) ?? points[0][by];
  const second = other ?? values.find((value) => value !== first) ?? first;
  if (first === second) throw new InputError("new", notAllowed(second), "another value than base");
  return [first, second];
}

/** Rows by the values of x, y and `by`; those of one group differ in the seed. */
function groupedRows(
  rows: readonly SweepRow[],
  { x, y, by }: CrossoverOptions,
): ReadonlyMap<string, readonly SweepRow[]> {
  const groups = new Map<string, SweepRow[]>();
  for (const row of rows) {
    const key = keyOf([row.values[x], row.values[y], row.values[by]]);
    const group = groups.get(key) ?? [];
    groups.set(key, [...group, row]);
    const [first = row] = group;
    const fields = Object.keys(row.values).filter((field) => field !== "seed");
    const other = fields.find((field) => keyOf([row.values[field]]) !== keyOf([first.values[field]]));
    if (other === undefined) continue;
    const found = `has ${nameOf(first.values)} and ${nameOf(row.values)}`;
    const allowed = `rows of one ${other}, such as { ...result, rows: result.rows.filter(...) }`;
    throw new InputError(`sweep: ${other}`, found, allowed);
  }
  return groups;
}

/** One side of a cell. */
interface Side extends KernelCosts {
  readonly cpu: string;
  /** Per access, the mean over the seeds. */
  readonly counts: Counts;
  /** Per access, each cost at its value. */
  readonly cycles: number;
}

/** The costs that occur in a sweep, each list read once: cells with the same costs have the very same objects. */
class Costs {
  private readonly lists = new Map<string, readonly PrimitiveCost[]>();

  of({ cpu, kernel }: Pick<Scenario, "cpu" | "kernel">): readonly PrimitiveCost[] {
    return this.list([cpu, kernel], () => primitiveCosts(loadCpu(cpu), kernel));
  }

  ofBoth(base: Side, other: Side): readonly PrimitiveCost[] {
    return this.list([base.cpu, base.kernel, other.kernel], () => costsOfBoth(base, other));
  }

  private list(key: readonly string[], make: () => readonly PrimitiveCost[]): readonly PrimitiveCost[] {
    const known = this.lists.get(keyOf(key)) ?? make();
    this.lists.set(keyOf(key), known);
    return known;
  }
}

function sideOf({ spec }: SweepResult, rows: readonly SweepRow[], known: Costs): Side {
  const [{ values }] = rows;
  const scenario = Object.entries(values).reduce(
    (before, [field, value]) => withField(before, field, value, "sweep"),
    spec.base,
  );
  const { cpu, kernel } = parseScenario(scenario, `sweep: ${nameOf(values)}`);
  const costs = known.of({ cpu, kernel });
  const counts: Record<string, number> = {};
  for (const row of rows) {
    for (const [name, count] of Object.entries(row.counts))
      counts[name] = (counts[name] ?? 0) + count / row.accesses / rows.length;
  }
  return { cpu, kernel, costs, counts, cycles: priceCounts(costs, counts, 1).perAccess.value };
}

function cellOf(base: Side, other: Side, known: Costs): CrossoverCell {
  const costs = known.ofBoth(base, other);
  const [before, after] = [base, other].map(({ counts, kernel }) => countsOfKernel(counts, kernel));
  const times = occurrences(costs, after, before);
  return {
    base: base.cycles,
    new: other.cycles,
    difference: linearBounds(costs, times),
    terms: new Map(costs.map((cost, index) => [cost, times[index]])),
  };
}
