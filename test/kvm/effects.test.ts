/** What an instruction is noted to have done: by the processor, the emulator, devices, userspace, and by nobody. */
import { describe, expect, it } from "vitest";
import { Effects, EMULATED_MEMORY, KERNEL_DEVICE, USERSPACE } from "../../src/kvm/effects.js";
import type { InstructionName } from "../../src/kvm/instruction.js";
import { KVM_MEM_READONLY } from "../../src/kvm/memslots.js";
import { Machine, type Operand } from "./machine.js";

const A = 0x1000_0000;
const PORT = 0xc000;

function machineWith({ slot = false, kernel = "v4.2" as "v4.2" | "v6.19" } = {}): Machine {
  const machine = new Machine(kernel, { cpu: "ivy-bridge-i7-3770k" });
  if (slot) machine.slot(1, A, 0x1000, { flags: KVM_MEM_READONLY });
  for (const vcpu of machine.vm.vcpus) vcpu.effects = new Effects();
  return machine;
}

/** Pieces as [doer, write, address, bytes]. */
function effects(machine: Machine, op: InstructionName, address: number, operand: Operand = {}) {
  machine.run(op, address, operand);
  const noted = machine.vm.vcpu.effects ?? new Effects();
  const pieces = noted.addresses
    .slice(0, noted.pieces)
    .map((at, piece) => [noted.doers[piece], noted.writes[piece], at, noted.bytes[piece]]);
  return { native: noted.native, signals: noted.signals, pieces };
}

describe("an instruction", () => {
  it("is the processor's where memory is mapped, after a fault too", () => {
    const machine = machineWith();
    expect(effects(machine, "store", 0x2000)).toEqual({ native: true, signals: 0, pieces: [] });
  });

  it("goes to userspace where no slot is, once, however many exits that takes", () => {
    const machine = machineWith();
    expect(effects(machine, "movups-store", A)).toEqual({
      ...{ native: false, signals: 0, pieces: [[USERSPACE, true, A, 16]] },
    });
    expect(effects(machine, "or", A)).toMatchObject({
      pieces: [
        [USERSPACE, false, A, 4],
        [USERSPACE, true, A, 4],
      ],
    });
  });

  it("of the emulator reads the memory of a read-only slot, and writes to the device", () => {
    expect(effects(machineWith({ slot: true }), "or", A)).toMatchObject({
      pieces: [
        [EMULATED_MEMORY, false, A, 4],
        [USERSPACE, true, A, 4],
      ],
    });
  });

  it("that is skipped on the fast MMIO bus has signalled, and no more", () => {
    const machine = machineWith();
    machine.run("store", A + 8);
    machine.ioeventfd(A, 0);
    expect(effects(machine, "load", A)).toEqual({ native: false, signals: 1, pieces: [] });
    expect(machine.vm.vcpu.effects?.untranslated).toBe(true);
  });

  it("that the emulator ends at an ioeventfd has signalled for the operand's own address", () => {
    const machine = machineWith();
    machine.ioeventfd(A, 4);
    expect(effects(machine, "store", A)).toEqual({ native: false, signals: 1, pieces: [] });
    expect(machine.vm.vcpu.effects?.untranslated).toBe(false);
  });

  it("at a port is a device's in the kernel, else userspace's", () => {
    const machine = machineWith();
    machine.vm.registerPioDevice(PORT, 4);
    expect(effects(machine, "in", PORT, { size: 2 }).pieces).toEqual([[KERNEL_DEVICE, false, PORT, 2]]);
    expect(effects(machine, "out", PORT + 8, { size: 2 }).pieces).toEqual([[USERSPACE, true, PORT + 8, 2]]);
  });

  it("that steps and is skipped has its debug exception from v6.19 on", () => {
    const exceptions = (["v4.2", "v6.19"] as const).map((kernel) => {
      const machine = machineWith({ kernel });
      machine.vm.vcpu.trapFlag = true;
      machine.run("cpuid", 0);
      return machine.vm.vcpu.effects?.debugExceptions;
    });
    expect(exceptions).toEqual([0, 1]);
  });

  it("that repeats is noted iteration by iteration, with the operand that each has", () => {
    const machine = machineWith();
    const seen: unknown[] = [];
    const { vcpu } = machine.vm;
    const noted = vcpu.effects ?? new Effects();
    noted.onIteration = () => seen.push([vcpu.instruction.offset, noted.native, noted.pieces]);
    machine.run("rep-stos", A - 8, { size: 4, count: 2 });
    machine.run("rep-stos", 0x2ff8, { size: 4, count: 2 });
    expect(seen).toEqual([
      [0xff8, false, 1],
      [0xffc, false, 1],
      [0xff8, true, 0],
      [0xffc, true, 0],
    ]);
  });
});

it("is attributed to the vCPU that does it", () => {
  const machine = new Machine("v4.2", { cpu: "ivy-bridge-i7-3770k", vcpus: 2 });
  for (const vcpu of machine.vm.vcpus) vcpu.effects = new Effects();
  machine.ioeventfd(A, 4);
  machine.prepare("store", A, { vcpu: 0 });
  machine.prepare("load", A + 8, { vcpu: 1 });
  machine.vm.executeTogether();
  const [one, other] = machine.vm.vcpus.map(({ effects }) => effects);
  expect([one?.signals, one?.pieces]).toEqual([1, 0]);
  expect([other?.signals, other?.pieces, other?.addresses[0]]).toEqual([0, 1, A + 8]);
});
