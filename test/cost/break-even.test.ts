import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { breakEvenCosts, breakEvenShare } from "../../src/cost/break-even.js";
import { occurrences } from "../../src/cost/counts.js";
import { linearBounds, type UncertainCost } from "../../src/cost/uncertainty.js";

const cost = (name: string, low: number, value: number, high: number): UncertainCost => ({
  name,
  primitives: [name],
  low,
  value,
  high,
});

const COSTS = [
  cost("exit", 1000, 1500, 4000),
  cost("walk", 10, 60, 120),
  cost("dispatch", 20, 100, 250),
  cost("probe", 5, 10, 20),
];
// Fast MMIO walks where port I/O dispatches; port I/O probes once more.
const mmio = { name: "fast MMIO", counts: { exit: 1, walk: 1, probe: 1 } };
const port = { name: "port I/O", counts: { exit: 1, dispatch: 1, probe: 2 } };

describe("the break-even of a cost", () => {
  const [walk, dispatch, probe] = breakEvenCosts(COSTS, mmio, port);

  it("is where both sides cost the same, the other costs at their values", () => {
    expect(walk).toMatchObject({ cost: "walk", times: 1, at: 110, assumed: true });
    expect(dispatch).toMatchObject({ cost: "dispatch", times: -1, at: 50, assumed: true });
    // Dispatch is 40 cycles more than the walk: no probe can give them back.
    expect(probe).toMatchObject({ cost: "probe", times: -1, at: -40, assumed: false });
  });

  it("has a range over all other costs in theirs", () => {
    expect(walk.range).toEqual({ low: 20 + 5, high: 250 + 20 });
    expect(dispatch.range).toEqual({ low: 10 - 20, high: 120 - 5 });
  });

  it("says who costs less below and above", () => {
    expect([walk.below, walk.above]).toEqual(["fast MMIO", "port I/O"]);
    expect([dispatch.below, dispatch.above]).toEqual(["port I/O", "fast MMIO"]);
    expect(walk.words).toBe(
      "walk: fast MMIO costs less below 110 cycles, port I/O above; the assumed range is 10 to 120",
    );
    expect(probe.words).toBe(
      "probe: fast MMIO costs less in all of its assumed range, 5 to 20 cycles, with the other costs at their values",
    );
  });

  it("is left out for what both sides have alike, such as the exit", () => {
    expect([walk, dispatch, probe].map((entry) => entry.cost)).toEqual(["walk", "dispatch", "probe"]);
    expect(breakEvenCosts(COSTS, mmio, mmio)).toEqual([]);
  });

  const sides = fc.array(fc.tuple(fc.nat(9), fc.nat(9)), { minLength: 4, maxLength: 4 });

  it("closes the difference when put in place of the cost, and the named sides win around it", () => {
    fc.assert(
      fc.property(sides, (counts) => {
        const [a, b] = [0, 1].map((side) => ({
          name: "AB"[side],
          counts: Object.fromEntries(COSTS.map(({ name }, i) => [name, counts[i][side]])),
        }));
        for (const { cost: name, at, below, above } of breakEvenCosts(COSTS, a, b)) {
          const gap = (value: number) =>
            linearBounds(
              COSTS.map((one) => (one.name === name ? { ...one, value } : one)),
              occurrences(COSTS, a.counts, b.counts),
            ).value;
          expect(gap(at)).toBeCloseTo(0, 6);
          expect(below).toBe(gap(at - 1) < 0 ? "A" : "B");
          expect(above).toBe(gap(at + 1) < 0 ? "A" : "B");
        }
      }),
    );
  });
});

describe("the break-even of a mix", () => {
  // Ten probes are saved by each kick, and an ordinary fault pays one more walk and a probe.
  const patched = { name: "patched", fixed: { exit: 1 }, perUnit: { walk: 1, probe: 1 } };
  const plain = { name: "plain", fixed: { exit: 1, probe: 14 }, perUnit: {} };
  const unit = "ordinary faults per kick";

  it("is where both sides cost the same, with its range over all costs in theirs", () => {
    const result = breakEvenShare(COSTS, patched, plain, unit);
    // 14 * 10 / (60 + 10); at most where probes are dear and the walk cheap.
    expect(result).toMatchObject({ at: 2, below: "patched", above: "plain" });
    expect(result.range?.low).toBeCloseTo((14 * 5) / (120 + 5), 9);
    expect(result.range?.high).toBeCloseTo((14 * 20) / (10 + 20), 9);
    expect(result.words).toBe(
      "patched costs less below 2 ordinary faults per kick, plain above (0.56 to 9.333 over the assumed ranges of the costs)",
    );
  });

  it("is the same with the sides exchanged", () => {
    const one = breakEvenShare(COSTS, patched, plain, unit);
    expect(breakEvenShare(COSTS, plain, patched, unit)).toEqual(one);
  });

  it("is none where both grow alike, and the side that starts lower always costs less", () => {
    const result = breakEvenShare(COSTS, patched, { ...patched, name: "worse", fixed: { exit: 2 } }, unit);
    expect(result).toEqual({
      at: null,
      range: null,
      below: "patched",
      above: "patched",
      words: "patched costs less whatever the ordinary faults per kick",
    });
    expect(breakEvenShare(COSTS, patched, { ...patched, name: "same" }, unit)).toMatchObject({
      at: null,
      below: null,
      words: "patched and same cost the same whatever the ordinary faults per kick",
    });
  });

  it("is below 0 where one side costs less at any share", () => {
    const worse = { name: "worse", fixed: { exit: 1, probe: 1 }, perUnit: { walk: 1, probe: 1 } };
    const best = { name: "best", fixed: { exit: 1 }, perUnit: {} };
    const { at, above, words } = breakEvenShare(COSTS, worse, best, unit);
    expect(at).toBeCloseTo(-10 / 70, 9);
    expect(above).toBe("best");
    expect(words).toMatch(
      /^best costs less whatever the ordinary faults per kick: they would meet at -0.1429 /,
    );
  });

  it("has no range where the costs decide which side grows faster", () => {
    const walks = { name: "walks", fixed: { exit: 1 }, perUnit: { walk: 1 } };
    const dispatches = { name: "dispatches", fixed: { exit: 1, probe: 4 }, perUnit: { dispatch: 1 } };
    const result = breakEvenShare(COSTS, walks, dispatches, unit);
    expect(result).toMatchObject({ at: -1, range: null, above: "walks" });
    expect(result.words).toContain("it may be anywhere or nowhere");
  });

  it("reaches from the least to the greatest of all corners of the ranges", () => {
    const counts = fc
      .tuple(...COSTS.map(() => fc.nat(9)))
      .map((n) => Object.fromEntries(COSTS.map(({ name }, i) => [name, n[i]])));
    fc.assert(
      fc.property(counts, counts, counts, (fixed, otherFixed, perUnit) => {
        const a = { name: "A", fixed, perUnit };
        const b = { name: "B", fixed: otherFixed, perUnit: {} };
        fc.pre(Object.values(perUnit).some((n) => n > 0));
        const { range } = breakEvenShare(COSTS, a, b, unit);
        const corners = Array.from({ length: 2 ** COSTS.length }, (_, bits) => {
          const at = COSTS.map(({ low, high }, i) => ((bits >> i) & 1 ? high : low));
          const sum = (times: number[]) => times.reduce((total, n, i) => total + n * at[i], 0);
          return -sum(occurrences(COSTS, fixed, otherFixed)) / sum(occurrences(COSTS, perUnit));
        });
        expect(range?.low).toBeCloseTo(Math.min(...corners), 9);
        expect(range?.high).toBeCloseTo(Math.max(...corners), 9);
        expect(breakEvenShare(COSTS, b, a, unit).range).toEqual(range);
      }),
    );
  });
});
