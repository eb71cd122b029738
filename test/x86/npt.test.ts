/**
 * Nested page tables: which error code a nested page fault has, which flags a walk sets, and what is cached.
 * The sentences are those of the AMD64 Architecture Programmer's Manual, volume 2, "Nested Paging" and "TLB Management".
 */
import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { loadCpu } from "../../src/cost/cpu-profile.js";
import { FETCH, READ, USER, WRITE } from "../../src/x86/access.js";
import type { CpuGeometry, Switches } from "../../src/x86/cpu.js";
import { EPT_READ, EPT_VIOLATION_FINAL_GPA, EPT_VIOLATION_GLA_VALID, EPT_WRITE } from "../../src/x86/ept.js";
import { DATA_REF, GUEST_WALK_REF, Ledger, X86_PRIMITIVES } from "../../src/x86/ledger.js";
import { Mmu, NESTED_PAGE_FAULT, PAGE, PAGE_FAULT, TRANSLATED } from "../../src/x86/mmu.js";
import {
  NPF_FETCH,
  NPF_GUEST_FINAL,
  NPF_GUEST_PAGE,
  NPF_PRESENT,
  NPF_RESERVED,
  NPF_USER,
  NPF_WRITE,
} from "../../src/x86/npt.js";
import { entryHigh, entryLow, PhysicalMemory } from "../../src/x86/physical-memory.js";
import { probeTranslation } from "../../src/x86/probe.js";
import { CR0_PE, CR4_PAE, LONG_MODE } from "../../src/x86/registers.js";

const { geometry: profile } = loadCpu("haswell-ep-e5-2660v3");
const geometry: CpuGeometry = { ...profile, guest1GPages: true, ept1GPages: true };

/** A processor on which no part of a walk finds what another has read. */
const uncached: CpuGeometry = {
  ...geometry,
  pdeCache: null,
  pdpteCache: null,
  pml4eCache: null,
  nestedTlb: null,
};

/** Bits of an entry. */
const P = 1 << 0;
const RW = 1 << 1;
const US = 1 << 2;
const A = 1 << 5;
const D = 1 << 6;
const PS = 1 << 7;
const ALL = P | RW | US;
/** In the upper word; and a bit of it that is reserved. */
const NX = 1 << 31;
const RESERVED = 1 << 19;

/** Levels of an entry, from the root. */
const LEVELS = [4, 3, 2, 1] as const;

/** Guest page n is host page HOST + n, of a page of 1 Gbyte too. */
const HOST = 3 * 2 ** 18;
const NPT_ROOT = 0x100;
/** Guest page frames of the guest's tables, from the root. They and the data lie in regions of the PML4 of their own. */
const TABLES = { 4: 0x10, 3: 0x11, 2: 0x12, 1: 2 ** 27 + 0x13 } as const;
const GFN = 2 ** 28 + 0x20;
/** The page under test, and one in the same page table. */
const LINEAR = 0x40;
const NEIGHBOUR = 0x41;
const OFFSET = 0x123;

class Machine {
  readonly memory = new PhysicalMemory();
  readonly ledger = new Ledger(X86_PRIMITIVES);
  readonly mmu: Mmu;
  private nextTable = NPT_ROOT + 1;

  constructor(cpu: CpuGeometry = geometry, switches: Partial<Switches> = {}) {
    this.mmu = new Mmu({ ...cpu, switches: { ...cpu.switches, ...switches } }, this.memory, this.ledger);
    for (const gfn of [...Object.values(TABLES), GFN, GFN + 1]) this.map(gfn);
    for (const level of [4, 3, 2] as const) this.guest(level, 0, TABLES[(level - 1) as 3 | 2 | 1], ALL);
    this.guest(1, LINEAR, GFN, ALL);
    this.guest(1, NEIGHBOUR, GFN + 1, ALL);
    this.mmu.loadRegisters(LONG_MODE, TABLES[4] * PAGE);
    this.mmu.enableNpt(NPT_ROOT * PAGE);
  }

  /** Maps a guest page, by a leaf of this level. */
  map(gfn: number, level = 1): void {
    let table = NPT_ROOT;
    for (let above = 4; above > level; above--) {
      const index = indexOf(gfn, above);
      if (this.memory.low(table, index) === 0) this.write(table, index, this.nextTable++, ALL);
      table = this.memory.low(table, index) >>> 12;
    }
    const first = gfn - (gfn % 512 ** (level - 1));
    this.write(table, indexOf(gfn, level), HOST + first, level > 1 ? ALL | PS : ALL);
  }

  /** Where the entry lies that translates a guest page at a level: table and index. */
  place(gfn: number, level: number): [table: number, index: number] {
    let table = NPT_ROOT;
    for (let above = 4; above > level; above--) table = this.memory.low(table, indexOf(gfn, above)) >>> 12;
    return [table, indexOf(gfn, level)];
  }

  /** The entry that translates a guest page at a level: bits 31:0. */
  entry(gfn: number, level: number): number {
    return this.memory.low(...this.place(gfn, level));
  }

  /** Sets and clears bits of it. */
  change(gfn: number, level: number, set: number, clear = 0, setHigh = 0): void {
    const [table, index] = this.place(gfn, level);
    const low = (this.memory.low(table, index) & ~clear) | set;
    this.memory.write(table, index, low >>> 0, (this.memory.high(table, index) | setHigh) >>> 0);
  }

  guest(level: keyof typeof TABLES, index: number, target: number, flags: number): void {
    this.write(HOST + TABLES[level], index, target, flags);
  }

  write(pfn: number, index: number, target: number, flags: number): void {
    this.memory.write(pfn, index, entryLow(target, flags), entryHigh(target));
  }

  /** Translates the page under test; returns the error code and the address of the fault that this must be. */
  fault(kind: number, linear = LINEAR): { code: string; address: number } {
    expect(this.mmu.translate(linear, OFFSET, kind)).toBe(NESTED_PAGE_FAULT);
    return { code: this.mmu.exitInfo1.toString(16), address: this.mmu.guestPhysicalAddress };
  }

  /** References of guest and nested walk that a translation makes. */
  references(kind: number, linear = LINEAR, outcome: number = TRANSLATED): number {
    const before = this.walked();
    expect(this.mmu.translate(linear, OFFSET, kind)).toBe(outcome);
    return this.walked() - before;
  }

  /** References of guest and nested walks so far. */
  walked(): number {
    return this.ledger.counts.slice(GUEST_WALK_REF, DATA_REF).reduce((sum, n) => sum + n, 0);
  }
}

function indexOf(page: number, level: number): number {
  return Math.floor(page / 512 ** (level - 1)) % 512;
}

/** A fault in the final translation of the page under test. */
function final(bits: number) {
  return { code: (NPF_GUEST_FINAL + (NPF_USER | bits)).toString(16), address: GFN * PAGE + OFFSET };
}

/** A fault on the guest's page table. */
function onTable(bits: number) {
  const code = NPF_GUEST_PAGE + (NPF_USER | NPF_WRITE | bits);
  return { code: code.toString(16), address: TABLES[1] * PAGE + LINEAR * 8 };
}

const KINDS: readonly (readonly [name: string, kind: number, bits: number])[] = [
  ["read", READ, 0],
  ["write", WRITE, NPF_WRITE],
  ["fetch", FETCH, NPF_FETCH],
];
const KINDS_AT_LEVELS = LEVELS.flatMap((level) =>
  KINDS.map(([name, kind, bits]) => [name, level, kind, bits] as const),
);

let machine: Machine;
beforeEach(() => {
  machine = new Machine();
});

describe("EXITINFO1 of a nested page fault in the final translation", () => {
  it("takes the access for a user's, whatever it is in the guest", () => {
    machine.change(GFN, 1, 0, P);
    expect(machine.fault(READ)).toEqual(machine.fault(USER + READ));
  });

  it.each(KINDS_AT_LEVELS)(
    "of a %s says P = 0 where the entry of level %i is not present",
    (_, level, kind, bits) => {
      machine.change(GFN, level, 0, P);
      expect(machine.fault(kind)).toEqual(final(bits));
    },
  );

  it.each(LEVELS)(
    "of a write says P = 1 where the entry of level %i has R/W = 0; reads and fetches pass",
    (level) => {
      machine.change(GFN, level, 0, RW);
      expect(machine.fault(WRITE)).toEqual(final(NPF_PRESENT | NPF_WRITE));
      for (const kind of [READ, FETCH]) expect(machine.mmu.translate(LINEAR, 0, kind)).toBe(TRANSLATED);
    },
  );

  it.each(LEVELS)(
    "of a fetch says P = 1 where the entry of level %i has NX = 1; reads and writes pass",
    (level) => {
      machine.change(GFN, level, 0, 0, NX);
      expect(machine.fault(FETCH)).toEqual(final(NPF_PRESENT | NPF_FETCH));
      for (const kind of [READ, WRITE]) expect(machine.mmu.translate(LINEAR, 0, kind)).toBe(TRANSLATED);
    },
  );

  it.each(KINDS_AT_LEVELS)(
    "of a %s says P = 1 where the entry of level %i has U/S = 0",
    (_, level, kind, bits) => {
      machine.change(GFN, level, 0, US);
      expect(machine.fault(kind)).toEqual(final(NPF_PRESENT | bits));
    },
  );

  it.each(KINDS_AT_LEVELS)(
    "of a %s says RSVD and what the access was, where the entry of level %i has an address beyond the width",
    (_, level, kind, bits) => {
      machine.change(GFN, level, 0, 0, 2 ** (geometry.physicalAddressBits - 32));
      expect(machine.fault(kind)).toEqual(final(NPF_PRESENT | NPF_RESERVED | bits));
    },
  );

  it("says RSVD although an upper entry denies the access", () => {
    machine.change(GFN, 3, 0, US);
    machine.change(GFN, 1, 0, 0, RESERVED);
    expect(machine.fault(WRITE)).toEqual(final(NPF_PRESENT | NPF_RESERVED | NPF_WRITE));
  });

  it("says nothing of reserved bits in an entry that is not present", () => {
    machine.change(GFN, 1, 0, P, RESERVED);
    expect(machine.fault(WRITE)).toEqual(final(NPF_WRITE));
  });

  it.each([
    ["bit 7 of a PML4E", 4, PS],
    ["bit 8 of a PML4E", 4, 1 << 8],
    ["bits 20:13 of a 2-Mbyte PDE", 2, PS | (1 << 13)],
    ["bits 20:13 of a 2-Mbyte PDE", 2, PS | (1 << 20)],
    ["bits 29:13 of a 1-Gbyte PDPTE", 3, PS | (1 << 13)],
    ["bits 29:13 of a 1-Gbyte PDPTE", 3, PS | (1 << 29)],
  ])("says RSVD for %s", (_, level, bits) => {
    const [table, index] = machine.place(GFN, level);
    machine.memory.write(table, index, ALL | bits, 0);
    expect(machine.fault(READ)).toEqual(final(NPF_PRESENT | NPF_RESERVED));
  });

  it("says RSVD for bit 7 of a PDPTE where the processor has no pages of 1 Gbyte", () => {
    machine = new Machine({ ...geometry, guest1GPages: false });
    machine.change(GFN, 3, PS);
    expect(machine.fault(READ)).toEqual(final(NPF_PRESENT | NPF_RESERVED));
  });

  it("says P = 0 for a guest-physical address that four levels cannot translate", () => {
    machine = new Machine({ ...geometry, physicalAddressBits: 52 });
    const beyond = 2 ** 36;
    machine.guest(1, LINEAR, beyond, ALL);
    expect(machine.fault(WRITE)).toEqual({ ...final(NPF_WRITE), address: beyond * PAGE + OFFSET });
  });

  it("comes without a guest page table where the guest has paging disabled", () => {
    machine.mmu.loadRegisters({ ...LONG_MODE, cr0: CR0_PE, efer: 0 }, 0);
    expect(machine.fault(WRITE, 0x1000)).toEqual({ ...final(NPF_WRITE), address: 0x1000 * PAGE + OFFSET });
  });

  it("is not reached where the guest's own page tables deny the access", () => {
    machine.guest(1, LINEAR, GFN, P | US);
    machine.change(GFN, 1, 0, P);
    expect(machine.mmu.translate(LINEAR, 0, USER + WRITE)).toBe(PAGE_FAULT);
    expect(machine.mmu.errorCode).toBe(0b111);
  });
});

describe("EXITINFO1 of a nested page fault on a guest's page table", () => {
  it.each(KINDS_AT_LEVELS)(
    "of a %s says a user's write, and P = 0 where the entry of level %i is not present",
    (_, level, kind) => {
      machine.change(TABLES[1], level, 0, P);
      expect(machine.fault(kind)).toEqual(onTable(0));
    },
  );

  it.each(KINDS_AT_LEVELS)("of a %s says P = 1 where the entry of level %i has R/W = 0", (_, level, kind) => {
    machine.change(TABLES[1], level, 0, RW);
    expect(machine.fault(kind)).toEqual(onTable(NPF_PRESENT));
  });

  it.each(KINDS_AT_LEVELS)(
    "of a %s says RSVD where the entry of level %i has a reserved bit",
    (_, level, kind) => {
      machine.change(TABLES[1], level, 0, 0, RESERVED);
      expect(machine.fault(kind)).toEqual(onTable(NPF_PRESENT | NPF_RESERVED));
    },
  );

  it("says P = 1 where an entry has U/S = 0; NX does not matter, a table is not fetched from", () => {
    machine.change(TABLES[1], 1, 0, 0, NX);
    expect(machine.mmu.translate(LINEAR, 0, FETCH)).toBe(TRANSLATED);
    machine = new Machine();
    machine.change(TABLES[1], 1, 0, US);
    expect(machine.fault(FETCH)).toEqual(onTable(NPF_PRESENT));
  });
});

describe("EXITINFO1 of a nested page fault", () => {
  it.each([
    ["not present, read", GFN, 1, P, 0, READ, "100000004"],
    ["NX, fetch", GFN, 1, 0, NX, FETCH, "100000015"],
    ["U/S = 0, read", GFN, 1, US, 0, READ, "100000005"],
    ["R/W = 0, write", GFN, 1, RW, 0, WRITE, "100000007"],
    ["R/W = 0 for the guest's root", TABLES[4], 1, RW, 0, FETCH, "200000007"],
    ["reserved bits in a PTE, fetch", GFN, 1, 0, RESERVED, FETCH, "10000001d"],
    ["reserved bits in a PDPTE, fetch", TABLES[4], 3, 0, RESERVED, FETCH, "20000000f"],
  ])("is what kvm-unit-tests expects of a processor: %s", (_, gfn, level, clear, setHigh, kind, code) => {
    machine.change(gfn, level, 0, clear, setHigh);
    expect(machine.fault(kind).code).toBe(code);
  });

  it("is the same for an access by guest-physical address", () => {
    const { mmu } = machine;
    machine.change(GFN, 1, 0, RW);
    const purposes = [EPT_VIOLATION_GLA_VALID | EPT_VIOLATION_FINAL_GPA, EPT_VIOLATION_GLA_VALID];
    const codes = purposes.map((purpose) => {
      expect(mmu.translateGuestPhysical(GFN * PAGE + 8, EPT_READ | EPT_WRITE, purpose)).toBe(
        NESTED_PAGE_FAULT,
      );
      return mmu.exitInfo1;
    });
    expect(codes).toEqual([0x1_0000_0007, 0x2_0000_0007]);
    expect(mmu.guestPhysicalAddress).toBe(GFN * PAGE + 8);
  });
});

describe("a nested walk", () => {
  const flags = (gfn: number) => LEVELS.map((level) => machine.entry(gfn, level) & (A | D));

  it("marks a guest's page tables as accessed and dirty, for a read too; of the data page only what was done", () => {
    machine.mmu.translate(LINEAR, 0, READ);
    for (const gfn of Object.values(TABLES)) expect(flags(gfn)).toEqual([A, A, A, A | D]);
    expect(flags(GFN)).toEqual([A, A, A, A]);
    machine.mmu.translate(LINEAR, 0, WRITE);
    expect(flags(GFN)).toEqual([A, A, A, A | D]);
  });

  it("sets no flag in a leaf that denies the access or is not usable", () => {
    machine.change(GFN, 1, 0, RW);
    machine.mmu.translate(LINEAR, 0, WRITE);
    expect(flags(GFN)).toEqual([A, A, A, 0]);
  });

  it.each([
    ["2 Mbyte", 2],
    ["1 Gbyte", 3],
  ])("takes bit 12 of a leaf of %s for its PAT bit", (_, level) => {
    const gfn = 3 * 2 ** 27 + 0x2_0344;
    machine.map(gfn, level);
    machine.change(gfn, level, 1 << 12);
    machine.guest(1, LINEAR, gfn, ALL);
    expect(machine.mmu.translate(LINEAR, 0, WRITE)).toBe(TRANSLATED);
    expect(machine.mmu.pfn).toBe(HOST + gfn);
    expect(machine.entry(gfn, level) & (A | D)).toBe(A | D);
  });

  it("leaves in the TLB a page of the smaller of both sizes", () => {
    const gfn = 3 * 2 ** 27;
    machine.map(gfn, 3);
    machine.guest(2, 1, gfn, ALL | PS);
    expect(machine.references(READ, 512)).toBeGreaterThan(0);
    expect(machine.references(READ, 512 + 511)).toBe(0);
    machine.guest(1, LINEAR, gfn, ALL);
    machine.guest(1, NEIGHBOUR, gfn + 1, ALL);
    machine.mmu.translate(LINEAR, 0, READ);
    expect(machine.references(READ, NEIGHBOUR)).toBeGreaterThan(0);
  });

  it("has five levels where the host has", () => {
    machine = new Machine({ ...uncached, physicalAddressBits: 52 });
    const root5 = 0x80;
    machine.write(root5, 0, NPT_ROOT, ALL);
    machine.mmu.enableNpt(root5 * PAGE, 5);
    expect(machine.references(READ)).toBe(4 * 6 + 5);
    machine.guest(1, NEIGHBOUR, 2 ** 36, ALL);
    const { code } = machine.fault(READ, NEIGHBOUR);
    expect(code).toBe(final(0).code);
  });

  it("needs an nCR3 with no bit set that must be 0", () => {
    for (const nCr3 of [NPT_ROOT * PAGE + 1, 2 ** geometry.physicalAddressBits]) {
      expect(() => machine.mmu.enableNpt(nCr3)).toThrow(RangeError);
    }
    machine.mmu.enableNpt(NPT_ROOT * PAGE + 0x18); // PWT and PCD
    expect(machine.mmu.translate(LINEAR, 0, READ)).toBe(TRANSLATED);
  });

  it("of four levels for four makes 24 references with nothing cached", () => {
    expect(new Machine(uncached).references(READ)).toBe(24);
  });

  const SIZES = [1, 2, 3];
  it.each(SIZES.flatMap((guest) => SIZES.map((host) => [guest, host])))(
    "makes as many references as that of an EPT: guest leaf of level %i, host leaf of level %i",
    (guestLevel, hostLevel) => {
      for (const cpu of [geometry, uncached]) {
        const counts = [true, false].map((isNpt) => {
          const one = new Machine(cpu);
          const large = (level: number) => (level > 1 ? PS : 0);
          const gfn = 3 * 2 ** 27;
          // Bits 2:0 of the entries grant everything in either format; a table's flags must not look like a memory type.
          for (const at of [...Object.values(TABLES), gfn]) one.map(at, hostLevel);
          if (guestLevel > 1) one.guest(guestLevel as 2 | 3, 1, gfn, ALL | large(guestLevel));
          else one.guest(1, LINEAR, gfn, ALL);
          if (!isNpt) one.mmu.enableEpt(NPT_ROOT * PAGE + 0x1e);
          const linear = guestLevel > 1 ? 512 ** (guestLevel - 1) : LINEAR;
          const walks = [READ, READ, FETCH].map((kind) => one.references(kind, linear));
          return [walks, one.ledger.toRecord()];
        });
        expect(counts[0]).toEqual(counts[1]);
      }
    },
  );
});

describe("of what a nested walk has found", () => {
  it("a second access finds the page in the TLB", () => {
    expect(machine.references(READ)).toBeGreaterThan(0);
    expect(machine.references(READ)).toBe(0);
    expect(machine.ledger.toRecord()).toMatchObject({ walkLoad: 1, dtlbHit: 1 });
  });

  it.each(LEVELS)(
    "nothing comes from an entry of level %i that was not present: it works once it is, unflushed",
    (level) => {
      machine.change(GFN, level, 0, P);
      machine.fault(WRITE);
      machine.change(GFN, level, P);
      expect(machine.mmu.translate(LINEAR, 0, WRITE)).toBe(TRANSLATED);
      expect(machine.mmu.pfn).toBe(HOST + GFN);
    },
  );

  it("nothing comes from an entry with a reserved bit: it works once it has none, unflushed", () => {
    const [table, index] = machine.place(GFN, 1);
    machine.change(GFN, 1, 0, 0, RESERVED);
    machine.fault(WRITE);
    machine.write(table, index, HOST + GFN, ALL);
    expect(machine.mmu.translate(LINEAR, 0, WRITE)).toBe(TRANSLATED);
  });

  const SWITCHES: readonly Partial<Switches>[] = [
    {},
    { permissionFaultWalks: 2 },
    { faultWalkStart: "root" },
    { nestedTlbHolds: "all" },
  ];
  describe.each(SWITCHES)("with %o", (switches) => {
    beforeEach(() => {
      machine = new Machine(geometry, switches);
    });

    it.each(LEVELS)("a restriction of level %i is lifted without a flush", (level) => {
      machine.change(GFN, level, 0, RW);
      machine.mmu.translate(LINEAR, 0, READ);
      expect(machine.fault(WRITE)).toEqual(final(NPF_PRESENT | NPF_WRITE));
      machine.change(GFN, level, RW);
      expect(machine.mmu.translate(LINEAR, 0, WRITE)).toBe(TRANSLATED);
      expect(machine.references(WRITE)).toBe(0);
      expect(machine.references(READ)).toBe(0);
      // The tables, as they are now, are near for the neighbour: the guest's PTE and the nested one.
      expect(machine.references(WRITE, NEIGHBOUR)).toBe(2);
    });

    it.each(LEVELS)(
      "a supervisor's page becomes a user's by its entry of level %i without a flush",
      (level) => {
        machine.change(GFN, level, 0, US);
        machine.fault(READ);
        machine.change(GFN, level, US);
        expect(machine.mmu.translate(LINEAR, 0, READ)).toBe(TRANSLATED);
      },
    );

    it("a guest's page table becomes writable without a flush", () => {
      machine.change(TABLES[1], 2, 0, RW);
      expect(machine.fault(READ)).toEqual(onTable(NPF_PRESENT));
      machine.change(TABLES[1], 2, RW);
      expect(machine.mmu.translate(LINEAR, 0, READ)).toBe(TRANSLATED);
    });
  });

  it("a restriction that a TLB entry reports by itself is lifted at the next access", () => {
    machine = new Machine(geometry, { permissionFaultWalks: 0 });
    machine.change(GFN, 1, 0, RW);
    machine.mmu.translate(LINEAR, 0, READ);
    expect(machine.references(WRITE, LINEAR, NESTED_PAGE_FAULT)).toBe(0);
    expect(machine.mmu.exitInfo1).toBe(0x1_0000_0007);
    machine.change(GFN, 1, RW);
    expect(machine.mmu.translate(LINEAR, 0, WRITE)).toBe(TRANSLATED);
  });

  it("a fault drops nothing: what it denied stays translated for a read, and the neighbour stays near", () => {
    machine.change(GFN, 1, 0, RW);
    machine.mmu.translate(LINEAR, 0, READ);
    // The TLB entry denies, and the processor walks again: the guest's PTE and the nested one.
    for (let i = 0; i < 3; i++) expect(machine.references(WRITE, LINEAR, NESTED_PAGE_FAULT)).toBe(2);
    expect(machine.references(READ)).toBe(0);
    expect(machine.references(READ, NEIGHBOUR)).toBe(2);
  });

  it("a fault of a reserved bit leaves what leads to it: each further access makes two references", () => {
    machine.change(GFN, 1, 0, 0, RESERVED);
    machine.fault(WRITE);
    for (let i = 0; i < 3; i++) expect(machine.references(WRITE, LINEAR, NESTED_PAGE_FAULT)).toBe(2);
  });

  it("a fault drops what leads to its address too, if that is chosen: each access walks both dimensions again", () => {
    machine = new Machine(geometry, { nestedPageFaultDrops: "mappings" });
    machine.change(GFN, 1, 0, 0, RESERVED);
    machine.fault(WRITE);
    for (let i = 0; i < 3; i++) expect(machine.references(WRITE, LINEAR, NESTED_PAGE_FAULT)).toBe(4 + 4);
  });

  it("a flush of the ASID drops everything, and a #VMEXIT nothing", () => {
    machine.mmu.translate(LINEAR, 0, READ);
    const [table, index] = machine.place(GFN, 1);
    machine.write(table, index, HOST + GFN + 1, ALL);
    machine.mmu.vmTransition();
    machine.mmu.translate(LINEAR, 0, READ);
    expect(machine.mmu.pfn).toBe(HOST + GFN);
    machine.mmu.caches.inveptSingle(NPT_ROOT);
    machine.mmu.translate(LINEAR, 0, READ);
    expect(machine.mmu.pfn).toBe(HOST + GFN + 1);
  });

  it("nothing serves a guest without nested paging", () => {
    machine.mmu.translate(LINEAR, 0, READ);
    machine.mmu.disableNestedPaging();
    for (const [pfn, index, target] of [
      [0x10, 0, 0x20],
      [0x20, 0, 0x21],
      [0x21, 0, 0x22],
      [0x22, LINEAR, 0x77],
    ]) {
      machine.write(pfn, index, target, ALL);
    }
    expect(machine.mmu.translate(LINEAR, 0, READ)).toBe(TRANSLATED);
    expect(machine.mmu.pfn).toBe(0x77);
  });
});

describe("legacy PAE mode under nested paging", () => {
  const PAE = { ...LONG_MODE, cr4: CR4_PAE, efer: 0 };
  const PDPT = TABLES[3] * PAGE + 0x40;
  /** The first PDPTE, as the index of an entry of its page. */
  const PDPTE = 8;

  beforeEach(() => {
    machine = new Machine(uncached);
    machine.guest(3, PDPTE, TABLES[2], P);
  });

  it("accesses the PDPTE in a walk, not when CR3 is written", () => {
    machine.guest(3, PDPTE, TABLES[2], P | RW); // reserved
    expect(machine.mmu.loadRegisters(PAE, PDPT)).toBe(TRANSLATED);
    expect(machine.mmu.writeCr3(PDPT)).toBe(TRANSLATED);
    machine.guest(3, PDPTE, TABLES[2], P);
    // Three guest entries and the data, four nested entries for each.
    expect(machine.references(READ)).toBe(3 * 5 + 4);
    expect(machine.mmu.pfn).toBe(HOST + GFN);
  });

  it("reports a PDPTE that is not present, or with a reserved bit, as a page fault", () => {
    machine.mmu.loadRegisters(PAE, PDPT);
    machine.guest(3, PDPTE, TABLES[2], 0);
    expect(machine.mmu.translate(LINEAR, 0, WRITE)).toBe(PAGE_FAULT);
    expect(machine.mmu.errorCode).toBe(0b0010);
    machine.guest(3, PDPTE, TABLES[2], P | RW);
    expect(machine.mmu.translate(LINEAR, 0, WRITE)).toBe(PAGE_FAULT);
    expect(machine.mmu.errorCode).toBe(0b1011);
    expect(probeTranslation(machine.mmu, BigInt(LINEAR * PAGE), WRITE).reason).toEqual({
      at: "guest PDPTE",
      level: 3,
      bits: "1",
      why: "reserved bits are set",
    });
  });

  it("faults on the table of PDPTEs as on any guest page table", () => {
    machine.mmu.loadRegisters(PAE, PDPT);
    machine.change(TABLES[3], 1, 0, RW);
    expect(machine.fault(READ)).toEqual({ ...onTable(NPF_PRESENT), address: PDPT });
  });
});

/** New bits of an entry of the nested page tables: P, R/W and U/S; NX, and one that is reserved. */
interface Change {
  readonly gfn: number;
  readonly level: number;
  readonly low: number;
  readonly high: number;
}
type Step =
  | { readonly access: { readonly linear: number; readonly kind: number } }
  | { readonly change: Change };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      access: fc.record({
        linear: fc.constantFrom(LINEAR, NEIGHBOUR),
        kind: fc.constantFrom(READ, WRITE, FETCH, USER + READ, USER + WRITE, USER + FETCH),
      }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      change: fc.record({
        gfn: fc.constantFrom(GFN, GFN, GFN, GFN + 1, TABLES[1], TABLES[2]),
        level: fc.constantFrom(...LEVELS),
        low: fc.constantFrom(ALL, ALL, ALL, P | US, P | RW, RW | US, 0),
        high: fc.constantFrom(0, 0, 0, NX, RESERVED),
      }),
    }),
  },
);
const switches = fc.record({
  permissionFaultWalks: fc.constantFrom(1, 2),
  faultWalkStart: fc.constantFrom("paging-structure-caches", "root"),
  nestedTlbHolds: fc.constantFrom("tables", "all"),
  guestFlags: fc.constantFrom("before-final-translation", "after-final-translation"),
});

describe("a cached translation", () => {
  it("never differs from a fresh walk, if the ASID is flushed whenever an entry is changed but not upgraded", () => {
    const few = { entries: 4, ways: 2 };
    const small = { ...geometry, dtlb4K: few, itlb4K: few, pdeCache: few, pdpteCache: few, pml4eCache: few };
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), switches, (steps, open) => {
        const one = new Machine({ ...small, nestedTlb: few }, open as Partial<Switches>);
        for (const each of steps) {
          if ("change" in each) {
            const { gfn, level, low, high } = each.change;
            const [table, index] = one.place(gfn, level);
            const oldLow = one.memory.low(table, index);
            const oldHigh = one.memory.high(table, index);
            const others = oldHigh & ~(NX | RESERVED);
            one.memory.write(table, index, ((oldLow & ~ALL) | low) >>> 0, (others | high) >>> 0);
            const wasUsable = (oldLow & P) !== 0 && (oldHigh & RESERVED) === 0;
            const isUpgrade = (oldLow & ALL & ~low) === 0 && (high & ~oldHigh) === 0;
            if (wasUsable && !isUpgrade) one.mmu.caches.inveptSingle(NPT_ROOT);
            continue;
          }
          const { linear, kind } = each.access;
          const probe = probeTranslation(one.mmu, BigInt(linear * PAGE + OFFSET), kind);
          const before = one.walked();
          const outcome = one.mmu.translate(linear, OFFSET, kind);
          const { pfn, guestPhysicalAddress, exitInfo1 } = one.mmu;
          if (outcome === TRANSLATED) {
            expect([probe.outcome, probe.hostPhysicalAddress]).toEqual(["translated", pfn * PAGE + OFFSET]);
          } else {
            expect([outcome, probe.outcome]).toEqual([NESTED_PAGE_FAULT, "nested-page-fault"]);
            expect(probe.guestPhysicalAddress).toBe(guestPhysicalAddress);
            expect((exitInfo1 & NPF_PRESENT) === 0).toBe(probe.reason?.bits === "0");
          }
          if (open.permissionFaultWalks === 1)
            expect(one.walked() - before).toBeLessThanOrEqual(probe.steps.length);
        }
      }),
      { numRuns: 2000, seed: 11 },
    );
  });
});
