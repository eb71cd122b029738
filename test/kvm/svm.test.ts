/** AMD's nested paging: one exit, #NPF, whose error code tells reserved bits and the kind of access. */
import { describe, expect, it } from "vitest";
import { createVm, type KernelVersion } from "../../src/kvm/eras.js";
import { KVM_MEM_READONLY } from "../../src/kvm/memslots.js";
import { svmFastMmio } from "../../src/patches/svm-fast-mmio.js";
import { Machine } from "./machine.js";

const MMIO = 0xfebf_0800;
const ROM = 0x1000_0000;
const MB2 = 2 ** 21;
const ERAS: KernelVersion[] = ["v3.9", "v4.2", "v4.2.8", "v6.19"];

describe.each(ERAS)("SVM of %s", (kernel) => {
  const machineOf = () => new Machine(kernel, { paging: "npt" });

  it("maps memory at the first nested page fault", () => {
    const machine = machineOf();
    machine.slot(1, ROM, MB2);
    expect(machine.run("store", ROM)).toMatchObject({ exitNpf: 1, tdpPageFault: 1 });
    expect(machine.run("store", ROM).exitNpf).toBeUndefined();
  });

  it("marks MMIO with reserved bits, which the next nested page fault reports with the kind of access", () => {
    const machine = machineOf();
    expect(machine.run("store", MMIO)).toMatchObject({ exitNpf: 1, emulateInstruction: 1 });
    expect((machine.vm.vcpu.vmcb.exitInfo1 % 2 ** 32) & 0b1011).toBe(0b0010);
    expect(machine.run("store", MMIO)).toMatchObject({
      exitNpf: 1,
      emulateInstruction: 1,
      userspaceExitMmio: 1,
    });
    expect((machine.vm.vcpu.vmcb.exitInfo1 % 2 ** 32) & 0b1011).toBe(0b1011);
    machine.run("load", MMIO);
    expect((machine.vm.vcpu.vmcb.exitInfo1 % 2 ** 32) & 0b1011).toBe(0b1001);
  });

  it("needs no walk for the code: the processor has saved its bytes", () => {
    const machine = machineOf();
    machine.run("store", MMIO);
    const { guestWalkInSoftware } = machine.run("store", MMIO);
    expect(guestWalkInSoftware).toBe(kernel === "v6.19" ? undefined : 1);
  });

  it("never uses the fast bus: a zero-length eventfd is found on the MMIO bus, and in v4.2 not at all", () => {
    if (kernel === "v3.9") return;
    const machine = machineOf();
    const eventfd = machine.ioeventfd(MMIO, 0);
    for (let i = 0; i < 3; i++) expect(machine.run("store", MMIO)).toMatchObject({ emulateInstruction: 1 });
    expect(eventfd.signals).toBe(kernel === "v4.2" ? 0 : 3);
  });

  it("refaults a stale MMIO SPTE as what it was: a write", () => {
    const machine = machineOf();
    machine.run("store", ROM);
    machine.slot(1, ROM, MB2, { flags: KVM_MEM_READONLY });
    // Known for a write at once, it is emulated in the first exit; an EPT misconfiguration would take two.
    expect(machine.run("store", ROM)).toMatchObject({ exitNpf: 1, emulateInstruction: 1 });
  });

  it("traces the error code: 32 bits of it up to v4.2", () => {
    const machine = machineOf();
    const [fault] = machine
      .events(() => machine.run("store", MMIO))
      .filter(({ event }) => event === "kvm_page_fault");
    expect(fault).toMatchObject({ errorCode: kernel === "v6.19" ? 0x1_0000_0006 : 6 });
  });

  it("makes OUT by the next RIP that the processor has saved", () => {
    const machine = machineOf();
    expect(machine.run("out", 0xc000)).toMatchObject({
      exitIoInstruction: 1,
      fastPioOut: 1,
      userspaceExitIo: 1,
    });
    expect(machine.vm.vcpu.wrongSkips).toBe(0);
    expect(machine.run("vmcall", 0)).toMatchObject({ exitVmcall: 1, hypercall: 1 });
  });
});

describe("the fast MMIO bus of SVM, a patch over v6.19", () => {
  const patched = (options = {}) =>
    new Machine("v6.19", { paging: "npt", changes: [svmFastMmio.change], ...options });

  it("signals a kick without the emulator", () => {
    const machine = patched();
    const eventfd = machine.ioeventfd(MMIO, 0);
    machine.run("store", MMIO + 4);
    const kick = machine.run("store", MMIO);
    expect(kick).toMatchObject({ exitNpf: 1, ioBusLookup: 1, eventfdSignal: 1, skipEmulatedInstruction: 1 });
    expect([kick.emulateInstruction, eventfd.signals]).toEqual([undefined, 1]);
  });

  it("signals for a read too, though the exit tells it from a write", () => {
    const machine = patched();
    const eventfd = machine.ioeventfd(MMIO, 0);
    machine.run("store", MMIO + 4);
    machine.run("load", MMIO);
    expect(eventfd.signals).toBe(1);
  });

  it("leaves a first touch and a guest's guest to the old path, and lets an event be delivered again, for ever", () => {
    const machine = patched();
    const eventfd = machine.ioeventfd(MMIO, 0);
    expect(machine.run("store", MMIO)).toMatchObject({ emulateInstruction: 1 });
    machine.vm.vcpu.guestMode = true;
    expect(machine.run("store", MMIO)).toMatchObject({ emulateInstruction: 1 });
    machine.vm.vcpu.guestMode = false;
    expect(() => machine.run("event", MMIO)).toThrow("the guest makes no progress");
    expect(eventfd.signals).toBe(2);
  });

  it("leaves the kernel without it as it was", () => {
    const machine = new Machine("v6.19", { paging: "npt" });
    machine.ioeventfd(MMIO, 0);
    machine.run("store", MMIO);
    expect(machine.run("store", MMIO)).toMatchObject({ emulateInstruction: 1 });
    expect(createVm("v6.19", machine.vm.options.geometry, { changes: [svmFastMmio.change] }).kernel).toBe(
      "v6.19",
    );
  });
});
