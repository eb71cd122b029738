/** Where along a field of a sweep one design begins to cost more than another, as records for a mail. */
import { InputError } from "../cost/input.js";
import { verdictOf } from "../study/compare/result.js";
import {
  type Crossover,
  type CrossoverCell,
  type CrossoverOptions,
  differenceField,
  studyCrossover,
} from "../study/crossover.js";
import type { Interval } from "../study/result.js";
import type { SweepResult } from "../study/sweep/sweep.js";
import { type GridAxis, type Zero, zerosAlong } from "../study/zero-contour.js";
import type { FlatRecord, Records } from "./records.js";

/**
 * For each y a record per crossing along x, or one that says that there is none; two stretches of x with a gap between them are
 * taken apart. `from` and `to` are the ends of the stretch. `at` is where the sign changes, each cost at its value, and between
 * `low` and `high` the costs allow either; "" is what does not lie between `from` and `to`. `below` and `above` say what the new
 * side costs there, and `words` all of it, for a mail.
 *
 * @throws InputError as `studyCrossover()`, and for names along x
 */
export function crossings(result: SweepResult, options: CrossoverOptions): Records {
  const crossover = studyCrossover(result, options);
  const { x, y, cells } = crossover;
  const { numbers } = x;
  if (numbers === null) {
    const allowed = "a field of numbers, along which a sign can change";
    throw new InputError("x", `${x.field} has ${x.labels.join(", ")}`, allowed);
  }
  return cells.flatMap((row, j) =>
    stretchesOf(numbers, row).flatMap((stretch) =>
      recordsOf(stretch, crossover).map((record) => ({
        [y.field]: y.numbers?.at[j] ?? y.labels[j],
        ...record,
      })),
    ),
  );
}

/** Neighbouring cells of a row that have both sides. */
interface Stretch {
  readonly axis: GridAxis;
  readonly cells: readonly CrossoverCell[];
}

function stretchesOf({ at, log }: GridAxis, row: Crossover["cells"][number]): Stretch[] {
  const starts = row.flatMap((cell, index) =>
    cell !== null && (row[index - 1] ?? null) === null ? [index] : [],
  );
  return starts.map((start) => {
    const gap = row.indexOf(null, start);
    const end = gap < 0 ? row.length : gap;
    return {
      axis: { at: at.slice(start, end), log },
      cells: row.slice(start, end).flatMap((cell) => cell ?? []),
    };
  });
}

function recordsOf({ axis, cells }: Stretch, { base, new: other }: Crossover): FlatRecord[] {
  const [from, to] = [axis.at[0], axis.at[axis.at.length - 1]];
  const zerosOf = (end: keyof Interval) => zerosAlong(axis, cells, differenceField(end));
  const zeros = zerosOf("value");
  if (zeros.length === 0) {
    const cost = costOf(cells);
    const words = `each cost at its value, ${other} costs ${cost === "same" ? "the same as" : `${cost} than`} ${base} from ${from} to ${to}`;
    return [
      { from, to, at: "", low: "", high: "", below: cost, above: cost, words: `${words}${openText(cells)}` },
    ];
  }
  const ends = [...zerosOf("low"), ...zerosOf("high")];
  return zeros.map((zero) => {
    const { at, rising } = zero;
    const { low, high } = rangeOf(zero, ends, NEAR * (to - from));
    const [below, above] = rising ? ["less", "more"] : ["more", "less"];
    const range = `${low === "" ? `${from} or less` : digits(low)}..${high === "" ? `${to} or more` : digits(high)}`;
    const words = `${other} costs ${below} than ${base} below ${digits(at)} (${range}), ${above} above`;
    return { from, to, at, low, high, below, above, words };
  });
}

/** Of the stretch: places that are one but for rounding. */
const NEAR = 1e-9;

/** On both sides of a crossing the costs allow either sign up to where an end of the difference crosses. */
function rangeOf({ at }: Zero, ends: readonly Zero[], near: number): { low: number | ""; high: number | "" } {
  const below = ends.flatMap((end) => (end.at <= at + near ? [end.at] : []));
  const above = ends.flatMap((end) => (end.at >= at - near ? [end.at] : []));
  return {
    low: below.length === 0 ? "" : Math.min(at, Math.max(...below)),
    high: above.length === 0 ? "" : Math.max(at, Math.min(...above)),
  };
}

/** What the new side costs where nothing crosses. */
function costOf(cells: readonly CrossoverCell[]): "less" | "more" | "same" {
  const sign = Math.sign(cells.find(({ difference: { value } }) => value !== 0)?.difference.value ?? 0);
  return sign === 0 ? "same" : sign < 0 ? "less" : "more";
}

/** How many of the points are no such case for all costs. */
function openText(cells: readonly CrossoverCell[]): string {
  const count = (verdict: ReturnType<typeof verdictOf>) =>
    cells.filter(({ difference }) => verdictOf(difference) === verdict).length;
  const [open, same] = [count("either"), count("same")];
  const rest = [
    ...(open > 0 ? [`the costs allow either at ${open}`] : []),
    ...(same > 0 && same < cells.length ? [`both cost the same at ${same}`] : []),
  ];
  return rest.length === 0 ? "" : `; of ${cells.length} points ${rest.join(", ")}`;
}

const digits = (value: number) => String(Number(value.toPrecision(3)));
