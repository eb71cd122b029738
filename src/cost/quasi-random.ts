/**
 * Points that fill the unit cube more evenly than random ones: Sobol' sequences (I. M. Sobol', 1967) with the direction
 * numbers of Joe and Kuo in `data/sobol`, scrambled as A. B. Owen did ("Randomly permuted (t,m,s)-nets and (t,s)-sequences",
 * 1995).
 *
 * Why these: many costs are averaged over few points, and what two costs seem to have in common should be theirs, not the
 * points'. Of n random points, the correlation of two coordinates is 1 / sqrt(n) off (root mean square); of 1024 of these, a
 * sixth of that for 60 coordinates and half of it for 200. The worst pair is 0.1 off for 60 coordinates, 0.4 for 200, and
 * with 4096 points 0.02 and 0.1: many coordinates want 4096 or more. A lattice, the simpler choice, has over a hundred pairs
 * of 200 coordinates on three lines if it has 1024 points. Another seed gives another set as good, so a repetition shows
 * the error. The packages for JavaScript that we found do not scramble.
 */
import * as z from "zod";
import { InputError, notAllowed, readDataJson } from "./input.js";

const directionsFile = z.strictObject({
  about: z.string(),
  source: z.string(),
  licence: z.string(),
  dimensions: z.array(
    z.strictObject({
      s: z.number().int().positive(),
      a: z.number().int().nonnegative(),
      m: z.array(z.number().int().positive()),
    }),
  ),
});
type Polynomial = z.infer<typeof directionsFile>["dimensions"][number];

const BITS = 32;
/** Scrambling names a branch of digits by a number, which has to stay below 2^31. */
const MOST_POINTS = 2 ** 20;

/** The last points that were asked for: a study prices row after row with the same. */
let last: { readonly count: number; readonly seed: number; readonly points: readonly Float64Array[] } = {
  count: 0,
  seed: 0,
  points: [],
};

/**
 * `count` points in [0, 1)^dimensions, a power of two; one array per coordinate, in steps of 2^-32. Each coordinate has one
 * point in each interval of length 1 / count. The same seed, a whole number from 0 to 2^32 - 1, gives the same points. The
 * arrays are to be read only: who asks again may be given them again.
 *
 * @throws InputError for a count that is no power of two up to 2^20, more dimensions than the data has, or another seed
 */
export function quasiRandomPoints(dimensions: number, count: number, seed: number): readonly Float64Array[] {
  const { dimensions: polynomials } = readDataJson(directionsFile, "sobol", "joe-kuo.json");
  const most = polynomials.length + 1;
  if (!(Number.isInteger(dimensions) && dimensions >= 0 && dimensions <= most))
    throw new InputError("dimensions", notAllowed(dimensions), `a whole number from 0 to ${most}`);
  if (!(count >= 1 && count <= MOST_POINTS && Number.isInteger(Math.log2(count))))
    throw new InputError("points", notAllowed(count), `a power of two from 1 to ${MOST_POINTS}`);
  if (seed !== seed >>> 0)
    throw new InputError("seed", notAllowed(seed), "a whole number from 0 to 2^32 - 1");
  if (last.count === count && last.seed === seed && last.points.length >= dimensions)
    return last.points.slice(0, dimensions);
  const points = Array.from({ length: dimensions }, (_, dimension) => {
    const directions = dimension === 0 ? vanDerCorput() : directionsOf(polynomials[dimension - 1]);
    return coordinate(directions, count, mix(mix(seed) + dimension));
  });
  last = { count, seed, points };
  return points;
}

/** The first dimension: the digits of the index in reverse. */
function vanDerCorput(): number[] {
  return Array.from({ length: BITS }, (_, bit) => 1 << (BITS - 1 - bit));
}

/** Direction numbers as 32-bit fractions, by the recurrence that the polynomial's coefficients give. */
function directionsOf({ s, a, m }: Polynomial): number[] {
  const directions = m.map((initial, bit) => initial << (BITS - 1 - bit));
  for (let bit = s; bit < BITS; bit++) {
    let next = directions[bit - s] ^ (directions[bit - s] >>> s);
    for (let k = 1; k < s; k++) if ((a >>> (s - 1 - k)) & 1) next ^= directions[bit - k];
    directions.push(next);
  }
  return directions;
}

/** Points in the order of the Gray code: each differs from the one before it by one direction number. */
function coordinate(directions: readonly number[], count: number, key: number): Float64Array {
  const depth = Math.log2(count);
  const values = new Float64Array(count);
  let digits = 0;
  for (let index = 0; index < count; index++) {
    values[index] = scramble(digits, depth, key) / 2 ** BITS;
    const lowestZero = 31 - Math.clz32(~index & (index + 1));
    digits ^= directions[lowestZero];
  }
  return values;
}

/**
 * Owen's nested scrambling: each digit is flipped or not, by a coin that belongs to the digits before it. Only the first
 * `depth` digits are shared by points, so what follows them is random as a whole.
 */
function scramble(digits: number, depth: number, key: number): number {
  let scrambled = digits;
  for (let digit = 0; digit < depth; digit++) {
    scrambled ^= (coin(key, branch(digits, digit)) & 1) << (BITS - 1 - digit);
  }
  const rest = 2 ** (BITS - depth) - 1;
  return ((scrambled & ~rest) | (coin(key, branch(digits, depth)) & rest)) >>> 0;
}

/** A number for the first `length` digits, other than that of any other digits. */
function branch(digits: number, length: number): number {
  return length === 0 ? 1 : (1 << length) | (digits >>> (BITS - length));
}

function coin(key: number, node: number): number {
  return mix(mix(key ^ node) + key);
}

/** The last step of MurmurHash3 (A. Appleby, public domain): every bit of a word in every bit of the result. */
function mix(word: number): number {
  let bits = word + 0x9e37_79b9;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85eb_ca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2_ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}
