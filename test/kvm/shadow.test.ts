/** Without two-dimensional paging: the shadow of the guest's tables, and exits that are page faults. */
import { describe, expect, it } from "vitest";
import type { KernelVersion } from "../../src/kvm/eras.js";
import { KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY } from "../../src/kvm/memslots.js";
import { Machine } from "./machine.js";

const MMIO = 0xfebf_0800;
const ROM = 0x1000_0000;
const MB2 = 2 ** 21;
const ERAS: KernelVersion[] = ["v3.9", "v4.2", "v4.2.8", "v6.19"];

/** Guest page frame number of the table that maps an address by a small page. */
function tableOf({ vm }: Machine, address: number): number {
  vm.walkAddr(address / 4096, 0);
  return (vm as unknown as { guestWalk: { tables: number[] } }).guestWalk.tables[1];
}

describe.each(ERAS)("shadow paging of %s", (kernel) => {
  const machineOf = () => new Machine(kernel, { paging: "shadow" });

  it("maps memory at the first page fault, after which nothing exits and the walk has one dimension", () => {
    const machine = machineOf();
    machine.slot(1, ROM, MB2);
    expect(machine.run("store", ROM)).toMatchObject({ exitException: 1, shadowPageFault: 1 });
    const again = machine.run("store", ROM);
    expect(again).toMatchObject({ dtlbHit: 1 });
    const { vm } = machine;
    vm.vcpu.cpu.caches.clear();
    const cold = machine.run("store", ROM);
    const references = (kind: string) =>
      Object.entries(cold).reduce((sum, [name, count]) => sum + (name.startsWith(kind) ? count : 0), 0);
    expect([references("guestWalkRef"), references("eptWalkRef")]).toEqual([4, 0]);
    expect(cold.exitException).toBeUndefined();
  });

  it("marks MMIO with reserved bits: the next access exits as a page fault that says so", () => {
    const machine = machineOf();
    expect(machine.run("store", MMIO)).toMatchObject({ exitException: 1, emulateInstruction: 1 });
    expect(machine.vm.vcpu.vmcs.exitInterruptionErrorCode & 8).toBe(0);
    const again = machine.run("store", MMIO);
    expect(again).toMatchObject({ exitException: 1, emulateInstruction: 1, userspaceExitMmio: 1 });
    expect(machine.vm.vcpu.vmcs.exitInterruptionErrorCode & 8).toBe(8);
    expect(again.tdpPageFault).toBeUndefined();
  });

  it("knows the linear address of MMIO, so that the emulator walks for the code alone", () => {
    const machine = machineOf();
    machine.run("store", MMIO);
    expect(machine.run("store", MMIO)).toMatchObject({ guestWalkInSoftware: 1 });
  });

  it("never reaches the fast bus", () => {
    if (kernel === "v3.9") return;
    const machine = machineOf();
    const eventfd = machine.ioeventfd(MMIO, 0);
    for (let i = 0; i < 3; i++) machine.run("store", MMIO);
    // 4.2 does not find a zero-length eventfd on the MMIO bus: it never fires.
    expect(eventfd.signals).toBe(kernel === "v4.2" ? 0 : 3);
    expect(machine.counted().emulateInstruction).toBe(1);
  });

  it("gives the guest its own page faults", () => {
    const machine = machineOf();
    const { vm } = machine;
    machine.prepare("load", ROM);
    Object.assign(vm.vcpu.instruction, { page: 0x7_0000 });
    expect(() => vm.execute()).toThrow("guest page fault at 0x70000000, error code 0");
  });

  it("serves a read-only slot as it does with EPT: mapped by reads, writes emulated", () => {
    const machine = machineOf();
    machine.slot(1, ROM, MB2, { flags: KVM_MEM_READONLY });
    machine.run("load", ROM);
    expect(machine.run("load", ROM).exitException).toBeUndefined();
    const eventfd = machine.ioeventfd(ROM, 4);
    expect(machine.run("store", ROM)).toMatchObject({ exitException: 1, emulateInstruction: 1 });
    expect(eventfd.signals).toBe(1);
  });

  it("makes the first write after a read fault once more, so that the guest's dirty flag is set", () => {
    const machine = machineOf();
    machine.slot(1, ROM, MB2);
    machine.run("load", ROM);
    expect(machine.run("store", ROM)).toMatchObject({ exitException: 1, shadowPageFault: 1 });
    expect(machine.run("store", ROM).exitException).toBeUndefined();
  });

  it("emulates writes to the guest's own tables, and drops what was made from them", () => {
    const machine = machineOf();
    machine.slot(1, ROM, MB2);
    machine.run("store", ROM);
    const root = machine.vm.vcpu.guestCr3;
    const write = machine.run("store", root, { size: 8 });
    expect(write).toMatchObject({ emulateInstruction: 1 });
    expect(write.exitException).toBeGreaterThan(0);
    // The entry that was written leads to everything in the lowest 512 Gbyte.
    expect(machine.run("store", ROM)).toMatchObject({ shadowPageFault: 1 });
  });

  it("notices a slot under a stale MMIO SPTE", () => {
    const machine = machineOf();
    machine.run("store", ROM);
    machine.slot(1, ROM, MB2);
    machine.run("store", ROM);
    expect(machine.counted().emulateInstruction).toBeUndefined();
    expect(machine.run("store", ROM).exitException).toBeUndefined();
  });

  it("maps the guest's tables again after all was zapped", () => {
    const machine = machineOf();
    const userspaceAddr = machine.slot(1, ROM, MB2);
    machine.run("store", ROM);
    machine.vm.kvmSetUserMemoryRegion({
      slot: 1,
      flags: 0,
      guestPhysAddr: ROM,
      memorySize: 0,
      userspaceAddr,
    });
    expect(machine.run("load", 0x1000)).toMatchObject({ shadowPageFault: 1 });
    expect(machine.run("store", ROM)).toMatchObject({ userspaceExitMmio: 1 });
  });

  it("logs writes: each page faults once after the log was read", () => {
    const machine = machineOf();
    machine.slot(1, ROM, MB2, { flags: KVM_MEM_LOG_DIRTY_PAGES });
    machine.run("store", ROM);
    expect(machine.vm.kvmGetDirtyLog(1)).toEqual([ROM / 4096]);
    expect(machine.run("store", ROM)).toMatchObject({ exitException: 1 });
    expect(machine.vm.kvmGetDirtyLog(1)).toEqual([ROM / 4096]);
  });

  it("maps a large page where guest and host have one, and small ones while writes are logged", () => {
    const machine = machineOf();
    const { vm } = machine;
    const userspaceAddr = machine.slot(1, ROM, 2 * MB2, { backing: "2M" });
    const region = { slot: 1, guestPhysAddr: ROM, memorySize: 2 * MB2, userspaceAddr };
    machine.mapLarge(ROM);
    machine.mapLarge(ROM + MB2);
    machine.run("store", ROM);
    expect(machine.run("store", ROM + 0x5000).exitException).toBeUndefined();
    const log = (flags: number) => vm.kvmSetUserMemoryRegion({ ...region, flags });
    log(KVM_MEM_LOG_DIRTY_PAGES);
    machine.run("store", ROM);
    vm.kvmGetDirtyLog(1);
    machine.run("store", ROM);
    expect(vm.kvmGetDirtyLog(1)).toEqual([ROM / 4096]);
    log(0);
    machine.run("store", ROM);
    log(KVM_MEM_LOG_DIRTY_PAGES);
    machine.run("store", ROM + MB2);
    machine.run("store", ROM + 0x5000);
    // Each page has an entry of its own, in tables that are nobody else's.
    const frames = [ROM, ROM + 0x5000, ROM + MB2].map((address) => {
      machine.run("load", address);
      expect(vm.vcpu.cpu.translate(address / 4096, 0, 0)).toBe(0);
      return vm.vcpu.cpu.pfn - (vm.host.find(userspaceAddr)?.basePfn ?? 0);
    });
    expect(frames).toEqual([0, 5, 512]);
  });

  it("takes write access from a large page in which the guest makes a table", () => {
    const machine = machineOf();
    const { vm } = machine;
    machine.slot(1, ROM, MB2, { backing: "2M" });
    machine.mapLarge(ROM);
    machine.run("store", ROM);
    // A table at the slot's page 7 that maps one page, under a new entry of the guest's directory.
    const table = ROM / 4096 + 7;
    vm.kvmWriteGuest(table, 0, ROM + 0x3000 + 3, 0);
    const root = vm.vcpu.guestCr3 / 4096;
    const far = 2 ** 46;
    const [pdpt, directory] = [ROM / 4096 + 8, ROM / 4096 + 9];
    vm.kvmWriteGuest(root, (far / 2 ** 39) % 512, pdpt * 4096 + 3, 0);
    vm.kvmWriteGuest(pdpt, 0, directory * 4096 + 3, 0);
    vm.kvmWriteGuest(directory, 0, table * 4096 + 3, 0);
    machine.prepare("load", 0x1000);
    Object.assign(vm.vcpu.instruction, { page: far / 4096, offset: 0 });
    vm.execute();
    expect(machine.run("store", table * 4096)).toMatchObject({ exitException: 1 });
    expect(machine.run("store", ROM + 0x4000).emulateInstruction).toBeUndefined();
  });

  it("lets a table go that is written by an instruction which guests do not write tables with", () => {
    const machine = machineOf();
    machine.slot(1, ROM, MB2);
    machine.run("store", ROM);
    const table = tableOf(machine, ROM) * 4096;
    expect(machine.run("store", table).emulateInstruction).toBe(1);
    machine.run("store", ROM);
    // The page is let go, and the guest writes it itself.
    expect(machine.run("stos", table).emulateInstruction).toBeUndefined();
    expect(machine.run("stos", table).exitException).toBeUndefined();
    expect(machine.run("store", ROM)).toMatchObject({ shadowPageFault: 1 });
    expect(machine.run("stos", table).exitException).toBeGreaterThan(0);
  });

  it("keeps large pages from holding the guest's tables, also in a slot that has gone and come back", () => {
    const machine = machineOf();
    const { vm } = machine;
    const root = vm.vcpu.guestCr3 / 4096;
    const { userspaceAddr = 0 } = vm.findMemslot(root) ?? {};
    const slot = { slot: 0, flags: 0, guestPhysAddr: 0, userspaceAddr };
    expect(vm.findMemslot(root)?.disallowsLargePage(root, 2)).toBe(true);
    vm.kvmSetUserMemoryRegion({ ...slot, memorySize: 0 });
    vm.kvmSetUserMemoryRegion({ ...slot, memorySize: 2 ** 22 });
    machine.run("load", 0x1000);
    expect(vm.findMemslot(root)?.disallowsLargePage(root, 2)).toBe(true);
    expect(machine.run("store", root * 4096, { size: 8 }).emulateInstruction).toBe(1);
  });

  it("keeps small pages of the guest small when a log ends", () => {
    const machine = machineOf();
    const userspaceAddr = machine.slot(1, ROM, MB2, { backing: "2M", flags: KVM_MEM_LOG_DIRTY_PAGES });
    machine.run("store", ROM);
    machine.vm.kvmSetUserMemoryRegion({
      slot: 1,
      flags: 0,
      guestPhysAddr: ROM,
      memorySize: MB2,
      userspaceAddr,
    });
    expect(machine.run("load", ROM).exitException).toBeUndefined();
  });

  it("tells two mappings of a page by their rights", () => {
    const machine = machineOf();
    const { vm } = machine;
    machine.slot(1, ROM, MB2);
    machine.mapLarge(ROM);
    machine.run("store", ROM);
    // The guest maps the same memory elsewhere as well, for reading: by a large page without the writable flag.
    const [pdpt, directory] = [ROM / 4096 + 8, ROM / 4096 + 9];
    const far = 2 ** 46;
    vm.kvmWriteGuest(vm.vcpu.guestCr3 / 4096, (far / 2 ** 39) % 512, pdpt * 4096 + 3, 0);
    vm.kvmWriteGuest(pdpt, 0, directory * 4096 + 3, 0);
    vm.kvmWriteGuest(directory, 0, ROM + 0x81, 0);
    const access = (form: "load" | "store", address: number) => {
      machine.prepare(form, 0x1000);
      Object.assign(vm.vcpu.instruction, { page: Math.floor(address / 4096), offset: 0 });
      vm.execute();
    };
    access("load", far + 0x1000);
    expect(() => access("store", far)).toThrow("guest page fault");
  });

  it("drops the whole shadow of a table that is written by more than an entry", () => {
    const machine = machineOf();
    const { vm } = machine;
    machine.slot(1, ROM, MB2);
    machine.run("store", ROM);
    const table = tableOf(machine, ROM);
    expect(vm.kvmMmuUnprotectPage(table)).toBe(true);
    expect(vm.kvmMmuUnprotectPage(table)).toBe(false);
    machine.run("store", ROM);
    vm.kvmMmuPteWrite(table * 4096 + 8, 16);
    expect(vm.kvmMmuUnprotectPage(table)).toBe(false);
  });

  it("lets an event be delivered to a stack that lies in a shadowed table", () => {
    const machine = machineOf();
    machine.slot(1, ROM, MB2);
    machine.run("store", ROM);
    const table = tableOf(machine, ROM);
    machine.run("store", table * 4096);
    machine.run("store", ROM);
    expect(machine.run("event", table * 4096).emulateInstruction).toBeUndefined();
  });
});

describe("shadow paging of v6.19", () => {
  it("lets an access to a slot that is being deleted wait", () => {
    const machine = new Machine("v6.19", { paging: "shadow" });
    const { vm } = machine;
    const userspaceAddr = machine.slot(1, ROM, MB2);
    machine.prepare("store", ROM);
    let message = "";
    let windows = 0;
    vm.duringGracePeriod = () => {
      if (windows++ > 0) return;
      try {
        vm.execute();
      } catch (error) {
        message = String(error);
      }
    };
    vm.kvmSetUserMemoryRegion({ slot: 1, flags: 0, guestPhysAddr: ROM, memorySize: 0, userspaceAddr });
    expect(message).toContain("no progress");
  });

  it("marks no MMIO where that is off, or where all address bits are legal", () => {
    const machine = new Machine("v6.19", { paging: "shadow", mmioCaching: false });
    for (let i = 0; i < 2; i++) {
      expect(machine.run("store", MMIO)).toMatchObject({ exitException: 1, emulateInstruction: 1 });
      expect(machine.vm.vcpu.vmcs.exitInterruptionErrorCode & 8).toBe(0);
    }
  });
});
