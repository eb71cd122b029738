/**
 * What each event drops. A processor has translated the same pages in several address spaces; after the event each mapping
 * is looked for: a translation by the walk that it saves, a paging-structure cache entry or a guest-physical mapping by the
 * references that it saves.
 */
import { describe, expect, it } from "vitest";
import { loadCpu } from "../../src/cost/cpu-profile.js";
import { READ, USER, WRITE } from "../../src/x86/access.js";
import type { CpuGeometry, Switches } from "../../src/x86/cpu.js";
import { DATA_REF, EPT_WALK_REF, GUEST_WALK_REF, Ledger, X86_PRIMITIVES } from "../../src/x86/ledger.js";
import { EPT_MISCONFIG, EPT_VIOLATION, Mmu, PAGE, PAGE_FAULT, TRANSLATED } from "../../src/x86/mmu.js";
import { entryHigh, entryLow, PhysicalMemory } from "../../src/x86/physical-memory.js";
import { CR0_PG, CR4_PCIDE, CR4_PGE, CR4_SMEP, LONG_MODE } from "../../src/x86/registers.js";

const profile = loadCpu("haswell-ep-e5-2660v3").geometry;

/** Guest page frames of the tables, and host page frames of the EPT's roots; guest page n is host page n without EPT. */
const PML4 = 0x10;
const PT = 0x13;
const EPT_ROOTS = [0x100, 0x110];
const TABLE = 0x67;
const GLOBAL = 0x100;

/** Linear pages: one, its neighbour, a global one. */
const OWN = 1;
const NEIGHBOUR = 2;
const GLOBAL_PAGE = 3;

const EPT_ALL = 0b111 | (6 << 3);

class Machine {
  readonly memory = new PhysicalMemory();
  readonly ledger = new Ledger(X86_PRIMITIVES);
  readonly mmu: Mmu;

  constructor(geometry: Partial<CpuGeometry> = {}, switches: Partial<Switches> = {}) {
    const all = { ...profile, ...geometry, switches: { ...profile.switches, ...switches } };
    this.mmu = new Mmu(all, this.memory, this.ledger);
    for (const root of EPT_ROOTS) {
      for (let level = 0; level < 3; level++) this.write(root + level, 0, root + level + 1, 0b111);
      for (let gfn = 0; gfn < 64; gfn++) this.ept(gfn, EPT_ALL, root);
    }
    for (let level = 0; level < 3; level++) this.write(PML4 + level, 0, PML4 + level + 1, TABLE);
    for (const page of [OWN, NEIGHBOUR]) this.write(PT, page, 0x20 + page, TABLE);
    this.write(PT, GLOBAL_PAGE, 0x23, TABLE | GLOBAL);
    this.mmu.loadRegisters({ ...LONG_MODE, cr4: LONG_MODE.cr4 | CR4_PCIDE }, PML4 * PAGE);
  }

  write(pfn: number, index: number, target: number, flags: number): void {
    this.memory.write(pfn, index, entryLow(target, flags), entryHigh(target));
  }

  ept(gfn: number, flags: number, root = EPT_ROOTS[0]): void {
    this.write(root + 3, gfn, gfn, flags);
  }

  enter(vpid: number, pcid: number, ept: number | null): void {
    this.mmu.setVpid(vpid);
    if (ept === null) this.mmu.disableNestedPaging();
    else this.mmu.enableEpt(EPT_ROOTS[ept] * PAGE + 0x1e);
    this.mmu.writeCr3(PML4 * PAGE + pcid, true);
  }

  references(first = GUEST_WALK_REF, end = DATA_REF): number {
    return this.ledger.counts.slice(first, end).reduce((sum, count) => sum + count, 0);
  }

  /** References that a translation makes, of the guest's entries and of the EPT's. */
  cost(page: number, kind = READ): { guest: number; ept: number } {
    const guest = this.references(GUEST_WALK_REF, EPT_WALK_REF);
    const ept = this.references(EPT_WALK_REF, DATA_REF);
    expect(this.mmu.translate(page, 0, kind)).toBe(TRANSLATED);
    return {
      guest: this.references(GUEST_WALK_REF, EPT_WALK_REF) - guest,
      ept: this.references(EPT_WALK_REF, DATA_REF) - ept,
    };
  }
}

type Space = readonly [vpid: number, pcid: number, ept: number | null];

/** The address space that is current when the event comes, and all that have something cached. */
const CURRENT: Space = [1, 1, 0];
const SPACES: Readonly<Record<string, Space>> = {
  current: CURRENT,
  "other PCID": [1, 2, 0],
  "other VPID": [2, 1, 0],
  "VPID 0": [0, 1, 0],
  "other EPT": [1, 1, 1],
  linear: [1, 1, null],
};

/** All pages translated in all address spaces, then the event, then what is still translated without a reference. */
function kept(event: (mmu: Mmu) => void): Record<string, string[]> {
  const result: Record<string, string[]> = {};
  // One machine for each question: an answer fills the caches again.
  for (const [name, space] of Object.entries(SPACES)) {
    result[name] = [];
    for (const [page, what] of [
      [OWN, "page"],
      [NEIGHBOUR, "neighbour"],
      [GLOBAL_PAGE, "global"],
    ] as const) {
      const machine = new Machine();
      for (const each of Object.values(SPACES)) {
        machine.enter(...each);
        for (const one of [OWN, NEIGHBOUR, GLOBAL_PAGE]) machine.mmu.translate(one, 0, READ);
      }
      machine.enter(...CURRENT);
      event(machine.mmu);
      machine.enter(...space);
      if (machine.cost(page).guest === 0) result[name].push(what);
    }
  }
  return result;
}

const ALL = ["page", "neighbour", "global"];
const EVERYWHERE = Object.fromEntries(Object.keys(SPACES).map((name) => [name, ALL]));

describe("of translations", () => {
  it.each<[string, (mmu: Mmu) => void, Record<string, string[]>]>([
    [
      "INVLPG drops the page of the current PCID, in its VPID under any EPT",
      (mmu) => mmu.caches.invlpg(OWN),
      {
        current: ["neighbour", "global"],
        "other EPT": ["neighbour", "global"],
        linear: ["neighbour", "global"],
      },
    ],
    [
      "INVLPG drops a global page for every PCID",
      (mmu) => mmu.caches.invlpg(GLOBAL_PAGE),
      {
        current: ["page", "neighbour"],
        "other PCID": ["page", "neighbour"],
        "other EPT": ["page", "neighbour"],
        linear: ["page", "neighbour"],
      },
    ],
    [
      "INVPCID of an address drops it for the PCID that is named",
      (mmu) => mmu.caches.invpcidAddress(2, OWN),
      { "other PCID": ["neighbour", "global"] },
    ],
    ["INVPCID of an address leaves a global page", (mmu) => mmu.caches.invpcidAddress(1, GLOBAL_PAGE), {}],
    [
      "INVPCID of a context drops one PCID but for global pages",
      (mmu) => mmu.caches.invpcidSingle(2),
      { "other PCID": ["global"] },
    ],
    [
      "INVPCID of all contexts drops the VPID",
      (mmu) => mmu.caches.invpcidAll(),
      { current: [], "other PCID": [], "other EPT": [], linear: [] },
    ],
    [
      "INVPCID of all contexts retaining globals keeps those",
      (mmu) => mmu.caches.invpcidAllRetainingGlobals(),
      { current: ["global"], "other PCID": ["global"], "other EPT": ["global"], linear: ["global"] },
    ],
    [
      "MOV to CR3 drops the new PCID but for global pages",
      (mmu) => mmu.writeCr3(PML4 * PAGE + 2),
      { "other PCID": ["global"] },
    ],
    ["MOV to CR3 with bit 63 drops nothing", (mmu) => mmu.writeCr3(PML4 * PAGE + 2, true), {}],
    [
      "MOV to CR4 that changes PGE drops the VPID",
      (mmu) => {
        mmu.writeCr4(mmu.registers.cr4 & ~CR4_PGE);
        mmu.writeCr4(mmu.registers.cr4 | CR4_PGE);
      },
      { current: [], "other PCID": [], "other EPT": [], linear: [] },
    ],
    ["MOV to CR4 that sets SMEP drops nothing", (mmu) => mmu.writeCr4(mmu.registers.cr4 | CR4_SMEP), {}],
    [
      "INVVPID of an address drops it for one VPID, any PCID and EPT, global or not",
      (mmu) => mmu.caches.invvpidAddress(2, GLOBAL_PAGE),
      { "other VPID": ["page", "neighbour"] },
    ],
    [
      "INVVPID of a context drops one VPID",
      (mmu) => mmu.caches.invvpidSingle(1),
      { current: [], "other PCID": [], "other EPT": [], linear: [] },
    ],
    [
      "INVVPID of a context retaining globals keeps those",
      (mmu) => mmu.caches.invvpidSingleRetainingGlobals(2),
      { "other VPID": ["global"] },
    ],
    [
      "INVVPID of all contexts drops every VPID but 0",
      (mmu) => mmu.caches.invvpidAll(),
      { current: [], "other PCID": [], "other VPID": [], "other EPT": [], linear: [] },
    ],
    [
      "INVEPT of a context drops what came from that EPT, for all VPIDs and PCIDs",
      (mmu) => mmu.caches.inveptSingle(EPT_ROOTS[0]),
      { current: [], "other PCID": [], "other VPID": [], "VPID 0": [] },
    ],
    [
      "INVEPT of all contexts drops what came from any EPT, but not linear mappings",
      (mmu) => mmu.caches.inveptAll(),
      { current: [], "other PCID": [], "other VPID": [], "VPID 0": [], "other EPT": [] },
    ],
    ["VM entry and exit with a VPID drop nothing", (mmu) => mmu.vmTransition(), {}],
    [
      "VM entry and exit without VPIDs drop VPID 0",
      (mmu) => {
        mmu.setVpid(0);
        mmu.vmTransition();
      },
      { "VPID 0": [] },
    ],
    [
      "loading other registers at VM entry drops nothing",
      (mmu) => mmu.loadRegisters(mmu.registers, mmu.cr3),
      {},
    ],
  ])("%s", (_, event, differs) => {
    expect(kept(event)).toEqual({ ...EVERYWHERE, ...differs });
  });

  it("turning paging off drops all of the VPID", () => {
    const machine = new Machine();
    machine.mmu.loadRegisters(LONG_MODE, PML4 * PAGE);
    expect(machine.cost(OWN).guest).toBe(4);
    expect(machine.mmu.writeCr0(LONG_MODE.cr0 & ~CR0_PG)).toBe(TRANSLATED);
    expect(machine.mmu.writeCr0(LONG_MODE.cr0)).toBe(TRANSLATED);
    expect(machine.cost(OWN).guest).toBe(4);
  });

  it("INVLPG of one address drops every fragment of a larger page", () => {
    const machine = new Machine();
    machine.write(PML4 + 2, 0, 0, TABLE | 0x80); // 2 Mbyte in the guest, 4 Kbyte in the EPT
    machine.enter(1, 1, 0);
    for (const page of [OWN, NEIGHBOUR]) machine.cost(page);
    machine.mmu.caches.invlpg(OWN);
    expect(machine.cost(NEIGHBOUR).guest).toBeGreaterThan(0);
  });
});

describe("of paging-structure caches", () => {
  /** Guest references of the neighbour's walk: 1 while a cached PDE leads to the page table, else 4. */
  function costAfter(event: (machine: Machine) => void): number {
    const machine = new Machine();
    machine.enter(1, 1, 0);
    machine.cost(OWN);
    event(machine);
    return machine.cost(NEIGHBOUR).guest;
  }

  it.each<[string, number, (machine: Machine) => void]>([
    ["nothing", 1, () => {}],
    ["INVLPG of any address", 4, ({ mmu }) => mmu.caches.invlpg(0x1234)],
    ["INVPCID of the PCID", 4, ({ mmu }) => mmu.caches.invpcidSingle(1)],
    ["INVPCID of another PCID", 1, ({ mmu }) => mmu.caches.invpcidSingle(2)],
    ["INVVPID of the VPID", 4, ({ mmu }) => mmu.caches.invvpidSingle(1)],
    ["INVEPT of the EPT", 4, ({ mmu }) => mmu.caches.inveptSingle(EPT_ROOTS[0])],
    ["INVEPT of another EPT", 1, ({ mmu }) => mmu.caches.inveptSingle(EPT_ROOTS[1])],
  ])("%s leaves a walk of %i guest references", (_, references, event) => {
    expect(costAfter(event)).toBe(references);
  });

  it("a page fault drops what would be used for its address", () => {
    const faulting = ({ mmu }: Machine) => expect(mmu.translate(9, 0, READ)).toBe(PAGE_FAULT);
    expect(costAfter(faulting)).toBe(4);
  });
});

describe("of guest-physical mappings", () => {
  /** EPT references of a walk from CR3, whose tables the nested TLB may know. */
  function costAfter(event: (machine: Machine) => void): number {
    const machine = new Machine();
    machine.enter(1, 1, 0);
    machine.cost(OWN);
    event(machine);
    machine.mmu.caches.invvpidSingle(1);
    return machine.cost(OWN).ept;
  }

  it.each<[string, number, (machine: Machine) => void]>([
    // The data page: its EPT PTE, found through a cached PDE.
    ["nothing", 1, () => {}],
    ["INVLPG", 1, ({ mmu }) => mmu.caches.invlpg(OWN)],
    ["INVVPID of all contexts", 1, ({ mmu }) => mmu.caches.invvpidAll()],
    ["INVEPT of another EPT", 1, ({ mmu }) => mmu.caches.inveptSingle(EPT_ROOTS[1])],
    // From nothing: four references for CR3's page, one for each other table and for the data.
    ["INVEPT of the EPT", 4 + 3 + 1, ({ mmu }) => mmu.caches.inveptSingle(EPT_ROOTS[0])],
    ["INVEPT of all contexts", 4 + 3 + 1, ({ mmu }) => mmu.caches.inveptAll()],
  ])("%s leaves %i EPT references", (_, references, event) => {
    expect(costAfter(event)).toBe(references);
  });
});

describe("an exit", () => {
  /** References of guest and EPT that a second write to a read-only page makes, and those of the neighbour's read after it. */
  function costOfSecond(flags: number, outcome: number, switches: Partial<Switches>): number[] {
    const machine = new Machine({}, switches);
    machine.enter(1, 1, 0);
    machine.ept(0x21, flags);
    machine.mmu.translate(OWN, 0, READ);
    machine.cost(NEIGHBOUR);
    machine.mmu.caches.tlb.clear();
    machine.mmu.translate(OWN, 0, READ);
    expect(machine.mmu.translate(OWN, 0, WRITE)).toBe(outcome);
    const before = machine.references();
    expect(machine.mmu.translate(OWN, 0, WRITE)).toBe(outcome);
    const write = machine.references() - before;
    const { guest, ept } = machine.cost(NEIGHBOUR);
    return [write, guest + ept];
  }
  const READ_ONLY = 0b101 | (6 << 3);

  it.each<[string, Partial<Switches>, number[]]>([
    // Four guest tables by the nested TLB and four EPT levels for the data; nothing of it is shared with the neighbour then.
    ["all mappings of its address, as the manual reads", { violationDrops: "mappings" }, [8, 8]],
    // One guest PTE and one EPT PTE.
    ["its translations only", { violationDrops: "translations" }, [2, 2]],
    // The TLB entry stays and denies; the processor walks again to report.
    ["nothing", { violationDrops: "nothing" }, [2, 2]],
    ["nothing, and reports from the entry", { violationDrops: "nothing", permissionFaultWalks: 0 }, [0, 2]],
    ["nothing, and walks twice", { violationDrops: "nothing", permissionFaultWalks: 2 }, [4, 2]],
    ["nothing, and walks from the root", { violationDrops: "nothing", faultWalkStart: "root" }, [4 + 1, 2]],
    [
      "nothing, with data pages in the nested TLB: one guest PTE, the best case that is physical",
      { violationDrops: "nothing", nestedTlbHolds: "all" },
      [1, 1],
    ],
    ["everything", { violationDrops: "everything" }, [12, 12]],
  ])("for a violation drops %s", (_, switches, references) => {
    expect(costOfSecond(READ_ONLY, EPT_VIOLATION, switches)).toEqual(references);
  });

  it.each<[string, Partial<Switches>, number[]]>([
    ["nothing", { misconfigDrops: "nothing" }, [2, 2]],
    ["as much as a violation, if that is chosen", { misconfigDrops: "mappings" }, [8, 8]],
  ])("for a misconfiguration drops %s", (_, switches, references) => {
    expect(costOfSecond(0b110, EPT_MISCONFIG, switches)).toEqual(references);
  });
});

describe("a guest's entry that is not marked as accessed", () => {
  it("leads to nothing that is cached: once the walk succeeds, every entry on its way is marked", () => {
    const machine = new Machine();
    machine.enter(1, 1, 0);
    for (let level = 0; level < 3; level++) machine.write(PML4 + level, 0, PML4 + level + 1, 0x07);
    machine.ept(PT, 0);
    expect(machine.mmu.translate(OWN, 0, READ)).toBe(EPT_VIOLATION);
    machine.ept(PT, EPT_ALL); // not present before: nothing to invalidate
    expect(machine.cost(OWN).guest).toBe(4);
    for (let level = 0; level < 3; level++) expect(machine.memory.low(PML4 + level, 0) & 0x20).toBe(0x20);
  });
});

describe("a cached translation that denies an access", () => {
  it("is replaced where the tables allow the access by now: one more walk, and none after it", () => {
    const machine = new Machine();
    machine.enter(1, 1, 0);
    machine.write(PT, OWN, 0x21, 0x63 | GLOBAL); // a supervisor page, global
    machine.cost(OWN);
    machine.write(PT, OWN, 0x21, TABLE); // a user page, not global: a permission more needs no invalidation
    expect(machine.cost(OWN, USER + READ).guest).toBe(1);
    expect(machine.cost(OWN, USER + READ).guest).toBe(0);
    expect(machine.cost(OWN, READ).guest).toBe(0);
  });

  it("is made again for a write while its dirty flag in the EPT is clear, from wherever it was cached", () => {
    const machine = new Machine({}, { nestedTlbHolds: "all" });
    machine.mmu.setVpid(1);
    machine.mmu.enableEpt(EPT_ROOTS[0] * PAGE + 0x5e);
    machine.write(PT, NEIGHBOUR, 0x21, TABLE); // the same guest page as OWN's
    machine.cost(OWN);
    const leaf = () => machine.memory.low(EPT_ROOTS[0] + 3, 0x21) & 0x300;
    expect(leaf()).toBe(0x100); // accessed
    machine.cost(NEIGHBOUR, WRITE);
    expect(leaf()).toBe(0x300); // and dirty
    machine.cost(OWN, WRITE);
    expect(machine.cost(OWN, WRITE)).toEqual({ guest: 0, ept: 0 });
  });
});
