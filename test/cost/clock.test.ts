import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { toCoreCycles, toTscCycles } from "../../src/cost/clock.js";
import type { Quantity } from "../../src/cost/quantity.js";

function of(unit: string, low: number, value: number, high: number): Quantity {
  return { value, low, high, unit, tag: "assumed", source: "a test" };
}

/** The counter at 3 GHz, and a core from 3 GHz at its base to 4 GHz of turbo. */
const clock = { tsc: of("MHz", 3000, 3000, 3000), core: of("MHz", 3000, 3000, 4000) };

describe("a time in TSC cycles", () => {
  it("stays as it is if it is given in them", () => {
    const range = { low: 80, value: 100, high: 120 };
    expect(toTscCycles(of("TSC cycles", 80, 100, 120), clock)).toMatchObject(range);
  });

  it("is shorter than in core cycles by as much as the core may be faster: of 80 at 4 GHz pass 60 at 3 GHz", () => {
    const range = { low: 60, value: 100, high: 120 };
    expect(toTscCycles(of("core cycles", 80, 100, 120), clock)).toMatchObject(range);
  });

  it("is three for each ns, however fast the core runs", () => {
    expect(toTscCycles(of("ns", 8, 10, 12), clock)).toMatchObject({ low: 24, value: 30, high: 36 });
  });

  it("may be negative, and then reaches farthest down where the core is slow", () => {
    const range = { low: -200, value: 0, high: 300 };
    expect(toTscCycles(of("core cycles", -200, 0, 300), clock)).toMatchObject(range);
    expect(toTscCycles(of("core cycles", -200, -160, -80), clock)).toMatchObject({
      low: -200,
      value: -160,
      high: -60,
    });
  });

  it("is as uncertain as the counter's own frequency", () => {
    const tsc = of("MHz", 2000, 3000, 4500);
    expect(toTscCycles(of("ns", 10, 10, 10), { ...clock, tsc })).toMatchObject({
      low: 20,
      value: 30,
      high: 45,
    });
    const range = { low: 50, value: 100, high: 150 };
    expect(toTscCycles(of("core cycles", 100, 100, 100), { ...clock, tsc })).toMatchObject(range);
  });

  it("is known no better than the clock that it was converted by", () => {
    const measured = { ...of("core cycles", 4, 4, 4), tag: "measured" } as const;
    expect(toTscCycles(measured, clock).tag).toBe("assumed");
    expect(toTscCycles({ ...measured, unit: "TSC cycles" }, clock).tag).toBe("measured");
    expect(toCoreCycles(measured, clock).tag).toBe("measured");
  });

  it("is nothing that is no time", () => {
    expect(() => toTscCycles(of("MHz", 1, 1, 1), clock)).toThrow(RangeError);
  });
});

describe("a time in core cycles", () => {
  it("stays as it is if it is given in them", () => {
    const range = { low: 80, value: 100, high: 120 };
    expect(toCoreCycles(of("core cycles", 80, 100, 120), clock)).toMatchObject(range);
  });

  it("is three for each ns at base, and up to four at turbo", () => {
    expect(toCoreCycles(of("ns", 8, 10, 12), clock)).toMatchObject({ low: 24, value: 30, high: 48 });
  });

  it("is not known of TSC cycles", () => {
    expect(() => toCoreCycles(of("TSC cycles", 1, 1, 1), clock)).toThrow(
      /TSC cycles is no unit of a core's time/,
    );
  });
});

it("a time stays within its range in any unit", () => {
  const ends = fc.tuple(fc.nat(1000), fc.nat(1000), fc.nat(1000));
  const sorted = ends.map((all) => all.sort((one, other) => one - other));
  fc.assert(
    fc.property(sorted, sorted, fc.constantFrom("TSC cycles", "core cycles", "ns"), (time, core, unit) => {
      const [low, value, high] = core.map((megahertz) => megahertz + 1000);
      const range = toTscCycles(of(unit, time[0], time[1], time[2]), {
        ...clock,
        core: of("MHz", low, value, high),
      });
      expect(range.low).toBeLessThanOrEqual(range.value);
      expect(range.value).toBeLessThanOrEqual(range.high);
    }),
  );
});
