/**
 * Fits the cost vector to the measured rows of one machine, and says how much of it the rows decide.
 *
 * A row is an equation: counts per access times costs equals the measured cycles. There are fewer rows than costs, so
 * each cost also has a prior range, which it never leaves. Two answers come out:
 * - one cost vector: least squares over the rows, each weighted by its tolerance, and over the distances to the middle of
 *   the prior ranges, each weighted by its half width;
 * - for any sum of costs, the lowest and highest value among all vectors that stay in the prior ranges and meet every row
 *   within its tolerance (two linear programs).
 */
import { fcnnlsVector } from "ml-fcnnls";
import { Matrix, pseudoInverse, SingularValueDecomposition } from "ml-matrix";
import { inRange, type Solution, solve } from "yalps";
import { CATEGORIES, type Category, type PrimitiveCost } from "./primitive-costs.js";

/** Counts of primitives per access, by name. */
export type Counts = Readonly<Record<string, number>>;

export interface Observation {
  readonly name: string;
  readonly counts: Counts;
  /** Cycles per access. */
  readonly measured: number;
}

/** Cycles. */
export interface Bounds {
  readonly low: number;
  readonly high: number;
}

/**
 * How far a vector may stay from a row, as a share of it. Assumed: the rows were printed without a spread. Repeated `vmexit`
 * runs on one machine, published elsewhere, stay within about this much when pinned (cpuid, 1087 to 1110 cycles around
 * 1098), and were up to 4% lower on an idle or unpinned machine.
 */
export const ROW_TOLERANCE = 0.01;

export class Calibration {
  /** Fitted cycles, in the order of `costs`. */
  readonly values: readonly number[];
  /** Rows times costs: how often a cost occurs per access of each row. */
  private readonly matrix: readonly (readonly number[])[];

  /** @throws RangeError for two rows of one name */
  constructor(
    readonly costs: readonly PrimitiveCost[],
    readonly observations: readonly Observation[],
  ) {
    if (new Set(observations.map(({ name }) => name)).size < observations.length) {
      throw new RangeError("two rows have one name");
    }
    this.matrix = observations.map(({ counts }) => this.occurrences(counts));
    this.values = this.fit();
  }

  /** Cycles per access of a run. */
  predict(counts: Counts): number {
    return dot(this.occurrences(counts), this.values);
  }

  /** The same, by category; the categories add up to `predict()`. */
  breakdown(counts: Counts): Record<Category, number> {
    const cycles = Object.fromEntries(CATEGORIES.map((category) => [category, 0])) as Record<
      Category,
      number
    >;
    this.occurrences(counts).forEach((n, index) => {
      cycles[this.costs[index].category] += n * this.values[index];
    });
    return cycles;
  }

  /** The costs that occur more or less often in one run than in another. */
  difference(counts: Counts, base: Counts): { cost: string; times: number }[] {
    return this.occurrences(counts, base)
      .map((times, index) => ({ cost: this.costs[index].name, times }))
      .filter(({ times }) => times !== 0);
  }

  /**
   * The lowest and highest cycles that the rows and the priors allow for a run, or for `counts` minus `base`.
   *
   * @throws RangeError when no vector within the prior ranges meets the rows
   */
  bounds(counts: Counts, base: Counts = {}): Bounds {
    return this.optimise(this.occurrences(counts, base));
  }

  /** The bounds of the costs of one category in a run. */
  categoryBounds(counts: Counts, category: Category): Bounds {
    return this.optimise(
      this.occurrences(counts).map((n, index) => (this.costs[index].category === category ? n : 0)),
    );
  }

  /** The bounds of one cost. */
  costBounds(index: number): Bounds {
    return this.optimise(this.costs.map((_, other) => (other === index ? 1 : 0)));
  }

  /** Indexes of the costs that occur in a row. */
  get used(): number[] {
    return [...this.costs.keys()].filter((index) => this.isUsed(index));
  }

  /** How many independent sums of costs the rows fix. */
  get rank(): number {
    if (this.observations.length === 0) return 0;
    return new SingularValueDecomposition(new Matrix(this.matrix.map((row) => [...row])), {
      autoTranspose: true,
    }).rank;
  }

  /** Whether any vector within the prior ranges meets the rows. */
  get feasible(): boolean {
    return (
      this.solve(
        "minimize",
        this.costs.map(() => 0),
      ).status === "optimal"
    );
  }

  /** Indexes of the costs that the rows determine: no change of the other costs makes up for a change of these. */
  get identified(): number[] {
    if (this.observations.length === 0) return [];
    const matrix = new Matrix(this.matrix.map((row) => [...row]));
    const projection = pseudoInverse(matrix, 1e-9).mmul(matrix);
    return this.used.filter((index) => Math.abs(projection.get(index, index) - 1) < 1e-6);
  }

  /** Groups of costs that occur in one proportion in every row, so that the rows cannot tell them apart. */
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

  /** How often each cost occurs in a run, or how much more often than in `base`. */
  private occurrences(counts: Counts, base: Counts = {}): number[] {
    const total = (of: Counts, names: readonly string[]) =>
      names.reduce((sum, name) => sum + (of[name] ?? 0), 0);
    return this.costs.map(({ primitives }) => total(counts, primitives) - total(base, primitives));
  }

  /** Least squares with x >= low by the solver; a cost beyond its high end is fixed there and the rest solved again. */
  private fit(): number[] {
    const values = this.costs.map(({ low, high }) => (low + high) / 2);
    const free = new Set(this.used.filter((index) => this.costs[index].high > this.costs[index].low));
    while (free.size > 0) {
      const columns = [...free];
      const rows: number[][] = [];
      const targets: number[] = [];
      this.observations.forEach(({ measured }, row) => {
        const sigma = ROW_TOLERANCE * measured;
        const fixed = this.matrix[row].reduce(
          (sum, n, index) => sum + n * (free.has(index) ? this.costs[index].low : values[index]),
          0,
        );
        rows.push(columns.map((index) => this.matrix[row][index] / sigma));
        targets.push((measured - fixed) / sigma);
      });
      columns.forEach((index, column) => {
        // (x - middle) / half width, with x counted from the low end: the middle is one half width above it.
        const half = (this.costs[index].high - this.costs[index].low) / 2;
        rows.push(columns.map((_, other) => (other === column ? 1 / half : 0)));
        targets.push(1);
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

  private optimise(objective: readonly number[]): Bounds {
    return { low: this.extreme("minimize", objective), high: this.extreme("maximize", objective) };
  }

  private extreme(direction: "minimize" | "maximize", objective: readonly number[]): number {
    const { status, result } = this.solve(direction, objective);
    if (status !== "optimal") {
      throw new RangeError(
        `no costs within their prior ranges meet the rows ${this.observations.map(({ name }) => name).join(", ")} ` +
          `within ${ROW_TOLERANCE * 100}% (${status})`,
      );
    }
    // The solver's variables start at 0, so each counts from the low end of its range.
    return result + this.atLow(objective);
  }

  private solve(direction: "minimize" | "maximize", objective: readonly number[]): Solution {
    const constraints: Record<string, ReturnType<typeof inRange>> = {};
    this.observations.forEach(({ measured, name }, row) => {
      const rest = measured - this.atLow(this.matrix[row]);
      const tolerance = ROW_TOLERANCE * measured;
      constraints[`row ${name}`] = inRange(rest - tolerance, rest + tolerance);
    });
    const relevant = [...this.costs.keys()].filter((index) => objective[index] !== 0 || this.isUsed(index));
    const variables: Record<string, Record<string, number>> = {};
    for (const index of relevant) {
      const { name, low, high } = this.costs[index];
      constraints[`range ${name}`] = inRange(0, high - low);
      variables[name] = { objective: objective[index], [`range ${name}`]: 1 };
      this.observations.forEach((observation, row) => {
        variables[name][`row ${observation.name}`] = this.matrix[row][index];
      });
    }
    return solve({ direction, objective: "objective", constraints, variables });
  }

  /** A sum of costs, each at the low end of its range. */
  private atLow(occurrences: readonly number[]): number {
    return dot(
      occurrences,
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
