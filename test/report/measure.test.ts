/** A host's rows as a table, as vmexit prints them, as rows for a calibration, and against the model; all of it made up. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readMeasurement } from "../../src/cost/measurements.js";
import { parseVmexit } from "../../src/cost/vmexit-output.js";
import { measureTable, tableMeasured } from "../../src/report/measure.js";
import { hostComparisonTable, tableHostComparison } from "../../src/report/measure-comparison.js";
import { plotMeasured } from "../../src/report/measure-figure.js";
import { measurementCsv, vmexitText } from "../../src/report/measure-output.js";
import { calibrate } from "../../src/study/calibrate/calibrate.js";
import type { HostMeasurement } from "../../src/study/measure/result.js";
import { HOSTILE } from "./fixture.js";
import { hostComparison, measurement } from "./measure-fixture.js";

const textOf = (changes: Partial<HostMeasurement>) =>
  measureTable({ ...measurement, ...changes }).replaceAll("\n", " ");

function file(name: string, text: string): string {
  const path = join(mkdtempSync(join(tmpdir(), "exitlab-measure-")), name);
  writeFileSync(path, text);
  return path;
}

describe("the table of a measurement", () => {
  it("has the machine, the times, what one access did, and how to repeat it", async () => {
    await expect(measureTable(measurement)).toMatchFileSnapshot("golden/measure.txt");
  });

  it("says which rows go to userspace, and that it is not QEMU", () => {
    expect(textOf({})).toContain(
      "Userspace of mmio-no-eventfd, immediate-exit is Node through a foreign-function interface here, and not QEMU",
    );
    expect(textOf({ rows: measurement.rows.slice(1, 3) })).not.toContain("QEMU");
  });

  it("says that the machine is noisy where the runs of a row do not agree", () => {
    expect(textOf({})).toContain("! This machine is noisy: of mmio-no-eventfd the runs do not agree");
    expect(textOf({ rows: measurement.rows.slice(1) })).not.toContain("noisy");
  });

  it("says what the times of such a machine do not say, what would help, and what an interrupt has cost", () => {
    const text = textOf({
      limits: ["Guests run with shadow paging."],
      advice: ["Turbo is on."],
      unfinished: ["cpuid", "ram-fault"],
      tsc: { mhz: null, measured: null, doubts: ["KVM does not say."] },
    });
    expect(text).toContain("What these times do not say: - Guests run with shadow paging.");
    expect(text).toContain("What would make them steadier: - Turbo is on.");
    expect(text).toContain("Interrupted before they were done: cpuid, ram-fault.");
    expect(text).toContain("TSC: of unknown frequency. KVM does not say.");
  });

  it("is fit for a mail whatever the machine is called", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 200 }), (name) => {
        const machine = {
          ...measurement.machine,
          cpuModel: name,
          kernel: name,
          mitigations: { [name]: name },
        };
        for (const line of measureTable({ ...measurement, machine, pmuNotes: [`because of ${name}.`] }).split(
          "\n",
        ))
          expect(line).toMatch(/^[\x20-\x7e]{0,75}$/);
      }),
    );
  });
});

it("a row that failed is named, and why", () => {
  const failed = [{ name: "cpuid", reason: "cpuid: 100 accesses made 99 exits, and not 100 or more" }];
  expect(measureTable({ ...measurement, failed })).toContain(
    "Not measured: cpuid, for cpuid: 100 accesses made 99 exits, and not 100\nor more.",
  );
});

describe("the text of vmexit", () => {
  it("has a line for each row of each run, in TSC cycles", () => {
    const rows = parseVmexit(vmexitText(measurement), "measured");
    expect(rows).toHaveLength(24);
    expect(rows.slice(0, 4).map(({ row, cycles }) => [row, cycles])).toEqual([
      ["mmio-no-eventfd", 9020],
      ["mmio-wildcard-eventfd", 1294],
      ["ro-wildcard-untouched", 2890],
      // 745 ns at 2000 MHz.
      ["immediate-exit", 1490],
    ]);
  });

  it("leaves out what is in ns where the TSC's frequency is not known", () => {
    const text = vmexitText({ ...measurement, tsc: { ...measurement.tsc, mhz: null } });
    expect(parseVmexit(text, "measured").map(({ row }) => row)).not.toContain("immediate-exit");
  });
});

describe("the CSV rows", () => {
  it("are a measurement of one machine, with half of the interval as their spread", () => {
    const csv = readMeasurement(file("rows.csv", measurementCsv(measurement)));
    // Without what comes to userspace: there it took Node's time.
    expect(csv.names).toEqual(["mmio-wildcard-eventfd", "ro-wildcard-untouched"]);
    expect([csv.row("mmio-wildcard-eventfd"), csv.spread("mmio-wildcard-eventfd")]).toEqual([1300, 6]);
    expect(csv.tscMhz).toBe(2000);
    expect(csv.machine).toBe("Made-up CPU @ 2.00GHz, microcode 0x1, kvm_intel, EPT");
    expect(csv.source).toBe("exitlab 0.1.0 measure, 2026-01-02T03:04:05.000Z");
  });

  it("have no spread where all runs are equal, and need no frequency", () => {
    const rows = measurement.rows.map((row) => ({ ...row, low: row.median, high: row.median }));
    const tsc = { ...measurement.tsc, mhz: null };
    const csv = readMeasurement(file("rows.csv", measurementCsv({ ...measurement, rows, tsc })));
    expect(csv.spread("mmio-wildcard-eventfd")).toBeNull();
    expect(csv.tscMhz).toBeNull();
  });

  it("are read whatever the machine is called", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", minLength: 1, maxLength: 200 }), (name) => {
        const machine = { ...measurement.machine, cpuModel: name, kernel: name };
        const csv = readMeasurement(file("rows.csv", measurementCsv({ ...measurement, machine })));
        expect(csv.names).toHaveLength(2);
      }),
      { numRuns: 30 },
    );
  });
});

describe("a calibration", () => {
  const options = { cpu: "skylake-sp-platinum-8160", kernel: "v6.19", tscMhz: 2000 } as const;

  it("takes what is measured in both forms, the rows on read-only slots too", async () => {
    const csv = file("rows.csv", measurementCsv(measurement));
    const vmexit = file("vmexit.txt", vmexitText(measurement));
    const [ofCsv, ofText] = [await calibrate([csv], options), await calibrate([vmexit], options)];
    const [wildcard, readOnly] = ["mmio-wildcard-eventfd", "ro-wildcard-untouched"];
    expect(ofCsv.times.map(({ name }) => name)).toEqual([wildcard, readOnly]);
    expect(ofText.times.map(({ name }) => name)).toEqual(["mmio-no-eventfd", wildcard, readOnly]);
    expect(ofText.leftOut.map(({ name, reason }) => [name, reason])).toEqual([
      ["immediate-exit", "that KVM_RUN returns before it enters the guest is not modelled"],
    ]);
    expect(ofCsv.times[0].measured).toBe(1300);
    expect(ofText.times[1].measured).toBeCloseTo(1300, 5);
  });

  it("simulates rows of a host with shadow paging as page faults, when it is told", async () => {
    const csv = file("rows.csv", measurementCsv(measurement));
    const shadow = await calibrate([csv], { ...options, paging: "shadow" });
    const ept = await calibrate([csv], options);
    const names = ({ costs }: typeof shadow) => costs.map(({ name }) => name);
    expect(names(shadow)).not.toContain("eptExitExtra");
    expect(names(ept)).toContain("eptExitExtra");
    expect(shadow.provenance.command).toContain("--paging shadow");
  });
});

describe("the model against a host", () => {
  it("has ranges, what the other rows leave of them, and where the measured interval lies", async () => {
    await expect(hostComparisonTable(measurement, hostComparison)).toMatchFileSnapshot(
      "golden/host-comparison.txt",
    );
    expect(tableHostComparison(hostComparison).map(({ row, verdict }) => [row, verdict])).toEqual([
      ["mmio-no-eventfd", "within"],
      ["mmio-wildcard-eventfd", "below"],
      ["ro-wildcard-untouched", "above"],
    ]);
  });

  it("says of costs that were fitted to this machine that they may predict nothing", () => {
    const text = hostComparisonTable(measurement, { ...hostComparison, fitted: true }).replaceAll("\n", " ");
    expect(text).toContain("ranges predict nothing");
  });
});

describe("the figure of a measurement", () => {
  it("has the rows that the guest timed, with their intervals, and is of no simulation", () => {
    const figure = plotMeasured(measurement);
    expect(figure.title).toMatch(/^MEASURED/);
    expect(figure.provenance).toBeNull();
    expect(figure.machine).toContain("Made-up CPU");
    const [{ x, error_x }] = figure.data as unknown as { x: number[]; error_x: { array: number[] } }[];
    expect(x).toEqual([9100, 1300, 2900.4]);
    expect(error_x.array).toEqual([80, 6, 10].map((half) => expect.closeTo(half, 9)));
    expect(figure.table).toEqual(tableMeasured(measurement));
  });

  it("has the model's ranges under them, and their numbers, where there is a comparison", () => {
    const figure = plotMeasured(measurement, hostComparison);
    expect(figure.title).toMatch(/^SIMULATED/);
    expect(figure.data.map(({ name }) => name)).toEqual([
      "simulated: the costs' ranges",
      "simulated: what the other rows leave",
      "measured",
    ]);
    expect(figure.table).toEqual(tableHostComparison(hostComparison));
  });

  it("shows nothing where no row is in cycles", () => {
    expect(() => plotMeasured({ ...measurement, rows: measurement.rows.slice(3) })).toThrow(
      "nothing to show",
    );
  });

  it("shows a name of others as text", () => {
    const machine = { ...measurement.machine, cpuModel: HOSTILE };
    expect(plotMeasured({ ...measurement, machine }).machine).toContain(HOSTILE);
  });
});
