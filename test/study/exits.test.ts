/** Exits of small scenarios whose costs are given in round figures, so that their times can be added up by hand. */
import { describe, expect, it } from "vitest";
import type { CostRange } from "../../src/cost/primitive-costs.js";
import { OUTSIDE_OF_TRACEPOINTS } from "../../src/cost/primitive-costs.js";
import { ExitCounts } from "../../src/kvm/exit-counts.js";
import { equationsOf } from "../../src/study/calibrate/observations.js";
import { exitsOf, studyExits } from "../../src/study/exits.js";
import { priceRun } from "../../src/study/price.js";
import { run } from "../../src/study/run/run.js";
import type { ScenarioInput } from "../../src/study/run/scenario.js";

const DEVICE = 0xfebf_0000;
/** Its TSC runs at 2600 MHz. */
const machine = {
  cpu: "haswell-ep-e5-2660v3",
  kernel: "v6.19",
  memslots: [{ gpa: 0, size: 64 * 2 ** 20 }],
} as const;
const fastMmio = { ioeventfds: [{ addr: DEVICE, len: 0 }] } as const;
const kick = { op: "store", address: DEVICE } as const;
/** Beside the ioeventfd in its page: emulated, then to userspace. */
const unmatched = { op: "store", address: DEVICE + 8 } as const;

const exactly = (cycles: number): CostRange => ({ low: cycles, high: cycles });
const upTo = (cycles: number): CostRange => ({ low: cycles / 2, value: cycles, high: 2 * cycles });

/** What a kick through the fast MMIO bus costs: once each, but vmread, the compares and the transitions. */
const KICK = {
  handleExit: upTo(1000),
  srcuReadLock: exactly(100),
  skipEmulatedInstruction: exactly(10),
  ioBusLookup: exactly(20),
  ioeventfdInRange: exactly(30),
  eventfdSignal: exactly(40),
  // Two of each.
  vmread: exactly(50),
  ioBusCompare: exactly(60),
};
const KICK_CYCLES = 1000 + 100 + 10 + 20 + 30 + 40 + 2 * 50 + 2 * 60;
const OUTSIDE = { exitTransition: upTo(1200), vcpuEnterGuest: exactly(400), eptExitExtra: exactly(-50) };
const ranges = { ...KICK, ...OUTSIDE };

describe("ten kicks through the fast MMIO bus", () => {
  const kicks = () => studyExits({ ...machine, ...fastMmio, workload: [kick], accesses: 10 }, { ranges });

  it("are ten exits of one reason that all take the same, to the last bit", async () => {
    const { reasons, samples } = await kicks();
    expect(samples).toBe(10);
    expect(reasons).toHaveLength(1);
    expect(reasons[0]).toMatchObject({
      reason: "EPT_MISCONFIG",
      samples: 10,
      cycles: { least: KICK_CYCLES, mean: KICK_CYCLES, greatest: KICK_CYCLES },
      relativeError: 0,
      distribution: [{ cycles: KICK_CYCLES, us: KICK_CYCLES / 2600, samples: 10 }],
    });
  });

  it("have a mean as uncertain as the costs in it, and as many microseconds as the TSC says", async () => {
    const [{ cycles, us }] = (await kicks()).reasons;
    expect([cycles.low, cycles.high]).toEqual([KICK_CYCLES - 500, KICK_CYCLES + 1000]);
    for (const part of ["least", "mean", "greatest", "low", "high"] as const)
      expect(us[part]).toBe(cycles[part] / 2600);
  });

  it("take what the processor's transitions take outside of the tracepoints, where perf does not see it", async () => {
    const { handled, outside, reasons } = await kicks();
    expect(reasons[0].outside).toEqual({ low: 950, value: 1550, high: 2750 });
    expect(handled.value).toBe(10 * KICK_CYCLES);
    expect(outside.value).toBe(10 * 1550);
  });

  it("take so the same that a calibration does not see in times of perf", async () => {
    const perf = {
      file: "report.txt",
      name: "EPT_MISCONFIG",
      source: "perf kvm stat",
      cycles: 2000,
      spread: 1,
      events: null,
    } as const;
    const host = { cpu: machine.cpu, kernel: machine.kernel, mitigations: "off" } as const;
    const scenario = { ...machine, ...fastMmio, workload: [kick], accesses: 10 };
    const { observations } = await equationsOf([perf], host, scenario);
    expect(observations[0].unseen).toEqual(OUTSIDE_OF_TRACEPOINTS);
  });

  it("say which processor, kernel and seed they are of", async () => {
    const { machine: model, conditions, provenance, scenario } = await kicks();
    expect(model).toBe("Intel Xeon E5-2660 v3 (Haswell-EP)");
    expect(conditions).toMatchObject({ kernel: "v6.19", mitigations: "off", tsc: { value: 2600 } });
    expect([provenance.seed, scenario.accesses]).toEqual([1, 10]);
  });
});

describe("kicks of which one in four goes to userspace", () => {
  const mix = { ...machine, ...fastMmio, workload: [kick, { ...unmatched, weight: 1 / 3 }], accesses: 4000 };
  const emulated = {
    ...{ emulateInstruction: exactly(2000), guestWalkInSoftware: exactly(300) },
    ...{ vcpuMatchMmioGpa: exactly(5), userspaceExitMmio: exactly(10_000) },
  };
  // Emulated it reads one field of the VMCS, and looks for the device on both buses.
  const USERSPACE_CYCLES = 1000 + 100 + 50 + 2 * 20 + 2 * 60 + 2000 + 300 + 2 * 5 + 10_000;
  const study = () => studyExits(mix, { ranges: { ...ranges, ...emulated } });

  it("are one reason with two distinct times", async () => {
    const { reasons } = await study();
    expect(reasons.map(({ reason }) => reason)).toEqual(["EPT_MISCONFIG"]);
    const [{ distribution, samples }] = reasons;
    expect(distribution.map(({ cycles }) => cycles)).toEqual([KICK_CYCLES, USERSPACE_CYCLES]);
    expect(distribution.reduce((sum, { samples: n }) => sum + n, 0)).toBe(samples);
    expect(distribution[1].samples / samples).toBeCloseTo(0.25, 1);
  });

  it("have the mean of both, and perf's error of it: n - 1 under the squares, n under the variance", async () => {
    const [{ cycles, distribution, relativeError }] = (await study()).reasons;
    const times = distribution.flatMap(({ cycles: time, samples }) => Array<number>(samples).fill(time));
    const mean = times.reduce((sum, time) => sum + time, 0) / times.length;
    const variance = times.reduce((sum, time) => sum + (time - mean) ** 2, 0) / (times.length - 1);
    expect(cycles).toMatchObject({ least: KICK_CYCLES, greatest: USERSPACE_CYCLES });
    expect(cycles.mean).toBeCloseTo(mean, 6);
    expect(relativeError).toBeCloseTo(Math.sqrt(variance / times.length) / mean, 9);
  });
});

describe("exits of several reasons", () => {
  const input: ScenarioInput = {
    ...machine,
    ...fastMmio,
    mitigations: "auto",
    workload: [
      { ...kick, weight: 5 },
      { ...unmatched, weight: 2 },
      { op: "in", address: 0x510, weight: 2 },
      { op: "load", address: 0x100_0000, size: 8, footprint: 0x80_0000, pattern: "uniform", fresh: true },
      { op: "cpuid", weight: 0.1 },
    ],
    accesses: 2000,
  };
  const exits = new ExitCounts();
  const done = run(input, "scenario", { exitCounts: exits });
  const study = exitsOf(done, exits);
  const { reasons } = study;

  it("are in the order of perf's table: the most frequent first", () => {
    expect(reasons.map(({ reason }) => reason)).toEqual([
      "EPT_MISCONFIG",
      "IO_INSTRUCTION",
      "EPT_VIOLATION",
      "CPUID",
    ]);
    const samples = reasons.map((of) => of.samples);
    expect(samples).toEqual([...samples].sort((one, other) => other - one));
    expect(samples.reduce((sum, n) => sum + n, 0)).toBe(study.samples);
    expect(samples).toEqual(
      ["exitEptMisconfig", "exitIoInstruction", "exitEptViolation", "exitCpuid"].map(
        (name) => done.counts[name],
      ),
    );
  });

  it.each(["low", "value", "high"] as const)(
    "take as much as the run's price has for all but walks and memory: %s",
    (end) => {
      const { byCategory } = priceRun(done);
      const priced = ["exit", "handler", "emulation", "bus", "eventfd", "userspace"] as const;
      const perAccess = priced.reduce((sum, category) => sum + byCategory[category][end], 0);
      const mean = end === "value" ? "mean" : end;
      const cycles = reasons.reduce(
        (sum, { samples, cycles: time, outside }) => sum + samples * (time[mean] + outside[end]),
        0,
      );
      expect(cycles / (perAccess * done.accesses)).toBeCloseTo(1, 9);
      expect((study.handled[end] + study.outside[end]) / cycles).toBeCloseTo(1, 9);
    },
  );

  it("are the same from studyExits, and are plain JSON", async () => {
    expect(await studyExits(input)).toEqual(study);
    expect(JSON.parse(JSON.stringify(study))).toEqual(study);
  });

  it("have no error where there is one sample", async () => {
    const once = await studyExits({ ...machine, workload: [{ op: "cpuid" }], accesses: 1 });
    expect(once.reasons).toMatchObject([{ reason: "CPUID", samples: 1, relativeError: null }]);
  });

  it("have the names of SVM on a processor with nested page tables", async () => {
    const npt = await studyExits({
      ...machine,
      ...fastMmio,
      cpu: "zen-2-epyc-7742",
      paging: "npt",
      workload: [kick],
      accesses: 10,
    });
    expect(npt.reasons.map(({ reason }) => reason)).toEqual(["npf"]);
  });

  it("are none where the guest does nothing that exits", async () => {
    const none = await studyExits({ ...machine, workload: [{ op: "mov-cr3" }], accesses: 10 });
    expect(none).toMatchObject({ samples: 0, reasons: [], handled: { value: 0 } });
  });

  it("take no time from kvm_exit on where all costs there are none", async () => {
    const free = Object.fromEntries(
      ["handleExit", "srcuReadLock", "cpuidEmulation", "skipEmulatedInstruction", "vmread", "retpoline"].map(
        (name) => [name, exactly(0)],
      ),
    );
    const { reasons: of } = await studyExits(
      { ...machine, workload: [{ op: "cpuid" }], accesses: 3 },
      { ranges: free },
    );
    expect(of).toMatchObject([{ cycles: { mean: 0, high: 0 }, relativeError: 0 }]);
  });
});

describe("exits of a run that found its warm-up by itself", () => {
  it("hold those of the warm-up, so that its length is said", () => {
    const exitCounts = new ExitCounts();
    const done = run({ ...machine, ...fastMmio, workload: [kick], accesses: 10 }, "scenario", { exitCounts });
    expect(exitsOf(done, exitCounts).warmUp).toBe(0);
    const precision = { warmUp: 3, instructions: 7, mean: 1, halfWidth: 0, reached: true };
    const found = exitsOf({ ...done, accesses: 7, precision }, exitCounts);
    expect([found.samples, found.warmUp]).toEqual([10, 3]);
  });
});

describe("costs of a calibration", () => {
  it("are taken with the frequency of their TSC", async () => {
    const profile = {
      cpu: machine.cpu,
      kernel: machine.kernel,
      mitigations: "off",
      tscMhz: 2000,
      stretch: 1,
      ranges: { ...KICK, ...OUTSIDE },
    } as const;
    const scenario = { ...machine, ...fastMmio, workload: [kick], accesses: 10 };
    const { reasons, provenance } = await studyExits(scenario, { profile });
    expect(reasons[0].us.mean).toBe(KICK_CYCLES / 2000);
    expect(provenance.calibration).toBe("times of this machine");
    const stretched = await studyExits(scenario, { profile: { ...profile, stretch: 2.5 } });
    expect(stretched.provenance.calibration).toBe("times of this machine, within 2.5 times their tolerances");
    expect((await studyExits(scenario)).provenance.calibration).toBeUndefined();
    const other = { ...profile, kernel: "v4.2" } as const;
    await expect(studyExits(scenario, { profile: other })).rejects.toThrow("cost profile: kernel");
  });
});
