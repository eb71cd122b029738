import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { cpuNames, loadCpu } from "../../src/cost/cpu-profile.js";
import { studyPciTestdev } from "../../src/study/pci-testdev.js";

const study = studyPciTestdev();

/** The prediction for the processor and the state that rows and breakdown are shown for. */
function shown({ predictions }: typeof study): (typeof predictions)[number] {
  const found = predictions.find(({ cpu, exitEvicts }) => cpu === "sandy-bridge-ep" && exitEvicts === "l1");
  if (found === undefined) throw new Error("the case shown is among the predictions");
  return found;
}

const closeTo = (cycles: number) => expect.closeTo(cycles, 6);

describe("the study of the pci-testdev rows", () => {
  it("simulates every row within 1% of what was measured", () => {
    expect(study.rows.map(({ name, measured }) => [name, measured])).toEqual([
      ["mmio-no-eventfd", 8796],
      ["mmio-wildcard-eventfd", 3609],
      ["mmio-datamatch-eventfd", 3685],
      ["portio-no-eventfd", 5287],
      ["portio-wildcard-eventfd", 1762],
      ["portio-datamatch-eventfd", 1777],
    ]);
    for (const { residual } of study.rows) expect(Math.abs(residual)).toBeLessThan(0.01);
  });

  it("fits the vmexit rows of 2012 apart: their exit alone costs more than a whole port write of 2013", () => {
    const vmcall = study.vmexit2012.rows.find(({ name }) => name === "vmcall");
    expect(vmcall?.breakdown.exit).toBeGreaterThan(1777);
    for (const { residual } of study.vmexit2012.rows) expect(Math.abs(residual)).toBeLessThan(0.01);
  });

  it("breaks every row down into categories that add up to its total", () => {
    for (const { simulated, breakdown } of [...study.rows, ...study.vmexit2012.rows]) {
      expect(Object.values(breakdown).reduce((a, b) => a + b)).toBeCloseTo(simulated, 6);
    }
  });

  it("charges a walk and emulation to MMIO and neither to port I/O", () => {
    for (const { name, breakdown } of study.rows) {
      const mmio = name.startsWith("mmio");
      expect(breakdown.walk > 0).toBe(mmio);
      expect(breakdown.emulation > 0).toBe(mmio);
    }
  });

  it("keeps every cost in its prior range, and every fitted range too", () => {
    for (const { prior, fitted, name } of study.costs) {
      expect(fitted.low, name).toBeGreaterThanOrEqual(prior.low - 1e-6);
      expect(fitted.high, name).toBeLessThanOrEqual(prior.high + 1e-6);
      expect(fitted.value, name).toBeGreaterThanOrEqual(prior.low);
      expect(fitted.value, name).toBeLessThanOrEqual(prior.high);
    }
  });

  it("says that the rows cannot tell walk from emulation, nor the exit from the bus lookup", () => {
    expect(study.inseparable).toContainEqual(
      expect.arrayContaining(["emulateInstruction", "walkReferenceL2", "stlbMiss", "pageWalk"]),
    );
    expect(study.inseparable).toContainEqual([
      "exitTransition",
      "vcpuEnterGuest",
      "handleExit",
      "srcuReadLock",
      "ioBusLookup",
    ]);
    expect(study.rank).toBe(5);
    expect(study.costs.filter(({ identified }) => identified).map(({ name }) => name)).toEqual([
      "datamatchCompare",
    ]);
  });

  it("prices an exit by its parts, and one by an EPT entry by what it takes more; no row takes a violation", () => {
    const exits = study.costs.filter(({ category }) => category === "exit");
    expect(exits.map(({ name }) => name)).toEqual([
      "exitTransition",
      "vcpuEnterGuest",
      "handleExit",
      "srcuReadLock",
      "eptExitExtra",
    ]);
    const byEptEntry = exits.reduce((sum, { fitted }) => sum + fitted.value, 0);
    const byInstruction = byEptEntry - exits[4].fitted.value;
    for (const { name, breakdown } of study.rows) {
      expect(breakdown.exit).toBeCloseTo(name.startsWith("mmio") ? byEptEntry : byInstruction, 6);
    }
  });

  it("says what the difference of fast MMIO and port I/O is made of: a walk with two references and another exit against the dispatch of OUT", () => {
    expect(study.difference).toEqual([
      { cost: "walkReferenceL2", times: 2 },
      { cost: "stlbMiss", times: 1 },
      { cost: "pageWalk", times: 1 },
      { cost: "eptExitExtra", times: 1 },
      { cost: "fastPioOut", times: -1 },
    ]);
  });

  it("follows a prior range that is changed, and says so", () => {
    const changed = studyPciTestdev({ costs: { fastPioOut: { low: 20, high: 60 } } });
    // Two references to L2 at 12 core cycles, which may overlap by half; a second-level TLB that is asked in vain, at 7; what
    // a walk takes beside that, 0 to 9. At 2.6 GHz, as the TSC, or up to 3.3 GHz.
    const walk = { low: ((2 * 12 * 0.5 + 7 + 0) * 2600) / 3300, high: 2 * 12 + 7 + 9 };
    expect(shown(study).walk).toMatchObject({ low: closeTo(walk.low), high: closeTo(walk.high) });
    // The exit by an EPT entry takes 200 less to 300 more than the one by OUT.
    expect(shown(study).difference).toMatchObject({
      low: closeTo(walk.low - 200 - 250),
      high: closeTo(walk.high + 300 - 20),
    });
    expect(shown(changed).difference).toMatchObject({
      low: closeTo(walk.low - 200 - 60),
      high: closeTo(walk.high + 300 - 20),
    });
    expect(changed.provenance.shownAs).toContain("fastPioOut=20..60");
    expect(changed.provenance.command).toContain("--cost fastPioOut=20..60");
  });

  it("leaves out the cases that the rows exclude, names them, and fails when the case shown is one of them", () => {
    // Exits taken alike, no costs meet the rows when the walk takes more than emulation leaves: at most 2250 cycles for both,
    // less 15 for the shortest walk of the case shown, and on this processor the walk from nothing takes 239 at least.
    const costs = { emulateInstruction: { low: 2050, high: 3500 }, eptExitExtra: { low: 0, high: 0 } };
    const { excluded, predictions } = studyPciTestdev({ costs });
    expect(excluded).toEqual([{ cpu: "westmere-x990", exitEvicts: "translations" }]);
    expect(predictions).toHaveLength(16 - 1);
    expect(() => studyPciTestdev({ costs, cpu: "westmere-x990", exitEvicts: "translations" })).toThrow(
      "no costs within their ranges meet",
    );
  });

  it.each([
    [{ fastPioOut: { low: 9, high: 3 } }, 'costs: fastPioOut: {"low":9,"high":3} is not allowed'],
    [{ walk: { low: 1, high: 3 } }, 'costs: "walk" is not allowed; allowed: one of walkReferenceL1'],
  ])("refuses the range %j", (costs, message) => {
    expect(() => studyPciTestdev({ costs: costs as never })).toThrow(message);
  });

  it("needs userspace trips of different length for MMIO and port I/O, as the rows demand", () => {
    const trip = (name: string) => study.costs.find((cost) => cost.name === name);
    expect(trip("userspaceExitMmio")?.fitted.low).toBeGreaterThan(
      trip("userspaceExitIo")?.fitted.high ?? Infinity,
    );
  });

  it("predicts that the fast bus takes MMIO from far above port I/O to about as fast", () => {
    const [before] = study.comparison.filter(({ name }) => name === "mmio-wildcard-eventfd");
    expect(before.after.high).toBeLessThan(before.before);
    for (const { difference, portIo } of study.predictions.filter(
      ({ exitEvicts }) => exitEvicts !== "translations",
    )) {
      expect(Math.abs(difference.value)).toBeLessThan(0.1 * portIo.value);
    }
  });

  it("charges the rows without a zero-length eventfd one more bus lookup, and port I/O nothing", () => {
    for (const { name, before, after } of study.comparison) {
      if (name === "mmio-wildcard-eventfd") continue;
      const lookup = study.costs.find((cost) => cost.name === "ioBusLookup");
      expect(after.value - before).toBeCloseTo(
        name.startsWith("mmio") ? (lookup?.fitted.value ?? Number.NaN) : 0,
        6,
      );
    }
  });

  it("makes two references per kick while the walk's structures stay cached, and more when they do not", () => {
    for (const { exitEvicts, references } of study.predictions) {
      expect(references).toBe(exitEvicts === "translations" ? 14 : 2);
    }
  });

  it("holds the fitted value between the ends of every range", () => {
    for (const { portIo, fastMmio, difference, walk } of study.predictions) {
      for (const { low, value, high } of [portIo, fastMmio, difference, walk]) {
        expect(low - 1e-6).toBeLessThanOrEqual(value);
        expect(value).toBeLessThanOrEqual(high + 1e-6);
      }
    }
  });

  it("is the same to the last digit when made again", () => {
    expect(JSON.stringify(studyPciTestdev())).toBe(JSON.stringify(study));
  });

  it("shows the same rows for any processor that is plausible, with the walk priced differently", () => {
    const other = studyPciTestdev({ cpu: "westmere-x990", exitEvicts: "l2" });
    expect(other.rows[1].breakdown.walk).not.toBe(study.rows[1].breakdown.walk);
    for (const { residual } of other.rows) expect(Math.abs(residual)).toBeLessThan(0.01);
  });

  it("takes the published rows for those of a processor from before 2013", () => {
    expect([...new Set(study.predictions.map(({ cpu }) => cpu))]).toEqual([
      "ivy-bridge-i7-3770k",
      "lynnfield-i7-860",
      "sandy-bridge-ep",
      "westmere-x990",
    ]);
  });

  it.each(["486", "haswell-ep-e5-2660v3"])("refuses %s as the processor of the published rows", (cpu) => {
    expect(() => studyPciTestdev({ cpu })).toThrow(
      `cpu: "${cpu}" is not allowed; allowed: one of ivy-bridge-i7-3770k, lynnfield-i7-860, sandy-bridge-ep, westmere`,
    );
  });

  it("takes rows of one's own for those of any processor with EPT", () => {
    const measurement = join(import.meta.dirname, "../../data/measurements/pci-testdev-2013.csv");
    const own = studyPciTestdev({ measurement, cpu: "haswell-ep-e5-2660v3" });
    const intel = cpuNames().filter((cpu) => loadCpu(cpu).vendor === "Intel");
    expect([...new Set(own.predictions.map(({ cpu }) => cpu))]).toEqual(intel);
    expect(own.provenance.shownAs).toContain("E5-2660 v3");
    expect(() => studyPciTestdev({ measurement, cpu: "zen-2-epyc-7742" })).toThrow(
      'cpu: "zen-2-epyc-7742" is not allowed',
    );
  });
});
