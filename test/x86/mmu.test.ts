/**
 * The two-dimensional walk over entries in simulated memory. Guest-physical page n of the tables below is host page
 * HOST + n, so that a mix-up of the two address spaces shows.
 */
import { beforeEach, describe, expect, it } from "vitest";
import { loadCpu } from "../../src/cost/cpu-profile.js";
import { READ, USER, WRITE } from "../../src/x86/access.js";
import { SPACE_UNIT } from "../../src/x86/address-spaces.js";
import { DATA_REF, GUEST_WALK_REF, Ledger, X86_PRIMITIVES } from "../../src/x86/ledger.js";
import { EPT_MISCONFIG, EPT_VIOLATION, Mmu, PAGE_FAULT, TRANSLATED } from "../../src/x86/mmu.js";
import { entryHigh, entryLow, PhysicalMemory } from "../../src/x86/physical-memory.js";
import { CR4_PKE, LONG_MODE } from "../../src/x86/registers.js";
import { SIZE_2M, Tlb } from "../../src/x86/tlb.js";

const HOST = 0x5000;
/** Host pages of the EPT structures, and guest pages of the guest's. */
const EPT = { pml4: 0x100, pdpt: 0x101, pd: 0x102, pt: 0x103 };
const GUEST = { pml4: 0x10, pdpt: 0x11, pd: 0x12, pt: 0x13 };
/** The linear page under test, 0x40, is guest page 0x20. */
const PAGE_UNDER_TEST = 0x40;
const GFN = 0x20;

const EPT_TABLE = 0b111;
const EPT_RWX_WB = 0b111 | (6 << 3);
const EPT_RX_WB = 0b101 | (6 << 3);
const GUEST_RW = 0b11;
const GUEST_US = 0b100;

const geometry = loadCpu("sandy-bridge-ep").geometry;

let memory: PhysicalMemory;
let ledger: Ledger;
let mmu: Mmu;

function write(pfn: number, index: number, target: number, flags: number): void {
  memory.write(pfn, index, entryLow(target, flags), entryHigh(target));
}

function eptLeaf(gfn: number, flags: number): void {
  write(EPT.pt, gfn, HOST + gfn, flags);
}

/** References of the guest and of the EPT walk, whatever level served them. */
function references(): number {
  return ledger.counts.slice(GUEST_WALK_REF, DATA_REF).reduce((sum, n) => sum + n, 0);
}

/** The EPT pointer to a root table: write-back, four levels, no accessed and dirty flags. */
function eptp(root: number): number {
  return root * 4096 + 0x1e;
}

/** References that an access makes. */
function referencesOf(access: () => void): number {
  const before = references();
  access();
  return references() - before;
}

beforeEach(() => {
  memory = new PhysicalMemory();
  ledger = new Ledger(X86_PRIMITIVES);
  mmu = new Mmu(geometry, memory, ledger);
  mmu.enableEpt(eptp(EPT.pml4));
  mmu.writeCr3(GUEST.pml4 * 4096);
  write(EPT.pml4, 0, EPT.pdpt, EPT_TABLE);
  write(EPT.pdpt, 0, EPT.pd, EPT_TABLE);
  write(EPT.pd, 0, EPT.pt, EPT_TABLE);
  for (let gfn = 0; gfn < 0x80; gfn++) eptLeaf(gfn, EPT_RWX_WB);
  write(HOST + GUEST.pml4, 0, GUEST.pdpt, GUEST_RW);
  write(HOST + GUEST.pdpt, 0, GUEST.pd, GUEST_RW);
  write(HOST + GUEST.pd, 0, GUEST.pt, GUEST_RW);
  write(HOST + GUEST.pt, PAGE_UNDER_TEST, GFN, GUEST_RW);
});

describe("a cached translation under protection keys", () => {
  const ACCESSED_DIRTY = 0x60;
  const AD = 1;
  const WD = 2;

  /** Caches the page with nothing denied, then does an access under this PKRU: how it ends, and the error code of a fault. */
  function afterSupervisorRead(pkru: number, us: number, key: number, kind: number, keepsCached: boolean) {
    mmu.loadRegisters({ ...LONG_MODE, cr4: LONG_MODE.cr4 | CR4_PKE }, GUEST.pml4 * 4096);
    write(HOST + GUEST.pml4, 0, GUEST.pdpt, GUEST_RW | GUEST_US);
    write(HOST + GUEST.pdpt, 0, GUEST.pd, GUEST_RW | GUEST_US);
    write(HOST + GUEST.pd, 0, GUEST.pt, GUEST_RW | GUEST_US);
    const low = entryLow(GFN, GUEST_RW | us | ACCESSED_DIRTY);
    memory.write(HOST + GUEST.pt, PAGE_UNDER_TEST, low, entryHigh(GFN) | (key << 27));
    mmu.caches.clear();
    mmu.translate(PAGE_UNDER_TEST, 0, READ);
    mmu.writePkru(pkru);
    if (!keepsCached) mmu.caches.clear();
    const outcome = mmu.translate(PAGE_UNDER_TEST, 0, kind);
    return { outcome, errorCode: outcome === PAGE_FAULT ? mmu.errorCode : null };
  }

  const kinds = [READ, WRITE, READ | USER, WRITE | USER];
  const pkrus = [0, AD, WD, AD << 6, WD << 6, (AD | WD) << 6, ~0 >>> 0];
  it.each(pkrus)("serves what a walk would allow, and nothing else, with PKRU %i", (pkru) => {
    for (const us of [0, GUEST_US]) {
      for (const key of [0, 3]) {
        for (const kind of kinds) {
          const cached = afterSupervisorRead(pkru, us, key, kind, true);
          const walked = afterSupervisorRead(pkru, us, key, kind, false);
          expect({ us, key, kind, ...cached }).toEqual({ us, key, kind, ...walked });
        }
      }
    }
  });

  it("is no user's page because some key is denied", () => {
    const denied = { outcome: PAGE_FAULT, errorCode: 0b101 };
    expect(afterSupervisorRead(AD << 6, 0, 0, READ | USER, true)).toEqual(denied);
    expect(afterSupervisorRead(AD << 6, GUEST_US, 0, READ | USER, true).outcome).toBe(TRANSLATED);
  });
});

describe("a translation", () => {
  it("goes through guest and extended page tables to the host page", () => {
    expect(mmu.translate(PAGE_UNDER_TEST, 0, READ)).toBe(TRANSLATED);
    expect(mmu.pfn).toBe(HOST + GFN);
  });

  it("makes no reference to a paging structure the second time: the data TLB has it", () => {
    mmu.translate(PAGE_UNDER_TEST, 0, READ);
    expect(referencesOf(() => mmu.translate(PAGE_UNDER_TEST, 8, READ))).toBe(0);
    expect(ledger.toRecord()).toMatchObject({ walkLoad: 1, dtlbHit: 1, stlbHitLoad: 0 });
  });

  it("walks again for the first write, because the dirty flag must be set", () => {
    mmu.translate(PAGE_UNDER_TEST, 0, READ);
    expect(memory.low(HOST + GUEST.pt, PAGE_UNDER_TEST) & 0x60).toBe(0x20); // accessed
    mmu.translate(PAGE_UNDER_TEST, 0, WRITE);
    expect(memory.low(HOST + GUEST.pt, PAGE_UNDER_TEST) & 0x60).toBe(0x60); // and dirty
    expect(ledger.toRecord()).toMatchObject({ walkLoad: 1, walkStore: 1 });
  });

  it("needs 24 references when nothing that one part of the walk finds can serve another", () => {
    // Each guest structure and the data in a 512-Gbyte region of its own: four EPT entries apart for all five.
    memory = new PhysicalMemory();
    mmu = new Mmu({ ...geometry, physicalAddressBits: 46 }, memory, ledger);
    mmu.enableEpt(eptp(EPT.pml4));
    const gfn = (n: number) => n * 2 ** 27;
    for (let n = 1; n <= 5; n++) {
      const tables = 0x1000 + 4 * n;
      write(EPT.pml4, n, tables, EPT_TABLE);
      write(tables, 0, tables + 1, EPT_TABLE);
      write(tables + 1, 0, tables + 2, EPT_TABLE);
      write(tables + 2, 0, HOST + n, EPT_RWX_WB);
      if (n <= 4) write(HOST + n, 0, gfn(n + 1), GUEST_RW);
    }
    mmu.writeCr3(gfn(1) * 4096);
    expect(referencesOf(() => expect(mmu.translate(0, 0, READ)).toBe(TRANSLATED))).toBe(24);
    expect(mmu.pfn).toBe(HOST + 5);
  });

  it("needs 12 references from nothing when all pages share their EPT structures", () => {
    // CR3's page: 4 + 1; the three tables below and the data lie in the same EPT page table: 1 + 1 each, and 1.
    expect(referencesOf(() => mmu.translate(PAGE_UNDER_TEST, 0, READ))).toBe(4 + 1 + 3 * 2 + 1);
  });

  it("needs two references for a neighbouring page: the guest's PTE and its EPT PTE", () => {
    write(HOST + GUEST.pt, PAGE_UNDER_TEST + 1, GFN + 1, GUEST_RW);
    mmu.translate(PAGE_UNDER_TEST, 0, READ);
    expect(referencesOf(() => mmu.translate(PAGE_UNDER_TEST + 1, 0, READ))).toBe(2);
  });

  it("maps 2 Mbyte at once where guest and EPT do", () => {
    write(HOST + GUEST.pd, 1, 0x200, GUEST_RW | 0x80); // linear 2 to 4 Mbyte -> guest 2 to 4 Mbyte
    write(EPT.pd, 1, 0x40_0000, EPT_RWX_WB | 0x80);
    expect(mmu.translate(0x200, 0, READ)).toBe(TRANSLATED);
    expect(referencesOf(() => mmu.translate(0x3ff, 0, READ))).toBe(0);
    expect(mmu.pfn).toBe(0x40_01ff);
  });

  it("does not take the PAT bit of a guest's 2-Mbyte leaf for a part of the address", () => {
    write(HOST + GUEST.pd, 1, 0x200, GUEST_RW | 0x80 | 0x1000);
    write(EPT.pd, 1, 0x40_0000, EPT_RWX_WB | 0x80);
    mmu.translate(0x205, 0, READ);
    expect(mmu.pfn).toBe(0x40_0005);
  });

  it("drops a 2-Mbyte translation at a fault in it", () => {
    write(HOST + GUEST.pd, 1, 0x200, GUEST_RW | 0x80);
    write(EPT.pd, 1, 0x40_0000, EPT_RX_WB | 0x80);
    mmu.translate(0x200, 0, READ);
    mmu.translate(0x201, 0, WRITE);
    expect(referencesOf(() => mmu.translate(0x202, 0, READ))).toBeGreaterThan(0);
  });

  it("keeps a 2-Mbyte page and the 4-Kbyte page of the same number apart in a shared second level", () => {
    const tlb = new Tlb({ ...geometry, stlbHolds2M: true });
    tlb.enter(SPACE_UNIT, 2 * SPACE_UNIT);
    const insert = (page: number, pfn: number) => {
      Object.assign(tlb, { pfnLow: pfn, pfnHigh: 0, gfnLow: page, gfnHigh: 0, attributes: 0 });
      tlb.insert(page, 0, SIZE_2M, false);
    };
    insert(3 * 512, 0x9000);
    for (let page = 1000; page < 1064; page++) insert(page * 512, 0x8000); // out of the data TLB
    expect(tlb.lookupBehind(3, 0, false)).toBe(false);
    expect(tlb.lookupBehind(3 * 512 + 7, 0, false)).toBe(true);
    expect([tlb.level, tlb.pfnLow]).toEqual([2, 0x9007]);
  });

  it("sets the accessed flag in every table on its way", () => {
    mmu.translate(PAGE_UNDER_TEST, 0, READ);
    for (const table of [GUEST.pml4, GUEST.pdpt, GUEST.pd]) {
      expect(memory.low(HOST + table, 0) & 0x20).toBe(0x20);
    }
  });

  it("uses the second-level TLB for what the data TLB has lost", () => {
    for (let i = 0; i < 0x60; i++) write(HOST + GUEST.pt, i, i, GUEST_RW);
    for (let i = 0; i < 0x60; i++) mmu.translate(i, 0, READ); // 96 pages in 64 data-TLB entries
    ledger.reset();
    for (let i = 0; i < 0x20; i++) mmu.translate(i, 0, READ);
    expect(ledger.toRecord()).toMatchObject({ walkLoad: 0, dtlbHit: 0, stlbHitLoad: 0x20 });
  });
});

describe("permissions", () => {
  it.each(["pml4", "pdpt", "pd"] as const)(
    "that the guest denies in its %s hold below it, walked or cached",
    (table) => {
      const next = { pml4: GUEST.pdpt, pdpt: GUEST.pd, pd: GUEST.pt }[table];
      write(HOST + GUEST[table], 0, next, 0b01);
      expect(mmu.translate(PAGE_UNDER_TEST, 0, READ)).toBe(TRANSLATED);
      expect(mmu.translate(PAGE_UNDER_TEST, 0, WRITE)).toBe(PAGE_FAULT);
      // From a neighbour's paging-structure cache entry, too.
      write(HOST + GUEST.pt, PAGE_UNDER_TEST + 1, GFN + 1, GUEST_RW);
      mmu.translate(PAGE_UNDER_TEST, 0, READ);
      expect(mmu.translate(PAGE_UNDER_TEST + 1, 0, WRITE)).toBe(PAGE_FAULT);
    },
  );

  it("that an upper EPT entry denies hold for every page below it, walked or cached", () => {
    write(EPT.pd, 0, EPT.pt, 0b101);
    memory.write(HOST + GUEST.pt, PAGE_UNDER_TEST, entryLow(GFN, 0x63), 0); // accessed and dirty already
    for (const [pfn, next] of [
      [GUEST.pml4, GUEST.pdpt],
      [GUEST.pdpt, GUEST.pd],
      [GUEST.pd, GUEST.pt],
    ]) {
      write(HOST + pfn, 0, next, 0x23);
    }
    for (let i = 0; i < 2; i++) {
      expect(mmu.translate(PAGE_UNDER_TEST, 0, WRITE)).toBe(EPT_VIOLATION);
      expect(mmu.exitQualification).toBe(0x1aa);
    }
  });

  it("are missing for an accessed flag in a table that the EPT write-protects: a read and write of the entry", () => {
    mmu.translate(PAGE_UNDER_TEST, 0, READ); // the paging-structure caches now lead to the table
    mmu.caches.clear();
    eptLeaf(GUEST.pt, EPT_RX_WB);
    write(HOST + GUEST.pt, PAGE_UNDER_TEST + 1, GFN + 1, GUEST_RW);
    mmu.translate(PAGE_UNDER_TEST, 0, READ); // its accessed flag is set already: no write is needed
    expect(mmu.translate(PAGE_UNDER_TEST + 1, 0, READ)).toBe(EPT_VIOLATION);
    expect(mmu.exitQualification).toBe(3 | (0b101 << 3) | 0x80);
    expect(mmu.guestPhysicalAddress).toBe(GUEST.pt * 4096 + (PAGE_UNDER_TEST + 1) * 8);
  });
});

describe("an EPT violation", () => {
  it.each([
    ["a read", READ, 0x181],
    ["a write", WRITE, 0x182],
  ])("of %s on a page that is not present says what was tried", (_, access, qualification) => {
    eptLeaf(GFN, 0);
    expect(mmu.translate(PAGE_UNDER_TEST, 0x123, access)).toBe(EPT_VIOLATION);
    expect(mmu.exitQualification).toBe(qualification);
    expect(mmu.guestPhysicalAddress).toBe(GFN * 4096 + 0x123);
  });

  it("of a write to a read-only page also says what is allowed, and a read is still translated", () => {
    eptLeaf(GFN, EPT_RX_WB);
    expect(mmu.translate(PAGE_UNDER_TEST, 0, WRITE)).toBe(EPT_VIOLATION);
    expect(mmu.exitQualification).toBe(0x1aa);
    expect(mmu.translate(PAGE_UNDER_TEST, 0, READ)).toBe(TRANSLATED);
  });

  it("on a guest page table is not the final translation: bit 8 is clear and the address is the entry's", () => {
    eptLeaf(GUEST.pt, 0);
    expect(mmu.translate(PAGE_UNDER_TEST, 0x123, WRITE)).toBe(EPT_VIOLATION);
    expect(mmu.exitQualification).toBe(0x081);
    expect(mmu.guestPhysicalAddress).toBe(GUEST.pt * 4096 + PAGE_UNDER_TEST * 8);
  });

  it("drops the cached mappings of its address, so the next access walks from the top", () => {
    eptLeaf(GFN, EPT_RX_WB);
    mmu.translate(PAGE_UNDER_TEST, 0, READ); // cached, read-only
    mmu.translate(PAGE_UNDER_TEST, 0, WRITE);
    // All four guest tables again, found in the nested TLB; and the data page through all four EPT levels.
    expect(referencesOf(() => mmu.translate(PAGE_UNDER_TEST, 0, READ))).toBe(4 + 4);
  });
});

describe("an EPT misconfiguration", () => {
  it.each([
    ["writable but not readable", 0b010 | (6 << 3)],
    ["writable and executable but not readable", 0b110 | (6 << 3)],
    ["of a reserved memory type", 0b111 | (2 << 3)],
    ["executable only, where the processor has no such entries", 0b100 | (6 << 3)],
  ])("is an entry that is %s", (_, flags) => {
    mmu = new Mmu({ ...geometry, executeOnlyEpt: false }, memory, ledger);
    mmu.enableEpt(eptp(EPT.pml4));
    mmu.writeCr3(GUEST.pml4 * 4096);
    eptLeaf(GFN, flags);
    expect(mmu.translate(PAGE_UNDER_TEST, 0x800, READ)).toBe(EPT_MISCONFIG);
    expect(mmu.guestPhysicalAddress).toBe(GFN * 4096 + 0x800);
  });

  it("is an address beyond the physical address width", () => {
    write(EPT.pt, GFN, 2 ** (geometry.physicalAddressBits - 12), EPT_RWX_WB);
    expect(mmu.translate(PAGE_UNDER_TEST, 0, READ)).toBe(EPT_MISCONFIG);
  });

  it.each([
    ["with a memory type in an entry that references a table", EPT.pd, 0, EPT.pt, 0b111 | (6 << 3)],
    ["with address bits below 2 Mbyte in a large leaf", EPT.pd, 0, 0x40_0001, 0b111 | (6 << 3) | 0x80],
    ["with the page-size bit in a PML4E", EPT.pml4, 0, EPT.pdpt, 0b111 | 0x80],
  ])("is an entry %s", (_, table, index, target, flags) => {
    write(table, index, target, flags);
    expect(mmu.translate(PAGE_UNDER_TEST, 0, READ)).toBe(EPT_MISCONFIG);
  });

  it("keeps what leads to it: each further access makes two references", () => {
    eptLeaf(GFN, 0b110);
    mmu.translate(PAGE_UNDER_TEST, 0, WRITE);
    for (let i = 0; i < 3; i++) {
      expect(referencesOf(() => mmu.translate(PAGE_UNDER_TEST, 0, WRITE))).toBe(2);
    }
  });
});

describe("a guest page fault", () => {
  it("comes before any fault of the final translation", () => {
    write(HOST + GUEST.pt, PAGE_UNDER_TEST, GFN, 0);
    eptLeaf(GFN, 0);
    expect(mmu.translate(PAGE_UNDER_TEST, 0, WRITE)).toBe(PAGE_FAULT);
    expect(mmu.errorCode).toBe(0b010);
  });

  it("of a write to a read-only page has the present bit in its code", () => {
    write(HOST + GUEST.pt, PAGE_UNDER_TEST, GFN, 0b01);
    expect(mmu.translate(PAGE_UNDER_TEST, 0, WRITE)).toBe(PAGE_FAULT);
    expect(mmu.errorCode).toBe(0b011);
  });

  it("drops what was cached for its address", () => {
    mmu.translate(PAGE_UNDER_TEST, 0, READ);
    write(HOST + GUEST.pt, PAGE_UNDER_TEST, GFN, 0b01);
    mmu.translate(PAGE_UNDER_TEST, 0, WRITE);
    expect(referencesOf(() => mmu.translate(PAGE_UNDER_TEST, 0, READ))).toBe(4 + 1);
  });

  it("of reserved address bits in a 2-Mbyte leaf says so, too", () => {
    write(HOST + GUEST.pd, 0, 0x202, GUEST_RW | 0x80);
    expect(mmu.translate(PAGE_UNDER_TEST, 0, READ)).toBe(PAGE_FAULT);
    expect(mmu.errorCode).toBe(0b1001);
  });

  it("of a reserved bit says so", () => {
    write(HOST + GUEST.pml4, 0, GUEST.pdpt, GUEST_RW | 0x80);
    expect(mmu.translate(PAGE_UNDER_TEST, 0, READ)).toBe(PAGE_FAULT);
    expect(mmu.errorCode).toBe(0b1001);
  });
});
