/**
 * Fits the cost vector to what was measured on one machine, and says how much of it the measurements decide.
 *
 * An observation is an equation: counts times those costs that its source sees equals the measured cycles. There are fewer
 * of them than costs, so each cost also has a prior range, which it never leaves. Three answers come out:
 * - one cost vector: least squares over the observations, each weighted by its tolerance, and over the distances to the prior
 *   values, each weighted by half the width of its range;
 * - for any sum of costs, the lowest and highest value among all vectors that stay in the prior ranges and meet every
 *   observation within its tolerance (two linear programs);
 * - draws: the same fit to prior values and observations that are drawn from their ranges.
 *
 * Where no vector meets all observations, because they contradict each other by more than their tolerances say, all
 * tolerances are stretched by the one factor that lets some vector meet them.
 */
import { fcnnlsVector } from "ml-fcnnls";
import { Matrix, pseudoInverse, SingularValueDecomposition } from "ml-matrix";
import { type Constraint, inRange, type Solution, solve } from "yalps";
import { type Bounds, type Counts, occurrences } from "./counts.js";
import { CATEGORIES, type Category, type PrimitiveCost } from "./primitive-costs.js";
import { quasiRandomPoints } from "./quasi-random.js";
import { CostDraws } from "./uncertainty.js";

export interface Observation {
  readonly name: string;
  /** Of primitives, per access or per exit. */
  readonly counts: Counts;
  /** Cycles. */
  readonly measured: number;
  /** Cycles by which the costs may miss it; `ROW_TOLERANCE` of it where nothing is known. */
  readonly tolerance?: number;
  /** Names of costs that this source does not see, such as what happens before its clock starts. */
  readonly unseen?: readonly string[];
}

/**
 * How far a vector may stay from a row, as a share of it. Assumed: the rows were printed without a spread. Repeated `vmexit`
 * runs on one machine, published elsewhere, stay within about this much when pinned (cpuid, 1087 to 1110 cycles around
 * 1098), and were up to 4% lower on an idle or unpinned machine.
 */
export const ROW_TOLERANCE = 0.01;

/** Two numbers that are one but for rounding. */
const ROUNDING = 1e-6;
/** A little more than the factor that just suffices, so that rounding leaves no gap. */
const SLACK = 1 + 1e-6;

export class Calibration {
  /** Fitted cycles, in the order of `costs`. */
  readonly values: readonly number[];
  /** By how much all tolerances had to be stretched; 1 where some vector meets all observations. */
  readonly stretch: number;
  /** Observations times costs: how often a cost occurs in each, as far as its source sees it. */
  private readonly matrix: readonly (readonly number[])[];
  private readonly tolerances: readonly number[];

  /** @throws RangeError for two observations of one name, one with no tolerance at all, or one that leaves out an unknown cost */
  constructor(
    readonly costs: readonly PrimitiveCost[],
    readonly observations: readonly Observation[],
  ) {
    if (new Set(observations.map(({ name }) => name)).size < observations.length) {
      throw new RangeError("two rows have one name");
    }
    this.matrix = observations.map(({ counts, unseen = [] }) =>
      occurrences(costs, counts).map((n, index) => (unseen.includes(costs[index].name) ? 0 : n)),
    );
    for (const { name, unseen = [] } of observations) {
      const unknown = unseen.find((cost) => !costs.some((known) => known.name === cost));
      if (unknown !== undefined) throw new RangeError(`${name} leaves out ${unknown}, which is no cost`);
    }
    const given = observations.map(({ measured, tolerance = ROW_TOLERANCE * measured }) => tolerance);
    const without = given.findIndex((tolerance) => !(tolerance > 0));
    if (without >= 0)
      throw new RangeError(`${observations[without].name} has the tolerance ${given[without]}`);
    this.stretch = this.leastStretch(given);
    this.tolerances = given.map((tolerance) => tolerance * this.stretch);
    this.values = this.fit(
      costs.map(({ value }) => value),
      observations.map(({ measured }) => measured),
      given,
    );
  }

  /** Cycles of each observation by the fitted costs, as its source would see them. */
  get fitted(): number[] {
    return this.matrix.map((row) => dot(row, this.values));
  }

  /** Cycles per access of a run. */
  predict(counts: Counts): number {
    return dot(occurrences(this.costs, counts), this.values);
  }

  /** The same, by category; the categories add up to `predict()`. */
  breakdown(counts: Counts): Record<Category, number> {
    const cycles = Object.fromEntries(CATEGORIES.map((category) => [category, 0])) as Record<
      Category,
      number
    >;
    occurrences(this.costs, counts).forEach((n, index) => {
      cycles[this.costs[index].category] += n * this.values[index];
    });
    return cycles;
  }

  /** The costs that occur more or less often in one run than in another. */
  difference(counts: Counts, base: Counts): { cost: string; times: number }[] {
    return occurrences(this.costs, counts, base)
      .map((times, index) => ({ cost: this.costs[index].name, times }))
      .filter(({ times }) => times !== 0);
  }

  /**
   * The lowest and highest cycles that the observations and the priors allow for a run, or for `counts` minus `base`.
   */
  bounds(counts: Counts, base: Counts = {}): Bounds {
    return this.optimise(occurrences(this.costs, counts, base));
  }

  /** The bounds of the costs of one category in a run. */
  categoryBounds(counts: Counts, category: Category): Bounds {
    return this.optimise(
      occurrences(this.costs, counts).map((n, index) => (this.costs[index].category === category ? n : 0)),
    );
  }

  /** The bounds of one cost. */
  costBounds(index: number): Bounds {
    return this.optimise(this.costs.map((_, other) => (other === index ? 1 : 0)));
  }

  /**
   * Cost vectors as the observations leave them. Each is a fit to other prior values and other observations, drawn from their
   * ranges; so costs that the observations tie together stay tied.
   *
   * @param count a power of two
   */
  draws(count: number, seed: number): CostDraws {
    const { costs, observations, tolerances } = this;
    const points = quasiRandomPoints(costs.length + observations.length, count, seed);
    const vectors = Array.from({ length: count }, (_, draw) =>
      this.fit(
        costs.map(({ low, high }, index) => low + points[index][draw] * (high - low)),
        observations.map(
          ({ measured }, row) => measured + (2 * points[costs.length + row][draw] - 1) * tolerances[row],
        ),
        tolerances,
      ),
    );
    return CostDraws.of(costs, vectors);
  }

  /** Indexes of the costs that occur in an observation. */
  get used(): number[] {
    return [...this.costs.keys()].filter((index) => this.isUsed(index));
  }

  /** How many independent sums of costs the observations fix. */
  get rank(): number {
    if (this.observations.length === 0) return 0;
    return new SingularValueDecomposition(new Matrix(this.matrix.map((row) => [...row])), {
      autoTranspose: true,
    }).rank;
  }

  /** Whether any vector within the prior ranges meets the observations as they are. */
  get feasible(): boolean {
    return this.stretch === 1;
  }

  /** Indexes of the costs that the observations determine: no change of the other costs makes up for a change of these. */
  get identified(): number[] {
    const projection = this.projection();
    return this.used.filter((index) => Math.abs(projection.get(index, index) - 1) < ROUNDING);
  }

  /** Groups of costs that occur in one proportion in every observation, so that nothing can tell them apart. */
  get inseparable(): string[][] {
    const groups = new Map<string, string[]>();
    for (const index of this.used) {
      const column = this.matrix.map((row) => row[index]);
      const scale = Math.max(...column);
      const pattern = column.map((n) => (n / scale).toFixed(3)).join(" ");
      groups.set(pattern, [...(groups.get(pattern) ?? []), this.costs[index].name]);
    }
    return [...groups.values()].filter((group) => group.length > 1);
  }

  /** Groups of costs within which a change of one can be made up for by others: only sums of them are determined. */
  get confounded(): string[][] {
    const projection = this.projection();
    const { identified } = this;
    const rest = new Set(this.used.filter((index) => !identified.includes(index)));
    const groups: number[][] = [];
    for (const first of rest) {
      rest.delete(first);
      const group = [first];
      for (const one of group) {
        for (const other of rest) {
          if (Math.abs(projection.get(one, other)) < ROUNDING) continue;
          rest.delete(other);
          group.push(other);
        }
      }
      groups.push(group);
    }
    return groups.map((group) => group.sort((a, b) => a - b).map((index) => this.costs[index].name));
  }

  /** What the observations see of each cost vector: the projection on the space of their rows. */
  private projection(): Matrix {
    if (this.observations.length === 0) return Matrix.zeros(this.costs.length, this.costs.length);
    const matrix = new Matrix(this.matrix.map((row) => [...row]));
    return pseudoInverse(matrix, 1e-9).mmul(matrix);
  }

  /**
   * Least squares with x >= low by the solver; a cost beyond its high end is fixed there and the rest solved again.
   *
   * @param prior, measured, tolerances what the vector is to be near to, and how near
   */
  private fit(
    prior: readonly number[],
    measured: readonly number[],
    tolerances: readonly number[],
  ): number[] {
    const values = [...prior];
    const free = new Set(this.used.filter((index) => this.costs[index].high > this.costs[index].low));
    while (free.size > 0) {
      const columns = [...free];
      const rows: number[][] = [];
      const targets: number[] = [];
      measured.forEach((cycles, row) => {
        const fixed = this.matrix[row].reduce(
          (sum, n, index) => sum + n * (free.has(index) ? this.costs[index].low : values[index]),
          0,
        );
        rows.push(columns.map((index) => this.matrix[row][index] / tolerances[row]));
        targets.push((cycles - fixed) / tolerances[row]);
      });
      columns.forEach((index, column) => {
        // (x - prior) / half width, with x counted from the low end.
        const { low, high } = this.costs[index];
        const half = (high - low) / 2;
        rows.push(columns.map((_, other) => (other === column ? 1 / half : 0)));
        targets.push((prior[index] - low) / half);
      });
      const solution = fcnnlsVector(rows, targets).K.to1DArray();
      columns.forEach((index, column) => {
        values[index] = this.costs[index].low + solution[column];
      });
      const beyond = columns.filter((index) => values[index] > this.costs[index].high);
      if (beyond.length === 0) break;
      for (const index of beyond) {
        values[index] = this.costs[index].high;
        free.delete(index);
      }
    }
    return values;
  }

  /** One more variable that is to be small: how many tolerances the observations may be missed by. */
  private leastStretch(tolerances: readonly number[]): number {
    const constraints: Record<string, Constraint> = {};
    const variables: Record<string, Record<string, number>> = { stretch: { objective: 1 } };
    for (const index of this.used) variables[this.costs[index].name] = this.ranged(index, constraints);
    this.observations.forEach(({ name, measured }, row) => {
      const rest = (measured - this.atLow(this.matrix[row])) / tolerances[row];
      constraints[`over ${name}`] = { max: rest };
      constraints[`under ${name}`] = { min: rest };
      variables.stretch[`over ${name}`] = -1;
      variables.stretch[`under ${name}`] = 1;
      for (const index of this.used) {
        const variable = variables[this.costs[index].name];
        const most = (this.matrix[row][index] * this.width(index)) / tolerances[row];
        variable[`over ${name}`] = variable[`under ${name}`] = most;
      }
    });
    const { status, result } = solve({
      direction: "minimize",
      objective: "objective",
      constraints,
      variables,
    });
    if (status !== "optimal") throw new Error(`no stretch was found: ${status}`);
    return result <= 1 ? 1 : result * SLACK;
  }

  private optimise(objective: readonly number[]): Bounds {
    return { low: this.extreme("minimize", objective), high: this.extreme("maximize", objective) };
  }

  private extreme(direction: "minimize" | "maximize", objective: readonly number[]): number {
    const { status, result } = this.solve(direction, objective);
    if (status !== "optimal") {
      throw new Error(`no bounds were found: ${status}`);
    }
    // The solver's variables start at 0, so each counts from the low end of its range.
    return result + this.atLow(objective);
  }

  private solve(direction: "minimize" | "maximize", objective: readonly number[]): Solution {
    const constraints: Record<string, Constraint> = {};
    this.observations.forEach(({ measured, name }, row) => {
      const rest = (measured - this.atLow(this.matrix[row])) / this.tolerances[row];
      constraints[`row ${name}`] = inRange(rest - 1, rest + 1);
    });
    const relevant = [...this.costs.keys()].filter((index) => objective[index] !== 0 || this.isUsed(index));
    const variables: Record<string, Record<string, number>> = {};
    for (const index of relevant) {
      const { name } = this.costs[index];
      const width = this.width(index);
      variables[name] = { objective: objective[index] * width, ...this.ranged(index, constraints) };
      this.observations.forEach((observation, row) => {
        const most = (this.matrix[row][index] * width) / this.tolerances[row];
        variables[name][`row ${observation.name}`] = most;
      });
    }
    return solve({ direction, objective: "objective", constraints, variables });
  }

  /**
   * A variable for what a cost is above the low end of its range, as a share of the range, and the constraint that keeps it in
   * there. Rows are in tolerances, likewise: costs are some cycles or millions of them, and in cycles the solver goes in circles.
   */
  private ranged(index: number, constraints: Record<string, Constraint>): Record<string, number> {
    const { name } = this.costs[index];
    constraints[`range ${name}`] = { max: 1 };
    return { [`range ${name}`]: 1 };
  }

  private width(index: number): number {
    const { low, high } = this.costs[index];
    return high - low;
  }

  /** A sum of costs, each at the low end of its range. */
  private atLow(times: readonly number[]): number {
    return dot(
      times,
      this.costs.map(({ low }) => low),
    );
  }

  private isUsed(index: number): boolean {
    return this.matrix.some((row) => row[index] !== 0);
  }
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, index) => sum + value * b[index], 0);
}
