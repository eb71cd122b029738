/** The rows that are measured: what each has to do, and that the model does the same. */
import { describe, expect, it } from "vitest";
import { encodeInstruction } from "../../../src/host/instruction-code.js";
import type { KernelVersion } from "../../../src/kvm/eras.js";
import { checkRow, type Seen } from "../../../src/study/measure/check-row.js";
import { type GuestRow, HOST_ROWS, hostRows } from "../../../src/study/measure/rows.js";
import { isDoorbellOp } from "../../../src/study/run/scenario.js";
import { countRow, vmexitRow } from "../../../src/study/vmexit-rows.js";

const GUEST_ROWS = hostRows().filter((row): row is GuestRow => "scenario" in row);
const rowOf = (name: string) => GUEST_ROWS.find((row) => row.name === name) as GuestRow;

describe("the rows of a host", () => {
  it("are the six of pci-testdev, read-only slots populated or not, and what an exit, a fault and a call take", () => {
    expect(HOST_ROWS).toEqual([
      "mmio-no-eventfd",
      "mmio-wildcard-eventfd",
      "mmio-datamatch-eventfd",
      "portio-no-eventfd",
      "portio-wildcard-eventfd",
      "portio-datamatch-eventfd",
      "ro-wildcard-untouched",
      "ro-wildcard-populated",
      "ro-sized-untouched",
      "ro-sized-populated",
      "ro-datamatch-untouched",
      "ro-datamatch-populated",
      "cpuid",
      "ram-fault",
      "immediate-exit",
    ]);
  });

  it("are taken by name, in the order of the table", () => {
    expect(hostRows(["cpuid", "mmio-no-eventfd"]).map(({ name }) => name)).toEqual([
      "mmio-no-eventfd",
      "cpuid",
    ]);
    expect(() => hostRows(["vmcall"])).toThrow('rows: "vmcall" is not allowed; allowed: of mmio-no-eventfd,');
    expect(() => hostRows(["cpuid", "cpuid"])).toThrow("each row once");
    expect(() => hostRows([])).toThrow("at least one row");
  });

  it("compare a doorbell on no slot with one on a read-only slot by the same eventfd", () => {
    for (const name of ["wildcard", "datamatch"]) {
      const [none, readOnly] = [`mmio-${name}-eventfd`, `ro-${name}-untouched`].map(rowOf);
      expect(readOnly.scenario.ioeventfds).toEqual(none.scenario.ioeventfds);
      expect(readOnly.scenario.workload).toEqual(none.scenario.workload);
      expect(readOnly.scenario.memslots.some(({ readonly }) => readonly)).toBe(true);
    }
  });

  it.each(GUEST_ROWS)("have one access each that a guest program has: $name", ({ scenario }) => {
    const [{ op, size }, ...others] = scenario.workload;
    expect(others).toEqual([]);
    expect(isDoorbellOp(op)).toBe(false);
    if (!isDoorbellOp(op)) expect(encodeInstruction(op, size).length).toBeGreaterThan(0);
  });
});

const MACHINES = [
  { cpu: "skylake-sp-platinum-8160", kernel: "v6.19", paging: "ept" },
  { cpu: "skylake-sp-platinum-8160", kernel: "v6.19", paging: "shadow" },
  { cpu: "zen-3-ryzen-9-5900x", kernel: "v6.19", paging: "npt" },
  { cpu: "haswell-ep-e5-2660v3", kernel: "v4.2.8", paging: "ept" },
] as const;

/** What the model counts for one access of a row. */
function simulated(name: string, machine: (typeof MACHINES)[number]) {
  const row = vmexitRow(name, machine.kernel as KernelVersion);
  if (row === undefined || !("scenario" in row)) throw new Error(`${name} is not simulated`);
  const memslots = [{ gpa: 0, size: 2 ** 26 }];
  return countRow({ ...machine, memslots, accesses: 100 }, row.scenario, "test");
}

describe.each(MACHINES)("in the model, with $paging under $kernel", (machine) => {
  it.each(GUEST_ROWS)("one access of $name does what a host's has to", ({ name, signals, userspaceExit }) => {
    const counts = simulated(name, machine);
    const exits = Object.keys(counts).filter((primitive) => /^exit(?!Mitigation|Fastpath)/.test(primitive));
    expect(exits.reduce((sum, exit) => sum + counts[exit], 0)).toBe(1);
    expect(counts.eventfdSignal).toBe(signals);
    expect(counts.userspaceExitMmio).toBe(userspaceExit === "KVM_EXIT_MMIO" ? 1 : 0);
    expect(counts.userspaceExitIo).toBe(userspaceExit === "KVM_EXIT_IO" ? 1 : 0);
  });
});

describe("a kick on a read-only slot", () => {
  const [ept] = MACHINES;

  it("is an EPT violation, where the same one on no slot is a misconfiguration", () => {
    expect(simulated("mmio-datamatch-eventfd", ept)).toMatchObject({
      exitEptMisconfig: 1,
      exitEptViolation: 0,
    });
    expect(simulated("ro-datamatch-untouched", ept)).toMatchObject({
      exitEptMisconfig: 0,
      exitEptViolation: 1,
    });
  });

  it("finds no entry where the page was never touched, and one without write permission where it was read", () => {
    const untouched = simulated("ro-datamatch-untouched", ept);
    const populated = simulated("ro-datamatch-populated", ept);
    expect(untouched.fastPageFault).toBe(0);
    expect(populated.fastPageFault).toBe(1);
    expect(populated.eptWalkRefL1).toBeGreaterThan(untouched.eptWalkRefL1);
  });
});

describe("a RAM fault", () => {
  it("installs the entry of one page, in tables that are there", () => {
    expect(simulated("ram-fault", MACHINES[0])).toMatchObject({
      exitEptViolation: 1,
      tdpPageFault: 1,
      spteInstall: 1,
      emulateInstruction: 0,
    });
  });
});

describe("a row that does not do what its name says", () => {
  const seen: Seen = { accesses: 5100, signals: 5100, userspaceExits: {}, kvm: { exits: 5130 } };
  const wildcard = rowOf("mmio-wildcard-eventfd");

  it("is one whose eventfd has missed a kick", () => {
    expect(() => checkRow(wildcard, seen)).not.toThrow();
    expect(() => checkRow(wildcard, { ...seen, signals: 5099 })).toThrow(
      "mmio-wildcard-eventfd: 5100 accesses made 5099 signals, and not 5100",
    );
  });

  it("is one that has come to userspace, or has not, or as something else", () => {
    expect(() => checkRow(wildcard, { ...seen, userspaceExits: { KVM_EXIT_MMIO: 1 } })).toThrow(
      'exits to userspace {"KVM_EXIT_MMIO":1}, and not {}',
    );
    const none = rowOf("portio-no-eventfd");
    const came = { ...seen, signals: 0, userspaceExits: { KVM_EXIT_IO: 5100 } };
    expect(() => checkRow(none, came)).not.toThrow();
    expect(() => checkRow(none, { ...came, userspaceExits: { KVM_EXIT_MMIO: 5100 } })).toThrow(
      'and not {"KVM_EXIT_IO":5100}',
    );
  });

  it("is one whose guest was not left by each access, as far as KVM tells", () => {
    expect(() => checkRow(wildcard, { ...seen, kvm: { exits: 5000 } })).toThrow(
      "made 5000 exits, and not 5100 or more",
    );
    expect(() => checkRow(wildcard, { ...seen, kvm: null })).not.toThrow();
  });
});
