/** Published walk figures, simulated. The loops over half a GiB and more make this one of the longer tests. */
import { describe, expect, it } from "vitest";
import { loadCpu } from "../../src/cost/cpu-profile.js";
import { loadMemoryLatency } from "../../src/cost/memory-latency.js";
import { studyWalkFigures } from "../../src/study/walk-figures.js";

const { figures, errors } = studyWalkFigures();

function figure(row: string) {
  const found = figures.find((one) => one.row === row);
  if (found === undefined) throw new Error(`no figure ${row}`);
  return found;
}

const times = (row: string) =>
  Object.fromEntries(figure(row).uses.map((use) => [use.cost, Math.round(use.times)]));

describe("the published figures of walks", () => {
  it("are the differences of two loops of the dumps, where the dumps are here", () => {
    const checked = figures.flatMap(({ row, measured, loops, note }) => {
      const cpu = Object.entries({ Lynnfield: "lynnfield-i7-860", "HSW-EP": "haswell-ep-e5-2660v3" }).find(
        ([name]) => row.endsWith(name),
      )?.[1];
      if (cpu === undefined || loops === null || note.includes("another L3")) return [];
      const [of, less] = [loops.of, loops.less].map(
        ({ order, footprintKib, strideBytes }) =>
          loadMemoryLatency(cpu).find(
            (one) =>
              one.pattern === order && one.footprintKib === footprintKib && one.strideBytes === strideBytes,
          )?.cyclesPerLoad ?? Number.NaN,
      );
      return { row, published: measured?.value, difference: of - less };
    });
    expect(checked).toEqual([
      { row: "warm walk, Lynnfield", published: 9, difference: 56 - 47 },
      { row: "warm walk, HSW-EP", published: 8, difference: 63 - 55 },
      { row: "entries in L2 and L3, HSW-EP", published: 56, difference: 278 - 222 },
    ]);
  });

  it("of a warm walk is one reference that hits L1 and the rest of a walk: the data cancel", () => {
    expect(times("warm walk, Lynnfield")).toEqual({
      walkReferenceL1: 1,
      walkReferenceL2: 0,
      walkReferenceL3: 0,
      pageWalk: 1,
    });
    const { latency } = loadCpu("lynnfield-i7-860");
    const { simulated } = figure("warm walk, Lynnfield");
    // Of each line of entries, the first in a thousand loads comes from beyond.
    expect(simulated?.value).toBeGreaterThanOrEqual(latency.L1.value + latency.walk.value);
    expect(simulated?.value).toBeLessThan(latency.L1.value + latency.walk.value + 0.5);
  });

  it("under an EPT is one reference more, of the EPT's entry, and has nothing to be compared with", () => {
    const native = figure("native walk, Ivy Bridge");
    const nested = figure("nested walk, Ivy Bridge");
    expect((nested.simulated?.value ?? 0) - (native.simulated?.value ?? 0)).toBeCloseTo(
      loadCpu("ivy-bridge-i7-3770k").latency.L1.value,
      0,
    );
    for (const { outcome, measured, error, leftOut } of [native, nested]) {
      expect({ outcome, measured, error, leftOut }).toEqual({
        outcome: "cannot be validated",
        measured: null,
        error: null,
        leftOut: null,
      });
    }
  });

  it("over all of a large memory at random reads entries from L3, beside those of a window's pages", () => {
    const { uses } = figure("entries in L2 and L3, HSW-EP");
    const fromL3 = uses.find(({ cost }) => cost === "walkReferenceL3");
    // 256 Kbyte of L2 against 2 Mbyte of entries.
    expect(fromL3?.times).toBeGreaterThan(0.8);
  });

  it("in 1-Gbyte pages are walks for nearly every load, as entries for 2 Mbyte cover 64 Mbyte of 8 Gbyte", () => {
    const walks = figure("1-Gbyte pages, Westmere").uses.find(({ cost }) => cost === "pageWalk");
    expect(walks?.times).toBeCloseTo(1 - 64 / 8192, 2);
  });

  it("are no test where the profile knows them, and no comparison where it does not simulate them", () => {
    expect(figures.filter(({ outcome }) => outcome === "input").map(({ row }) => row)).toEqual([
      "second-level hit, SNB-EP",
      "second-level hit, HSW",
      "second-level hit, SKX",
      "second-level hit, Zen 2",
    ]);
    const predicted = figures.filter(({ outcome }) => outcome === "predicted");
    expect(predicted).toHaveLength(10);
    // One of them is a bound.
    expect([errors.profile.points, errors.leftOut.points]).toEqual([9, 9]);
    for (const { simulated, outcome } of figures) {
      if (outcome === "not simulated") expect(simulated).toBeNull();
    }
  });

  it("are predicted over the range of the rest of a walk: 0 to 9 cycles, and a reference from half to all of L1", () => {
    const { simulated, uses } = figure("warm walk, HSW-EP");
    const sum = (end: "low" | "high") => uses.reduce((total, use) => total + use.times * use[end], 0);
    expect(simulated?.low).toBeCloseTo(sum("low"), 9);
    expect(simulated?.high).toBeCloseTo(sum("high"), 9);
    expect(uses.find(({ cost }) => cost === "pageWalk")).toMatchObject({ low: 0, high: 9, tag: "assumed" });
  });

  it("leave of the rest of a walk what their simulation misses", () => {
    const { measured, simulated, leaves, uses } = figure("warm walk, SNB-EP");
    const walk = uses.find(({ cost }) => cost === "pageWalk");
    const missing = (measured?.value ?? 0) - (simulated?.value ?? 0);
    expect(leaves).toBeCloseTo((walk?.value ?? 0) + missing / (walk?.times ?? 0), 9);
    expect(figure("entries in L2 and L3, SKX").leaves).toBeNull();
  });

  it("are predicted from the other processors, each of which speaks once", () => {
    const leaves = (row: string) => figure(row).leaves ?? Number.NaN;
    const sandyBridge = (leaves("warm walk, SNB-EP") + leaves("warm walk, SNB-E")) / 2;
    const others = [sandyBridge, leaves("warm walk, HSW-EP"), leaves("1-Gbyte pages, Westmere")];
    const { leftOut } = figure("warm walk, Lynnfield");
    expect(leftOut?.others).toBe(3);
    expect(leftOut?.fixedPart).toEqual({
      low: Math.min(...others),
      value: others.sort((one, other) => one - other)[1],
      high: Math.max(...others),
    });
  });
});
