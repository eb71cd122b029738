/** Calibration to a host whose costs are known: from what its tools print, those costs come back. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InputError } from "../../../src/cost/input.js";
import { calibrationTable } from "../../../src/report/calibration.js";
import { calibrate, type HostCalibration } from "../../../src/study/calibrate/calibrate.js";
import { type Machine, ROWS, SyntheticHost } from "./synthetic-host.js";

const INTEL = { cpu: "skylake-sp-platinum-8160", kernel: "v6.19", mitigations: "auto" } as const;
const AMD = { cpu: "zen-3-ryzen-9-5900x", kernel: "v6.19", mitigations: "auto" } as const;
const OLD = { cpu: "haswell-ep-e5-2660v3", kernel: "v4.2", mitigations: "off" } as const;

function file(content: string, name = "times.txt"): string {
  const path = join(mkdtempSync(join(tmpdir(), "exitlab-calibrate-")), name);
  writeFileSync(path, content);
  return path;
}

function filesOf(host: SyntheticHost) {
  return { vmexit: file(host.vmexit()), perf: file(host.perf()), ftrace: file(host.ftrace()) };
}

/** What must hold whatever the seed: the noise stays within the tolerances, so the true costs are among the possible ones. */
function expectTruth(calibration: HostCalibration, host: SyntheticHost): void {
  expect(calibration.stretch).toBe(1);
  for (const { name, measured, tolerance, fitted, residual } of calibration.times) {
    expect(Math.abs(fitted - measured), name).toBeLessThan(tolerance);
    expect(residual).toBeCloseTo(fitted / measured - 1, 12);
  }
  for (const { name, fitted, prior } of calibration.costs) {
    const truth = host.truth.get(name) ?? Number.NaN;
    expect(fitted.low, name).toBeLessThanOrEqual(truth + 1e-6);
    expect(fitted.high, name).toBeGreaterThanOrEqual(truth - 1e-6);
    expect(prior.low <= fitted.low && fitted.high <= prior.high, name).toBe(true);
    expect(fitted.low <= fitted.value && fitted.value <= fitted.high, name).toBe(true);
  }
}

/** How far a sum of fitted costs is from that of the true ones, in cycles. */
function missedBy({ costs }: HostCalibration, host: SyntheticHost, names: readonly string[]): number {
  const missed = costs
    .filter(({ name }) => names.includes(name))
    .map(({ name, fitted }) => fitted.value - (host.truth.get(name) ?? Number.NaN));
  expect(missed).toHaveLength(names.length);
  return Math.abs(missed.reduce((sum, cycles) => sum + cycles, 0));
}

/** The group of those that hold a cost. */
function groupOf(groups: readonly (readonly string[])[], cost: string): readonly string[] {
  return groups.find((group) => group.includes(cost)) ?? [cost];
}

describe("a calibration to a host whose costs are known", () => {
  it.each([
    [INTEL, 1],
    [AMD, 2],
    [OLD, 3],
  ] as const)("gives them back, from each tool alone and from all together: %o", async (machine, seed) => {
    const host = new SyntheticHost(machine, seed);
    const { vmexit, perf, ftrace } = filesOf(host);
    const options = { ...machine, scenario: host.scenario };
    const alone = {
      vmexit: await calibrate([vmexit], options),
      perf: await calibrate([perf], options),
      ftrace: await calibrate([ftrace], options),
    };
    const all = await calibrate([vmexit, perf, ftrace], options);
    for (const calibration of [...Object.values(alone), all]) expectTruth(calibration, host);

    // A sum that the data fix: a row, as the guest sees it.
    const times = new Map(alone.vmexit.times.map(({ name, ...time }) => [name, time]));
    for (const row of ROWS) {
      const { fitted, tolerance } = times.get(row.split(":")[0]) ?? { fitted: 0, tolerance: 0 };
      expect(Math.abs(fitted - host.rowCycles(row)), row).toBeLessThan(1.5 * tolerance);
    }

    // What two tools see differently: the path outside of the tracepoints, and the recording. Both come of differences of
    // times, each known to a hundredth.
    const noise = 0.04 * host.rowCycles("cpuid");
    expect(missedBy(all, host, groupOf(all.inseparable, "exitTransition"))).toBeLessThan(noise);
    for (const name of ["perfRecording", "ftraceRecording", "userspaceDeviceModel"]) {
      const cost = all.costs.find((known) => known.name === name);
      expect([cost?.identified, cost?.tag], name).toEqual([true, "derived"]);
    }
    expect(missedBy(all, host, ["perfRecording"])).toBeLessThan(noise);
    expect(missedBy(all, host, ["ftraceRecording"])).toBeLessThan(noise);
  });

  it("gives them back from vmexit whatever they are", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(2 ** 31), async (seed) => {
        const host = new SyntheticHost(OLD, seed);
        expectTruth(await calibrate([file(host.vmexit())], OLD), host);
      }),
      { seed: 1, numRuns: 5, endOnFailure: true },
    );
  });

  it("tells the path outside of the tracepoints from that between them once perf or ftrace is there, and says so", async () => {
    const host = new SyntheticHost(OLD, 7);
    const { vmexit, perf, ftrace } = filesOf(host);
    const options = { ...OLD, scenario: host.scenario };
    const before = await calibrate([vmexit], options);
    const path = ["exitTransition", "vcpuEnterGuest", "handleExit", "srcuReadLock"];
    expect(groupOf(before.inseparable, "exitTransition")).toEqual(path);
    expect(groupOf(before.confounded, "exitTransition")).toEqual(expect.arrayContaining(path));
    for (const tracer of [perf, ftrace]) {
      const after = await calibrate([vmexit, tracer], options);
      expect(groupOf(after.inseparable, "exitTransition")).toEqual(["exitTransition", "vcpuEnterGuest"]);
      expect(groupOf(after.inseparable, "handleExit")).toEqual(["handleExit", "srcuReadLock"]);
      expect(groupOf(after.confounded, "exitTransition")).toEqual(["exitTransition", "vcpuEnterGuest"]);
      expect(after.rank).toBeGreaterThan(before.rank);
      const said = calibrationTable(after).replaceAll("\n", " ");
      expect(said).toContain(
        "No time tells these apart: stlbMiss, pageWalk, eptExitExtra; exitTransition, vcpuEnterGuest;",
      );
    }
  });

  it("takes times of perf and ftrace by the TSC of the host, where it is not the profile's", async () => {
    const host = new SyntheticHost(OLD, 4);
    const options = { ...OLD, scenario: host.scenario };
    const perf = file(host.perf());
    const slow = await calibrate([perf], options);
    const fast = await calibrate([perf], { ...options, tscMhz: 1.25 * slow.tscMhz });
    expect(fast.tscMhz).toBe(1.25 * slow.tscMhz);
    fast.times.forEach(({ measured }, index) => {
      expect(measured).toBeCloseTo(1.25 * slow.times[index].measured, 6);
    });
  });
});

describe("times that contradict each other", () => {
  it("are stretched until some costs meet them; the text says by how much, and no range is a point", async () => {
    const files = [file("cpuid 2000\n"), file("cpuid 2200\n")];
    const calibration = await calibrate(files, OLD);
    // 200 cycles apart, with 20 and 22 to spare.
    expect(calibration.stretch).toBeCloseTo(200 / 42, 3);
    expect(calibration.times.map(({ tolerance }) => tolerance)).toEqual([20, 22]);
    const { low, high } = calibration.costs.find(({ name }) => name === "vcpuEnterGuest")?.fitted ?? {
      low: 0,
      high: 0,
    };
    expect(high - low).toBeGreaterThan(200);
    const said = calibrationTable(calibration).replaceAll("\n", " ");
    expect(said).toContain("The times contradict each other");
    expect(said).toContain("4.76 times as wide. The ranges are for 9.52 times as wide.");
  });

  it("are one cost's doing where nothing else is in their difference", async () => {
    const rows = "portio-wildcard-eventfd 3000\nportio-datamatch-eventfd 2000\n";
    expect((await calibrate([file(rows)], OLD)).stretch).toBeGreaterThan(1);
  });
});

describe("files for a calibration", () => {
  const refused = async (files: readonly string[], message: string | RegExp, machine: Machine = OLD) => {
    await expect(calibrate(files, machine)).rejects.toThrow(InputError);
    await expect(calibrate(files, machine)).rejects.toThrow(message);
  };

  it("may be of different kinds, and may hold what is not modelled, which is left out with the reason", async () => {
    const csv =
      "row,cycles,unit,machine,kernel,source\nvmcall,1500,TSC cycles,mine,4.2,me\nmine,1,TSC cycles,mine,4.2,me\n";
    const files = [file("cpuid 1600\nmov_dr 60\nipi_halt 9000\nipi 3000\n"), file(csv)];
    const { times, leftOut } = await calibrate(files, OLD);
    expect(times.map(({ source, name }) => [source, name])).toEqual([
      ["vmexit", "cpuid"],
      ["CSV", "vmcall"],
    ]);
    expect(leftOut).toEqual([
      { file: files[0], name: "mov_dr", reason: "debug registers are not modelled" },
      { file: files[0], name: "ipi_halt", reason: "interrupts are not modelled" },
      { file: files[0], name: "ipi", reason: "interrupts are not modelled" },
      { file: files[1], name: "mine", reason: "no row of vmexit that is known" },
    ]);
  });

  it("are refused if one is there twice, however it is written", async () => {
    const once = file("cpuid 1600\n");
    await refused(
      [once, join(once, "..", ".", "times.txt")],
      /^files: .* is not allowed; allowed: each file once/,
    );
  });

  it("are refused if nothing can be learnt from them, with what they hold", async () => {
    await refused(
      [file("mov_dr 60\n")],
      "have nothing to learn from: mov_dr (debug registers are not modelled)",
    );
  });

  it("are refused with the line where one is cut, though the others are whole", async () => {
    await refused([file("cpuid 1600\n"), file("vmcall 1500\nmov_dr 6")], /times.txt: line 2: /);
  });

  it("are refused for an unknown processor, and a frequency that is none", async () => {
    const whole = [file("cpuid 1600\n")];
    await refused(whole, 'cpu: "486" is not allowed; allowed: one of', { ...OLD, cpu: "486" });
    for (const tscMhz of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      await expect(calibrate(whole, { ...OLD, tscMhz })).rejects.toThrow("allowed: MHz, more than 0");
    }
  });

  it("are refused for a kernel without the mitigations that it is said to have", async () => {
    await refused([file("cpuid 1600\n")], 'mitigations: "auto" is not allowed', {
      ...OLD,
      mitigations: "auto",
    });
  });
});
