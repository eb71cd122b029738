import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { quasiRandomPoints } from "../../src/cost/quasi-random.js";
import { Random } from "../../src/workload/random.js";

const COUNT = 1024;
const DIMENSIONS = 200;
const points = quasiRandomPoints(DIMENSIONS, COUNT, 1);

/** As many points from a pseudo-random generator. */
function pseudoRandom(dimensions: number, seed: number): Float64Array[] {
  const random = new Random(seed);
  return Array.from({ length: dimensions }, () =>
    Float64Array.from({ length: COUNT }, () => random.fraction()),
  );
}

const mean = (values: ArrayLike<number>) => Array.from(values).reduce((sum, x) => sum + x, 0) / values.length;
const rootMeanSquare = (values: readonly number[]) => Math.sqrt(mean(values.map((x) => x ** 2)));

/** The correlation of two coordinates, which are uniform: their covariance over 1/12. */
function correlation(one: Float64Array, other: Float64Array): number {
  return 12 * mean(one.map((x, index) => (x - 0.5) * (other[index] - 0.5)));
}

function correlations(of: readonly Float64Array[]): number[] {
  return of.flatMap((one, i) => of.slice(0, i).map((other) => correlation(one, other)));
}

describe("quasi-random points", () => {
  it("have one point of each coordinate in each of as many equal intervals as there are points", () => {
    for (const values of points) {
      const intervals = Array.from(values, (x) => Math.floor(x * COUNT)).sort((a, b) => a - b);
      expect(intervals).toEqual([...Array(COUNT).keys()]);
    }
  });

  it("have one point of the first two coordinates in each box of area 1/1024, whatever its shape", () => {
    // What makes them a (0, m, 2)-net in base 2, which scrambling keeps.
    for (let m = 0; m <= 10; m++) {
      const boxes = points[0].map(
        (x, i) => Math.floor(x * 2 ** m) * 2 ** 10 + Math.floor(points[1][i] * 2 ** (10 - m)),
      );
      expect(new Set(boxes).size).toBe(COUNT);
    }
  });

  it("correlate their coordinates less than random points do, the fewer the coordinates the less", () => {
    const random = rootMeanSquare(correlations(pseudoRandom(DIMENSIONS, 1)));
    expect(random * Math.sqrt(COUNT)).toBeCloseTo(1, 1);
    expect(rootMeanSquare(correlations(points))).toBeLessThan(random / 2);
    expect(rootMeanSquare(correlations(points.slice(0, 60)))).toBeLessThan(random / 5);
    expect(rootMeanSquare(correlations(points.slice(0, 20)))).toBeLessThan(random / 15);
  });

  it("have no pair of 60 coordinates with a correlation of 0.02 among 4096 points", () => {
    const pairs = correlations(quasiRandomPoints(60, 4096, 1));
    expect(Math.max(...pairs.map(Math.abs))).toBeLessThan(0.02);
  });

  it("integrate a sum over all coordinates a hundred times better than random points", () => {
    // The integral of the sum of x^2 is a third per coordinate.
    const error = (of: readonly Float64Array[]) =>
      mean(Array.from({ length: COUNT }, (_, i) => of.reduce((sum, x) => sum + x[i] ** 2 - 1 / 3, 0)));
    const seeds = [1, 2, 3, 4, 5, 6, 7, 8];
    const quasi = rootMeanSquare(seeds.map((seed) => error(quasiRandomPoints(DIMENSIONS, COUNT, seed))));
    const random = rootMeanSquare(seeds.map((seed) => error(pseudoRandom(DIMENSIONS, seed))));
    expect(quasi).toBeLessThan(random / 100);
  });

  it("integrate a smooth product over five coordinates ten times better than random points", () => {
    // The integral of the product of 1 + (x - 1/2) is 1.
    const error = (of: readonly Float64Array[]) =>
      mean(Array.from({ length: COUNT }, (_, i) => of.reduce((product, x) => product * (x[i] + 0.5), 1))) - 1;
    const seeds = [1, 2, 3, 4, 5, 6, 7, 8];
    const quasi = rootMeanSquare(seeds.map((seed) => error(quasiRandomPoints(5, COUNT, seed))));
    const random = rootMeanSquare(seeds.map((seed) => error(pseudoRandom(5, seed))));
    expect(quasi).toBeLessThan(random / 10);
  });

  it("are the same for the same seed, others for another, and do not change when dimensions are added", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 32 - 1 }), (seed) => {
        const some = quasiRandomPoints(3, 64, seed);
        expect(quasiRandomPoints(5, 64, seed).slice(0, 3)).toEqual(some);
        expect(quasiRandomPoints(3, 64, (seed + 1) % 2 ** 32)).not.toEqual(some);
        for (const x of some.flatMap((values) => [...values])) expect(x >= 0 && x < 1).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  it("average to the middle over seeds: a single point is uniform too", () => {
    const single = Array.from({ length: 4096 }, (_, seed) => quasiRandomPoints(1, 1, seed)[0][0]);
    expect(mean(single)).toBeCloseTo(0.5, 1);
    expect(mean(single.map((x) => x ** 2))).toBeCloseTo(1 / 3, 1);
  });

  it.each([
    [
      () => quasiRandomPoints(257, 64, 1),
      "dimensions: 257 is not allowed; allowed: a whole number from 0 to 256",
    ],
    [
      () => quasiRandomPoints(2, 1000, 1),
      "points: 1000 is not allowed; allowed: a power of two from 1 to 1048576",
    ],
    [
      () => quasiRandomPoints(2, 64, -1),
      "seed: -1 is not allowed; allowed: a whole number from 0 to 2^32 - 1",
    ],
  ])("are refused with what is allowed (%#)", (draw, message) => {
    expect(draw).toThrow(message);
  });
});
