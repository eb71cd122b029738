import { describe, expect, it } from "vitest";
import { entryHigh, entryLow, entryPfn, PhysicalMemory } from "../../src/x86/physical-memory.js";

describe("physical memory", () => {
  it("reads as zero where nothing was written", () => {
    const memory = new PhysicalMemory();
    memory.write(7, 0, 1, 2);
    expect([memory.low(8, 0), memory.high(7, 1), memory.low(7, 0), memory.high(7, 0)]).toEqual([0, 0, 1, 2]);
  });

  it("keeps frames apart however sparse they are: a terabyte and more with tables here and there", () => {
    const memory = new PhysicalMemory();
    const pfns = Array.from({ length: 500 }, (_, i) => i * 0x1_0000_0001 + (i % 3));
    for (const [i, pfn] of pfns.entries()) memory.write(pfn, i % 512, i + 1, ~i);
    for (const [i, pfn] of pfns.entries()) {
      expect([memory.low(pfn, i % 512), memory.high(pfn, i % 512)]).toEqual([i + 1, ~i >>> 0]);
    }
    expect(memory.words.length * 4).toBeLessThan(8 * 2 ** 20);
  });

  it("takes over the array of a memory that was released, and reads as zero; one other does, however often", () => {
    const memory = new PhysicalMemory();
    for (let pfn = 0; pfn < 100; pfn++) memory.fill(pfn, ~0, ~0);
    const { words } = memory;
    memory.release();
    memory.release();
    const [next, another] = [new PhysicalMemory(), new PhysicalMemory()];
    expect(next.words).toBe(words);
    expect(another.words).not.toBe(words);
    expect(words.every((word) => word === 0)).toBe(true);
    next.write(99, 1, 2, 3);
    expect([next.low(99, 0), next.low(99, 1), another.low(99, 1)]).toEqual([0, 2, 0]);
  });

  it("holds 32-bit entries as words", () => {
    const memory = new PhysicalMemory();
    memory.writeWord(3, 1023, 0xffff_ffff);
    expect(memory.high(3, 511)).toBe(0xffff_ffff);
  });
});

describe("an entry", () => {
  it("holds a page frame number of 40 bits beside its flags", () => {
    const pfn = 0xab_cdef_0123;
    expect(entryPfn(entryLow(pfn, 0xfff), entryHigh(pfn, 0xfff0_0000))).toBe(pfn);
  });
});
