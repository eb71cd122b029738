/** The verdict table and the answer to the question, against what the designs do by their definition. */
import { describe, expect, it } from "vitest";
import type { Design } from "../../../src/study/thread/designs.js";
import { DESIGN_NAMES, DESIGNS, type DesignName, designOf } from "../../../src/study/thread/designs.js";
import { type MeasuredDesign, measureDesigns } from "../../../src/study/thread/measured-design.js";
import { studyOpenSwitches } from "../../../src/study/thread/open-switches.js";
import { answer } from "../../../src/study/thread/question.js";
import { USUAL_SETTING } from "../../../src/study/thread/setting.js";
import { USUAL_CPU } from "../../../src/study/thread/sweep.js";
import { type VerdictRow, verdictRows } from "../../../src/study/thread/verdict.js";

const setting = (vendor: Design["vendor"]) => ({
  ...USUAL_SETTING,
  cpu: USUAL_CPU[vendor],
  accesses: 400,
  warmup: 256,
});
const designs = measureDesigns(setting);
const rows = verdictRows(designs);
const row = (name: DesignName) => rows.find(({ design }) => design === name) as VerdictRow;
const measured = (name: DesignName) => designs.get(name) as MeasuredDesign;

describe("the designs", () => {
  it("are named once each, in the order of their names, each with a base that has no patch", () => {
    expect(DESIGNS.map(({ name }) => name)).toEqual([...DESIGN_NAMES]);
    for (const { base, kernel, vendor } of DESIGNS) {
      expect(designOf(base)).toMatchObject({ patches: [], kernel, vendor, base });
    }
  });
});

describe("a row of the verdict", () => {
  it("counts the references of a kick's walk, and has a row for each state of the page that makes a difference", () => {
    expect(rows.map(({ design, page, references }) => [design, page, references])).toEqual([
      ["base-4.2", null, 2],
      ["pio", null, 0],
      ["datamatch", null, 2],
      ["rfc", null, 8],
      // fast_page_fault looks at a page that is mapped.
      ["bad-page", "never touched", 8],
      ["bad-page", "populated", 8],
      ["write-mostly", null, 2],
      ["base-6.19", null, 2],
      ["repaired", null, 8],
      ["fastpath", null, 2],
      ["npf-6.19", null, 2],
      ["npf-fast", null, 2],
    ]);
  });

  it("has one exit per kick, none of them to userspace, and a second bus where the value is looked at", () => {
    for (const { exits, userspaceExits } of rows) expect([exits, userspaceExits]).toEqual([1, 0]);
    expect(rows.filter(({ busLookups }) => busLookups === 2).map(({ design }) => design)).toEqual([
      "datamatch",
    ]);
    expect(rows.filter(({ busLookups }) => busLookups === 1)).toHaveLength(rows.length - 1);
  });

  it("has a difference to its base, and a base has none", () => {
    for (const { design, base, cycles, difference, rangesWon, deciding } of rows) {
      if (design === base) expect([difference, rangesWon, deciding]).toEqual([null, null, null]);
      else expect(difference?.value).toBeCloseTo(cycles.value - row(base).cycles.value, 9);
    }
  });

  it("pays for the look at the bus in every fault under the RFC, for that of the slot if it is repaired, else not", () => {
    const lookups = (name: DesignName) =>
      (measured(name).perFault.ioBusLookup ?? 0) - (measured(row(name).base).perFault.ioBusLookup ?? 0);
    expect(lookups("rfc")).toBe(1);
    expect(lookups("bad-page")).toBe(0);
    // 20 to 150 cycles for the lookup, 2 to 20 for each of four compares; 10 to 100 for the slot's.
    expect(row("rfc").faultTax).toEqual({ low: 28, value: 129, high: 230 });
    expect(row("repaired").faultTax).toEqual({ low: 10, value: 55, high: 100 });
    for (const name of ["pio", "bad-page", "write-mostly", "fastpath", "npf-fast"] as const)
      expect(row(name).faultTax).toEqual({ low: 0, value: 0, high: 0 });
  });

  it("saves with the fast path what an exit takes between the tracepoints, by assumption, and a miss asks the bus twice", () => {
    expect(row("fastpath").by).toBe("handleExit");
    const misses = measured("fastpath").perMiss;
    expect(misses.ioBusLookup).toBe((measured("base-6.19").perMiss.ioBusLookup ?? 0) + 1);
    expect(row("fastpath").missTax.low).toBeGreaterThan(0);
    expect(row("fastpath").difference).toEqual({ low: -700, value: -200, high: -20 });
    expect(row("fastpath").rangesWon).toBe(1);
  });

  it("names the cost that alone could turn the RFC's difference: its value there makes up for the rest", () => {
    const { difference, deciding } = row("rfc");
    expect(deciding).toMatchObject({ cost: "eptViolationExtra", below: "rfc" });
    expect(deciding?.at).toBeCloseTo((deciding?.assumed.value ?? 0) - (difference?.value ?? 0), 9);
  });

  it("has incidents where reads misconfigure or violate, as its base has, and none at ports or where reads are served", () => {
    const incidents = (name: DesignName) => Object.keys(row(name).incidents);
    for (const name of ["base-4.2", "rfc", "write-mostly", "base-6.19", "fastpath", "npf-fast"] as const)
      expect([name, incidents(name)]).toEqual([name, ["spurious-signal", "lost-load"]]);
    for (const name of ["pio", "datamatch", "bad-page", "repaired", "npf-6.19"] as const)
      expect([name, incidents(name)]).toEqual([name, []]);
    expect(row("rfc").incidentsOfBase).toEqual(row("base-4.2").incidents);
  });
});

describe("the question", () => {
  const { perKick, perFault, terms, breakEven } = answer(measured("rfc"), measured("bad-page"));

  it("is one of the way through the fault handler against a look at the bus in each fault", () => {
    const times = terms.map(({ cost, timesPerKick, timesPerFault }) => [
      cost,
      timesPerKick["never touched"],
      timesPerKick.populated,
      timesPerFault,
    ]);
    expect(times).toEqual([
      ["tdpPageFault", -1, -1, 0],
      ["fastPageFault", 0, -1, 0],
      ["memslotLookup", -3, -3, 0],
      ["ioBusLookup", 0, 0, 1],
      ["ioBusCompare", 0, 0, 4],
    ]);
  });

  it("is even where so many faults pay what a kick saves", () => {
    for (const page of ["never touched", "populated"] as const) {
      expect(breakEven[page].at).toBeCloseTo(-perKick[page].value / perFault.value, 9);
      expect([breakEven[page].below, breakEven[page].above]).toEqual(["rfc", "bad-page"]);
    }
  });

  it("cannot be asked of two kernels, whose costs are not the same", () => {
    expect(() => answer(measured("npf-fast"), measured("rfc"))).toThrow("have different costs");
  });
});

describe("the open switches", () => {
  const rows = studyOpenSwitches({ ...setting("Intel"), accesses: 16, warmup: 32 });
  const references = (name: string | null, value: string) => {
    const found = rows.find((row) => row.name === name && row.value === value);
    return found?.designs.find(({ design }) => design === "rfc")?.references;
  };

  it("are looked at one by one, after all as usual", () => {
    expect(rows[0]).toMatchObject({ name: null, value: "as usual" });
    expect(new Set(rows.map(({ name, value }) => `${name} ${value}`)).size).toBe(rows.length);
  });

  it("decide how long the RFC's walk is: in full by the manual's letter, two references if nothing is dropped", () => {
    expect(references(null, "as usual")).toBe(8);
    expect(references("violationDrops", "nothing")).toBe(2);
    expect(references("violationDrops", "everything")).toBe(14);
  });
});
