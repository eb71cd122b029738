/** KVM_SET_USER_MEMORY_REGION, KVM_GET_DIRTY_LOG, generations, large pages, prefetch. */
import { describe, expect, it } from "vitest";
import { loadCpu } from "../../src/cost/cpu-profile.js";
import { createVm, type KernelVersion } from "../../src/kvm/eras.js";
import { KvmError } from "../../src/kvm/errno.js";
import type { Backing } from "../../src/kvm/host-memory.js";
import { KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY, type MemoryRegion } from "../../src/kvm/memslots.js";
import { GuestTables } from "../../src/workload/guest-tables.js";
import { Machine } from "./machine.js";

const GPA = 0x1000_0000;
const GFN = GPA / 4096;
const SIZE = 2 ** 21;
const ERAS: KernelVersion[] = ["v3.9", "v4.2", "v4.2.8", "v6.19"];

function errnoOf(action: () => void): string {
  try {
    action();
  } catch (error) {
    if (error instanceof KvmError) return error.errno;
    throw error;
  }
  return "0";
}

describe.each(ERAS)("KVM_SET_USER_MEMORY_REGION of %s", (kernel) => {
  const slots = { "v3.9": 125, "v4.2": 509, "v4.2.8": 509, "v6.19": 32764 }[kernel];

  function prepared(): { machine: Machine; region: MemoryRegion } {
    const machine = new Machine(kernel);
    const userspaceAddr = machine.slot(1, GPA, SIZE);
    const region = { slot: 1, flags: 0, guestPhysAddr: GPA, memorySize: SIZE, userspaceAddr };
    return { machine, region };
  }

  it.each<[string, string, Partial<MemoryRegion>]>([
    ["a slot number beyond the last", "EINVAL", { slot: slots }],
    ["a negative slot number", "EINVAL", { slot: -1 }],
    ["an unknown flag", "EINVAL", { flags: 4 }],
    ["a size that is no multiple of a page", "EINVAL", { memorySize: SIZE + 1 }],
    ["an unaligned address", "EINVAL", { guestPhysAddr: GPA + 8 }],
    ["an unaligned userspace address", "EINVAL", { userspaceAddr: 4097 }],
    ["a range that wraps", "EINVAL", { slot: 2, guestPhysAddr: 2 ** 53 - 4096, memorySize: 8192 }],
    ["more pages than a slot can have", "EINVAL", { slot: 2, memorySize: 4096 * 2 ** 31 }],
    ["the deletion of no slot", "EINVAL", { slot: 2, memorySize: 0 }],
    ["another size", "EINVAL", { memorySize: 2 * SIZE }],
    ["other memory", "EINVAL", { userspaceAddr: 2 ** 45 }],
    ["READONLY where it was not", "EINVAL", { flags: KVM_MEM_READONLY }],
    ["a range of another slot", "EEXIST", { slot: 2, guestPhysAddr: GPA + SIZE - 4096 }],
    ["a move onto another slot", "EEXIST", { guestPhysAddr: 0 }],
  ])("refuses %s with %s and changes nothing", (_, errno, change) => {
    const { machine, region } = prepared();
    const { vm } = machine;
    machine.run("store", GPA);
    const before = [vm.memslotsGeneration, machine.spte(GFN), vm.findMemslot(GFN)];
    vm.ledger.reset();
    expect(errnoOf(() => vm.kvmSetUserMemoryRegion({ ...region, ...change }))).toBe(errno);
    expect([vm.memslotsGeneration, machine.spte(GFN), vm.findMemslot(GFN)]).toEqual(before);
    expect(vm.findMemslot(GFN)?.invalid).toBe(false);
    expect(machine.counted()).toEqual({});
  });

  it("names field, value and what is allowed", () => {
    const { machine, region } = prepared();
    expect(() => machine.vm.kvmSetUserMemoryRegion({ ...region, flags: 4 })).toThrow(
      "EINVAL: flags: 4 is not allowed; allowed: LOG_DIRTY_PAGES 1, READONLY 2",
    );
  });

  it("accepts the last slot number", () => {
    const { machine } = prepared();
    machine.slot(slots - 1, 2 * GPA, SIZE);
    expect(machine.vm.findMemslot(2 * GFN)?.id).toBe(slots - 1);
  });

  it("does nothing where nothing changes", () => {
    const { machine, region } = prepared();
    const { memslotsGeneration } = machine.vm;
    machine.vm.kvmSetUserMemoryRegion(region);
    expect(machine.vm.memslotsGeneration).toBe(memslotsGeneration);
  });

  it("advances the generation by 2 for a new slot or flags, by 4 for a deletion or a move", () => {
    const { machine, region } = prepared();
    const { vm } = machine;
    const advance = (change: Partial<MemoryRegion>) => {
      const before = vm.memslotsGeneration;
      vm.kvmSetUserMemoryRegion({ ...region, ...change });
      return vm.memslotsGeneration - before;
    };
    expect(advance({ flags: KVM_MEM_LOG_DIRTY_PAGES })).toBe(2);
    expect(advance({ flags: KVM_MEM_LOG_DIRTY_PAGES, guestPhysAddr: 2 * GPA })).toBe(4);
    expect(advance({ memorySize: 0 })).toBe(4);
    expect(advance({ slot: 3 })).toBe(2);
  });

  it("zaps everything where a slot goes, and from v4.2 on nothing where one comes", () => {
    const { machine, region } = prepared();
    machine.run("store", GPA);
    machine.vm.ledger.reset();
    machine.slot(2, 2 * GPA, SIZE);
    if (kernel === "v3.9") {
      // Without a generation, MMIO SPTEs have to go when memory may have come to them.
      expect(machine.counted()).toMatchObject({ zapAllPages: 1, synchronizeSrcu: 1 });
      machine.run("store", GPA);
      machine.vm.ledger.reset();
      machine.vm.synchronizeSrcuExpedited();
    } else {
      expect(machine.counted()).toEqual({ synchronizeSrcu: 1 });
    }
    expect(machine.spte(GFN)).not.toMatch(/^8?0*$/);
    machine.vm.kvmSetUserMemoryRegion({ ...region, memorySize: 0 });
    expect(machine.counted()).toMatchObject({ zapAllPages: 1, synchronizeSrcu: 3 });
    expect(machine.spte(GFN)).toMatch(/^8?0*$/);
    expect(machine.run("store", GPA)).toMatchObject({ userspaceExitMmio: 1 });
  });

  it("makes MMIO of a slot that is being deleted up to v4.2, and lets the access wait from v6.19 on", () => {
    const { machine, region } = prepared();
    const { vm } = machine;
    const [vcpu] = vm.vcpus;
    machine.run("store", GPA);
    let during: Record<string, number> = {};
    let stuck = false;
    let windows = 0;
    machine.prepare("store", GPA + 4096);
    vm.duringGracePeriod = () => {
      // The slot is invalid while its first update is waited for, and gone in the second.
      if (windows++ > 0) return;
      vm.ledger.reset();
      vm.vcpu = vcpu;
      try {
        vm.execute();
      } catch (error) {
        stuck = String(error).includes("no progress");
      }
      during = machine.counted();
    };
    vm.kvmSetUserMemoryRegion({ ...region, memorySize: 0 });
    if (kernel === "v6.19") {
      expect(stuck).toBe(true);
      expect([during.emulateInstruction, during.spteInstall]).toEqual([undefined, undefined]);
    } else {
      expect(during).toMatchObject({ exitEptViolation: 1, emulateInstruction: 1, userspaceExitMmio: 1 });
    }
  });

  it("does not trust an MMIO SPTE that was made while an update was under way", () => {
    const { machine } = prepared();
    const { vm } = machine;
    machine.prepare("store", 3 * GPA);
    vm.duringGracePeriod = () => {
      [vm.vcpu] = vm.vcpus;
      vm.execute();
    };
    machine.slot(2, 2 * GPA, SIZE);
    vm.duringGracePeriod = null;
    const next = machine.run("store", 3 * GPA);
    const exit = kernel === "v3.9" ? "exitEptViolation" : "exitEptMisconfig";
    expect(next).toMatchObject({ [exit]: 1, tdpPageFault: 1 });
    expect(machine.run("store", 3 * GPA).tdpPageFault).toBeUndefined();
  });
});

describe("the generation", () => {
  it("wraps around after 75 updates in v4.2, and everything is zapped then", () => {
    const machine = new Machine("v4.2"); // one update so far
    machine.run("store", 3 * GPA);
    for (let slot = 1; slot < 74; slot++) machine.slot(slot, GPA + slot * SIZE, SIZE);
    machine.vm.ledger.reset();
    expect(machine.vm.memslotsGeneration).toBe(-2);
    machine.slot(74, GPA, SIZE);
    expect(machine.vm.memslotsGeneration).toBe(0);
    expect(machine.counted().zapAllPages).toBe(1);
    expect(machine.run("store", 3 * GPA).exitEptViolation).toBeGreaterThan(0);
  });

  it("starts at 0 in v6.19 and wraps around after 2^18 updates", () => {
    const machine = new Machine("v6.19");
    expect(machine.vm.memslotsGeneration).toBe(2);
    machine.vm.memslotsGeneration = 0x7fffe;
    machine.vm.ledger.reset();
    machine.slot(1, GPA, SIZE);
    expect(machine.counted().zapAllPages).toBe(1);
  });

  it("is compared in full by the vCPU and as far as the SPTE holds it otherwise", () => {
    const machine = new Machine("v4.2");
    machine.run("store", GPA);
    machine.vm.memslotsGeneration += 2 ** 20;
    expect(machine.run("store", GPA)).toMatchObject({ mmioSpteWalk: 1, emulateInstruction: 1 });
    expect(machine.counted().tdpPageFault).toBeUndefined();
  });
});

describe.each(ERAS)("the log of dirty pages of %s", (kernel) => {
  function logged(backing: Backing = "4K"): Machine {
    const machine = new Machine(kernel, { cpu: "haswell-ep-e5-2660v3" });
    machine.slot(1, GPA, SIZE, { flags: KVM_MEM_LOG_DIRTY_PAGES, backing });
    return machine;
  }

  it("has the pages that were mapped for writing, by reads too, and begins anew when it is read", () => {
    const machine = logged();
    machine.run("store", GPA + 0x3000);
    machine.run("load", GPA + 0x5000);
    expect(machine.vm.kvmGetDirtyLog(1)).toEqual([GFN + 3, GFN + 5]);
    expect(machine.vm.kvmGetDirtyLog(1)).toEqual([]);
  });

  it("notices the next write by a violation that the fast page fault answers without the lock", () => {
    const machine = logged();
    machine.run("store", GPA);
    machine.vm.kvmGetDirtyLog(1);
    machine.run("load", GPA);
    const write = machine.run("store", GPA);
    expect(write).toMatchObject({ exitEptViolation: 1, fastPageFault: 1, spteInstall: 1 });
    expect([write.mmuLock, write.mmuLockRead, write.tlbFlush]).toEqual([undefined, undefined, undefined]);
    expect(machine.vm.kvmGetDirtyLog(1)).toEqual([GFN]);
  });

  it("has the pages that the emulator writes", () => {
    const machine = logged();
    // The operand reaches from MMIO into memory: the emulator writes both.
    machine.run("store", GPA - 2, { size: 4 });
    expect(machine.vm.kvmGetDirtyLog(1)).toEqual([GFN]);
  });

  it("keeps its slot from being mapped by large pages", () => {
    const machine = logged("2M");
    machine.run("store", GPA);
    expect(machine.run("store", GPA + 0x1000).exitEptViolation).toBe(1);
  });

  it("takes write access from what is mapped when it begins, and large pages come back when it ends", () => {
    const machine = new Machine(kernel, { cpu: "haswell-ep-e5-2660v3" });
    const { vm } = machine;
    const userspaceAddr = machine.slot(1, GPA, SIZE, { backing: "2M" });
    const region = { slot: 1, guestPhysAddr: GPA, memorySize: SIZE, userspaceAddr };
    machine.run("store", GPA);
    expect(machine.run("store", GPA + 0x1000).exitEptViolation).toBeUndefined();
    vm.kvmSetUserMemoryRegion({ ...region, flags: KVM_MEM_LOG_DIRTY_PAGES });
    expect(machine.run("store", GPA)).toMatchObject({ exitEptViolation: 1 });
    expect(machine.run("store", GPA + 0x1000)).toMatchObject({ exitEptViolation: 1 });
    expect(vm.kvmGetDirtyLog(1)).toEqual([GFN, GFN + 1]);
    vm.kvmSetUserMemoryRegion({ ...region, flags: 0 });
    machine.run("store", GPA + 0x7000);
    expect(machine.run("store", GPA + 0x9000).exitEptViolation).toBeUndefined();
  });

  it("of large pages makes reads fault anew in v3.9, and leaves them alone from v4.2 on but for a split", () => {
    const machine = new Machine(kernel, { cpu: "haswell-ep-e5-2660v3" });
    const userspaceAddr = machine.slot(1, GPA, SIZE, { backing: "2M" });
    const region = { slot: 1, guestPhysAddr: GPA, memorySize: SIZE, userspaceAddr };
    machine.run("store", GPA);
    machine.vm.kvmSetUserMemoryRegion({ ...region, flags: KVM_MEM_LOG_DIRTY_PAGES });
    expect(machine.run("load", GPA).exitEptViolation).toBe(kernel === "v3.9" ? 1 : undefined);
    machine.run("store", GPA);
    machine.vm.kvmSetUserMemoryRegion({ ...region, flags: 0 });
    // v4.2 drops the small pages, v6.19 puts the large one in their place.
    expect(machine.run("load", GPA).exitEptViolation).toBe(kernel.startsWith("v4.2") ? 1 : undefined);
    const isLarge = (BigInt(`0x${machine.spte(GFN)}`) & 0x80n) !== 0n;
    expect(isLarge).toBe(kernel !== "v3.9");
  });

  it("is refused for no slot, for one that is not logged, and for a number beyond the last", () => {
    const machine = new Machine(kernel);
    expect(errnoOf(() => machine.vm.kvmGetDirtyLog(7))).toBe("ENOENT");
    expect(errnoOf(() => machine.vm.kvmGetDirtyLog(0))).toBe("ENOENT");
    expect(errnoOf(() => machine.vm.kvmGetDirtyLog(40000))).toBe("EINVAL");
  });
});

describe.each(ERAS)("large pages of %s", (kernel) => {
  const pagesOf = (machine: Machine, backing: Backing, size = SIZE, gpa = GPA) => {
    machine.slot(1, gpa, size, { backing });
    machine.run("load", gpa);
    return machine.spte(gpa / 4096);
  };

  it.each(["2M", "thp"] as const)("map memory that the host has in large pages: %s", (backing) => {
    const machine = new Machine(kernel);
    pagesOf(machine, backing);
    expect(machine.run("load", GPA + 0x1f_f000).exitEptViolation).toBeUndefined();
  });

  it("of 1 Gbyte come from hugetlbfs where the processor has them", () => {
    const machine = new Machine(kernel, { cpu: "haswell-ep-e5-2660v3" });
    pagesOf(machine, "1G", 2 ** 30, 2 ** 30);
    expect(machine.run("load", 2 ** 30 + 2 ** 29).exitEptViolation).toBeUndefined();
    const without = new Machine(kernel, { cpu: "lynnfield-i7-860" });
    pagesOf(without, "1G", 2 ** 30, 2 ** 30);
    expect(without.run("load", 2 ** 30 + 2 ** 29).exitEptViolation).toBe(1);
    expect(without.run("load", 2 ** 30 + 0x1000).exitEptViolation).toBeUndefined();
  });

  it("end where the slot does", () => {
    const machine = new Machine(kernel);
    machine.slot(1, GPA + 0x1000, 2 * SIZE, { backing: "2M" });
    machine.run("load", GPA + 0x1000);
    expect(machine.run("load", GPA + 0x2000).exitEptViolation).toBe(1);
    machine.run("load", GPA + SIZE);
    expect(machine.run("load", GPA + SIZE + 0x1000).exitEptViolation).toBeUndefined();
  });

  it("need guest and host addresses that line up", () => {
    const machine = new Machine(kernel);
    const userspaceAddr = machine.vm.host.mmap(2 * SIZE, "2M", GPA) + 0x1000;
    machine.vm.kvmSetUserMemoryRegion({
      slot: 1,
      flags: 0,
      guestPhysAddr: GPA,
      memorySize: SIZE,
      userspaceAddr,
    });
    machine.run("load", GPA);
    expect(machine.run("load", GPA + 0x1000).exitEptViolation).toBe(1);
  });

  it("of 1 Gbyte are not made in nested page tables of a processor that has none", () => {
    const machine = new Machine(kernel, { paging: "npt", cpu: "lynnfield-i7-860" });
    pagesOf(machine, "1G", 2 ** 30, 2 ** 30);
    expect(machine.run("load", 2 ** 30 + 0x1000).exitNpf).toBeUndefined();
  });

  it("map a read-only slot too", () => {
    const machine = new Machine(kernel);
    machine.slot(1, GPA, SIZE, { backing: "2M", flags: KVM_MEM_READONLY });
    machine.run("load", GPA);
    expect(machine.run("load", GPA + 0x1000).exitEptViolation).toBeUndefined();
    expect(machine.run("store", GPA + 0x1000)).toMatchObject({ exitEptViolation: 1, userspaceExitMmio: 1 });
  });
});

describe("the prefetch of neighbours", () => {
  const faults = (kernel: KernelVersion, cpu: string, flags = 0) => {
    const machine = new Machine(kernel, { cpu });
    machine.slot(1, GPA, SIZE, { flags });
    machine.run("load", GPA + 0x5000);
    return [0, 1, 2, 3, 4, 6, 7, 8].filter(
      (page) => machine.run("load", GPA + page * 0x1000).exitEptViolation === 1,
    );
  };

  it("maps up to the page that faulted in v4.2 with accessed flags, and not the end of its group of eight", () => {
    expect(faults("v4.2", "haswell-ep-e5-2660v3")).toEqual([6, 7, 8]);
  });

  it("fills nothing where a run of pages leaves the slot", () => {
    const machine = new Machine("v4.2", { cpu: "haswell-ep-e5-2660v3" });
    machine.slot(1, GPA, SIZE - 0x4000);
    machine.run("load", GPA + SIZE - 0x8000 + 0x1000);
    machine.run("store", GPA + SIZE - 0x1000); // MMIO, in the same group of eight
    for (const page of [2, 3]) {
      expect(machine.run("load", GPA + SIZE - 0x8000 + page * 0x1000).exitEptViolation).toBe(1);
    }
  });

  it("does not happen without accessed flags, in v6.19, or in a read-only slot", () => {
    const all = [0, 1, 2, 3, 4, 6, 7, 8];
    expect(faults("v4.2", "sandy-bridge-ep")).toEqual(all);
    expect(faults("v6.19", "haswell-ep-e5-2660v3")).toEqual(all);
    expect(faults("v4.2", "haswell-ep-e5-2660v3", KVM_MEM_READONLY)).toEqual(all);
  });
});

describe("the depth of the EPT", () => {
  const wide = { ...loadCpu("skylake-x-i9-7900x").geometry, ept5Levels: true, physicalAddressBits: 52 };

  it.each<[KernelVersion, number]>([
    ["v4.2", 4],
    ["v6.19", 5],
  ])("of %s is %i on a processor with 5 levels and more than 48 address bits", (kernel, levels) => {
    const vm = createVm(kernel, wide);
    expect(vm.vcpu.cpu.nested?.levels).toBe(levels);
    const userspaceAddr = vm.host.mmap(SIZE, "4K", 0);
    vm.kvmSetUserMemoryRegion({ slot: 0, flags: 0, guestPhysAddr: 0, memorySize: SIZE, userspaceAddr });
    new GuestTables(vm, 0, SIZE / 4096).mapIdentity(0, 1, "4K");
    vm.execute();
    expect(vm.sptep(0) & 3n).toBe(3n);
  });
});

describe("memory that userspace has not mapped", () => {
  it.each(ERAS)("behind a slot makes KVM_RUN fail in %s", (kernel) => {
    const machine = new Machine(kernel);
    machine.vm.kvmSetUserMemoryRegion({
      slot: 1,
      flags: 0,
      guestPhysAddr: GPA,
      memorySize: SIZE,
      userspaceAddr: 4096,
    });
    expect(errnoOf(() => machine.run("load", GPA))).toBe("EFAULT");
  });

  it("at addresses that KVM's tables cannot map is refused from v6.19 on", () => {
    const { vm } = new Machine("v6.19", { cpu: "lynnfield-i7-860" });
    const region = { slot: 1, flags: 0, guestPhysAddr: 2 ** 40, memorySize: 4096, userspaceAddr: 4096 };
    expect(errnoOf(() => vm.kvmSetUserMemoryRegion(region))).toBe("EINVAL");
  });

  it("beyond the processor's address width is refused", () => {
    const { vm } = new Machine("v4.2");
    expect(errnoOf(() => vm.host.mmap(2 ** 50, "4K", 0))).toBe("ENOMEM");
  });
});
