/** The files in `data/`, and what happens when one is not as it should be. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { cpuNames, loadCpu } from "../../src/cost/cpu-profile.js";
import { loadMeasurement, readMeasurement } from "../../src/cost/measurements.js";
import { primitiveCosts } from "../../src/cost/primitive-costs.js";
import { PRIMITIVES } from "../../src/kvm/primitives.js";
import { DEFAULT_SWITCHES } from "../../src/x86/cpu.js";
import { SetAssociativeStores } from "../../src/x86/set-associative.js";

function csv(text: string): string {
  const path = join(mkdtempSync(join(tmpdir(), "exitlab-")), "mine.csv");
  writeFileSync(path, text);
  return path;
}

describe("the published rows", () => {
  it("are those of pci-testdev in 2013", () => {
    const rows = loadMeasurement("pci-testdev-2013");
    expect(rows.row("mmio-no-eventfd")).toBe(8796);
    expect(rows.row("portio-datamatch-eventfd")).toBe(1777);
    expect(rows.source).toContain("pci-testdev.txt");
  });
});

describe("a file of measurements", () => {
  const header = "row,cycles,unit,machine,kernel,source\n";

  it.each([
    [
      "without a column",
      "row,unit,machine,kernel,source\n",
      "mine.csv: column cycles: is missing; allowed: row, cycles",
    ],
    [
      "with a negative figure",
      `${header}a,-3,TSC cycles,m,k,s\n`,
      'line 2, column cycles: "-3" is not allowed; allowed: a positive',
    ],
    [
      "with another unit",
      `${header}a,3,ns,m,k,s\n`,
      'line 2, column unit: "ns" is not allowed; allowed: TSC cycles',
    ],
    ["with a row twice", `${header}a,3,TSC cycles,m,k,s\na,4,TSC cycles,m,k,s\n`, 'line 3, column row: "a"'],
    [
      "of two machines",
      `${header}a,3,TSC cycles,m,k,s\nb,4,TSC cycles,n,k,s\n`,
      'line 3, column machine: "n"',
    ],
    ["without rows", header, "mine.csv: has no rows"],
    ["that is empty", "", "mine.csv: column row: is missing"],
  ])("%s is refused with field, value and what is allowed", (_, text, message) => {
    expect(() => readMeasurement(csv(text))).toThrow(message);
  });

  it("that lacks a row is refused when the row is asked for", () => {
    expect(() => readMeasurement(csv(`${header}a,3,TSC cycles,m,k,s\n`)).row("b")).toThrow(
      "mine.csv: row b: is not among a; allowed: a file with this row",
    );
  });
});

describe("a processor profile", () => {
  it.each(cpuNames())(
    "%s prices every primitive but the hits of first-level TLBs and the numbers of walks, once",
    (name) => {
      const priced = primitiveCosts(loadCpu(name)).flatMap(({ primitives }) => primitives);
      // What a walk costs is in its references.
      const free = PRIMITIVES.filter((primitive) =>
        /^(dtlbHit|walk(Completed)?(Load|Store|Fetch))/.test(primitive),
      );
      expect(free).toHaveLength(1 + 3 + 9);
      expect([...priced, ...free].sort()).toEqual([...PRIMITIVES].sort());
    },
  );

  it.each(cpuNames())("%s has levels of memory that are slower the farther they are", (name) => {
    const { L1, L2, L3, Dram } = loadCpu(name).latency;
    for (const { low, high } of [L1, L2, L3, Dram]) expect(low).toBeLessThanOrEqual(high);
    expect([L1.high < L2.low, L2.high < L3.low, L3.high < Dram.low]).toEqual([true, true, true]);
  });

  it.each(cpuNames())("%s has TLBs and caches of whole sets, the caches of lines of 64 bytes", (name) => {
    const { geometry } = loadCpu(name);
    const { itlb4K, itlb2M, dtlb4K, dtlb2M, dtlb1G, stlb, stlb1G } = geometry;
    const { pdeCache, pdpteCache, pml4eCache, pml5eCache, nestedTlb, l1d, l2, l3 } = geometry;
    const stores = new SetAssociativeStores();
    const tlbs = [itlb4K, itlb2M, dtlb4K, dtlb2M, dtlb1G, stlb, stlb1G, nestedTlb];
    for (const store of [...tlbs, pdeCache, pdpteCache, pml4eCache, pml5eCache]) {
      if (store !== null) expect(() => stores.add(store, 0, geometry.tlbReplacement)).not.toThrow();
    }
    for (const { bytes, ways, replacement } of [l1d, l2, l3])
      expect(() => stores.add({ entries: bytes / 64, ways }, 0, replacement)).not.toThrow();
    expect([l1d.bytes < l2.bytes, l2.bytes < l3.bytes]).toEqual([true, true]);
  });

  it.each(cpuNames())("%s leaves what the manual leaves open to the default switches", (name) => {
    expect(loadCpu(name).geometry.switches).toEqual(DEFAULT_SWITCHES);
  });

  it.each(cpuNames())("%s says no name but its own, nor a year before EPT", (name) => {
    expect(loadCpu(name).name).toBe(name);
    expect(loadCpu(name).year).toBeGreaterThanOrEqual(2008);
  });

  it("has what its generation brought: EPT A/D flags with Haswell, an L3 that does not include L2 with Skylake-X", () => {
    const brought = cpuNames().map((name) => {
      const { year, geometry } = loadCpu(name);
      return [name, year, geometry.eptAccessedDirty, geometry.stlbHolds2M, geometry.l3Inclusive];
    });
    expect(brought).toEqual([
      ["haswell-ep-e5-2660v3", 2014, true, true, true],
      ["ivy-bridge-i7-3770k", 2012, false, false, true],
      ["lynnfield-i7-860", 2009, false, false, true],
      ["sandy-bridge-ep", 2012, false, false, true],
      ["skylake-x-i9-7900x", 2017, true, true, false],
      ["westmere-x990", 2011, false, false, true],
    ]);
  });

  it("has second-level entries for 1-Gbyte pages in Skylake-X only, and none of either level before Sandy Bridge", () => {
    const with1G = (entries: "dtlb1G" | "stlb1G") =>
      cpuNames().filter((name) => loadCpu(name).geometry[entries] !== null);
    expect(with1G("stlb1G")).toEqual(["skylake-x-i9-7900x"]);
    expect(cpuNames().filter((name) => !with1G("dtlb1G").includes(name))).toEqual([
      "lynnfield-i7-860",
      "westmere-x990",
    ]);
  });

  it("with an unknown name is refused with the names there are", () => {
    expect(() => loadCpu("pentium")).toThrow(/cpu: "pentium" is not allowed; allowed: one of haswell-ep/);
  });
});
