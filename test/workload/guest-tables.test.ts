import { beforeEach, describe, expect, it } from "vitest";
import { loadCpu } from "../../src/cost/cpu-profile.js";
import { createVm } from "../../src/kvm/eras.js";
import { INSTRUCTION_FORMS } from "../../src/kvm/instruction.js";
import type { Svm } from "../../src/kvm/svm.js";
import { GuestTables } from "../../src/workload/guest-tables.js";

let vm: Svm;
let userspaceAddr: number;

beforeEach(() => {
  vm = createVm("v4.2", loadCpu("sandy-bridge-ep").geometry);
  const memorySize = 2 ** 22;
  userspaceAddr = vm.host.mmap(memorySize, "4K", 0);
  vm.kvmSetUserMemoryRegion({ slot: 0, flags: 0, guestPhysAddr: 0, memorySize, userspaceAddr });
});

function load(page: number): void {
  Object.assign(vm.vcpu.instruction, { form: INSTRUCTION_FORMS.load, page, offset: 0, size: 4 });
  vm.execute();
}

describe("the guest's page tables", () => {
  it("map a page to itself", () => {
    new GuestTables(vm, 0, 1024).mapIdentity(7, 9, "4K");
    load(8);
    const { cpu } = vm.vcpu;
    expect(cpu.translate(8, 0, 1)).toBe(0);
    expect(cpu.pfn).toBe((vm.host.find(userspaceAddr)?.basePfn ?? 0) + 8);
  });

  it("leave a page that was not mapped to a page fault, which this guest cannot handle", () => {
    new GuestTables(vm, 0, 1024).mapIdentity(7, 9, "4K");
    expect(() => load(9)).toThrow("guest page fault at 0x9000, error code 0");
  });

  it("take one page per table, downwards from the end: four for one page, two more for one far away", () => {
    const tables = new GuestTables(vm, 0, 1024);
    tables.mapIdentity(0, 1, "4K");
    expect(tables.firstGfn).toBe(1024 - 4);
    tables.mapIdentity(2 ** 19, 2 ** 19 + 1, "4K"); // 2 Gbyte: another page directory and page table
    expect(tables.firstGfn).toBe(1024 - 6);
  });

  it("take one table less with 2-Mbyte pages", () => {
    const tables = new GuestTables(vm, 0, 1024);
    tables.mapIdentity(0, 1, "2M");
    expect(tables.firstGfn).toBe(1024 - 3);
    load(511);
  });

  it("take two tables less with 1-Gbyte pages, which reach as far", () => {
    const tables = new GuestTables(vm, 0, 1024);
    tables.mapIdentity(5, 6, "1G");
    expect(tables.firstGfn).toBe(1024 - 2);
    load(1023);
  });

  it("do not fit outside memory", () => {
    expect(() => new GuestTables(vm, 0, 1).mapIdentity(0, 1, "4K")).toThrow("EFAULT");
  });
});
