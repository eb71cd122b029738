/** What counts cost, by hand. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { priceCounts } from "../../src/cost/price.js";
import { CATEGORIES, type PrimitiveCost } from "../../src/cost/primitive-costs.js";

const exit: PrimitiveCost = {
  name: "exitTransition",
  category: "exit",
  primitives: ["exitVmcall", "exitEptViolation"],
  low: 800,
  value: 1000,
  high: 1500,
  tag: "derived",
  source: "one paper",
};
const extra: PrimitiveCost = {
  name: "eptViolationExtra",
  category: "exit",
  primitives: ["exitEptViolation"],
  low: -200,
  value: 0,
  high: 300,
  tag: "assumed",
  source: "nobody",
};
const hypercall: PrimitiveCost = {
  name: "hypercall",
  category: "handler",
  primitives: ["hypercall"],
  low: 10,
  value: 80,
  high: 150,
  tag: "assumed",
  source: "nobody",
};
const costs = [exit, extra, hypercall];

describe("the price of three hypercalls and an EPT violation in two accesses", () => {
  const counts = { exitVmcall: 3, exitEptViolation: 1, hypercall: 3, dtlbHit: 7, vmread: 0 };
  const price = priceCounts(costs, counts, 2);

  it("is four exits, one of them of a violation, and three hypercalls", () => {
    expect(price.total).toEqual({
      low: 4 * 800 - 200 + 3 * 10,
      value: 4 * 1000 + 3 * 80,
      high: 4 * 1500 + 300 + 3 * 150,
    });
    expect(price.perAccess).toEqual({ low: 1515, value: 2120, high: 3375 });
  });

  it("has half of that in each access, by category", () => {
    const nothing = { low: 0, value: 0, high: 0 };
    expect(price.byCategory).toEqual({
      ...Object.fromEntries(CATEGORIES.map((category) => [category, nothing])),
      exit: { low: 1500, value: 2000, high: 3150 },
      handler: { low: 15, value: 120, high: 225 },
    });
  });

  it("lists each cost that occurs: how often per access, of which primitives, how much each time, and who says so", () => {
    expect(price.items).toEqual([
      {
        cost: "exitTransition",
        category: "exit",
        primitives: ["exitVmcall", "exitEptViolation"],
        times: 2,
        each: { low: 800, value: 1000, high: 1500 },
        cycles: { low: 1600, value: 2000, high: 3000 },
        tag: "derived",
        source: "one paper",
      },
      {
        cost: "eptViolationExtra",
        category: "exit",
        primitives: ["exitEptViolation"],
        times: 0.5,
        each: { low: -200, value: 0, high: 300 },
        cycles: { low: -100, value: 0, high: 150 },
        tag: "assumed",
        source: "nobody",
      },
      {
        cost: "hypercall",
        category: "handler",
        primitives: ["hypercall"],
        times: 1.5,
        each: { low: 10, value: 80, high: 150 },
        cycles: { low: 15, value: 120, high: 225 },
        tag: "assumed",
        source: "nobody",
      },
    ]);
  });

  it("says of the hits in the first-level TLB why they cost nothing", () => {
    expect(price.free).toEqual([
      { primitive: "dtlbHit", times: 3.5, because: expect.stringContaining("the latency of a reference") },
    ]);
  });
});

describe("a price", () => {
  it("names in an item those of its primitives that were counted, and leaves out costs that do not occur", () => {
    const { items } = priceCounts(costs, { exitVmcall: 5 }, 1);
    expect(items.map(({ cost, primitives }) => [cost, primitives])).toEqual([
      ["exitTransition", ["exitVmcall"]],
    ]);
  });

  it("is the sum of its categories and of its items, whatever is counted", () => {
    const count = fc.nat(1e9);
    fc.assert(
      fc.property(
        count,
        count,
        count,
        fc.integer({ min: 1, max: 1e9 }),
        (vmcalls, violations, hypercalls, n) => {
          const counts = { exitVmcall: vmcalls, exitEptViolation: violations, hypercall: hypercalls };
          const { total, perAccess, byCategory, items } = priceCounts(costs, counts, n);
          for (const end of ["low", "value", "high"] as const) {
            const close = (parts: readonly { readonly [key in typeof end]: number }[]) =>
              expect(
                Math.abs(parts.reduce((sum, part) => sum + part[end], 0) - perAccess[end]),
              ).toBeLessThanOrEqual(1e-12 * Math.abs(perAccess[end]));
            close(Object.values(byCategory));
            close(items.map(({ cycles }) => cycles));
            expect(Math.abs(total[end] - n * perAccess[end])).toBeLessThanOrEqual(
              1e-12 * Math.abs(total[end]),
            );
          }
        },
      ),
    );
  });

  it.each([
    [
      "a primitive that was counted and that nothing prices",
      { exitVmcall: 1, vmread: 2 },
      1,
      "counts: vmread: is 2, and no cost prices it; allowed: primitives that a cost prices, or that are free: dtlbHit,",
    ],
    [
      "a count below nothing",
      { exitVmcall: -1 },
      1,
      "counts: exitVmcall: -1 is not allowed; allowed: how often",
    ],
    ["a count that is none", { exitVmcall: Number.NaN }, 1, "counts: exitVmcall: NaN is not allowed"],
    ["no accesses", { exitVmcall: 1 }, 0, "accesses: 0 is not allowed; allowed: a number above 0"],
  ])("is refused for %s", (_, counts, accesses, message) => {
    expect(() => priceCounts(costs, counts, accesses)).toThrow(message);
  });

  it("is refused for a cost whose range does not hold its value", () => {
    expect(() => priceCounts([{ ...exit, value: 2000 }], {}, 1)).toThrow("cost exitTransition");
  });
});
