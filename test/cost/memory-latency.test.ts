/** Measured load latencies, and what happens when a file of them is not as it should be. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { cpuNames, loadCpu } from "../../src/cost/cpu-profile.js";
import { dataNames } from "../../src/cost/input.js";
import {
  LATENCY_PATTERNS,
  type LatencyPattern,
  loadMemoryLatency,
  readMemoryLatency,
} from "../../src/cost/memory-latency.js";

const names = dataNames("memory-latency", ".csv");

function cycles(name: string, pattern: LatencyPattern, footprintKib: number, strideBytes: number) {
  return loadMemoryLatency(name)
    .filter((row) => row.pattern === pattern)
    .find((row) => row.footprintKib === footprintKib && row.strideBytes === strideBytes)?.cyclesPerLoad;
}

describe("the measured load latencies", () => {
  it("are of processors that have a profile", () => {
    expect(names).toEqual(["haswell-ep-e5-2660v3", "lynnfield-i7-860", "skylake-x-i9-7900x"]);
    expect(cpuNames()).toEqual(expect.arrayContaining(names));
  });

  it.each(names)("of %s cover the same footprints and strides in each pattern, once", (name) => {
    const points = LATENCY_PATTERNS.map((pattern) =>
      loadMemoryLatency(name)
        .filter((row) => row.pattern === pattern)
        .map(({ footprintKib, strideBytes }) => `${footprintKib} ${strideBytes}`),
    );
    for (const of of points) expect(of).toEqual(points[0]);
    expect(new Set(points[0]).size).toBe(points[0].length);
  });

  it.each(names)("of %s are what its profile says, level by level", (name) => {
    const { L1, L2, L3, Dram } = loadCpu(name).latency;
    const largest = Math.max(...loadMemoryLatency(name).map(({ footprintKib }) => footprintKib));
    expect(cycles(name, "page-random", 16, 64)).toBe(L1.low);
    expect(cycles(name, "page-random", 128, 64)).toBe(L2.low);
    expect(cycles(name, "page-random", 2048, 64)).toBe(L3.low);
    expect(cycles(name, "page-random", largest, 128)).toBe(Dram.low);
    expect(cycles(name, "random-full", largest, 64)).toBe(Dram.high);
  });

  it("show what a hit in the second-level TLB adds, with the data in L2: 64 pages fit the data TLB, 128 do not", () => {
    const { L2, stlbHit } = loadCpu("skylake-x-i9-7900x").latency;
    expect(cycles("skylake-x-i9-7900x", "page-random", 64 * 4, 4096)).toBe(L2.low);
    expect(cycles("skylake-x-i9-7900x", "page-random", 128 * 4, 4096)).toBe(L2.low + stlbHit.low);
  });
});

describe("a file of load latencies", () => {
  const header = "pattern,footprint_kib,stride_bytes,cycles_per_load\n";

  function csv(text: string): string {
    const path = join(mkdtempSync(join(tmpdir(), "exitlab-")), "mine.csv");
    writeFileSync(path, text);
    return path;
  }

  it("is read with its units in its names", () => {
    expect(readMemoryLatency(csv(`${header}random-full,2048,64,23.5\n`))).toEqual([
      { pattern: "random-full", footprintKib: 2048, strideBytes: 64, cyclesPerLoad: 23.5 },
    ]);
  });

  it.each([
    [
      "without a column",
      "pattern,footprint_kib,cycles_per_load\n",
      "mine.csv: column stride_bytes: is missing; allowed: pattern, footprint_kib, stride_bytes, cycles_per_load",
    ],
    [
      "with a value that is no number",
      `${header}page-random,2,64,4\npage-random,2,128,fast\n`,
      'mine.csv: line 3, column cycles_per_load: "fast" is not allowed; allowed: a positive number',
    ],
    [
      "with a cell too few",
      `${header}page-random,2,64\n`,
      'mine.csv: line 2, column cycles_per_load: "" is not allowed',
    ],
    [
      "with an unknown pattern",
      `${header}backward,2,64,4\n`,
      'mine.csv: line 2, column pattern: "backward" is not allowed; allowed: one of page-random, random-full',
    ],
  ])("%s is refused with field, value and what is allowed", (_, text, message) => {
    expect(() => readMemoryLatency(csv(text))).toThrow(message);
  });

  it("with an unknown name is refused with the names there are", () => {
    expect(() => loadMemoryLatency("sandy-bridge-ep")).toThrow(
      'memory latency: "sandy-bridge-ep" is not allowed; allowed: one of haswell-ep-e5-2660v3, lynnfield',
    );
  });
});
