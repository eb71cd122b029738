/** MOV to CR3 of the root that is loaded already: what the processor and KVM forget of translations. */
import { describe, expect, it } from "vitest";
import { KERNEL_VERSIONS } from "../../src/kvm/eras.js";
import { printFtrace } from "../../src/kvm/ftrace.js";
import { Trace } from "../../src/kvm/trace.js";
import { parseEvent } from "../../src/kvm/trace-formats.js";
import { Machine } from "./machine.js";

const RAM = 0x1000_0000;
const MMIO = 0xfebf_0800;

/** How often the guest's tables, and KVM's, were read. */
function references(counts: Record<string, number>): { guest: number; nested: number } {
  const sum = (kind: string) =>
    Object.entries(counts).reduce((total, [name, count]) => total + (name.startsWith(kind) ? count : 0), 0);
  return { guest: sum("guestWalkRef"), nested: sum("eptWalkRef") };
}

function withRam(...args: ConstructorParameters<typeof Machine>): Machine {
  const machine = new Machine(...args);
  machine.slot(1, RAM, 2 ** 21);
  machine.run("store", RAM);
  machine.run("store", RAM);
  return machine;
}

describe.each(KERNEL_VERSIONS)("in %s, MOV to CR3", (kernel) => {
  it.each(["ept", "npt"] as const)(
    "does not exit with %s, and the next access walks the guest's tables",
    (paging) => {
      const machine = withRam(kernel, { paging });
      expect(machine.run("load", RAM).walkLoad).toBeUndefined();
      expect(machine.run("mov-cr3", 0)).toEqual({});
      const next = machine.run("load", RAM);
      expect(next.walkLoad).toBe(1);
      // All four levels of the guest's, for its paging-structure caches are empty, too.
      expect(references(next).guest).toBe(4);
      expect(machine.run("load", RAM).walkLoad).toBeUndefined();
    },
  );

  it("leaves with EPT what is cached of guest-physical addresses", () => {
    const machine = withRam(kernel);
    machine.run("mov-cr3", 0);
    // The guest's tables are known to the nested TLB, and to the page itself the EPT's PDE leads.
    expect(references(machine.run("load", RAM))).toEqual({ guest: 4, nested: 1 });
  });

  it("keeps to the vCPU that executes it", () => {
    const machine = withRam(kernel, { vcpus: 2 });
    machine.run("load", RAM, { vcpu: 1 });
    machine.run("mov-cr3", 0, { vcpu: 0 });
    expect(machine.run("load", RAM, { vcpu: 1 }).walkLoad).toBeUndefined();
    expect(machine.run("load", RAM, { vcpu: 0 }).walkLoad).toBe(1);
  });

  it("exits without TDP: KVM syncs the root, drops the vCPU's TLB and skips the instruction", () => {
    const machine = withRam(kernel, { paging: "shadow" });
    expect(machine.run("mov-cr3", 0)).toEqual({
      exitCrAccess: 1,
      setCr3: 1,
      tlbFlush: 1,
      vmread: 2,
      skipEmulatedInstruction: 1,
      // v6.19 sees first that there is nothing to sync.
      ...(kernel === "v6.19" ? {} : { mmuLock: 1 }),
    });
    const { vmcs, rip, wrongSkips } = machine.vm.vcpu;
    expect([vmcs.exitReason, vmcs.exitQualification, rip, wrongSkips]).toEqual([28, 0x703, 0x1003, 0]);
    const next = machine.run("load", RAM);
    expect([next.walkLoad, references(next)]).toEqual([1, { guest: 4, nested: 0 }]);
    expect(next.exitException).toBeUndefined();
  });

  it("makes shadow paging forget which linear address was MMIO", () => {
    const machine = withRam(kernel, { paging: "shadow" });
    machine.run("store", MMIO);
    expect(machine.run("store", MMIO).mmioSpteWalk).toBeUndefined();
    machine.run("mov-cr3", 0);
    expect(machine.run("store", MMIO)).toMatchObject({ exitException: 1, mmioSpteWalk: 1 });
    expect(machine.run("store", MMIO).mmioSpteWalk).toBeUndefined();
  });

  it("is in the trace by the names of its exit and of what it writes", () => {
    const machine = withRam(kernel, { paging: "shadow" });
    const { vm } = machine;
    vm.trace = new Trace();
    machine.run("mov-cr3", 0);
    const text = printFtrace(vm.trace, { kernel });
    expect(text).toMatch(/kvm_exit: .*reason CR_ACCESS rip 0x1000 info1? (0x0+)?703 /);
    expect(text).toContain(`kvm_cr: cr_write 3 = 0x${vm.vcpu.guestCr3.toString(16)}`);
    const read = [...text.matchAll(/: (kvm_\w+): (.*)/g)].map(([, name, event]) => parseEvent(name, event));
    expect(read.map((event) => event?.event)).toEqual(["kvm_exit", "kvm_cr", "kvm_entry"]);
    expect(read[0]).toMatchObject({ exitReason: 28 });
  });
});

describe("MOV to CR3 of v6.19", () => {
  it("ends with a debug exception where the guest steps", () => {
    const machine = withRam("v6.19", { paging: "shadow" });
    machine.vm.vcpu.trapFlag = true;
    expect(machine.run("mov-cr3", 0).injectException).toBe(1);
  });
});
