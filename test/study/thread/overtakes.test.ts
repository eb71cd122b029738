/** The short sweep, run once: what its differences are made of, and where they change their sign. */
import { rmSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Overtakes, type PairResult, studyOvertakes } from "../../../src/study/thread/overtakes.js";
import { InThread, temporaryFolder } from "../sweep/fixture.js";

const out = temporaryFolder();
const executor = new InThread();
let overtakes: Overtakes;
beforeAll(async () => {
  overtakes = await studyOvertakes({ size: "short", executor, out });
}, 200_000);
afterAll(() => rmSync(out, { recursive: true }));

function pairOf(a: string, b: string): PairResult {
  const found = overtakes.pairs.find((pair) => pair.a === a && pair.b === b);
  if (found === undefined) throw new Error(`no pair ${a}, ${b}`);
  return found;
}
const along = (pair: PairResult, axis: string) => {
  const found = pair.conditions.find((condition) => condition.axis === axis);
  if (found === undefined) throw new Error(`no condition along ${axis}`);
  return found;
};
/** More looks into a bus per kick, at so many faults per kick. */
const moreLookups = (pair: PairResult, faults: number) => {
  const { counts } = pair.settings.find(
    ({ setting }) => setting.faultsPerKick === faults && setting.readShare === 0,
  ) as PairResult["usual"];
  return counts.a.busLookups - counts.b.busLookups;
};

describe("the differences of two designs", () => {
  it("are counts first: the RFC looks once more into the fast bus for every ordinary fault, its repair does not", () => {
    expect(moreLookups(pairOf("rfc", "base-4.2"), 0)).toBe(0);
    // Of a thousand accesses a fifth are kicks, within what chance does.
    expect(Math.abs(moreLookups(pairOf("rfc", "base-4.2"), 4) - 4)).toBeLessThan(1);
    expect(moreLookups(pairOf("repaired", "base-6.19"), 4)).toBe(0);
  });

  it("cancel what both have: a written read-only page gets the very SPTE that the base has", () => {
    expect(pairOf("write-mostly", "base-4.2").usual.difference).toEqual({ low: 0, value: 0, high: 0 });
  });

  it("add up where three designs are compared", () => {
    const [rfc, badPage] = ["rfc", "bad-page"].map((design) => pairOf(design, "base-4.2").usual.difference);
    expect(pairOf("rfc", "bad-page").usual.difference.value).toBeCloseTo(rfc.value - badPage.value, 6);
  });

  it("are as many as there are settings of the vendor, and those won at the costs' values can be won", () => {
    for (const { settings, wins, ties, canWin, alwaysWins } of overtakes.pairs) {
      expect(wins + ties).toBeLessThanOrEqual(settings.length);
      expect(alwaysWins).toBeLessThanOrEqual(wins);
      expect(wins).toBeLessThanOrEqual(canWin);
    }
  });

  it("say with the exit fast path that it costs less in every setting, whatever the costs", () => {
    const { words, settings } = pairOf("fastpath", "base-6.19");
    expect(words).toBe(
      `fastpath costs less than base-6.19 in all ${settings.length} settings at the costs' values; under some costs of ` +
        `the ranges it costs less in ${settings.length}, under all in ${settings.length}`,
    );
  });
});

describe("a place where one design overtakes another", () => {
  it("is found between the values of the sweep, by further runs", () => {
    const found = along(pairOf("rfc", "bad-page"), "faultsPerKick");
    expect(found.overtakings).toHaveLength(1);
    const [{ at, rising }] = found.overtakings;
    expect(rising).toBe(true);
    const above = found.points.findIndex((point) => point.at > at);
    const [before, after] = [found.points[above - 1], found.points[above]];
    expect(before.difference.value).toBeLessThan(0);
    expect(after.difference.value).toBeGreaterThan(0);
    expect([0, 0.25, 1, 4, 16].includes(before.at) && [0, 0.25, 1, 4, 16].includes(after.at)).toBe(false);
    expect(found.words).toMatch(/^rfc loses to bad-page above [\d.]+ ordinary faults per kick \(walks as/);
  });

  it("is not where the sign stays the same", () => {
    const found = along(pairOf("fastpath", "base-6.19"), "faultsPerKick");
    expect(found.overtakings).toEqual([]);
    expect(found.open).toBeNull();
    expect(found.words).toBe(
      "fastpath costs less than base-6.19 from 0 to 16 ordinary faults per kick (walks as an exit leaves them); whatever " +
        "the costs within their ranges",
    );
  });

  it("may be anywhere for the RFC, as far as the costs are known", () => {
    const { points, open } = along(pairOf("rfc", "base-4.2"), "faultsPerKick");
    expect(points[0].difference.low).toBeLessThan(0);
    expect(points[0].difference.high).toBeGreaterThan(0);
    expect(open?.low).toBe(0);
  });
});

describe("the cost that decides", () => {
  it("is, between the RFC and its base, what a violation takes more than a misconfiguration", () => {
    const within = pairOf("rfc", "base-4.2").breakEvens.filter(({ assumed }) => assumed);
    expect(within.map(({ cost }) => cost)).toContain("eptViolationExtra");
  });
});

describe("the study", () => {
  it("runs each point once, and further ones", () => {
    expect(executor.executed).toHaveLength(overtakes.points * overtakes.seeds + overtakes.furtherRuns);
    expect(new Set(executor.executed).size).toBe(executor.executed.length);
    expect(overtakes.furtherRuns).toBeGreaterThan(0);
  });

  it("is plain data", () => {
    expect(JSON.parse(JSON.stringify(overtakes))).toEqual(overtakes);
  });
});
