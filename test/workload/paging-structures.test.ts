import { describe, expect, it } from "vitest";
import { loadCpu } from "../../src/cost/cpu-profile.js";
import {
  type EptFormat,
  type GuestFormat,
  PAGE_SIZES,
  PagingStructures,
} from "../../src/workload/paging-structures.js";
import { FETCH, READ, USER, WRITE } from "../../src/x86/access.js";
import { EPT_EXECUTE, EPT_READ, EPT_WRITE } from "../../src/x86/ept.js";
import { PTE_ACCESSED, PTE_PRESENT } from "../../src/x86/guest-paging.js";
import { EPT_MISCONFIG, EPT_VIOLATION, type Mmu, PAGE_FAULT, TRANSLATED } from "../../src/x86/mmu.js";
import { probeTranslation } from "../../src/x86/probe.js";

const geometry = { ...loadCpu("skylake-x-i9-7900x").geometry, ept5Levels: true };

/** Host page of guest page 0 under EPT. */
const HOST = 0x40_0000;
/** Guest pages of the guest's tables: above 1 Gbyte, so that no page of the data has them in it. */
const tableGfn = (n: number) => 0x4_0000 + n;

const MODES = ["none", "32-bit", "PAE", "4-level", "5-level"] as const;
const GUESTS = MODES.flatMap((mode) => PAGE_SIZES[mode].map((pages) => ({ mode, pages })));
const EPTS: (EptFormat | null)[] = [
  null,
  ...([4, 5] as const).flatMap((levels) => (["4K", "2M", "1G"] as const).map((pages) => ({ levels, pages }))),
];
const FORMATS = GUESTS.flatMap((guest) => EPTS.map((ept) => ({ guest, ept })));

const LONG_4K: { guest: GuestFormat; ept: EptFormat } = {
  guest: { mode: "4-level", pages: "4K" },
  ept: { levels: 4, pages: "4K" },
};

/** Host page of a linear page, as a load and as the probe find it; null where either is not translated. */
function hostPages(mmu: Mmu, page: number): (number | null)[] {
  const translated = mmu.translate(page, 0, READ | USER) === TRANSLATED;
  const probed = probeTranslation(mmu, BigInt(page) << 12n, READ | USER).hostPhysicalAddress;
  return [translated ? mmu.pfn : null, probed === null ? null : probed / 4096];
}

describe("the paging structures", () => {
  it.each(FORMATS)("of $guest with EPT $ept lead to the host page", ({ guest, ept }) => {
    const structures = new PagingStructures(geometry, { guest, ept }, tableGfn);
    // In a guest without paging a linear page is the guest page.
    const gfn = guest.mode === "none" ? 0x12345 : 0x2345 + (guest.pages === "1G" ? 0x1_0000 : 0);
    structures.map(0x12345, gfn, 3);
    const { mmu } = structures.processor();
    for (const page of [0, 1, 2]) {
      const host = gfn + page + (ept === null ? 0 : HOST);
      expect(hostPages(mmu, 0x12345 + page)).toEqual([host, host]);
    }
  });

  it("map all of a larger page, in the guest and in the EPT", () => {
    const guest = { mode: "4-level", pages: "2M" } as const;
    const structures = new PagingStructures(geometry, { guest, ept: { levels: 4, pages: "2M" } }, tableGfn);
    structures.map(0x805, 0x1005);
    const { mmu } = structures.processor();
    expect(hostPages(mmu, 0x9ff)).toEqual([HOST + 0x11ff, HOST + 0x11ff]);
    expect(hostPages(mmu, 0xa00)).toEqual([null, null]);
  });

  it("put the guest's tables where they are told, the root first and then from the top", () => {
    const structures = new PagingStructures(geometry, LONG_4K, (n) => 0x100 + 0x10 * n);
    structures.map(0, 5);
    const { mmu } = structures.processor();
    const { steps } = probeTranslation(mmu, 0n, READ);
    const tables = steps.filter(({ structure }) => structure === "guest");
    expect(tables.map(({ guestPhysicalAddress }) => guestPhysicalAddress / 4096)).toEqual([
      0x100, 0x110, 0x120, 0x130,
    ]);
  });

  it("allow everything, and need no flag to be set", () => {
    const structures = new PagingStructures(geometry, LONG_4K, tableGfn);
    structures.map(0, 5);
    const before = structures.memory.words.slice();
    const { mmu } = structures.processor();
    for (const kind of [READ, WRITE, FETCH]) expect(mmu.translate(0, 0, kind | USER)).toBe(TRANSLATED);
    expect(structures.memory.words).toEqual(before);
  });

  it("give a page the flags that are asked for", () => {
    const structures = new PagingStructures(geometry, LONG_4K, tableGfn);
    structures.map(1, 1, 1, { ept: EPT_READ | EPT_EXECUTE });
    structures.map(2, 2, 1, { ept: EPT_WRITE | EPT_EXECUTE });
    structures.map(3, 3, 1, { guest: PTE_PRESENT | PTE_ACCESSED });
    structures.map(4, 4, 1, { guest: 0 });
    const { mmu } = structures.processor();
    expect([1, 2, 3, 4].map((page) => mmu.translate(page, 0, WRITE))).toEqual([
      EPT_VIOLATION,
      EPT_MISCONFIG,
      PAGE_FAULT,
      PAGE_FAULT,
    ]);
  });

  it("come with a processor that has cached and counted nothing, though PAE has loaded its PDPTEs", () => {
    const guest = { mode: "PAE", pages: "4K" } as const;
    const structures = new PagingStructures(geometry, { guest, ept: LONG_4K.ept }, tableGfn);
    structures.map(0, 5);
    const { mmu, ledger } = structures.processor();
    expect(ledger.counts.every((count) => count === 0)).toBe(true);
    mmu.translate(0, 0, READ);
    expect(ledger.toRecord()).toMatchObject({ dtlbHit: 0, walkLoad: 1 });
  });

  it.each([
    ["32-bit", "2M"],
    ["PAE", "1G"],
    ["PAE", "4M"],
    ["4-level", "4M"],
  ] as const)("are refused in %s paging with pages of %s", (mode, pages) => {
    const make = () => new PagingStructures(geometry, { guest: { mode, pages }, ept: null }, tableGfn);
    expect(make).toThrow(`pages of ${pages}: ${mode} paging has none on this processor`);
  });

  it("are refused where the processor lacks what they need", () => {
    const old = loadCpu("lynnfield-i7-860").geometry;
    const make = (format: { guest: GuestFormat; ept: EptFormat | null }) => () =>
      new PagingStructures(old, format, tableGfn);
    expect(make({ guest: { mode: "4-level", pages: "1G" }, ept: null })).toThrow("pages of 1G");
    expect(make({ ...LONG_4K, ept: { levels: 4, pages: "1G" } })).toThrow("the EPT has none");
    expect(make({ ...LONG_4K, ept: { levels: 5, pages: "4K" } })).toThrow(/EPT pointer .* is not valid/);
  });

  it("refuse pages that do not lie alike in a larger page", () => {
    const guest = { mode: "4-level", pages: "2M" } as const;
    const structures = new PagingStructures(geometry, { guest, ept: null }, tableGfn);
    expect(() => structures.map(0x801, 0x1002)).toThrow("differ in their place");
    const unpaged = new PagingStructures(geometry, { guest: GUESTS[0], ept: null }, tableGfn);
    expect(() => unpaged.map(1, 2)).toThrow("without guest paging");
  });
});
