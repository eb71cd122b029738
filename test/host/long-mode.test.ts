import { beforeEach, describe, expect, it } from "vitest";
import { loadCpu } from "../../src/cost/cpu-profile.js";
import { GuestPageTables, longModeSregs } from "../../src/host/long-mode.js";
import type { KvmSegment, KvmSregs } from "../../src/host/uapi.js";
import { FETCH, READ, WRITE } from "../../src/x86/access.js";
import { Ledger, X86_PRIMITIVES } from "../../src/x86/ledger.js";
import { Mmu, PAGE, PAGE_FAULT, TRANSLATED } from "../../src/x86/mmu.js";
import { PhysicalMemory } from "../../src/x86/physical-memory.js";
import { LONG_MODE } from "../../src/x86/registers.js";

/** A segment after reset, and a descriptor table. */
const segment: KvmSegment = {
  base: 0,
  limit: 0xffff,
  selector: 0,
  type: 3,
  present: 1,
  dpl: 0,
  db: 0,
  s: 1,
  l: 0,
  g: 0,
  avl: 0,
  unusable: 0,
  padding: 0,
};
const table = { base: 0, limit: 0xffff, padding: [0, 0, 0] };

/** What KVM_GET_SREGS gives of a vCPU after reset. */
const RESET: KvmSregs = {
  cs: { ...segment, base: 0xffff_0000, selector: 0xf000, type: 11 },
  ds: segment,
  es: segment,
  fs: segment,
  gs: segment,
  ss: segment,
  tr: { ...segment, type: 11, s: 0 },
  ldt: { ...segment, type: 2, s: 0 },
  gdt: table,
  idt: table,
  cr0: 0x6000_0010,
  cr2: 0,
  cr3: 0,
  cr4: 0,
  cr8: 0,
  efer: 0,
  apic_base: 0xfee0_0900,
  interrupt_bitmap: [0, 0, 0, 0],
};

describe("the registers of a vCPU in 64-bit mode", () => {
  const sregs = longModeSregs(RESET, 0x18_0000);

  it("have protection and paging on and caches enabled, 4-level tables, SSE, and long mode active", () => {
    expect(sregs.cr0).toBe(0x8001_0031); // PG, WP, NE, ET, PE; without CD and NW
    expect(sregs.cr4).toBe(0x220); // OSFXSR, PAE
    expect(sregs.efer).toBe(0x500); // LMA, LME
    expect(sregs.cr3).toBe(0x18_0000);
  });

  it("have a 64-bit code segment of ring 0", () => {
    expect(sregs.cs).toMatchObject({
      base: 0,
      limit: 0xffff_ffff,
      type: 11,
      dpl: 0,
      s: 1,
      l: 1,
      db: 0,
      g: 1,
    });
  });

  it.each(["ds", "es", "fs", "gs", "ss"] as const)("have a flat, writable %s", (name) => {
    expect(sregs[name]).toMatchObject({
      base: 0,
      limit: 0xffff_ffff,
      type: 3,
      dpl: 0,
      s: 1,
      l: 0,
      db: 1,
      g: 1,
    });
  });

  it("have no handler for an exception", () => {
    expect(sregs.idt.limit).toBe(0);
  });

  it("leave the rest to KVM: the task segment, the local APIC", () => {
    const { tr, ldt, apic_base } = sregs;
    expect({ tr, ldt, apic_base }).toEqual({ tr: RESET.tr, ldt: RESET.ldt, apic_base: 0xfee0_0900 });
  });
});

describe("the guest's page tables in memory", () => {
  const GPA = 0x18_0000;
  let memory: Uint8Array;
  let tables: GuestPageTables;

  beforeEach(() => {
    memory = new Uint8Array(16 * PAGE);
    tables = new GuestPageTables(memory, GPA);
  });

  const entry = (gpa: number, index: number) =>
    new DataView(memory.buffer).getBigUint64(gpa - GPA + 8 * index, true);

  /** The model's processor with these tables in its memory. */
  function processor(): Mmu {
    const physical = new PhysicalMemory();
    const words = new Uint32Array(memory.buffer);
    words.forEach((word, index) => {
      physical.writeWord(GPA / PAGE + Math.floor(index / 1024), index % 1024, word);
    });
    const mmu = new Mmu(loadCpu("haswell-ep-e5-2660v3").geometry, physical, new Ledger(X86_PRIMITIVES));
    mmu.loadRegisters(LONG_MODE, tables.cr3);
    return mmu;
  }

  it("start at the beginning of the memory, with the root", () => {
    expect(tables.cr3).toBe(GPA);
  });

  it("map a page of 4 Kbyte by four entries: present, writable, accessed, and the last one dirty", () => {
    tables.mapIdentity(0xfebf0, 0xfebf1, "4K");
    expect(entry(GPA, 0)).toBe(0x18_1023n);
    expect(entry(GPA + PAGE, 3)).toBe(0x18_2023n); // the fourth Gbyte
    expect(entry(GPA + 2 * PAGE, 0x1f5)).toBe(0x18_3023n); // 0xfea00000, of 2 Mbyte
    expect(entry(GPA + 3 * PAGE, 0x1f0)).toBe(0xfebf_0063n);
  });

  it("map 2 Mbyte by three", () => {
    tables.mapIdentity(0x400, 0x600, "2M");
    expect(entry(GPA + 2 * PAGE, 2)).toBe(0x40_00e3n); // a page that is dirty, and large
    expect(entry(GPA + 2 * PAGE, 3)).toBe(0n);
  });

  it.each(["4K", "2M"] as const)("of %s lead the model's processor to the same address", (size) => {
    tables.mapIdentity(0x400, 0x600, size);
    const mmu = processor();
    for (const kind of [READ, WRITE, FETCH]) {
      expect(mmu.translate(0x5ff, 0, kind)).toBe(TRANSLATED);
      expect(mmu.pfn).toBe(0x5ff);
    }
  });

  it("reach above 4 Gbyte", () => {
    tables.mapIdentity(0x12_3456, 0x12_3457, "4K");
    const mmu = processor();
    expect(mmu.translate(0x12_3456, 0, READ)).toBe(TRANSLATED);
    expect(mmu.pfn).toBe(0x12_3456);
  });

  it("map nothing else", () => {
    tables.mapIdentity(0x400, 0x401, "4K");
    expect(processor().translate(0x401, 0, READ)).toBe(PAGE_FAULT);
  });

  it("are not written by a processor: what it would set is set", () => {
    tables.mapIdentity(0x400, 0x401, "4K");
    const mmu = processor();
    mmu.translate(0x400, 0, WRITE);
    expect(mmu.memory.low(GPA / PAGE, 0)).toBe(0x18_1023);
    expect(mmu.memory.low(GPA / PAGE + 3, 0)).toBe(0x40_0063);
  });

  it("need a page each", () => {
    const few = new GuestPageTables(new Uint8Array(4 * PAGE), GPA);
    few.mapIdentity(0, 512, "4K");
    expect(() => few.mapIdentity(512, 513, "4K")).toThrow("16384 bytes have no room for another page table");
  });
});
