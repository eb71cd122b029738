/**
 * A pair of designs along an axis: where the two cost the same. A place is looked for where the difference, each cost at its
 * value, changes its sign between two neighbours, and is closed in upon by further runs between them.
 *
 * What the seeds make of the place and what the ranges of the costs make of it are said apart.
 */
import type { Bounds } from "../../cost/counts.js";
import { differenceField } from "../crossover.js";
import type { Interval } from "../result.js";
import { NUMBERS, zerosAlong } from "../zero-contour.js";
import type { KnownRuns, Wanted } from "./known-runs.js";
import type { Pair, PairedCell, Pricing } from "./pairs.js";
import { type Setting, USUAL_SETTING } from "./setting.js";
import { type Line, type NumericAxis, settingOn, type ThreadSweepSize, variantName } from "./sweep.js";

/** A place along an axis where both cost the same. */
export interface Overtaking {
  readonly at: number;
  /** Whether it is above it that A costs more. */
  readonly rising: boolean;
  /** Of the seeds that have such a place: the lowest and the highest; null where no seed has. */
  readonly seeds: Bounds | null;
  /** How many seeds have one. */
  readonly seedsWithIt: number;
}

export interface LinePoint {
  readonly at: number;
  readonly difference: Interval;
  readonly seeds: Bounds;
}

/** A pair along an axis, all else usual but the state of the walk. */
export interface Condition {
  readonly a: string;
  readonly b: string;
  readonly axis: NumericAxis;
  readonly cpu: string;
  readonly walkState: Setting["walkState"];
  /** In ascending order: the values of the sweep, and those of the further runs. */
  readonly points: readonly LinePoint[];
  readonly overtakings: readonly Overtaking[];
  /** From where to where the ranges of the costs allow either sign; null where they nowhere do. */
  readonly open: Bounds | null;
  /** The same as a sentence. */
  readonly words: string;
}

/** Of the distance between two neighbours to the whole axis. */
const CLOSE = 0.005;

/** A pair along a line, at more and more places. */
export class PairOnLine {
  private at: number[];
  private readonly known = new Map<number, PairedCell>();

  constructor(
    readonly pair: Pair,
    private readonly line: Line,
    private readonly size: ThreadSweepSize,
    private readonly runs: KnownRuns,
    private readonly pricing: Pricing,
  ) {
    this.at = line.levels.map(Number);
  }

  /** What should be run to know better where the two cost the same; it counts as known from now on. */
  wanted(): Wanted[] {
    const added = this.zeros().flatMap(({ at }) => this.between(at));
    this.at = [...new Set([...this.at, ...added])].sort((one, other) => one - other);
    return added.flatMap((at) =>
      [this.pair.a, this.pair.b].map((variant) => ({ variant, setting: this.setting(at) })),
    );
  }

  condition(): Condition {
    const { line, pair, at } = this;
    const cells = this.cells();
    const axis = line.axis as NumericAxis;
    const places = { at, log: false };
    const zerosBySeed = cells[0].bySeed.map((_, seed) =>
      zerosAlong(
        places,
        cells.map(({ bySeed }) => bySeed[seed]),
        NUMBERS,
      ),
    );
    const overtakings = this.zeros().map(({ at: zero, rising }): Overtaking => {
      // Of each seed the nearest of those that go the same way.
      const nearest = zerosBySeed.flatMap((zeros) => {
        const alike = zeros.filter((other) => other.rising === rising).map((other) => other.at);
        const [first] = alike.sort((one, other) => Math.abs(one - zero) - Math.abs(other - zero));
        return first ?? [];
      });
      const seeds = nearest.length === 0 ? null : { low: Math.min(...nearest), high: Math.max(...nearest) };
      return { at: zero, rising, seeds, seedsWithIt: nearest.length };
    });
    const found = {
      a: variantName(pair.a),
      b: variantName(pair.b),
      axis,
      cpu: line.cpu,
      walkState: line.walkState,
      points: cells.map(({ difference, seeds }, index) => ({ at: at[index], difference, seeds })),
      overtakings,
      open: openBetween(at, cells),
    };
    return { ...found, words: conditionWords(found, zerosBySeed.length) };
  }

  private zeros() {
    return zerosAlong({ at: this.at, log: false }, this.cells(), differenceField("value"));
  }

  private cells(): PairedCell[] {
    const { pair, runs, pricing, line, known } = this;
    return this.at.map((at) => {
      const setting = this.setting(at);
      const cell =
        known.get(at) ?? pricing.cell(line.cpu, pair, runs.of(pair.a, setting), runs.of(pair.b, setting));
      known.set(at, cell);
      return cell;
    });
  }

  private setting(at: number): Setting {
    return settingOn(this.size, this.line, at);
  }

  /** A value near a place, at which nothing has been run; none where the neighbours are as close as they should be. */
  private between(zero: number): number[] {
    const { at, line } = this;
    const above = at.findIndex((value) => value >= zero);
    if (at[above] === zero) return [];
    const [low, high] = [at[above - 1], at[above]];
    const isWhole = line.axis === "busSize" || line.axis === "vcpus";
    if (high - low <= (isWhole ? 1 : CLOSE * (at[at.length - 1] - at[0]))) return [];
    // Not so near to a neighbour that the other stays where it is.
    const room = (high - low) / 8;
    const inside = Math.min(Math.max(zero, low + room), high - room);
    if (!isWhole) return [Number(inside.toPrecision(6))];
    return [Math.min(Math.max(Math.round(inside), low + 1), high - 1)];
  }
}

/** From the first to the last place at which the ranges of the costs allow either sign. */
function openBetween(at: readonly number[], cells: readonly PairedCell[]): Bounds | null {
  const places = at.filter((_, index) => isOpen(cells[index].difference));
  const ends = (["low", "high"] as const).flatMap((end) =>
    zerosAlong({ at, log: false }, cells, differenceField(end)).map((zero) => zero.at),
  );
  const all = [...places, ...ends];
  return all.length === 0 ? null : { low: Math.min(...all), high: Math.max(...all) };
}

function isOpen({ low, high }: Interval): boolean {
  return low < 0 && high > 0;
}

const UNITS: Readonly<Record<NumericAxis, (at: string) => string>> = {
  faultsPerKick: (at) => `${at} ordinary faults per kick`,
  readShare: (at) => `${at} reads per access to a doorbell`,
  busSize: (at) => `${at} ioeventfds`,
  vcpus: (at) => `${at} vCPUs`,
};

function conditionWords(condition: Omit<Condition, "words">, seeds: number): string {
  const { a, b, axis, walkState, points, overtakings, open } = condition;
  const unit = UNITS[axis];
  const walks = walkState === USUAL_SETTING.walkState ? "walks as an exit leaves them" : `${walkState} walks`;
  const [first, last] = [points[0], points[points.length - 1]];
  const opened =
    open === null
      ? "whatever the costs within their ranges"
      : `the ranges of the costs allow either from ${shown(open.low)} to ${shown(open.high)}`;
  if (overtakings.length === 0) {
    const verb = verbOf(points.map(({ difference }) => difference.value));
    return `${a} ${verb} ${b} from ${shown(first.at)} to ${unit(shown(last.at))} (${walks}); ${opened}`;
  }
  const places = overtakings.map(({ at, rising, seeds: over, seedsWithIt }) => {
    const spread =
      over === null || seeds === 1
        ? ""
        : `${shown(over.low)} to ${shown(over.high)} over ${seedsWithIt === seeds ? "" : `${seedsWithIt} of `}${seeds} seeds; `;
    return `${rising ? "loses to" : "wins over"} ${b} above ${unit(shown(at))} (${spread}${walks})`;
  });
  return `${a} ${places.join(" and ")}; ${opened}`;
}

/** Of differences that nowhere change their sign. */
function verbOf(differences: readonly number[]): string {
  if (differences.every((value) => value === 0)) return "costs as much as";
  const verb = differences.some((value) => value < 0) ? "costs less than" : "costs more than";
  return differences.includes(0) ? verb.replace("costs", "costs as much as or") : verb;
}

/** Three digits. */
function shown(value: number): string {
  return String(Number(value.toPrecision(3)));
}
