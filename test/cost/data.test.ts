/** The files in `data/`, and what happens when one is not as it should be. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { toCoreCycles } from "../../src/cost/clock.js";
import { cpuNames, loadCpu } from "../../src/cost/cpu-profile.js";
import { loadMeasurement, readMeasurement } from "../../src/cost/measurements.js";
import { primitiveCosts } from "../../src/cost/primitive-costs.js";
import { PRIMITIVES } from "../../src/kvm/primitives.js";
import { type CpuGeometry, DEFAULT_SWITCHES } from "../../src/x86/cpu.js";
import { MEMORY_LEVELS } from "../../src/x86/ledger.js";
import { type Hash, type Replacement, SetAssociativeStore } from "../../src/x86/set-associative.js";

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
  const withFrequency = "row,cycles,unit,machine,kernel,source,tsc_mhz\n";
  const withSpread = "row,cycles,unit,machine,kernel,source,spread\n";

  it("may say by how much its rows may be off, row by row", () => {
    const rows = readMeasurement(
      csv(`${withSpread}a,3000,TSC cycles,m,k,s,12.5\nb,4000,TSC cycles,m,k,s,\n`),
    );
    expect([rows.row("a"), rows.spread("a")]).toEqual([3000, 12.5]);
    expect([rows.row("b"), rows.spread("b")]).toEqual([4000, null]);
  });

  it("without a column for that says it of no row", () => {
    expect(readMeasurement(csv(`${header}a,3,TSC cycles,m,k,s\n`)).spread("a")).toBeNull();
    expect(loadMeasurement("pci-testdev-2013").spread("mmio-no-eventfd")).toBeNull();
  });

  it("in ns or us is turned into TSC cycles, its spread too: 600 ns at 2600 MHz are 1560 cycles", () => {
    const columns = "row,cycles,spread,unit,tsc_mhz,machine,kernel,source\n";
    const text = `${columns}a,600,5,ns,2600,m,k,s\nb,0.6,,us,2600,m,k,s\nc,1560,13,TSC cycles,2600,m,k,s\n`;
    const rows = readMeasurement(csv(text));
    expect(["a", "b", "c"].map((name) => rows.row(name))).toEqual([1560, 1560, 1560]);
    expect(["a", "b", "c"].map((name) => rows.spread(name))).toEqual([13, null, 13]);
  });

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
      `${header}a,3,core cycles,m,k,s\n`,
      'line 2, column unit: "core cycles" is not allowed; allowed: TSC cycles, or ns and us with a column tsc_mhz',
    ],
    [
      "in ns without the frequency of the TSC",
      `${header}a,3,ns,m,k,s\n`,
      'line 2, column unit: "ns" is not allowed; allowed: TSC cycles, or ns and us with a column tsc_mhz',
    ],
    [
      "in us with an empty frequency",
      `${withFrequency}a,3,us,m,k,s,\n`,
      'line 2, column unit: "us" is not allowed; allowed: TSC cycles, or ns and us with a column tsc_mhz',
    ],
    [
      "in another unit with the frequency of the TSC",
      `${withFrequency}a,3,ms,m,k,s,2600\n`,
      'line 2, column unit: "ms" is not allowed',
    ],
    [
      "with a frequency that is no number",
      `${withFrequency}a,3,ns,m,k,s,2.6 GHz\n`,
      'line 2, column tsc_mhz: "2.6 GHz" is not allowed; allowed: a positive number',
    ],
    [
      "of two frequencies",
      `${withFrequency}a,3,ns,m,k,s,2600\nb,3,ns,m,k,s,2601\n`,
      'line 3, column tsc_mhz: "2601" is not allowed; allowed: one machine a file: 2600',
    ],
    [
      "with a spread of nothing",
      `${withSpread}a,3,TSC cycles,m,k,s,0\n`,
      'line 2, column spread: "0" is not allowed; allowed: a positive number',
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
    expect(() => readMeasurement(csv(`${header}a,3,TSC cycles,m,k,s\n`)).spread("b")).toThrow("row b");
  });
});

describe("a processor profile", () => {
  it.each(cpuNames())(
    "%s prices every primitive but hits of first-level TLBs, the exit fast path, which spares, and WALK_COMPLETED, which only counts",
    (name) => {
      const priced = new Set(primitiveCosts(loadCpu(name), "v4.2").flatMap(({ primitives }) => primitives));
      const free = PRIMITIVES.filter((primitive) =>
        /^(dtlbHit$|exitFastpath$|walkCompleted)/.test(primitive),
      );
      expect(free).toHaveLength(1 + 1 + 9);
      expect([...priced, ...free].sort()).toEqual([...PRIMITIVES].sort());
    },
  );

  it.each(cpuNames())(
    "%s has levels of memory that are slower the farther they are, however fast the core runs",
    (name) => {
      const { latency, clock } = loadCpu(name);
      for (const megahertz of [clock.core.low, clock.core.high]) {
        const core = { ...clock.core, value: megahertz, low: megahertz, high: megahertz };
        const levels = MEMORY_LEVELS.map((level) => toCoreCycles(latency[level], { ...clock, core }));
        expect(levels).toHaveLength(4);
        for (const [near, far] of levels.slice(1).map((level, i) => [levels[i], level]))
          expect(near.high).toBeLessThan(far.low);
      }
    },
  );

  it.each(cpuNames())("%s has a time-stamp counter that runs at a frequency of its cores", (name) => {
    const { tsc, core } = loadCpu(name).clock;
    expect(core.low).toBeLessThanOrEqual(tsc.low);
    expect(tsc.high).toBeLessThanOrEqual(core.high);
  });

  it.each(cpuNames())("%s has TLBs and caches of whole sets, at the ends of their ranges too", (name) => {
    const { values } = loadCpu(name);
    const stores = values.filter(({ unit }) => unit === "entries" || unit === "bytes");
    expect(stores).toHaveLength(15);
    for (const { value, range } of stores) {
      for (const size of [value, ...range]) if (size !== null) expect(() => store(size)).not.toThrow();
    }
  });

  it.each(cpuNames())("%s has sizes that each policy it may have can replace in", (name) => {
    const { geometry, values } = loadCpu(name);
    const { itlb4K, itlb2M, dtlb4K, dtlb2M, dtlb1G, stlb, stlb1G, nestedTlb } = geometry;
    const { pdeCache, pdpteCache, pml4eCache, pml5eCache, l1d, l2, l3, l2Hash, l3Hash } = geometry;
    const tlbs = [itlb4K, itlb2M, dtlb4K, dtlb2M, dtlb1G, stlb, stlb1G, nestedTlb];
    const policies = (field: string) => {
      const { range = [] } = values.find((value) => value.field === `geometry.${field}`) ?? {};
      expect(range).not.toHaveLength(0);
      return range as Replacement[];
    };
    for (const policy of policies("tlbReplacement")) {
      for (const size of [...tlbs, pdeCache, pdpteCache, pml4eCache, pml5eCache])
        if (size !== null) expect(() => store(size, policy)).not.toThrow();
    }
    for (const policy of policies("l1dReplacement")) expect(() => store(l1d, policy)).not.toThrow();
    for (const policy of policies("l2Replacement")) expect(() => store(l2, policy, l2Hash)).not.toThrow();
    for (const policy of policies("l3Replacement")) expect(() => store(l3, policy, l3Hash)).not.toThrow();
  });

  it.each(cpuNames())("%s has caches that are larger the farther they are", (name) => {
    const { l1d, l2, l3 } = loadCpu(name).geometry;
    expect([l1d.bytes < l2.bytes, l2.bytes < l3.bytes]).toEqual([true, true]);
  });

  it.each(cpuNames())("%s leaves what the manual leaves open to the default switches", (name) => {
    expect(loadCpu(name).geometry.switches).toEqual(DEFAULT_SWITCHES);
  });

  it.each(cpuNames())("%s says no name but its own, nor a year before EPT", (name) => {
    expect(loadCpu(name).name).toBe(name);
    expect(loadCpu(name).year).toBeGreaterThanOrEqual(2008);
  });

  it("has what its generation brought: 2M pages in the second-level TLB and EPT A/D flags with Haswell, advanced exit information and an L3 that does not include L2 with Skylake", () => {
    const brought = cpuNames().map((name) => {
      const { year, geometry } = loadCpu(name);
      const { stlbHolds2M, eptAccessedDirty, advancedExitInformation, l3Inclusive } = geometry;
      return [name, year, stlbHolds2M, eptAccessedDirty, advancedExitInformation, l3Inclusive];
    });
    expect(brought).toEqual([
      ["broadwell-e-i7-6850k", 2016, true, true, false, true],
      ["cascade-lake-sp-gold-6212u", 2019, true, true, true, false],
      ["haswell-ep-e5-2660v3", 2014, true, true, false, true],
      ["ice-lake-sp-platinum-8351n", 2021, true, true, true, false],
      ["ivy-bridge-e-i7-4930k", 2013, false, false, false, true],
      ["ivy-bridge-i7-3770k", 2012, false, false, false, true],
      ["lynnfield-i7-860", 2009, false, false, false, true],
      ["sandy-bridge-ep", 2012, false, false, false, true],
      ["sapphire-rapids-w7-2475x", 2023, true, true, true, false],
      ["skylake-sp-platinum-8160", 2017, true, true, true, false],
      ["skylake-x-i9-7900x", 2017, true, true, true, false],
      ["westmere-x990", 2011, false, false, false, true],
      ["zen-2-epyc-7742", 2019, true, true, false, false],
      ["zen-3-ryzen-9-5900x", 2020, true, true, false, false],
      ["zen-4-ryzen-9-7950x", 2022, true, true, false, false],
    ]);
  });

  it("has five levels of EPT from Ice Lake on, and supervisor shadow stacks with Sapphire Rapids", () => {
    const five = ["ice-lake-sp-platinum-8351n", "sapphire-rapids-w7-2475x"];
    expect(having((geometry) => geometry.ept5Levels)).toEqual(five);
    expect(having((geometry) => geometry.pml5eCache !== null)).toEqual(five);
    expect(having((geometry) => geometry.supervisorShadowStack)).toEqual(["sapphire-rapids-w7-2475x"]);
  });

  it("has entries for 1-Gbyte pages from Sandy Bridge on, and of the second level from Broadwell and Zen 3 on", () => {
    expect(having((geometry) => geometry.dtlb1G === null)).toEqual(["lynnfield-i7-860", "westmere-x990"]);
    expect(having((geometry) => geometry.stlb1G !== null)).toEqual([
      "broadwell-e-i7-6850k",
      "cascade-lake-sp-gold-6212u",
      "ice-lake-sp-platinum-8351n",
      "sapphire-rapids-w7-2475x",
      "skylake-sp-platinum-8160",
      "skylake-x-i9-7900x",
      "zen-3-ryzen-9-5900x",
      "zen-4-ryzen-9-7950x",
    ]);
  });

  it("with an unknown name is refused with the names there are", () => {
    expect(() => loadCpu("pentium")).toThrow(
      /cpu: "pentium" is not allowed; allowed: one of broadwell-e.*, zen-4-ryzen-9-7950x$/,
    );
  });
});

function having(isSuch: (geometry: CpuGeometry) => boolean): string[] {
  return cpuNames().filter((name) => isSuch(loadCpu(name).geometry));
}

/** A store of this size, of a cache in lines of 64 bytes. */
function store(size: unknown, replacement: Replacement = "lru", hash: Hash = "none"): void {
  const { entries, bytes = 0, ways } = size as { entries?: number; bytes?: number; ways: number };
  new SetAssociativeStore({ entries: entries ?? bytes / 64, ways }, 0, replacement, hash);
}
