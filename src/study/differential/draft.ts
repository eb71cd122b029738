/** Steps of random scenarios before it is known where the scenario happens. */
import fc from "fast-check";
import { PAGE } from "../../x86/mmu.js";
import { ARENA, type Step } from "./scenario.js";

/** Pages that slots and places are in; one before and one behind them are mapped, too. */
const PAGES = 4;
const PLACES = 3;
const VALUES = 2;

/** All of one scenario is at a few addresses and with a few values, else hardly a write would meet an ioeventfd. */
export interface Setting {
  /** Guest-physical addresses. */
  readonly places: readonly number[];
  readonly values: readonly number[];
}

/** A step once its scenario's setting is known, and the steps before it. */
export type Draft = (setting: Setting, earlier: readonly Step[]) => Step;

const pageAddress = fc.nat({ max: PAGES - 1 }).map((page) => ARENA + (1 + page) * PAGE);

/** The start of a page, its middle, and where operands reach into the next. */
const place = fc
  .tuple(pageAddress, fc.constantFrom(0, 8, 0x800, 0xff8, 0xffc, 0xffe))
  .map(([page, offset]) => page + offset);

/** As memories hold them at first, with and without bytes beyond each size of an operand, and below 2^53. */
const value = fc.constantFrom(
  ...[0, 1, 0x10, 0x80, 0x101, 0x8000, 0x1_0000, 0x8000_0000, 0xffff_ffff, 0x1_0000_0001],
  0x11_2233_4455_6677,
);

export const setting: fc.Arbitrary<Setting> = fc.record({
  places: fc.array(place, { minLength: PLACES, maxLength: PLACES }),
  values: fc.array(value, { minLength: VALUES, maxLength: VALUES }),
});

/** Which place of the scenario's, and how far from it. */
export function near(...distances: readonly number[]) {
  return fc.record({ place: fc.nat({ max: PLACES - 1 }), distance: fc.constantFrom(...distances) });
}

/** Which value of the scenario's. */
export const whichValue = fc.nat({ max: VALUES - 1 });

/** The first value, but once in `times` one of the others. */
export function rarely<T, U>(times: number, usual: T, others: fc.Arbitrary<U>): fc.Arbitrary<T | U> {
  return fc.oneof({ weight: times - 1, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: others });
}

/** One of a list, which is not empty. */
export function oneOf<T>(list: readonly T[], index: number): T {
  return list[index % list.length];
}
