/**
 * The order in which dependent loads go over a footprint, round after round: a list of places, each loaded once a round.
 * It is the chain of pointers that a latency benchmark follows, without its pointers.
 */
import { PAGE } from "../x86/mmu.js";
import type { Random } from "./random.js";

/**
 * - page-random: the places of a window of some pages in random order, then those of the next window
 * - random-full: all places in random order
 */
export type LoadOrder = "page-random" | "random-full";

/**
 * The first `length` places of a round, of all that there are: places 0 to footprint / stride - 1; place p is at byte
 * p * stride.
 *
 * @param footprint bytes, a multiple of the stride
 * @param stride bytes, a divisor or a multiple of a page
 * @param length at most footprint / stride
 * @param windowPages pages of a window, for page-random
 */
export function loadOrder(
  order: LoadOrder,
  footprint: number,
  stride: number,
  length: number,
  windowPages: number,
  random: Random,
): Uint32Array {
  const places = new Uint32Array(footprint / stride);
  for (let place = 0; place < places.length; place++) places[place] = place;
  const window = order === "random-full" ? places.length : Math.max(1, (windowPages * PAGE) / stride);
  for (let first = 0; first < length; first += window) {
    shuffle(places, first, Math.min(first + window, places.length), length, random);
  }
  return places.subarray(0, length);
}

/** Puts the values from `first` to before `end` into random order, as far as `length` (Fisher and Yates). */
function shuffle(values: Uint32Array, first: number, end: number, length: number, random: Random): void {
  for (let next = first; next < Math.min(end, length); next++) {
    const other = next + random.below(end - next);
    const value = values[next];
    values[next] = values[other];
    values[other] = value;
  }
}
