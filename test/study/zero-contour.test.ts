import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type Grid,
  type GridAxis,
  joined,
  NUMBERS,
  zeroContour,
  zerosAlong as zerosOfField,
} from "../../src/study/zero-contour.js";

const linear = (...at: number[]): GridAxis => ({ at, log: false });
const zerosAlong = (axis: GridAxis, row: Grid<number>[number]) => zerosOfField(axis, row, NUMBERS);
const contour = (x: GridAxis, y: GridAxis, values: Grid<number>) => zeroContour(x, y, values, NUMBERS);
const log = (...at: number[]): GridAxis => ({ at, log: true });

describe("along a row", () => {
  it("a crossing lies where the straight line between two neighbours is zero", () => {
    expect(zerosAlong(linear(0, 10, 30), [-1, 3, -1])).toEqual([
      { at: 2.5, rising: true },
      { at: 25, rising: false },
    ]);
  });

  it("on a logarithmic axis the line is straight over the logarithm", () => {
    const [{ at }] = zerosAlong(log(1, 100), [-1, 1]);
    expect(at).toBeCloseTo(10, 12);
  });

  it("a point that is zero is a crossing where the signs beside it differ", () => {
    expect(zerosAlong(log(1, 2, 4), [-1, 0, 1])).toEqual([{ at: 2, rising: true }]);
    expect(zerosAlong(linear(0, 1, 2, 3), [5, 0, 0, -5])).toEqual([{ at: 1.5, rising: false }]);
  });

  it("nothing crosses where the values come down to zero and no further", () => {
    for (const row of [
      [0, 0, 0],
      [0, 0, -3],
      [2, 0, 0],
      [2, 0, 2],
    ])
      expect(zerosAlong(linear(0, 1, 2), row)).toEqual([]);
  });

  it("nothing is found beside a missing value", () => {
    expect(zerosAlong(linear(0, 1, 2), [-1, null, 1])).toEqual([]);
  });
});

describe("over the plane", () => {
  it("a square with one corner of its own sign has one segment across that corner", () => {
    expect(
      contour(linear(0, 1), linear(0, 1), [
        [-1, 1],
        [1, 3],
      ]),
    ).toEqual([
      [
        [0.5, 0],
        [0, 0.5],
      ],
    ]);
  });

  it("the mean of the corners decides which pair of a saddle the middle belongs to", () => {
    const saddle = (up: number) =>
      contour(linear(0, 1), linear(0, 1), [
        [up, -1],
        [-1, up],
      ]);
    // The middle is positive: both negative corners are cut off.
    expect(saddle(3)).toEqual([
      [
        [0.75, 0],
        [1, 0.25],
      ],
      [
        [0.25, 1],
        [0, 0.75],
      ],
    ]);
    // Negative: both positive ones.
    expect(saddle(0.25)[0]).toEqual([
      [0.2, 0],
      [0, 0.2],
    ]);
  });

  it("a square with a missing corner has none", () => {
    expect(
      contour(linear(0, 1, 2), linear(0, 1), [
        [-1, 1, null],
        [-1, 1, -1],
      ]),
    ).toHaveLength(1);
  });

  it("of a plane it is the plane's own line, whole and in one piece", () => {
    const points = fc.uniqueArray(fc.integer({ min: -50, max: 50 }), { minLength: 2, maxLength: 8 });
    const axis = points.map((at) => linear(...at.sort((one, other) => one - other)));
    const factor = fc.integer({ min: 1, max: 20 });
    fc.assert(
      fc.property(axis, axis, factor, factor, fc.integer({ min: -500, max: 500 }), (x, y, a, b, c) => {
        // Halves and integers never meet, so no corner is zero.
        const plane = (at: number, row: number) => a * at + b * row + c + 0.5;
        const segments = contour(
          x,
          y,
          y.at.map((row) => x.at.map((column) => plane(column, row))),
        );
        for (const [at, row] of segments.flat()) expect(plane(at, row)).toBeCloseTo(0, 8);
        const lines = joined(segments);
        expect(lines.length).toBeLessThanOrEqual(1);
        expect(lines.flat()).toHaveLength(segments.length === 0 ? 0 : segments.length + 1);
      }),
      { seed: 1, numRuns: 200 },
    );
  });

  it("around a single point it closes", () => {
    const segments = contour(log(1, 10, 100), linear(0, 1, 2), [
      [1, 1, 1],
      [1, -1, 1],
      [1, 1, 1],
    ]);
    const [line, ...others] = joined(segments);
    expect(others).toEqual([]);
    expect(line).toHaveLength(5);
    expect(line[4]).toEqual(line[0]);
  });
});
