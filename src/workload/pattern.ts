/**
 * Where in its footprint an access goes next. A footprint is a row of places: place p is the address p * stride bytes from
 * its beginning, and the last is the last that the access does not leave the footprint from.
 */
import { Phases } from "./patterns/phases.js";
import { PointerChase } from "./patterns/pointer-chase.js";
import { Sequential } from "./patterns/sequential.js";
import { Zipf } from "./patterns/zipf.js";
import type { Random } from "./random.js";
import type { Access } from "./workload.js";

/** Most places of a pointer chase, which needs 4 bytes of memory for each. */
export const PLACES_OF_A_CHAIN = 2 ** 26;

/** There are four classes, which is as many as engines still inline at one call. */
export interface Pattern {
  /** The next place, from 0. */
  next(): number;
}

/**
 * @param layout random numbers for what lies in memory: which places are popular, where the pointers of a chase lead
 * @param random random numbers for the way through it
 * @throws RangeError for a pointer chase of more than PLACES_OF_A_CHAIN
 */
export function patternOf(access: Access, layout: Random, random: Random): Pattern {
  const places = placesIn(access.footprint, access);
  switch (access.pattern) {
    case "sequential":
      return new Sequential(places);
    case "uniform":
      return new Phases(places, places, Number.POSITIVE_INFINITY, random);
    case "zipf":
      return new Zipf(places, access.skew, layout, random);
    case "pointer-chase":
      if (places > PLACES_OF_A_CHAIN) {
        throw new RangeError(`footprint: ${places} places; a pointer chase has at most ${PLACES_OF_A_CHAIN}`);
      }
      return new PointerChase(places, layout, random);
    case "phases":
      return new Phases(places, placesIn(access.workingSet, access), access.phase, random);
  }
}

function placesIn(bytes: number, { size, count, stride }: Access): number {
  return Math.floor((bytes - size * count) / stride) + 1;
}
