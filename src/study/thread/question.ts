/**
 * The question of the thread: numbers that compare the patch with the reviewer's way. Two designs of one kernel against each other:
 * what a kick takes, with a page that was never read and with one that was, what an ordinary fault takes, and at how many faults
 * per kick both cost the same.
 */
import { breakEvenShare, type ShareBreakEven } from "../../cost/break-even.js";
import { occurrences } from "../../cost/counts.js";
import { linearBounds } from "../../cost/uncertainty.js";
import type { Interval } from "../result.js";
import type { DesignName } from "./designs.js";
import { PAGE_STATES, type PageState } from "./kicks-beside.js";
import type { MeasuredDesign } from "./measured-design.js";
import { kickOf } from "./verdict.js";

type ByPage<Value> = Readonly<Record<PageState, Value>>;

/** A cost that occurs more often, or less, in A than in B. */
export interface QuestionTerm {
  readonly cost: string;
  readonly timesPerKick: ByPage<number>;
  readonly timesPerFault: number;
  /** Of one, TSC cycles. */
  readonly each: Interval;
}

/** TSC cycles, A less B. */
export interface Question {
  readonly a: DesignName;
  readonly b: DesignName;
  readonly perKick: ByPage<Interval>;
  readonly perFault: Interval;
  readonly terms: readonly QuestionTerm[];
  /** In ordinary faults per kick. */
  readonly breakEven: ByPage<ShareBreakEven>;
}

/** @throws Error for designs of two kernels or processors, whose costs are not the same */
export function answer(a: MeasuredDesign, b: MeasuredDesign): Question {
  if (a.design.kernel !== b.design.kernel || a.setting.cpu !== b.setting.cpu)
    throw new Error(`${a.design.name} and ${b.design.name} have different costs`);
  const { costs } = a;
  const byPage = <Value>(of: (page: PageState) => Value) =>
    Object.fromEntries(PAGE_STATES.map((page) => [page, of(page)])) as Record<PageState, Value>;
  const kicks = byPage((page) => occurrences(costs, kickOf(a, page), kickOf(b, page)));
  const perFault = occurrences(costs, a.perFault, b.perFault);
  const mix = (side: MeasuredDesign, page: PageState) => ({
    name: side.design.name,
    fixed: kickOf(side, page),
    perUnit: side.perFault,
  });
  return {
    a: a.design.name,
    b: b.design.name,
    perKick: byPage((page) => linearBounds(costs, kicks[page])),
    perFault: linearBounds(costs, perFault),
    terms: costs.flatMap(({ name, low, value, high }, index) => {
      const timesPerKick = byPage((page) => kicks[page][index]);
      const isShared = perFault[index] === 0 && PAGE_STATES.every((page) => timesPerKick[page] === 0);
      const each = { low, value, high };
      return isShared ? [] : [{ cost: name, timesPerKick, timesPerFault: perFault[index], each }];
    }),
    breakEven: byPage((page) =>
      breakEvenShare(costs, mix(a, page), mix(b, page), "ordinary faults per kick"),
    ),
  };
}
