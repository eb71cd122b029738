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
    expect(names).toEqual([
      "broadwell-e-i7-6850k",
      "haswell-ep-e5-2660v3",
      "ivy-bridge-e-i7-4930k",
      "ivy-bridge-i7-3770k",
      "lynnfield-i7-860",
      "skylake-x-i9-7900x",
      "zen-2-epyc-7742",
      "zen-3-ryzen-9-5900x",
      "zen-4-ryzen-9-7950x",
    ]);
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

  it.each(names)("of %s are its profile's L1 and L2, as far as the data TLB reaches", (name) => {
    const { L1, L2 } = loadCpu(name).latency;
    expect(cycles(name, "page-random", 16, 64)).toBe(L1.value);
    expect(cycles(name, "page-random", 128, 64)).toBe(L2.value);
  });

  // The lines of one place a page stay in L2 on Zen 3 and Zen 4, as far as the second-level TLB reaches.
  it.each(names.filter((name) => !/^zen-[34]/.test(name)))(
    "of %s are its profile's L3 and a second-level TLB hit, with one line of each page",
    (name) => {
      const { geometry, latency } = loadCpu(name);
      const { l2, l3, stlb } = geometry;
      const largestKib = Math.min(stlb.entries * 4, l3.bytes / 2 / 1024);
      const plateau = loadMemoryLatency(name)
        .filter(({ pattern, strideBytes }) => pattern === "page-random" && strideBytes === 4096)
        .filter(({ footprintKib }) => footprintKib > (2 * l2.bytes) / 1024 && footprintKib <= largestKib)
        .map(({ cyclesPerLoad }) => cyclesPerLoad);
      expect(median(plateau)).toBe(latency.L3.value + latency.stlbHit.value);
    },
  );

  // The i7-3770K has no plateau: it still grows. On AMD's every other line of stride 64 comes with the one before.
  it.each(names.filter((name) => !/^(ivy-bridge-i7|zen)/.test(name)))(
    "of %s are its profile's DRAM, and a second-level TLB hit for the pages of a window that the data TLB has not",
    (name) => {
      const { geometry, latency } = loadCpu(name);
      const windowPages = geometry.stlb.entries / 2;
      const missShare = 1 - geometry.dtlb4K.entries / windowPages;
      const largest = Math.max(...loadMemoryLatency(name).map(({ footprintKib }) => footprintKib));
      const plateau = cycles(name, "page-random", largest, 64) as number;
      expect(Math.round(plateau - missShare * latency.stlbHit.value)).toBe(latency.Dram.value);
    },
  );

  it("show what a hit in the second-level TLB adds, with the data in L2: 64 pages fit the data TLB, 128 do not", () => {
    const { L2, stlbHit } = loadCpu("skylake-x-i9-7900x").latency;
    expect(cycles("skylake-x-i9-7900x", "page-random", 64 * 4, 4096)).toBe(L2.value);
    expect(cycles("skylake-x-i9-7900x", "page-random", 128 * 4, 4096)).toBe(L2.value + stlbHit.value);
  });
});

/** The lower one of two middles. */
function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor((values.length - 1) / 2)];
}

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
      "mine.csv: Invalid Record Length: expect 4, got 3 on line 2",
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
      'memory latency: "sandy-bridge-ep" is not allowed; allowed: one of broadwell-e-i7-6850k, haswell',
    );
  });
});
