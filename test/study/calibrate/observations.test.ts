/** Which costs a time holds, by the tool that measured it. */
import { describe, expect, it } from "vitest";
import { loadCpu } from "../../../src/cost/cpu-profile.js";
import { InputError } from "../../../src/cost/input.js";
import { primitiveCosts } from "../../../src/cost/primitive-costs.js";
import { equationsOf, type Machine } from "../../../src/study/calibrate/observations.js";
import type { Timed, TimeSource } from "../../../src/study/calibrate/times.js";
import type { ScenarioInput } from "../../../src/study/run/scenario.js";

const INTEL: Machine = { cpu: "skylake-sp-platinum-8160", kernel: "v6.19", mitigations: "auto" };
const AMD: Machine = { cpu: "zen-3-ryzen-9-5900x", kernel: "v6.19", mitigations: "off" };
const OLD: Machine = { cpu: "haswell-ep-e5-2660v3", kernel: "v4.2", mitigations: "off" };

function scenario(machine: Machine, ...workload: NonNullable<ScenarioInput["workload"]>): ScenarioInput {
  const paging = machine === AMD ? "npt" : "ept";
  return { ...machine, paging, memslots: [{ gpa: 0, size: 2 ** 22 }], workload, accesses: 100 };
}

function timed(source: TimeSource, name: string, more: Partial<Timed> = {}): Timed {
  return { file: "a", source, name, cycles: 1000, spread: 0, events: null, ...more };
}

async function equation(time: Timed, machine: Machine, input?: ScenarioInput) {
  const { observations, leftOut } = await equationsOf([time], machine, input);
  expect(leftOut).toEqual([]);
  const { counts, unseen, measured, tolerance } = observations[0];
  const occurring = Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== 0));
  return { counts: occurring, unseen, measured, tolerance };
}

const MMIO = 0xfebf_0000;

describe("a time of vmexit", () => {
  it("holds all that an access costs: the guest's walk, the transition, the handling", async () => {
    const { counts, unseen } = await equation(timed("vmexit", "mmio-wildcard-eventfd"), INTEL);
    expect(unseen).toBeUndefined();
    expect(counts).toMatchObject({ walkStore: 1, exitEptMisconfig: 1, exitMitigation: 1, eventfdSignal: 1 });
    expect(counts).not.toHaveProperty("perfEvent");
    expect(counts).not.toHaveProperty("ftraceEvent");
  });

  it("is that of nested page tables on a processor of AMD, and of a CSV file in the same way", async () => {
    for (const source of ["vmexit", "CSV"] as const) {
      const { counts } = await equation(timed(source, "mmio-datamatch-eventfd"), AMD);
      expect(counts).toMatchObject({ exitNpf: 1, datamatchCompare: 1 });
    }
  });

  it("is known to a hundredth, or as well as its runs agree", async () => {
    expect(await equation(timed("vmexit", "cpuid", { spread: 3 }), INTEL)).toMatchObject({ tolerance: 10 });
    expect(await equation(timed("vmexit", "cpuid", { spread: 30 }), INTEL)).toMatchObject({ tolerance: 30 });
  });
});

describe("a time of perf", () => {
  it("holds neither the guest nor the transition, but kvm->srcu, the handling, and the recording of kvm_exit", async () => {
    const ram = { op: "load", address: 0, footprint: 2 ** 20, pattern: "uniform" } as const;
    const input = scenario(INTEL, { op: "cpuid" }, ram);
    const { counts, unseen } = await equation(timed("perf kvm stat", "CPUID"), INTEL, input);
    const outside = [
      "exitTransition",
      "eptExitExtra",
      "eptViolationExtra",
      "exitMitigation",
      "vcpuEnterGuest",
    ];
    expect(unseen).toEqual(outside);
    // A cost of exits is either of the two: one that is new has to be said to be.
    const exits = primitiveCosts(loadCpu(INTEL.cpu), INTEL.kernel).filter(
      ({ category }) => category === "exit",
    );
    const inside = ["handleExit", "srcuReadLock"];
    expect(exits.map(({ name }) => name).sort()).toEqual([...outside, ...inside].sort());
    expect(counts).toEqual({
      exitCpuid: 1,
      exitMitigation: 1,
      retpoline: 1,
      cpuidEmulation: 1,
      vmread: 1,
      skipEmulatedInstruction: 1,
      perfEvent: 1,
    });
  });

  it.each([
    ["an exit to userspace with it", INTEL, { op: "in", address: 0x1234 }, "IO_INSTRUCTION", 2],
    ["a store to a device, by kvm_mmio", INTEL, { op: "store", address: MMIO }, "EPT_MISCONFIG", 2],
    [
      "a load from one, by kvm_mmio before and after",
      INTEL,
      { op: "load", address: MMIO },
      "EPT_MISCONFIG",
      3,
    ],
    ["the same under SVM", AMD, { op: "load", address: MMIO }, "npf", 3],
    ["RDMSR, by kvm_msr", INTEL, { op: "rdmsr" }, "MSR_READ", 2],
    ["WRMSR under SVM", AMD, { op: "wrmsr" }, "msr", 2],
    ["RDMSR on a host whose perf did not ask for kvm_msr", OLD, { op: "rdmsr" }, "MSR_READ", 1],
    ["a hypercall", OLD, { op: "vmcall" }, "VMCALL", 1],
  ] as const)(
    "holds as many recordings as events are asked for: %s",
    async (_, machine, access, reason, events) => {
      const { counts } = await equation(timed("perf kvm stat", reason), machine, scenario(machine, access));
      expect(counts.perfEvent).toBe(events);
    },
  );

  it("holds the way to userspace and back", async () => {
    const input = scenario(INTEL, { op: "store", address: MMIO });
    const { counts } = await equation(timed("perf kvm stat", "EPT_MISCONFIG"), INTEL, input);
    expect(counts).toMatchObject({ userspaceExitMmio: 1, userspaceExitMitigation: 1, emulateInstruction: 1 });
    expect(counts).not.toHaveProperty("walkStore");
  });

  it("is the average of what the scenario does in its exits", async () => {
    const out = (address: number, weight: number) => ({ op: "out", address, weight }) as const;
    const input = {
      ...scenario(INTEL, out(0x1234, 1), out(0xc000, 3)),
      ioeventfds: [{ addr: 0xc000, len: 1, pio: true }] as const,
      accesses: 4000,
    };
    const { counts } = await equation(timed("perf kvm stat", "IO_INSTRUCTION"), INTEL, input);
    expect(counts.eventfdSignal).toBeCloseTo(0.75, 1);
    expect(counts.userspaceExitIo + counts.eventfdSignal).toBe(1);
  });
});

describe("a time of ftrace", () => {
  it("holds a recording for each event that the trace shows in it", async () => {
    const input = scenario(INTEL, { op: "store", address: MMIO });
    const { counts, unseen } = await equation(
      timed("ftrace", "EPT_MISCONFIG", { events: 4.5 }),
      INTEL,
      input,
    );
    expect(counts).toMatchObject({ ftraceEvent: 4.5, emulateInstruction: 1 });
    expect(counts).not.toHaveProperty("perfEvent");
    expect(unseen).toHaveLength(5);
  });
});

describe("a time from which nothing follows", () => {
  const input = scenario(INTEL, { op: "cpuid" });
  it.each([
    [timed("vmexit", "mov_dr"), input, "debug registers are not modelled"],
    [timed("CSV", "my-test"), input, "no row of vmexit that is known"],
    [timed("perf kvm stat", "CPUID"), undefined, "a scenario must say what the guest did in these exits"],
    [timed("ftrace", "HLT"), input, "the scenario has no such exit"],
    [timed("perf kvm stat", "CPUID", { spread: null }), input, "it is the time of one exit only"],
  ])("is left out with the reason: %o", async (time, exits, reason) => {
    const { observations, leftOut } = await equationsOf([time], INTEL, exits);
    expect(observations).toEqual([]);
    expect(leftOut).toEqual([{ file: "a", name: time.name, reason }]);
  });
});

describe("a reason that a report has twice", () => {
  it("is refused by its file and name", async () => {
    const twice = [timed("perf kvm stat", "CPUID"), timed("perf kvm stat", "CPUID")];
    const equations = equationsOf(twice, INTEL, scenario(INTEL, { op: "cpuid" }));
    await expect(equations).rejects.toThrow(InputError);
    await expect(equations).rejects.toThrow("a: CPUID: stands there twice; allowed: each exit reason once");
  });
});

describe("a scenario of another machine than the measured one", () => {
  it.each([
    [{ cpu: "haswell-ep-e5-2660v3" }, 'cpu: "haswell-ep-e5-2660v3" is not allowed; allowed: "skylake-sp'],
    [{ kernel: "v4.2", mitigations: "off" }, 'kernel: "v4.2" is not allowed; allowed: "v6.19", as measured'],
    [{ mitigations: "off" }, 'mitigations: "off" is not allowed; allowed: "auto", as measured'],
    [{ paging: "npt" }, 'paging: "npt" is not allowed; allowed: "ept" or "shadow" on skylake'],
  ] as const)("is refused: %o", async (change, message) => {
    const input = { ...scenario(INTEL, { op: "cpuid" }), ...change };
    const equations = equationsOf([timed("perf kvm stat", "CPUID")], INTEL, input);
    await expect(equations).rejects.toThrow(InputError);
    await expect(equations).rejects.toThrow(`scenario: ${message}`);
  });

  it("is refused where it has the page tables of another vendor", async () => {
    const input = { ...scenario(AMD, { op: "cpuid" }), paging: "ept" } as const;
    await expect(equationsOf([], AMD, input)).rejects.toThrow(
      '"ept" is not allowed; allowed: "npt" on zen-3',
    );
  });
});
