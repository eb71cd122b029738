/** Coalesced MMIO: zones on the bus, and the ring that userspace drains. */
import { beforeEach, describe, expect, it } from "vitest";
import { createVm, KERNEL_VERSIONS, type KernelVersion } from "../../src/kvm/eras.js";
import { KVM_FAST_MMIO_BUS, KVM_MMIO_BUS, KVM_PIO_BUS } from "../../src/kvm/io-bus.js";
import type { KvmIrqchip } from "../../src/kvm/irqchip.js";
import { PRIMITIVES } from "../../src/kvm/primitives.js";
import type { U64 } from "../../src/kvm/u64.js";
import { processor } from "../../src/study/conformance/paging-rows.js";

const EOPNOTSUPP = -95;
const ZONE = { addr: 0xa_0000, size: 0x2_0000 };

let vm: KvmIrqchip;

function boot(kernel: KernelVersion): void {
  vm = createVm(kernel, processor({ w: 46 }));
}

beforeEach(() => boot("v6.19"));

function write(addr: U64, len = 4, value: U64 = 0): number {
  return vm.kvmIoBusWrite(KVM_MMIO_BUS, addr, len, value);
}

/** Writes until the ring takes no more, and returns how many it took. */
function fill(): number {
  let taken = 0;
  while (write(ZONE.addr, 4, taken) === 0) taken++;
  return taken;
}

describe.each(KERNEL_VERSIONS)("a coalesced zone of %s", (kernel) => {
  beforeEach(() => boot(kernel));

  it("keeps the writes inside it for userspace, oldest first, and gives them once", () => {
    vm.kvmRegisterCoalescedMmio(ZONE);
    expect([write(ZONE.addr, 4, 0x1234_5678), write(ZONE.addr + 0x1_fff8, 8, 2n ** 64n - 1n)]).toEqual([
      0, 0,
    ]);
    expect(write(ZONE.addr + 4, 1, 0x1ff)).toBe(0);
    expect(vm.drainCoalescedMmioRing()).toEqual([
      { physAddr: 0xa_0000, len: 4, data: 0x1234_5678, pio: 0 },
      { physAddr: 0xb_fff8, len: 8, data: 2n ** 64n - 1n, pio: 0 },
      { physAddr: 0xa_0004, len: 1, data: 0xff, pio: 0 },
    ]);
    expect(vm.drainCoalescedMmioRing()).toEqual([]);
    expect(vm.ledger.counts[PRIMITIVES.indexOf("coalescedMmioWrite")]).toBe(3);
  });

  it("leaves a write that runs out of it, a read, and the fast bus to others", () => {
    vm.kvmRegisterCoalescedMmio(ZONE);
    expect([write(ZONE.addr - 1), write(0xb_fffd), write(0xc_0000)]).toEqual([
      EOPNOTSUPP,
      EOPNOTSUPP,
      EOPNOTSUPP,
    ]);
    expect(vm.kvmIoBusRead(KVM_MMIO_BUS, ZONE.addr, 4)).toBe(EOPNOTSUPP);
    expect(vm.kvmIoBusWrite(KVM_FAST_MMIO_BUS, ZONE.addr, 0)).toBe(EOPNOTSUPP);
    expect(vm.drainCoalescedMmioRing()).toEqual([]);
  });

  it("leaves its writes to userspace once the ring is full, and takes them again when it is drained", () => {
    vm.kvmRegisterCoalescedMmio(ZONE);
    const taken = fill();
    expect(write(ZONE.addr)).toBe(EOPNOTSUPP);
    expect(vm.drainCoalescedMmioRing().map(({ data }) => data)).toEqual(
      Array.from({ length: taken }, (_, i) => i),
    );
    expect(write(ZONE.addr)).toBe(0);
  });

  it("goes when a range within it is unregistered, with every other zone around that range", () => {
    const inner = { addr: ZONE.addr + 0x1000, size: 0x1000 };
    const beside = { addr: ZONE.addr + 0x4000, size: 0x1000 };
    for (const zone of [ZONE, inner, beside]) vm.kvmRegisterCoalescedMmio(zone);
    vm.kvmUnregisterCoalescedMmio({ addr: inner.addr + 0x800, size: 4 });
    expect(vm.coalescedZones.map(({ addr }) => addr)).toEqual([beside.addr]);
    expect([write(inner.addr + 0x800), write(beside.addr)]).toEqual([EOPNOTSUPP, 0]);
  });

  it("stays when a range that is not all within it is unregistered, which is no error", () => {
    vm.kvmRegisterCoalescedMmio(ZONE);
    vm.kvmUnregisterCoalescedMmio({ addr: ZONE.addr, size: ZONE.size + 1 });
    vm.kvmUnregisterCoalescedMmio({ addr: 0, size: 4 });
    expect(write(ZONE.addr)).toBe(0);
  });

  it("takes up one of the 1000 devices of its bus", () => {
    for (let i = 0; i < 1000; i++) vm.kvmRegisterCoalescedMmio({ addr: 8 * i, size: 8 });
    expect(() => vm.kvmRegisterCoalescedMmio(ZONE)).toThrow("ENOSPC");
    expect(vm.coalescedZones).toHaveLength(1000);
  });

  it("around an ioeventfd takes its writes if it stands first on the bus", () => {
    vm.kvmRegisterCoalescedMmio(ZONE);
    const eventfd = vm.assignIoeventfd({ addr: ZONE.addr + 0x10, len: 4, pio: false });
    expect(write(ZONE.addr + 0x10)).toBe(0);
    expect([eventfd.signals, vm.drainCoalescedMmioRing().length]).toEqual([0, 1]);
  });

  it("has a size of 32 bits", () => {
    expect(() => vm.kvmRegisterCoalescedMmio({ addr: 0, size: 2 ** 32 })).toThrow("size: 4294967296");
    expect(() => vm.kvmRegisterCoalescedMmio({ addr: -1, size: 4 })).toThrow("addr: -1");
  });
});

describe("the ring of 170 entries", () => {
  it("is written over once it is drained, and what was drained stays as it was", () => {
    vm.kvmRegisterCoalescedMmio(ZONE);
    write(ZONE.addr, 4, 7);
    const drained = vm.drainCoalescedMmioRing();
    for (let round = 0; round < 2; round++) {
      fill();
      vm.drainCoalescedMmioRing();
    }
    expect(drained).toEqual([{ physAddr: ZONE.addr, len: 4, data: 7, pio: 0 }]);
  });

  it("holds 169 in v6.19, wherever they begin", () => {
    vm.kvmRegisterCoalescedMmio(ZONE);
    for (let round = 0; round < 5; round++) {
      expect(fill()).toBe(169);
      expect(vm.drainCoalescedMmioRing()).toHaveLength(169);
    }
  });

  it.each(["v3.9", "v4.2", "v4.2.8"] as const)(
    "holds 85 in %s, unless its end comes before the 85th: the distance is taken in 32 bits",
    (kernel) => {
      boot(kernel);
      vm.kvmRegisterCoalescedMmio(ZONE);
      // From 0 to 85; from 85 over the end to 84; from 84 to 169; from 169 over the end to 168.
      const rounds = Array.from({ length: 4 }, () => {
        const taken = fill();
        vm.drainCoalescedMmioRing();
        return taken;
      });
      expect(rounds).toEqual([85, 169, 85, 169]);
    },
  );
});

describe("a coalesced zone of ports", () => {
  const ports = { addr: 0xcf8, size: 4, pio: 1 };

  it("is on the port bus in v6.19, and only an unregistration of ports removes it", () => {
    vm.kvmRegisterCoalescedMmio(ports);
    expect([write(0xcf8), vm.kvmIoBusWrite(KVM_PIO_BUS, 0xcf8, 4, 7)]).toEqual([EOPNOTSUPP, 0]);
    expect(vm.drainCoalescedMmioRing()).toEqual([{ physAddr: 0xcf8, len: 4, data: 7, pio: 1 }]);
    vm.kvmUnregisterCoalescedMmio({ ...ports, pio: 0 });
    expect(vm.coalescedZones).toHaveLength(1);
    vm.kvmUnregisterCoalescedMmio(ports);
    expect(vm.coalescedZones).toHaveLength(0);
  });

  it("must say 0 or 1 in v6.19, and the field is padding before", () => {
    expect(() => vm.kvmRegisterCoalescedMmio({ ...ports, pio: 2 })).toThrow(
      "EINVAL: pio 2 is not one of 0, 1",
    );
    expect(() => vm.kvmUnregisterCoalescedMmio({ ...ports, pio: 2 })).toThrow("EINVAL");
    expect(vm.coalescedZones).toEqual([]);
    boot("v4.2.8");
    vm.kvmRegisterCoalescedMmio({ ...ports, pio: 2 });
    expect([write(0xcf8), vm.kvmIoBusWrite(KVM_PIO_BUS, 0xcf8, 4)]).toEqual([0, EOPNOTSUPP]);
  });
});
