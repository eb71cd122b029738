/** A calibration to one's own machine as records and as a mail, from a made-up one. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CATEGORIES } from "../../src/cost/primitive-costs.js";
import { TAGS } from "../../src/cost/quantity.js";
import { calibrationTable, tableCalibratedTimes } from "../../src/report/calibration.js";
import { tableCosts } from "../../src/report/costs.js";
import type { HostCalibration } from "../../src/study/calibrate/calibrate.js";
import { TIME_SOURCES } from "../../src/study/calibrate/times.js";
import { HOSTILE, unfitted } from "./fixture.js";

const calibration: HostCalibration = {
  provenance: unfitted,
  cpu: "haswell-ep-e5-2660v3",
  kernel: "v4.2",
  mitigations: "off",
  tscMhz: 2600,
  times: [
    {
      file: "vm.txt",
      source: "vmexit",
      name: "cpuid",
      measured: 1000,
      tolerance: 10,
      fitted: 1002,
      residual: 0.002,
    },
    {
      file: "perf.txt",
      source: "perf kvm stat",
      name: "CPUID",
      measured: 700,
      tolerance: 13.4,
      fitted: 693,
      residual: -0.01,
    },
  ],
  costs: [
    {
      name: "exitTransition",
      category: "exit",
      prior: { low: 355, value: 800, high: 1200 },
      fitted: { low: 400, value: 500.4, high: 612 },
      identified: false,
      tag: "derived",
      source: "fitted to times of vmexit, perf kvm stat, by exitlab calibrate",
    },
    {
      name: "vmread",
      category: "handler",
      prior: { low: 10, value: 45, high: 80 },
      fitted: { low: 10, value: 51.26, high: 80 },
      identified: true,
      tag: "assumed",
      source: "nobody published it",
    },
  ],
  rank: 2,
  stretch: 1,
  inseparable: [
    ["exitTransition", "vcpuEnterGuest"],
    ["handleExit", "srcuReadLock"],
  ],
  confounded: [["exitTransition", "vcpuEnterGuest", "handleExit", "srcuReadLock"], ["vmread"]],
  leftOut: [
    { file: "vm.txt", name: "ipi", reason: "interrupts are not modelled" },
    { file: "vm.txt", name: "mov_dr", reason: "debug registers are not modelled" },
    { file: "vm.txt", name: "ipi_halt", reason: "interrupts are not modelled" },
  ],
};

describe("the text of a calibration", () => {
  it("has times against the fit, what became of each cost, and what stays unknown", () => {
    const [head, ...parts] = calibrationTable(calibration).split("\n\n");
    expect(head).toMatch(
      /^SIMULATED, not hardware\nexitlab 0\.1\.0, model 3f2a91c0, data b07c55d2, seed 1\n/,
    );
    expect(parts.join("\n\n")).toBe(`Times against the fit [TSC cycles at 2600 MHz]
SIMULATED time  from           measured  +-   fit  residual
cpuid           vmexit             1000  10  1002    +0.20%
CPUID           perf kvm stat       700  13   693    -1.00%

Costs, known before and left by the fit [TSC cycles]
SIMULATED cost  is            prior  fitted       range
exitTransition  derived   355..1200     500    400..612
vmread          assumed  10.0..80.0    51.3  10.0..80.0

2 times fix 2 independent sums of 2 costs, and by themselves vmread; of
all others only sums. A cost that is not called derived keeps nine
tenths of its prior's range or more.

No time tells these apart: exitTransition, vcpuEnterGuest; handleExit,
srcuReadLock.

Left out: ipi, ipi_halt of vm.txt: interrupts are not modelled.

Left out: mov_dr of vm.txt: debug registers are not modelled.

To repeat:
  npx exitlab study made-up
`);
  });

  it("says that times contradict each other, by how much, and for what the ranges are", () => {
    const text = calibrationTable({ ...calibration, stretch: 1.256 }).replaceAll("\n", " ");
    expect(text).toContain(
      "contradict each other, or the assumed ranges: no costs meet them unless their tolerances are 1.26 times",
    );
    expect(text).toContain("The ranges are for 2.51 times as wide.");
    expect(calibrationTable(calibration)).not.toContain("contradict");
  });

  it("has no empty sentence where all is determined and nothing left out", () => {
    const text = calibrationTable({ ...calibration, inseparable: [], confounded: [["vmread"]], leftOut: [] });
    expect(text).not.toMatch(/No time tells|Left out/);
    expect(text).toMatch(/prior's\srange\sor\smore\.\n\nTo repeat/);
  });

  it("is fit for a mail whatever files and unknown rows are called, and whatever the figures are", () => {
    const name = fc.oneof(fc.constant(HOSTILE), fc.string({ unit: "grapheme", maxLength: 200 }));
    const figure = fc.double({ min: -1e6, max: 1e8, noNaN: true });
    const interval = fc.record({ low: figure, value: figure, high: figure });
    const times = fc.record({
      file: name,
      source: fc.constantFrom(...TIME_SOURCES),
      name: fc.constantFrom("portio-datamatch-eventfd", "EPT_MISCONFIG"),
      measured: figure,
      tolerance: figure,
      fitted: figure,
      residual: fc.double({ min: -1, max: 1e3, noNaN: true }),
    });
    const costs = fc.record({
      name: fc.constantFrom("userspaceExitMitigation", "vmread"),
      category: fc.constantFrom(...CATEGORIES),
      prior: interval,
      fitted: interval,
      identified: fc.boolean(),
      tag: fc.constantFrom(...TAGS),
      source: name,
    });
    const leftOut = fc.record({ file: name, name, reason: fc.constantFrom("interrupts are not modelled") });
    fc.assert(
      fc.property(
        fc.array(times, { minLength: 1, maxLength: 5 }),
        fc.array(costs, { minLength: 1, maxLength: 5 }),
        fc.array(leftOut, { maxLength: 5 }),
        fc.double({ min: 1, max: 1e6, noNaN: true }),
        (someTimes, someCosts, someLeftOut, stretch) => {
          const text = calibrationTable({
            ...calibration,
            times: someTimes,
            costs: someCosts,
            leftOut: someLeftOut,
            stretch,
          });
          for (const line of text.split("\n")) expect(line).toMatch(/^$|^[\x20-\x7e]{0,71}[\x21-\x7e]$/);
        },
      ),
      { seed: 1, numRuns: 300 },
    );
  });
});

describe("the records of a calibration", () => {
  it("are one per time and one per cost, for a frame", () => {
    expect(tableCalibratedTimes(calibration)[1]).toEqual({
      file: "perf.txt",
      source: "perf kvm stat",
      name: "CPUID",
      measured: 700,
      tolerance: 13.4,
      fitted: 693,
      residual: -0.01,
    });
    expect(tableCosts(calibration)[0]).toEqual({
      name: "exitTransition",
      category: "exit",
      unit: "TSC cycles",
      identified: false,
      tag: "derived",
      priorLow: 355,
      prior: 800,
      priorHigh: 1200,
      fittedLow: 400,
      fitted: 500.4,
      fittedHigh: 612,
      source: "fitted to times of vmexit, perf kvm stat, by exitlab calibrate",
    });
  });
});
