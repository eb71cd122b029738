/** The stand-ins for interrupt controllers and timer: where they are, and what they take. */
import { beforeEach, describe, expect, it } from "vitest";
import { createVm, KERNEL_VERSIONS, type KernelVersion } from "../../src/kvm/eras.js";
import { KVM_MMIO_BUS, KVM_PIO_BUS } from "../../src/kvm/io-bus.js";
import type { KvmIrqchip } from "../../src/kvm/irqchip.js";
import { PRIMITIVES } from "../../src/kvm/primitives.js";
import { processor } from "../../src/study/conformance/paging-rows.js";

const EOPNOTSUPP = -95;

let vm: KvmIrqchip;

function boot(kernel: KernelVersion): void {
  vm = createVm(kernel, processor({ w: 46 }));
}

/** Ports up to 0x4ff that take a write of one byte. */
function ports(): number[] {
  return Array.from({ length: 0x500 }, (_, port) => port).filter(
    (port) => vm.kvmIoBusWrite(KVM_PIO_BUS, port, 1) === 0,
  );
}

describe.each(KERNEL_VERSIONS)("the interrupt controllers of %s", (kernel) => {
  beforeEach(() => boot(kernel));

  it("are an IOAPIC in memory, and two PICs with their edge/level control on ports", () => {
    vm.kvmCreateIrqchip();
    expect(ports()).toEqual([0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1]);
    const ioapic = [0xfebf_ffff, 0xfec0_0000, 0xfec0_00fc, 0xfec0_00ff, 0xfec0_0100];
    expect(ioapic.map((addr) => vm.kvmIoBusRead(KVM_MMIO_BUS, addr, 1))).toEqual([
      EOPNOTSUPP,
      0,
      0,
      0,
      EOPNOTSUPP,
    ]);
    expect(vm.kvmIoBusWrite(KVM_MMIO_BUS, 0xfec0_00fe, 4)).toBe(EOPNOTSUPP);
    expect(vm.ledger.counts[PRIMITIVES.indexOf("inKernelDevice")]).toBe(6 + 3);
  });

  it("are created once", () => {
    vm.kvmCreateIrqchip();
    const { ranges } = vm.buses[KVM_PIO_BUS];
    expect(() => vm.kvmCreateIrqchip()).toThrow("EEXIST: KVM_CREATE_IRQCHIP");
    expect(vm.buses[KVM_PIO_BUS].ranges).toBe(ranges);
  });

  it("are created all or not at all", () => {
    for (let i = 0; i < 998; i++) vm.registerPioDevice(0x1000 + i, 1);
    expect(() => vm.kvmCreateIrqchip()).toThrow(vm.kernel === "v6.19" ? "ENOSPC" : "ENOMEM");
    expect(vm.buses[KVM_PIO_BUS].ranges).toHaveLength(998);
    expect(ports()).toEqual([]);
    expect(vm.lapicRead(0xfee0_0000, 4)).toBe(EOPNOTSUPP);
  });

  it("bring each vCPU a local APIC, one page that no bus knows", () => {
    const addresses = [0xfedf_fffc, 0xfee0_0000, 0xfee0_0ffc, 0xfee0_0ffe, 0xfee0_1000];
    expect(addresses.map((addr) => vm.lapicWrite(addr, 4))).toEqual(addresses.map(() => EOPNOTSUPP));
    vm.kvmCreateIrqchip();
    const inside = [EOPNOTSUPP, 0, 0, EOPNOTSUPP, EOPNOTSUPP];
    expect(addresses.map((addr) => vm.lapicWrite(addr, 4))).toEqual(inside);
    expect(addresses.map((addr) => vm.lapicRead(addr, 4))).toEqual(inside);
    expect(vm.kvmIoBusWrite(KVM_MMIO_BUS, 0xfee0_0000, 4)).toBe(EOPNOTSUPP);
    expect(vm.ledger.counts[PRIMITIVES.indexOf("inKernelDevice")]).toBe(4);
  });

  it("leave the ports of the timer to it, created once, and that of the speaker if it is asked for", () => {
    vm.kvmCreateIrqchip();
    vm.kvmCreatePit2();
    expect(ports()).toEqual([0x20, 0x21, 0x40, 0x41, 0x42, 0x43, 0x61, 0xa0, 0xa1, 0x4d0, 0x4d1]);
    expect(() => vm.kvmCreatePit2()).toThrow("EEXIST: KVM_CREATE_PIT2");
    boot(kernel);
    vm.kvmCreateIrqchip();
    vm.kvmCreatePit2(0);
    expect(ports()).not.toContain(0x61);
  });
});

describe("the timer", () => {
  it("needs the interrupt controllers in v6.19 only", () => {
    for (const kernel of ["v3.9", "v4.2", "v4.2.8"] as const) {
      boot(kernel);
      expect(() => vm.kvmCreatePit2()).not.toThrow();
    }
    boot("v6.19");
    expect(() => vm.kvmCreatePit2()).toThrow("ENOENT: KVM_CREATE_PIT2");
    expect(ports()).toEqual([]);
    vm.kvmCreateIrqchip();
    expect(() => vm.kvmCreatePit2()).not.toThrow();
  });
});

describe("a device on ports", () => {
  it("takes reads and writes within its ports", () => {
    boot("v6.19");
    vm.registerPioDevice(0xc000, 4);
    const accesses = [
      [0xc000, 4],
      [0xc002, 2],
      [0xc002, 4],
      [0xbfff, 2],
    ] as const;
    expect(accesses.map(([port, len]) => vm.kvmIoBusWrite(KVM_PIO_BUS, port, len))).toEqual([
      0,
      0,
      EOPNOTSUPP,
      EOPNOTSUPP,
    ]);
    expect(accesses.map(([port, len]) => vm.kvmIoBusRead(KVM_PIO_BUS, port, len))).toEqual([
      0,
      0,
      EOPNOTSUPP,
      EOPNOTSUPP,
    ]);
  });
});
