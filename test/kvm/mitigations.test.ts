/** What the kernel does against speculative execution is counted, and changes nothing else. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { INSTRUCTION_FORMS, type InstructionName } from "../../src/kvm/instruction.js";
import { KVM_IOEVENTFD_FLAG_DATAMATCH, KVM_IOEVENTFD_FLAG_PIO } from "../../src/kvm/ioeventfd.js";
import type { Mitigations } from "../../src/kvm/kvm.js";
import { KVM_MEM_READONLY } from "../../src/kvm/memslots.js";
import { PAGINGS, type Paging } from "../../src/kvm/spte.js";
import { Machine } from "./machine.js";

const RAM = 0x1000_0000;
const ROM = 0x2000_0000;
const MMIO = 0xfebf_0800;
const PORT = 0x510;
const MB2 = 2 ** 21;

/** v6.19 with memory, a read-only slot, and at MMIO two ioeventfds of 4 bytes that look at the value. */
function machineOf(mitigations: Mitigations, paging: Paging = "ept"): Machine {
  const machine = new Machine("v6.19", { mitigations, paging });
  machine.slot(1, RAM, MB2);
  machine.slot(2, ROM, MB2, { flags: KVM_MEM_READONLY });
  for (const value of [1, 2]) machine.ioeventfd(MMIO, 4, KVM_IOEVENTFD_FLAG_DATAMATCH, value);
  machine.ioeventfd(MMIO + 0x100, 0);
  machine.ioeventfd(PORT, 4, KVM_IOEVENTFD_FLAG_PIO);
  return machine;
}

/** What an instruction counts of mitigations. */
function mitigated(counts: Record<string, number>) {
  const { exitMitigation = 0, retpoline = 0, userspaceExitMitigation = 0 } = counts;
  return { exitMitigation, retpoline, userspaceExitMitigation };
}

describe("mitigations=auto", () => {
  it("counts nothing for an access that stays in the guest", () => {
    const machine = machineOf("auto");
    machine.run("store", RAM);
    const { exitMitigation, retpoline } = machine.run("store", RAM);
    expect([exitMitigation, retpoline]).toEqual([undefined, undefined]);
  });

  it("counts every exit, and a retpoline for the handler of a violation", () => {
    const machine = machineOf("auto");
    const violation = machine.run("store", RAM);
    expect(violation.exitEptViolation).toBe(1);
    expect(mitigated(violation)).toEqual({ exitMitigation: 1, retpoline: 1, userspaceExitMitigation: 0 });
  });

  it("calls the handler of a misconfiguration directly: the fast bus costs the retpoline of its device", () => {
    const machine = machineOf("auto");
    machine.run("store", MMIO + 0x100);
    const kick = machine.run("store", MMIO + 0x100);
    expect(kick).toMatchObject({ exitEptMisconfig: 1, eventfdSignal: 1 });
    expect(mitigated(kick)).toEqual({ exitMitigation: 1, retpoline: 1, userspaceExitMitigation: 0 });
  });

  it("calls the handler of a nested page fault directly, too", () => {
    const machine = machineOf("auto", "npt");
    const fault = machine.run("store", RAM);
    expect(fault.exitNpf).toBe(1);
    expect(mitigated(fault)).toEqual({ exitMitigation: 1, retpoline: 0, userspaceExitMitigation: 0 });
  });

  it("counts a retpoline for each device that the bus tries", () => {
    const machine = machineOf("auto");
    machine.run("store", MMIO, { size: 4, value: 9 });
    const tried = machine.run("store", MMIO, { size: 4, value: 9 });
    expect(tried).toMatchObject({ exitEptMisconfig: 1, ioeventfdInRange: 2 });
    expect(mitigated(tried)).toEqual({ exitMitigation: 1, retpoline: 2, userspaceExitMitigation: 1 });
  });

  it("calls no device that takes no reads", () => {
    const machine = machineOf("auto");
    machine.run("load", MMIO, { size: 4 });
    const load = machine.run("load", MMIO, { size: 4 });
    expect(load.userspaceExitMmio).toBe(1);
    expect(mitigated(load)).toEqual({ exitMitigation: 1, retpoline: 0, userspaceExitMitigation: 1 });
  });

  it("calls the local APIC before the MMIO bus, wherever the access goes", () => {
    const machine = machineOf("auto");
    machine.vm.kvmCreateIrqchip();
    machine.run("store", MMIO + 0x200);
    expect(mitigated(machine.run("store", MMIO + 0x200)).retpoline).toBe(1);
    machine.run("store", 0xfee0_0080);
    expect(mitigated(machine.run("store", 0xfee0_0080)).retpoline).toBe(1);
  });

  it.each(["ept", "npt"] as const)(
    "with %s, counts two retpolines for a port: the handler's and the device's",
    (paging) => {
      const out = machineOf("auto", paging).run("out", PORT, { size: 4 });
      expect(out.eventfdSignal).toBe(1);
      expect(mitigated(out)).toEqual({ exitMitigation: 1, retpoline: 2, userspaceExitMitigation: 0 });
    },
  );

  it("counts every exit to userspace", () => {
    const out = machineOf("auto").run("out", PORT + 8, { size: 4 });
    expect(mitigated(out)).toEqual({ exitMitigation: 1, retpoline: 1, userspaceExitMitigation: 1 });
  });
});

describe("the kernels before", () => {
  it.each(["v3.9", "v4.2", "v4.2.8"] as const)("%s knows no mitigations", (kernel) => {
    const machine = new Machine(kernel, { mitigations: "auto" });
    const store = machine.run("store", MMIO);
    expect(store.userspaceExitMmio).toBe(1);
    expect(mitigated(store)).toEqual({ exitMitigation: 0, retpoline: 0, userspaceExitMitigation: 0 });
  });
});

describe.each(PAGINGS)("with %s, mitigations", (paging) => {
  const ops = Object.keys(INSTRUCTION_FORMS).filter(
    (op): op is InstructionName => op !== "fetch" && op !== "event",
  );
  const access = fc.record({
    op: fc.constantFrom(...ops),
    base: fc.constantFrom(RAM, RAM + 0x3000, ROM, MMIO, MMIO + 0x100, MMIO + 0x1000),
    value: fc.nat(3),
  });

  it("change no outcome and no other count, and off counts none of them", () => {
    fc.assert(
      fc.property(fc.array(access, { maxLength: 30 }), (accesses) => {
        const [off, auto] = (["off", "auto"] as const).map((mitigations) => {
          const machine = machineOf(mitigations, paging);
          return accesses.map(({ op, base, value }) => {
            const address = INSTRUCTION_FORMS[op].operation === "memory" ? base : PORT + 4 * (value % 2);
            return machine.run(op, address, { value });
          });
        });
        for (const counts of off) {
          expect(mitigated(counts)).toEqual({ exitMitigation: 0, retpoline: 0, userspaceExitMitigation: 0 });
        }
        const others = auto.map(
          ({ exitMitigation: _, retpoline: _r, userspaceExitMitigation: _u, ...rest }) => rest,
        );
        expect(others).toEqual(off);
        for (const counts of auto) {
          const exits = Object.entries(counts).reduce(
            (sum, [name, count]) => (/^exit(?!Mitigation|Fastpath)/.test(name) ? sum + count : sum),
            0,
          );
          const userspaceExits = (counts.userspaceExitIo ?? 0) + (counts.userspaceExitMmio ?? 0);
          expect(mitigated(counts)).toMatchObject({
            exitMitigation: exits,
            userspaceExitMitigation: userspaceExits,
          });
        }
      }),
      { numRuns: 20 },
    );
  });
});
