/** The sweep's points are what a design and a setting make, each design in the very same settings. */
import { describe, expect, it } from "vitest";
import { parseScenario } from "../../../src/study/run/scenario.js";
import { expand, parseSweep } from "../../../src/study/sweep/spec.js";
import type { SweepRow } from "../../../src/study/sweep/sweep.js";
import { DESIGNS, designOf } from "../../../src/study/thread/designs.js";
import { type Setting, scenarioOf } from "../../../src/study/thread/setting.js";
import {
  measuredSettings,
  THREAD_SWEEP_SIZES,
  threadLines,
  threadSettings,
  threadSweep,
  variantName,
} from "../../../src/study/thread/sweep.js";

const pointsOf = (size: "full" | "short") => {
  const spec = parseSweep(threadSweep(size));
  return expand({ ...spec, seeds: [1] });
};
/** As rows of a sweep that did nothing. */
const asRows = (points: ReturnType<typeof pointsOf>): SweepRow[] =>
  points.map(({ values }, index) => ({ key: String(index), values, accesses: 1, counts: {}, signals: [] }));
const short = pointsOf("short");

describe("the full sweep", () => {
  const points = pointsOf("full");
  const settings = threadSettings("full");

  it("has 1000 points and more, each with 10 seeds and 20,000 accesses of all vCPUs", () => {
    expect(points.length).toBeGreaterThanOrEqual(1000);
    expect(parseSweep(threadSweep("full")).seeds).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    for (const { accesses, vcpus } of settings) expect(accesses * vcpus).toBe(20_000);
  });

  it("runs every design of a vendor in every setting of the vendor", () => {
    for (const { setting, rows } of measuredSettings("full", asRows(points))) {
      const amd = setting.cpu.startsWith("zen");
      const designs = DESIGNS.filter(({ vendor }) => (vendor === "AMD") === amd).map(({ name }) => name);
      expect([...rows.keys()]).toEqual(expect.arrayContaining(designs));
    }
  });

  it("has settings of every level of every axis", () => {
    const levels = (axis: keyof Setting) => new Set(settings.map((setting) => setting[axis])).size;
    expect(levels("faultsPerKick")).toBe(5);
    expect(levels("readShare")).toBe(4);
    expect(levels("busSize")).toBe(4);
    expect(levels("vcpus")).toBe(3);
    expect(levels("walkState")).toBe(3);
    expect(levels("perPage")).toBe(2);
    expect(levels("waiter")).toBe(3);
    expect(levels("cpu")).toBe(6);
  });

  it("has lines along the mix in each state of the walk, and along the other axes in the usual one", () => {
    const lines = threadLines("full").filter(({ cpu }) => !cpu.startsWith("zen"));
    const along = (axis: string) =>
      lines.filter((line) => line.axis === axis).map(({ walkState }) => walkState);
    expect(along("faultsPerKick")).toEqual(["footprint", "hot", "cold"]);
    expect(along("busSize")).toEqual(["footprint"]);
  });
});

describe("a point of the short sweep", () => {
  it("is the scenario of its design in its setting, but for the name", () => {
    const byValues = new Map(short.map((point) => [point.values, point.scenario]));
    let compared = 0;
    for (const { setting, rows } of measuredSettings("short", asRows(short))) {
      for (const design of DESIGNS) {
        for (const slot of ["none", "read-only"] as const) {
          const [row] = rows.get(variantName({ design: design.name, slot })) ?? [];
          if (row === undefined) continue;
          const { name: _, ...expected } = parseScenario(scenarioOf(design, { ...setting, slot }));
          expect(parseScenario(byValues.get(row.values))).toEqual(expected);
          compared++;
        }
      }
    }
    expect(compared).toBe(short.length);
  });

  it("is one of few, with few accesses", () => {
    expect(short.length).toBeLessThan(150);
    expect(THREAD_SWEEP_SIZES.short.accesses).toBeLessThanOrEqual(1000);
  });
});

describe("rows by their setting", () => {
  it("cannot be those of another sweep", () => {
    const [row] = asRows(short);
    expect(() => measuredSettings("short", [{ ...row, values: { ...row.values, vcpus: 99 } }])).toThrow(
      /rows: have .*vcpus=99.*; allowed: those of the sweep thread-short/,
    );
  });
});

describe("the name of a design with a slot", () => {
  it("says so where it is not what the design wants", () => {
    expect(designOf("rfc").slot).toBe("read-only");
    expect(variantName({ design: "rfc", slot: "read-only" })).toBe("rfc");
    expect(variantName({ design: "rfc", slot: "none" })).toBe("rfc, no slot");
    expect(variantName({ design: "base-4.2", slot: "read-only" })).toBe("base-4.2, with slot");
  });
});
