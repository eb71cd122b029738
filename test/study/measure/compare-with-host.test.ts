/** Predictions for the rows of a host whose costs are known: made up from the model, not measured. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readCostProfile } from "../../../src/cost/cost-profile.js";
import { occurrences } from "../../../src/cost/counts.js";
import { loadCpu, withTsc } from "../../../src/cost/cpu-profile.js";
import { primitiveCosts } from "../../../src/cost/primitive-costs.js";
import type { HostMachine } from "../../../src/host/machine.js";
import { measurementCsv } from "../../../src/report/measure-output.js";
import { calibrate, saveCostProfile } from "../../../src/study/calibrate/calibrate.js";
import { rowMachine } from "../../../src/study/calibrate/observations.js";
import { compareWithHost } from "../../../src/study/measure/compare-with-host.js";
import type { HostMeasurement } from "../../../src/study/measure/result.js";
import { HOST_ROWS } from "../../../src/study/measure/rows.js";
import { countRow, vmexitRow } from "../../../src/study/vmexit-rows.js";
import { Random } from "../../../src/workload/random.js";
import { measurement } from "../../report/measure-fixture.js";

const INTEL = { cpu: "skylake-sp-platinum-8160", kernel: "v6.19", mitigations: "auto" } as const;
const AMD = { cpu: "zen-3-ryzen-9-5900x", kernel: "v6.19" } as const;
const TSC_MHZ = 2000;

type Paging = "ept" | "shadow";

/** What a host measures whose costs lie somewhere in their ranges. */
function hostOf(paging: Paging, seed: number): HostMeasurement {
  const random = new Random(seed);
  const costs = primitiveCosts(withTsc(loadCpu(INTEL.cpu), TSC_MHZ), INTEL.kernel);
  const truth = costs.map(({ low, high }) => low + random.fraction() * (high - low));
  const rows = HOST_ROWS.flatMap((name) => {
    const row = vmexitRow(name, INTEL.kernel);
    if (row === undefined || !("scenario" in row)) return [];
    const counts = countRow(rowMachine({ ...INTEL, paging }), row.scenario, name);
    const median = occurrences(costs, counts).reduce((sum, n, index) => sum + n * truth[index], 0);
    return [{ ...measurement.rows[1], name, median, low: 0.995 * median, high: 1.005 * median }];
  });
  return withMachine({ ...measurement, rows }, { paging });
}

function withMachine(of: HostMeasurement, machine: Partial<HostMachine>): HostMeasurement {
  return { ...of, machine: { ...of.machine, ...machine } };
}

describe.each(["ept", "shadow"] as const)("a host that is as the model says, with %s", (paging) => {
  const host = hostOf(paging, 3);
  const { rows } = compareWithHost(host, INTEL);

  it("measures each row in the range that the costs allow, and in what its other rows leave of it", () => {
    expect(rows).toHaveLength(14);
    for (const { name, measured, predicted, fromOthers } of rows) {
      expect(predicted.low, name).toBeLessThan(measured.median);
      expect(predicted.high, name).toBeGreaterThan(measured.median);
      expect(fromOthers?.low, name).toBeLessThan(measured.median);
      expect(fromOthers?.high, name).toBeGreaterThan(measured.median);
    }
  });

  it("leaves of a row that differs little from others a part of what the costs allow", () => {
    const row = rows.find(({ name }) => name === "ro-datamatch-untouched");
    const width = (of: { low: number; high: number } | null | undefined) =>
      of ? of.high - of.low : Number.NaN;
    expect(width(row?.fromOthers)).toBeLessThan(0.2 * width(row?.predicted));
  });
});

describe("a calibration to the rows of such a host", () => {
  it("takes all that are simulated, and leaves costs that meet them", async () => {
    const host = hostOf("ept", 3);
    const path = (name: string) => join(mkdtempSync(join(tmpdir(), "exitlab-host-")), name);
    const [rows, profile] = [path("rows.csv"), path("mine.json")];
    writeFileSync(rows, measurementCsv(host));
    const calibration = await calibrate([rows], { ...INTEL, tscMhz: TSC_MHZ });
    expect(calibration.stretch).toBe(1);
    expect(calibration.times.map(({ name }) => name)).toEqual(host.rows.map(({ name }) => name));
    for (const { name, residual } of calibration.times) expect(Math.abs(residual), name).toBeLessThan(0.01);
    saveCostProfile(calibration, profile);
    const fitted = compareWithHost(host, { ...INTEL, costs: readCostProfile(profile) });
    const prior = compareWithHost(host, INTEL);
    fitted.rows.forEach(({ name, measured, predicted }, index) => {
      expect(predicted.value / measured.median, name).toBeCloseTo(1, 1);
      const before = prior.rows[index].predicted;
      expect(predicted.high - predicted.low, name).toBeLessThanOrEqual(before.high - before.low);
    });
  });
});

describe("a comparison", () => {
  it("has no prediction from rows that no costs meet, and still has the ranges", () => {
    const rows = measurement.rows.map((row) => ({ ...row, median: 10, low: 9.9, high: 10.1 }));
    const compared = compareWithHost({ ...measurement, rows }, INTEL);
    expect(compared.rows.map(({ fromOthers }) => fromOthers)).toEqual([null, null, null]);
    expect(compared.rows[0].predicted.high).toBeGreaterThan(compared.rows[0].predicted.low);
  });

  it("says why a row is not predicted", () => {
    expect(compareWithHost(measurement, INTEL).notPredicted).toEqual([
      { name: "immediate-exit", reason: "that KVM_RUN returns before it enters the guest is not modelled" },
    ]);
  });

  it("simulates the host as it is: paging, MMIO caching, what it runs on", () => {
    const some = { ...measurement, rows: measurement.rows.slice(0, 1) };
    const nested = withMachine(some, {
      paging: "shadow",
      mmioCaching: false,
      virtualized: { hypervisor: "QEMU" },
    });
    expect(compareWithHost(nested, INTEL)).toMatchObject({
      paging: "shadow",
      mmioCaching: false,
      host: "kvm",
    });
    const hyperV = withMachine(some, { virtualized: { hypervisor: "Microsoft Corporation" } });
    expect(compareWithHost(hyperV, INTEL)).toMatchObject({ paging: "ept", host: "hyper-v" });
    expect(compareWithHost(withMachine(some, { paging: "unknown" }), AMD).paging).toBe("npt");
  });

  it("refuses a processor that has no such paging", () => {
    expect(() => compareWithHost(measurement, AMD)).toThrow(
      'cpu: "zen-3-ryzen-9-5900x" is not allowed; allowed: a processor of Intel: the host\'s guests run with ept',
    );
  });

  it("takes the costs that a calibration left, of this machine only", () => {
    const costs = { ...INTEL, tscMhz: TSC_MHZ, stretch: 1, ranges: { eventfdSignal: { low: 90, high: 90 } } };
    const compared = compareWithHost(measurement, { ...INTEL, costs });
    expect(compared.fitted).toBe(true);
    expect(() => compareWithHost(measurement, { ...INTEL, mitigations: "off", costs })).toThrow(
      "costs belong to their machine",
    );
  });
});
