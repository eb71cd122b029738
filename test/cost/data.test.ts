/** The files in `data/`, and what happens when one is not as it should be. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { cpuNames, loadCpu } from "../../src/cost/cpu-profile.js";
import { loadMeasurement, readMeasurement } from "../../src/cost/measurements.js";
import { primitiveCosts } from "../../src/cost/primitive-costs.js";
import { PRIMITIVES } from "../../src/kvm/primitives.js";

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
    "%s prices every primitive but the hits of the data TLB and the number of walks, once",
    (name) => {
      const priced = primitiveCosts(loadCpu(name)).flatMap(({ primitives }) => primitives);
      expect([...priced, "dtlbHit", "walk"].sort()).toEqual([...PRIMITIVES].sort());
    },
  );

  it.each(cpuNames())("%s has levels of memory that are slower the farther they are", (name) => {
    const { L1, L2, L3, Dram } = loadCpu(name).latency;
    for (const { low, high } of [L1, L2, L3, Dram]) expect(low).toBeLessThanOrEqual(high);
    expect([L1.high < L2.low, L2.high < L3.low, L3.high < Dram.low]).toEqual([true, true, true]);
  });

  it("with an unknown name is refused with the names there are", () => {
    expect(() => loadCpu("pentium")).toThrow(/cpu: "pentium" is not allowed; allowed: one of ivy-bridge/);
  });
});
