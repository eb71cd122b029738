/** The host takes memory of the guest back: what mapped it goes, and the next access faults. */
import { describe, expect, it } from "vitest";
import { KERNEL_VERSIONS, type KernelVersion } from "../../src/kvm/eras.js";
import type { Backing } from "../../src/kvm/host-memory.js";
import { KVM_MEM_READONLY } from "../../src/kvm/memslots.js";
import { PAGINGS, type Paging } from "../../src/kvm/spte.js";
import { Machine } from "./machine.js";

const RAM = 0x1000_0000;
const GFN = RAM / 4096;
const MB2 = 2 ** 21;
const MMIO = 0xfebf_0800;
/** Host page frames of the first slot's memory, where the guest's tables are. */
const TABLES = [0, 2 ** 22 / 4096] as const;

/** The exit that a fault on memory is. */
const FAULT = { ept: "exitEptViolation", npt: "exitNpf", shadow: "exitException" } as const;

const cases = KERNEL_VERSIONS.flatMap((kernel) => PAGINGS.map((paging) => [kernel, paging] as const));

interface Options {
  readonly backing?: Backing;
  readonly vcpus?: number;
  readonly flags?: number;
}

/** A machine with 4 Mbyte at RAM, all of it used on every vCPU as far as the test goes. */
function withRam(
  kernel: KernelVersion,
  paging: Paging,
  { backing = "4K", vcpus = 1, flags = 0 }: Options = {},
): Machine {
  const machine = new Machine(kernel, { paging, vcpus, cpu: "haswell-ep-e5-2660v3" });
  machine.slot(1, RAM, 2 * MB2, { backing, flags });
  return machine;
}

/** What taking pages back counts. */
function discard(machine: Machine, first: number, end: number): Record<string, number> & { mapped: boolean } {
  machine.vm.ledger.reset();
  const mapped = machine.vm.discardPages(first, end);
  return Object.assign(machine.counted(), { mapped });
}

describe.each(cases)("on %s with %s, a page that the host takes back", (kernel, paging) => {
  const fault = FAULT[paging];

  it("faults exactly once at the next access", () => {
    const machine = withRam(kernel, paging);
    machine.run("store", RAM);
    expect(machine.run("store", RAM)[fault]).toBeUndefined();
    expect(machine.vm.discardPages(GFN, GFN + 1)).toBe(true);
    expect(machine.run("store", RAM)).toMatchObject({ [fault]: 1 });
    expect(machine.counted().emulateInstruction).toBeUndefined();
    expect(machine.run("store", RAM)[fault]).toBeUndefined();
  });

  it("costs its entry, one flush of all vCPUs, and the lock at the begin and at the end", () => {
    const machine = withRam(kernel, paging, { vcpus: 3 });
    for (const page of [0, 1, 2]) machine.run("store", RAM + page * 4096);
    expect(discard(machine, GFN, GFN + 2)).toEqual({
      mapped: true,
      mmuLock: 2,
      spteInstall: 2,
      remoteTlbFlush: 1,
      tlbFlush: 3,
    });
    expect(machine.run("store", RAM + 2 * 4096)[fault]).toBeUndefined();
  });

  it("costs the lock alone where nothing was mapped, and nothing outside the slots", () => {
    const machine = withRam(kernel, paging);
    machine.run("store", RAM);
    expect(discard(machine, GFN + 600, GFN + 700)).toEqual({ mapped: false, mmuLock: 2 });
    expect(discard(machine, GFN + 1024, GFN + 2048)).toEqual({ mapped: false });
    expect(discard(machine, GFN + 1, GFN + 1)).toEqual({ mapped: false });
    expect(machine.run("store", RAM)[fault]).toBeUndefined();
  });

  it("takes a large page that holds it along as a whole, and no other", () => {
    const machine = withRam(kernel, paging, { backing: "2M" });
    for (const at of [RAM, RAM + MB2]) {
      machine.mapLarge(at);
      machine.run("store", at);
    }
    expect(discard(machine, GFN + 5, GFN + 6)).toMatchObject({ mapped: true, spteInstall: 1 });
    expect(machine.run("store", RAM + MB2)[fault]).toBeUndefined();
    expect(machine.run("store", RAM)).toMatchObject({ [fault]: 1 });
    expect(machine.run("store", RAM + 5 * 4096)[fault]).toBeUndefined();
  });

  it("takes the last pages of one large page and the first of the next along", () => {
    const machine = withRam(kernel, paging, { backing: "thp" });
    for (const at of [RAM, RAM + MB2]) {
      machine.mapLarge(at);
      machine.run("store", at);
    }
    expect(discard(machine, GFN + 511, GFN + 513)).toMatchObject({ mapped: true, spteInstall: 2 });
  });

  it("faults on every vCPU", () => {
    const machine = withRam(kernel, paging, { vcpus: 2 });
    for (const vcpu of [0, 1]) machine.run("store", RAM, { vcpu });
    machine.vm.discardPages(GFN, GFN + 1);
    for (const { cpu } of machine.vm.vcpus) expect(cpu.translate(GFN, 0, 0)).not.toBe(0);
  });

  it("keeps what it holds: the guest's own tables may go, and lead to the same memory when they are back", () => {
    const machine = withRam(kernel, paging);
    machine.run("store", RAM);
    const { vm } = machine;
    vm.vcpu.cpu.translate(GFN, 0, 0);
    const before = vm.vcpu.cpu.pfn;
    expect(vm.discardPages(...TABLES)).toBe(true);
    machine.run("store", RAM);
    expect(vm.vcpu.cpu.translate(GFN, 0, 0)).toBe(0);
    expect(vm.vcpu.cpu.pfn).toBe(before);
  });

  it("may be read-only for the guest", () => {
    const machine = withRam(kernel, paging, { flags: KVM_MEM_READONLY });
    machine.run("load", RAM);
    expect(machine.vm.discardPages(GFN, GFN + 1)).toBe(true);
    expect(machine.run("load", RAM)).toMatchObject({ [fault]: 1 });
    expect(machine.run("load", RAM)[fault]).toBeUndefined();
  });

  it("is no MMIO, which stays marked as it was", () => {
    const machine = withRam(kernel, paging);
    machine.run("store", MMIO);
    machine.run("store", MMIO);
    const { vm } = machine;
    const page = Math.floor(MMIO / 4096);
    const spte = machine.spte(page);
    expect(vm.discardPages(0, page + 1)).toBe(true);
    expect(machine.spte(page)).toBe(spte);
  });

  it("goes from every slot that gives the same memory to the guest", () => {
    const machine = withRam(kernel, paging);
    const { vm } = machine;
    const userspaceAddr = vm.findMemslot(GFN)?.userspaceAddr ?? 0;
    const guestPhysAddr = 2 * RAM;
    vm.kvmSetUserMemoryRegion({ slot: 2, flags: 0, guestPhysAddr, memorySize: 2 * MB2, userspaceAddr });
    machine.run("load", 0x1000);
    machine.run("store", RAM);
    machine.run("store", 2 * RAM);
    expect(discard(machine, GFN, GFN + 1)).toMatchObject({ spteInstall: 2, remoteTlbFlush: 1 });
    expect(machine.run("store", 2 * RAM)).toMatchObject({ [fault]: 1 });
  });
});

describe("pages that the host took back", () => {
  it.each(["v4.2", "v4.2.8"] as const)(
    "are not mapped beside one that the guest accesses in %s",
    (kernel) => {
      const machine = withRam(kernel, "npt");
      const access = (page: number) => machine.run("store", RAM + page * 4096);
      // A fault on a page maps what lies before it in its group of eight.
      access(3);
      expect([0, 1, 2].map((page) => access(page).exitNpf)).toEqual([undefined, undefined, undefined]);
      machine.vm.discardPages(GFN, GFN + 4);
      access(3);
      expect([0, 1, 2].map((page) => access(page).exitNpf)).toEqual([1, 1, 1]);
    },
  );

  it("end a run of those that are mapped beside one", () => {
    const machine = withRam("v4.2", "npt");
    machine.vm.discardPages(GFN + 2, GFN + 3);
    // Its table, its own entry, and two beside it.
    expect(machine.run("store", RAM + 4 * 4096)).toMatchObject({ exitNpf: 1, spteInstall: 4 });
    const faults = [0, 1, 3, 2].map((page) => machine.run("load", RAM + page * 4096).exitNpf);
    expect(faults).toEqual([undefined, undefined, 1, 1]);
  });

  it("come back with all of their huge page, of which small ones may be mapped", () => {
    const machine = new Machine("v4.2", { paging: "npt" });
    // The slot is too small for a large page.
    machine.slot(1, RAM, 2 ** 20, { backing: "2M" });
    machine.vm.discardPages(GFN, GFN + 4);
    machine.run("store", RAM + 3 * 4096);
    expect(machine.run("store", RAM).exitNpf).toBeUndefined();
  });

  it("are taken by none of the vCPUs, which do not contend for the lock", () => {
    const machine = withRam("v4.2", "ept", { vcpus: 2 });
    machine.run("store", RAM, { vcpu: 1 });
    machine.vm.vcpu = machine.vm.vcpus[0];
    expect(discard(machine, GFN, GFN + 1).mmuLockContended).toBeUndefined();
  });

  it("come back as the huge page that they were", () => {
    const machine = withRam("v6.19", "ept", { backing: "2M" });
    machine.run("store", RAM);
    const spte = machine.spte(GFN);
    machine.vm.discardPages(GFN, GFN + 512);
    machine.run("store", RAM + 7 * 4096);
    expect(machine.spte(GFN)).toBe(spte);
  });
});

describe("the event of the notifier", () => {
  const ranges = (kernel: KernelVersion) => {
    const machine = withRam(kernel, "ept");
    const { userspaceAddr: start = 0 } = machine.vm.findMemslot(GFN) ?? {};
    const events = machine.events(() => machine.vm.discardPages(GFN + 2, GFN + 4));
    return { start, events };
  };

  it("is v6.19's, and names the host's memory", () => {
    const { start, events } = ranges("v6.19");
    expect(events).toEqual([{ event: "kvm_unmap_hva_range", start: start + 0x2000, end: start + 0x4000 }]);
  });

  it("is not in the kernels before", () => {
    expect(ranges("v4.2.8").events).toEqual([]);
  });
});
