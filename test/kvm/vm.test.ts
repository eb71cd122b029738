/**
 * What a guest instruction becomes in KVM: exits, handlers, buses, userspace. The guest maps linear to equal
 * guest-physical addresses and has 2 Mbyte of memory at 0.
 */
import { describe, expect, it } from "vitest";
import { loadCpu } from "../../src/cost/cpu-profile.js";
import { createVm } from "../../src/kvm/eras.js";
import { KVM_MMIO_BUS } from "../../src/kvm/io-bus.js";
import { run } from "../../src/study/run/run.js";
import type { ScenarioInput } from "../../src/study/run/scenario.js";

const MMIO = 0xfebf_0800;
const STORE = { op: "store", address: MMIO, size: 4, value: 7 } as const;

/** Counts of `accesses` instructions from the very first, without zeros. */
function counted(
  scenario: Partial<ScenarioInput>,
  accesses: number,
  warmup = 0,
): Readonly<Record<string, unknown>> {
  const { counts, signals } = run({
    cpu: "sandy-bridge-ep",
    kernel: "v4.2",
    memslots: [{ gpa: 0, size: 2 ** 21 }],
    workload: [STORE],
    ...scenario,
    accesses,
    warmup,
  });
  return { ...counts, signals };
}

describe("a page without a slot", () => {
  it("is a violation at first touch: the MMIO SPTE is installed and the store emulated in the same exit", () => {
    // The other violations of the first access map the guest's own page tables.
    const first = counted({}, 1);
    expect(first).toMatchObject({ exitEptMisconfig: 0, emulateInstruction: 1, userspaceExitMmio: 1 });
    expect(first.exitEptViolation).toBe(5);
  });

  it("is a misconfiguration from then on", () => {
    expect(counted({}, 10, 1)).toMatchObject({
      exitEptViolation: 0,
      exitEptMisconfig: 10,
      vcpuMatchMmioGpa: 20, // before the emulator and in it
      mmioSpteWalk: 0, // the vCPU's cache knows the page
      emulateInstruction: 10,
      userspaceExitMmio: 10,
    });
  });

  it("walks the SPTE when the vCPU's one-entry cache knows another page", () => {
    const two = [STORE, { ...STORE, address: MMIO + 0x1000 }];
    const { mmioSpteWalk } = counted({ workload: two }, 1000, 64);
    expect(mmioSpteWalk).toBeGreaterThan(400);
  });

  it("never asks the fast bus at first touch: in v4.2 a zero-length eventfd misses the first store", () => {
    expect(counted({ ioeventfds: [{ addr: MMIO, len: 0 }] }, 1)).toMatchObject({
      signals: [0],
      userspaceExitMmio: 1,
    });
  });
});

describe("the fast MMIO bus of v4.2", () => {
  const ioeventfds = [{ addr: MMIO, len: 0 as const }];

  it("signals without the emulator and without userspace", () => {
    expect(counted({ ioeventfds }, 10, 1)).toMatchObject({
      signals: [10],
      exitEptMisconfig: 10,
      skipEmulatedInstruction: 10,
      ioBusLookup: 10,
      emulateInstruction: 0,
      vcpuMatchMmioGpa: 0,
      userspaceExitMmio: 0,
    });
  });

  it("does not know a load from a store: a load signals too", () => {
    expect(counted({ ioeventfds, workload: [{ ...STORE, op: "load" }] }, 10, 1).signals).toEqual([10]);
  });

  it("is asked in vain for a sized eventfd, which the MMIO bus then finds", () => {
    expect(counted({ ioeventfds: [{ addr: MMIO, len: 4 }] }, 10, 1)).toMatchObject({
      signals: [10],
      ioBusLookup: 20,
      emulateInstruction: 10,
      userspaceExitMmio: 0,
    });
  });

  it("does not exist in v3.9, where length 0 is refused", () => {
    expect(counted({ kernel: "v3.9", ioeventfds: [{ addr: MMIO, len: 4 }] }, 10, 1)).toMatchObject({
      ioBusLookup: 10,
    });
    expect(() => counted({ kernel: "v3.9", ioeventfds }, 1)).toThrow(
      "EINVAL: len 0 is not one of 1, 2, 4, 8",
    );
  });
});

describe("a full fast bus", () => {
  it("refuses the eventfd and takes it off the MMIO bus again", () => {
    const vm = createVm("v4.2", loadCpu("sandy-bridge-ep").geometry);
    for (let i = 0; i < 1000; i++) vm.assignIoeventfd({ addr: 8 * i, len: 0, pio: false });
    expect(() => vm.assignIoeventfd({ addr: 8000, len: 0, pio: false })).toThrow("ENOSPC");
    const last = vm.assignIoeventfd({ addr: 8000, len: 4, pio: false });
    expect(vm.kvmIoBusWrite(KVM_MMIO_BUS, 8000, 4, 0)).toBe(0);
    expect(last.signals).toBe(1);
  });
});

describe("an ioeventfd with a datamatch", () => {
  it("signals for its value only", () => {
    const ioeventfds = [{ addr: MMIO, len: 4 as const, datamatch: 7 }];
    expect(counted({ ioeventfds }, 10, 1)).toMatchObject({ signals: [10], userspaceExitMmio: 0 });
    expect(counted({ ioeventfds, workload: [{ ...STORE, value: 8 }] }, 10, 1)).toMatchObject({
      signals: [0],
      userspaceExitMmio: 10,
    });
  });

  it("collides with a wildcard of the same length, and with length 0, but not with another value", () => {
    const four = { addr: MMIO, len: 4 as const };
    const assign = (...ioeventfds: ScenarioInput["ioeventfds"] & object) => counted({ ioeventfds }, 1);
    expect(() => assign({ ...four, datamatch: 7 }, four)).toThrow("ioeventfds[1]");
    expect(() => assign({ ...four, datamatch: 7 }, { addr: MMIO, len: 0 })).toThrow("EEXIST");
    expect(() => assign({ ...four, datamatch: 7 }, { ...four, datamatch: 8 })).not.toThrow();
  });
});

describe("port I/O", () => {
  const out = { op: "out", address: 0xc000, size: 1, value: 1 } as const;

  it("makes OUT without emulator or page walk", () => {
    expect(counted({ workload: [out], ioeventfds: [{ addr: 0xc000, len: 1, pio: true }] }, 10)).toMatchObject(
      {
        signals: [10],
        exitIoInstruction: 10,
        walkStore: 0,
        emulateInstruction: 0,
        fastPioOut: 10,
      },
    );
  });

  it("emulates IN, and asks userspace where no device answers", () => {
    const into = { ...out, op: "in" } as const;
    expect(counted({ workload: [into] }, 10)).toMatchObject({ emulateInstruction: 10, userspaceExitIo: 10 });
    expect(counted({ workload: [into], inKernelPorts: [{ port: 0xc000, len: 1 }] }, 10)).toMatchObject({
      userspaceExitIo: 0,
      inKernelDevice: 10,
    });
  });

  it("does not exit for port 0x80, which the I/O bitmap passes through", () => {
    expect(counted({ workload: [{ ...out, address: 0x80 }] }, 10)).toMatchObject({ exitIoInstruction: 0 });
  });

  it("carries ports above 0x7fff through the exit qualification", () => {
    const high = { ...out, address: 0xfffe } as const;
    expect(
      counted({ workload: [high], ioeventfds: [{ addr: 0xfffe, len: 1, pio: true }] }, 10).signals,
    ).toEqual([10]);
  });

  it("does not see an eventfd at the same address on MMIO", () => {
    expect(counted({ workload: [out], ioeventfds: [{ addr: 0xc000, len: 1 }] }, 10).signals).toEqual([0]);
  });
});

describe("a read-only slot", () => {
  const memslots = [
    { gpa: 0, size: 2 ** 21 },
    { gpa: 0x1000_0000, size: 2 ** 21, readonly: true },
  ];
  // The guest's tables need a writable slot, which is the first.
  const load = { op: "load", address: 0x1000_0000, size: 4 } as const;
  const store = { ...load, op: "store" } as const;

  it("is mapped by a read and then read without an exit", () => {
    expect(counted({ memslots, workload: [load] }, 10, 1)).toMatchObject({
      exitEptViolation: 0,
      dtlbHit: 10,
    });
  });

  it("never touched stays unmapped under writes: each is a violation, emulated, and goes to userspace", () => {
    expect(counted({ memslots, workload: [store] }, 10, 1)).toMatchObject({
      exitEptViolation: 10,
      fastPageFault: 0,
      spteInstall: 0,
      emulateInstruction: 10,
      userspaceExitMmio: 10,
    });
  });

  it("that was read has its writes refused by the fast page fault and the slot", () => {
    const workload = [load, store];
    const { fastPageFault, exitEptViolation, spteInstall } = counted({ memslots, workload }, 1000, 64);
    expect(fastPageFault).toBe(exitEptViolation);
    expect(exitEptViolation).toBeGreaterThan(400);
    expect(spteInstall).toBe(0);
  });

  it("gives its writes to a sized eventfd of the MMIO bus, but never to the fast bus", () => {
    const sized = counted(
      { memslots, workload: [store], ioeventfds: [{ addr: 0x1000_0000, len: 4 }] },
      10,
      1,
    );
    expect(sized).toMatchObject({ signals: [10], userspaceExitMmio: 0 });
    const any = counted({ memslots, workload: [store], ioeventfds: [{ addr: 0x1000_0000, len: 0 }] }, 10, 1);
    expect(any).toMatchObject({ signals: [0], userspaceExitMmio: 10 });
  });
});

describe("page 0", () => {
  it("is never in the vCPU's MMIO cache: each access reads the SPTE", () => {
    const memslots = [{ gpa: 0x10_0000, size: 2 ** 21 }];
    const workload = [{ op: "store", address: 8, size: 4 }] as const;
    expect(counted({ memslots, workload }, 10, 1)).toMatchObject({ exitEptMisconfig: 10, mmioSpteWalk: 10 });
  });
});

describe("a large page", () => {
  it("is mapped only where the slot covers all of it", () => {
    const memslots = [{ gpa: 0x10_0000, size: 2 ** 23, backing: "2M" as const }];
    const load = { op: "load", address: 0x10_0000, size: 4 } as const;
    // The slot starts in the middle of the first large page; the second lies within it. The tables lie in its last.
    const pages = (address: number) => ({ ...load, address, footprint: 3 * 4096, stride: 4096 });
    expect(counted({ memslots, workload: [pages(0x10_0000)] }, 3).exitEptViolation).toBe(3 + 4);
    expect(counted({ memslots, workload: [pages(0x20_0000)] }, 3).exitEptViolation).toBe(1 + 4);
  });
});

describe("memory of the guest", () => {
  const footprint = 2 ** 20;
  const loads = { op: "load", address: 0, size: 8, footprint, stride: 4096 } as const;

  it("faults once a page with 4-Kbyte backing and once in all with 2-Mbyte backing", () => {
    const memslots = (backing: "4K" | "2M") => [{ gpa: 0, size: 2 ** 22, backing }];
    // 256 data pages and the guest's four tables, against the two large pages they lie in
    expect(counted({ workload: [loads], memslots: memslots("4K") }, 256).exitEptViolation).toBe(256 + 4);
    expect(counted({ workload: [loads], memslots: memslots("2M") }, 256).exitEptViolation).toBe(2);
  });

  it("is referenced once per access, whatever the translation took", () => {
    const counts = counted({ workload: [{ ...loads, pattern: "uniform" }] }, 5000);
    const references = ["L1", "L2", "L3", "Dram"].map((level) => counts[`dataRef${level}`] as number);
    expect(references.reduce((a, b) => a + b)).toBe(5000);
  });
});
