/** The bus lookup of ordinary faults: "The workload of _bus_write is added for all kinds of page fault." */
import { describe, expect, test } from "vitest";
import { loadCpu } from "../../../src/cost/cpu-profile.js";
import { primitiveCosts } from "../../../src/cost/primitive-costs.js";
import {
  BUS_SIZES,
  type BusTax,
  FAULTS_PER_KICK,
  type RateCurve,
  studyFaultTax,
} from "../../../src/study/thread/objections/fault-tax.js";

const study = studyFaultTax({ accesses: 400 });
const taxes = (design: string) => study.taxes.filter((tax) => tax.design === design);
const rates = (assumption: string) =>
  study.rates.find((curve) => curve.assumption === assumption) as RateCurve;
const cost = (name: string) => {
  const costs = primitiveCosts(loadCpu("haswell-ep-e5-2660v3"), "v4.2");
  return costs.find((priced) => priced.name === name) as (typeof costs)[number];
};

describe("an ordinary fault", () => {
  test("pays one look into the bus under the RFC, however many ioeventfds there are, and a bisection over them", () => {
    expect(taxes("rfc").map(({ busSize }) => busSize)).toEqual([...BUS_SIZES]);
    expect(taxes("rfc").map(({ busLookups }) => busLookups)).toEqual([1, 1, 1, 1]);
    // RAM lies above all doorbells: of n ranges the bisection sees as many as n has bits, or one less.
    expect(taxes("rfc").map(({ busCompares }) => busCompares)).toEqual([0, 1, 6, 9]);
  });

  test("pays just the price of these, for all else cancels", () => {
    const [lookup, compare] = [cost("ioBusLookup"), cost("ioBusCompare")];
    for (const { busCompares, difference } of taxes("rfc")) {
      expect(difference.low).toBeCloseTo(lookup.low + busCompares * compare.low, 9);
      expect(difference.value).toBeCloseTo(lookup.value + busCompares * compare.value, 9);
      expect(difference.high).toBeCloseTo(lookup.high + busCompares * compare.high, 9);
    }
  });

  test("pays nothing under the first alternative", () => {
    for (const { busLookups, slotLookups, difference } of taxes("bad-page")) {
      expect([busLookups, slotLookups]).toEqual([0, 0]);
      expect(difference).toEqual({ low: 0, value: 0, high: 0 });
    }
  });

  test("that writes pays a look for its slot under the repaired patch, whatever is on the bus", () => {
    const { low, value, high } = cost("memslotLookup");
    for (const { busLookups, slotLookups, difference } of taxes("repaired")) {
      expect([busLookups, slotLookups]).toEqual([0, 1]);
      expect(difference).toEqual({ low, value, high });
    }
  });

  test("has a share of it that is the ratio of both at the costs' values", () => {
    const { difference, fault, share } = taxes("rfc")[3] as BusTax;
    expect(share?.value).toBeCloseTo(difference.value / fault.value, 12);
    // Both hang on the same costs, so that the ends are no further apart than those of the two apart.
    expect(share?.low).toBeGreaterThanOrEqual(difference.low / fault.high);
    expect(share?.high).toBeLessThanOrEqual(difference.high / fault.low);
  });
});

describe("the RFC over faults per kick", () => {
  test("begins with what a kick alone takes more", () => {
    for (const { points, perKick } of study.rates) {
      expect(points.map(({ faultsPerKick }) => faultsPerKick)).toEqual([...FAULTS_PER_KICK]);
      expect(points[0].perKick).toEqual(perKick);
      expect(points[0].faults).toBe(0);
    }
  });

  test("grows by the tax of each fault, which no assumption about kicks changes", () => {
    for (const { points, perKick, perFault } of study.rates) {
      expect(perFault).toEqual(study.rates[0].perFault);
      for (const { kicks, faults, perKick: mixed } of points) {
        const expected = perKick.value + (faults / kicks) * perFault.value;
        // Faults between kicks change a little what the walk of a kick finds cached.
        expect(Math.abs(mixed.value - expected)).toBeLessThan(40);
      }
    }
  });

  test("gains nothing at the values of the costs, mapped or not, nor with a fault that takes no walk at all", () => {
    for (const assumption of ["page never read", "page read before", "no walk (a bound)"]) {
      const { perKick, breakEven } = rates(assumption);
      expect(perKick.value).toBeGreaterThan(0);
      expect(perKick.low).toBeLessThan(0);
      expect(breakEven.below === "rfc" && breakEven.at !== null && breakEven.at < 0).toBe(true);
    }
  });

  test("has a gain with the cheapest violation, which so many faults per kick eat up", () => {
    const { perKick, perFault, breakEven } = rates("no walk, cheap violation");
    expect(perKick.high).toBeLessThan(0);
    expect(breakEven.at).toBeCloseTo(-perKick.value / perFault.value, 9);
    expect([breakEven.below, breakEven.above]).toEqual(["rfc", "base-4.2"]);
    const { low } = cost("eptViolationExtra");
    expect(perKick.value).toBeCloseTo(rates("no walk (a bound)").perKick.value + low, 9);
  });
});

test("the verdict has the ranges at both ends of the bus, and the rate that is located", () => {
  const at = rates("no walk, cheap violation").breakEven.at as number;
  expect(study.verdict).toContain("20 to 150 cycles under the RFC with 0 ioeventfds and 38 to 330 with 1000");
  expect(study.verdict).toContain("(bad-page 0, repaired 10 to 100)");
  expect(study.verdict).toContain(
    `a kick gains only with no walk, cheap violation, up to ${at.toPrecision(2)} faults per kick.`,
  );
});
