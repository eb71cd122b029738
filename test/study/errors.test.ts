import { describe, expect, it } from "vitest";
import { relativeError, summarise } from "../../src/study/errors.js";

describe("the error of a prediction", () => {
  it("is relative to what was measured, and positive where too much was predicted", () => {
    expect([relativeError(110, 100), relativeError(90, 100), relativeError(100, 100)]).toEqual([
      0.1, -0.1, 0,
    ]);
  });
});

describe("a summary of errors", () => {
  it("takes median and p90 of the sizes, the worst with its sign, and the bias with all signs", () => {
    // Sizes in order: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10.
    const errors = [1, -2, -3, -4, 5, -6, -7, 8, 9, -10];
    expect(summarise(errors)).toEqual({ points: 10, median: 5, p90: 9, worst: -10, bias: -3 });
  });

  it("of an odd number has the middle one for its median", () => {
    expect(summarise([0.3, -0.1, -0.2])).toEqual({
      points: 3,
      median: 0.2,
      p90: 0.3,
      worst: 0.3,
      bias: -0.1,
    });
  });

  it("of a single error is that error", () => {
    expect(summarise([-0.5])).toEqual({ points: 1, median: 0.5, p90: 0.5, worst: -0.5, bias: -0.5 });
  });

  it("leaves the order of what it is given", () => {
    const errors = [3, 1, 2];
    summarise(errors);
    expect(errors).toEqual([3, 1, 2]);
  });

  it("of nothing is refused", () => {
    expect(() => summarise([])).toThrow("no errors to summarise");
  });
});
