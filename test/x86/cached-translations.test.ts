/**
 * Property tests of everything that is cached: a processor with caches and its memory, under random changes of the paging
 * structures followed by the invalidation the manual asks for, against a walk that reads the structures afresh.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { loadCpu } from "../../src/cost/cpu-profile.js";
import { FETCH, READ, USER, WRITE } from "../../src/x86/access.js";
import { type CpuGeometry, DEFAULT_SWITCHES, DROPS, type Switches } from "../../src/x86/cpu.js";
import { DATA_REF, GUEST_WALK_REF, Ledger, X86_PRIMITIVES } from "../../src/x86/ledger.js";
import {
  EPT_MISCONFIG,
  EPT_VIOLATION,
  GENERAL_PROTECTION,
  Mmu,
  NESTED_PAGE_FAULT,
  type Outcome,
  PAGE,
  PAGE_FAULT,
  TRANSLATED,
} from "../../src/x86/mmu.js";
import { entryHigh, entryLow, PhysicalMemory } from "../../src/x86/physical-memory.js";
import { probeTranslation } from "../../src/x86/probe.js";
import { CR4_PCIDE, LONG_MODE } from "../../src/x86/registers.js";

const OUTCOMES: Readonly<Record<Outcome, string>> = {
  [TRANSLATED]: "translated",
  [PAGE_FAULT]: "page-fault",
  [EPT_VIOLATION]: "ept-violation",
  [EPT_MISCONFIG]: "ept-misconfig",
  [GENERAL_PROTECTION]: "general-protection",
  [NESTED_PAGE_FAULT]: "nested-page-fault",
};

/** Small structures, so that a short run evicts. */
const few = { entries: 4, ways: 2 };
const base: CpuGeometry = {
  ...loadCpu("haswell-ep-e5-2660v3").geometry,
  dtlb4K: few,
  dtlb2M: few,
  itlb4K: few,
  itlb2M: few,
  stlb: { entries: 8, ways: 2 },
  pdeCache: few,
  pdpteCache: few,
  pml4eCache: { entries: 2, ways: 2 },
  nestedTlb: few,
};

/** Guest page frames of the tables, and of the pages that the guest maps; host page n of the EPT is guest page n + HOST. */
const ROOTS = [0x10, 0x18, 0x19];
const PDPT = 0x11;
const PDS = [0x12, 0x13];
const PTS = [0x14, 0x15, 0x16];
const PAGES = 0x40;
const HOST = 0x1_0000;
const EPT_ROOTS = [0x100, 0x110];

const GUEST_ALL = 0b111;
const EPT_ALL = 0b111 | (6 << 3);

/** Linear pages under test: six under each of three page tables, of which the third hangs under another directory. */
const LINEAR = [0, 1, 2, 512, 513, 514, 2 ** 18, 2 ** 18 + 1];

class Machine {
  readonly memory = new PhysicalMemory();
  readonly ledger = new Ledger(X86_PRIMITIVES);
  readonly mmu: Mmu;

  constructor(geometry: CpuGeometry, accessedDirty: boolean) {
    this.mmu = new Mmu(geometry, this.memory, this.ledger);
    EPT_ROOTS.forEach((root, which) => {
      this.write(root, 0, root + 1, 0b111);
      this.write(root + 1, 0, root + 2, 0b111);
      this.write(root + 2, 0, root + 3, 0b111);
      for (let gfn = 0; gfn < 512; gfn++) this.ept(which, gfn, gfn, EPT_ALL);
    });
    for (const root of ROOTS) this.guest(root, 0, PDPT, GUEST_ALL);
    PDS.forEach((pd, i) => {
      this.guest(PDPT, i, pd, GUEST_ALL);
    });
    this.guest(PDS[0], 0, PTS[0], GUEST_ALL);
    this.guest(PDS[0], 1, PTS[1], GUEST_ALL);
    this.guest(PDS[1], 0, PTS[2], GUEST_ALL);
    LINEAR.forEach((page, i) => {
      this.leaf(page, PAGES + i, GUEST_ALL);
    });
    this.mmu.loadRegisters({ ...LONG_MODE, cr4: LONG_MODE.cr4 | CR4_PCIDE }, ROOTS[0] * PAGE);
    this.useEpt(0, accessedDirty);
  }

  useEpt(which: number, accessedDirty: boolean): void {
    this.mmu.enableEpt(EPT_ROOTS[which] * PAGE + (accessedDirty ? 0x5e : 0x1e));
  }

  ept(which: number, gfn: number, target: number, flags: number): void {
    this.write(EPT_ROOTS[which] + 3, gfn, HOST + target, flags);
  }

  guest(table: number, index: number, target: number, flags: number): void {
    this.write(HOST + table, index, target, flags);
  }

  leaf(page: number, target: number, flags: number): void {
    const table = page < 512 ? PTS[0] : page < 2 ** 18 ? PTS[1] : PTS[2];
    this.guest(table, page % 512, target, flags);
  }

  references(): number {
    return this.ledger.counts.slice(GUEST_WALK_REF, DATA_REF).reduce((sum, count) => sum + count, 0);
  }

  private write(pfn: number, index: number, target: number, flags: number): void {
    this.memory.write(pfn, index, entryLow(target, flags), entryHigh(target));
  }
}

type Step =
  | { readonly op: "access"; readonly page: number; readonly kind: number }
  | {
      readonly op: "leaf";
      readonly page: number;
      readonly target: number;
      readonly flags: number;
      readonly by: number;
    }
  | { readonly op: "table"; readonly flags: number; readonly by: number }
  | { readonly op: "ept"; readonly gfn: number; readonly target: number; readonly flags: number }
  | { readonly op: "cr3"; readonly pcid: number; readonly keep: boolean }
  | { readonly op: "vpid"; readonly vpid: number }
  | { readonly op: "eptp"; readonly which: number };

const page = fc.constantFrom(...LINEAR);
const flagsOfGuest = fc.constantFrom(
  0b111,
  0b111,
  0b101,
  0b011,
  0b001,
  0b000,
  0b111 | (1 << 8),
  0b101 | (1 << 8),
);
const flagsOfEpt = fc.constantFrom(EPT_ALL, EPT_ALL, 0b101 | (6 << 3), 0b001 | (6 << 3), 0, 0b110);

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      op: fc.constant("access" as const),
      page,
      kind: fc.constantFrom(READ, WRITE, FETCH, USER + READ, USER + WRITE, USER + FETCH),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant("leaf" as const),
      page,
      target: fc.integer({ min: PAGES, max: PAGES + 15 }),
      flags: flagsOfGuest,
      by: fc.integer({ min: 0, max: 6 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant("table" as const),
      flags: fc.constantFrom(0b111, 0b101, 0b011, 0),
      by: fc.integer({ min: 0, max: 6 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant("ept" as const),
      gfn: fc.oneof(
        fc.integer({ min: PAGES, max: PAGES + 15 }),
        // Not a root: global translations promise that all PCIDs translate alike.
        fc.constantFrom(PDPT, ...PDS, ...PTS),
      ),
      target: fc.constant(0),
      flags: flagsOfEpt,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant("cr3" as const),
      pcid: fc.integer({ min: 0, max: 2 }),
      keep: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ op: fc.constant("vpid" as const), vpid: fc.integer({ min: 0, max: 2 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ op: fc.constant("eptp" as const), which: fc.integer({ min: 0, max: 1 }) }),
  },
);

const switches: fc.Arbitrary<Switches> = fc.record({
  permissionFaultWalks: fc.constantFrom(0, 1, 2),
  faultWalkStart: fc.constantFrom("paging-structure-caches", "root"),
  violationDrops: fc.constantFrom(...DROPS),
  misconfigDrops: fc.constantFrom(...DROPS),
  nestedPageFaultDrops: fc.constantFrom(...DROPS),
  nestedTlbHolds: fc.constantFrom("tables", "all"),
  guestFlags: fc.constantFrom("before-final-translation", "after-final-translation"),
});

/** What the access of a step does now, and what a fresh walk says that it does. */
function accessBoth(machine: Machine, { page: linear, kind }: { page: number; kind: number }) {
  const { mmu } = machine;
  const probe = probeTranslation(mmu, BigInt(linear) << 12n, kind);
  const outcome = mmu.translate(linear, 0, kind);
  const translated = outcome === TRANSLATED ? mmu.pfn * PAGE : null;
  return {
    got: [OUTCOMES[outcome], translated],
    wanted: [probe.outcome, probe.hostPhysicalAddress],
    uncached: probe.steps.length,
  };
}

/** Each of the operations that the manual accepts after a change of the mapping of one page, by number. */
function invalidatePage(machine: Machine, linear: number, by: number): void {
  const { caches } = machine.mmu;
  switch (by) {
    case 0:
      caches.invpcidAll();
      break;
    case 1:
      for (const root of EPT_ROOTS) caches.inveptSingle(root);
      break;
    case 2:
      caches.inveptAll();
      break;
    case 3:
      for (const vpid of [0, 1, 2]) caches.invvpidSingle(vpid);
      break;
    case 4:
      for (const vpid of [0, 1, 2]) caches.invvpidAddress(vpid, linear);
      break;
    case 5:
      caches.invvpidAll();
      caches.invvpidSingle(0);
      break;
    default:
      // The page in the current PCID, and if it is global in all; then the others.
      caches.invlpg(linear);
      for (const pcid of [0, 1, 2]) caches.invpcidAddress(pcid, linear);
  }
}

/** Looks at a page in every PCID and under both EPTs, dropping nothing. */
function expectFresh(machine: Machine, linear: number, accessedDirty: boolean): void {
  const { mmu } = machine;
  const { cr3 } = mmu;
  const root = mmu.nested?.root ?? 0;
  EPT_ROOTS.forEach((_, which) => {
    machine.useEpt(which, accessedDirty);
    ROOTS.forEach((guestRoot, pcid) => {
      mmu.writeCr3(guestRoot * PAGE + pcid, true);
      const { got, wanted } = accessBoth(machine, { page: linear, kind: READ });
      expect(got).toEqual(wanted);
    });
  });
  machine.useEpt(EPT_ROOTS.indexOf(root), accessedDirty);
  mmu.writeCr3(cr3, true);
}

function apply(machine: Machine, one: Exclude<Step, { op: "access" }>, accessedDirty: boolean): void {
  const { mmu } = machine;
  switch (one.op) {
    case "leaf":
      machine.leaf(one.page, one.target, one.flags);
      invalidatePage(machine, one.page, one.by);
      if (one.by === 0 || one.by === 6) {
        expectFresh(machine, one.page, accessedDirty);
        // These reached the current VPID only.
        for (const vpid of [0, 1, 2]) mmu.caches.invvpidSingle(vpid);
      }
      break;
    case "table":
      machine.guest(PDS[0], 1, PTS[1], one.flags);
      // The entry serves many pages: an address-wise operation on one of them drops all paging-structure entries.
      for (const linear of LINEAR) invalidatePage(machine, linear, one.by);
      for (const vpid of [0, 1, 2]) mmu.caches.invvpidSingle(vpid);
      break;
    case "ept": {
      const readable = (machine.memory.low(EPT_ROOTS[0] + 3, one.gfn) & 1) !== 0;
      machine.ept(0, one.gfn, one.gfn, one.flags);
      // Nothing is cached from an entry that is not present or misconfigured, so making it usable needs no invalidation.
      if (readable) mmu.caches.inveptSingle(EPT_ROOTS[0]);
      break;
    }
    case "cr3":
      // Each PCID has a root of its own, as it must have where MOV to CR3 keeps what is cached.
      mmu.writeCr3(ROOTS[one.pcid] * PAGE + one.pcid, one.keep);
      break;
    case "vpid":
      mmu.setVpid(one.vpid);
      break;
    case "eptp":
      machine.useEpt(one.which, accessedDirty);
      break;
  }
}

function bytes({ memory: { words } }: Machine): Buffer {
  return Buffer.from(words.buffer, words.byteOffset, words.byteLength);
}

const steps60 = fc.array(step, { maxLength: 60 });

describe("a cached translation", () => {
  it("never differs from a fresh walk after the invalidations that the manual asks for", () => {
    fc.assert(
      fc.property(steps60, switches, fc.boolean(), (steps, open, accessedDirty) => {
        const machine = new Machine({ ...base, switches: open }, accessedDirty);
        for (const one of steps) {
          if (one.op !== "access") {
            apply(machine, one, accessedDirty);
            continue;
          }
          const { got, wanted } = accessBoth(machine, one);
          expect(got).toEqual(wanted);
        }
      }),
      { numRuns: 1500, seed: 1 },
    );
  });

  it("may vanish at any time: outcomes and entries stay the same, only counts change", () => {
    const drops = fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 60, maxLength: 60 });
    fc.assert(
      fc.property(steps60, drops, switches, fc.boolean(), (steps, dropped, open, accessedDirty) => {
        const kept = new Machine({ ...base, switches: open }, accessedDirty);
        const forgetful = new Machine({ ...base, switches: open }, accessedDirty);
        steps.forEach((one, i) => {
          const { caches } = forgetful.mmu;
          if (dropped[i] === 1) caches.tlb.clear();
          if (dropped[i] === 2) caches.pagingStructures.clear();
          if (dropped[i] === 3) caches.nestedTlb.clear();
          if (dropped[i] === 4) caches.nestedStructures.clear();
          if (one.op !== "access") {
            apply(kept, one, accessedDirty);
            apply(forgetful, one, accessedDirty);
            return;
          }
          expect(accessBoth(forgetful, one).got).toEqual(accessBoth(kept, one).got);
        });
        expect(Buffer.compare(bytes(forgetful), bytes(kept))).toBe(0);
      }),
      { numRuns: 500, seed: 2 },
    );
  });

  it("never makes an access reference more entries than it would without any cache", () => {
    fc.assert(
      fc.property(steps60, fc.boolean(), (steps, accessedDirty) => {
        const machine = new Machine({ ...base, switches: DEFAULT_SWITCHES }, accessedDirty);
        for (const one of steps) {
          if (one.op !== "access") {
            apply(machine, one, accessedDirty);
            continue;
          }
          const before = machine.references();
          const { uncached } = accessBoth(machine, one);
          expect(machine.references() - before).toBeLessThanOrEqual(uncached);
        }
      }),
      { numRuns: 500, seed: 3 },
    );
  });
});
