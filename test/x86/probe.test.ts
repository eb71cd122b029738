/** `probeTranslation()`: why a translation ends as it does; and that it ends as the processor's does, in every mode. */
import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { loadCpu } from "../../src/cost/cpu-profile.js";
import { FETCH, IMPLICIT, READ, USER, WRITE } from "../../src/x86/access.js";
import type { CpuGeometry } from "../../src/x86/cpu.js";
import { DATA_REF, GUEST_WALK_REF, Ledger, X86_PRIMITIVES } from "../../src/x86/ledger.js";
import {
  EPT_MISCONFIG,
  EPT_VIOLATION,
  GENERAL_PROTECTION,
  Mmu,
  NESTED_PAGE_FAULT,
  PAGE,
  PAGE_FAULT,
  TRANSLATED,
} from "../../src/x86/mmu.js";
import { NPF_GUEST_PAGE, NPF_PRESENT, NPF_RESERVED } from "../../src/x86/npt.js";
import { entryHigh, entryLow, PhysicalMemory } from "../../src/x86/physical-memory.js";
import { probeTranslation } from "../../src/x86/probe.js";
import {
  CR0_PE,
  CR0_PG,
  CR0_WP,
  CR4_LA57,
  CR4_PAE,
  CR4_PGE,
  CR4_PKE,
  CR4_PSE,
  CR4_SMAP,
  CR4_SMEP,
  EFER_LME,
  EFER_NXE,
  LONG_MODE,
} from "../../src/x86/registers.js";

/** A processor that supports everything, and has no cache that one part of a walk could fill for another. */
const geometry: CpuGeometry = {
  ...loadCpu("haswell-ep-e5-2660v3").geometry,
  guest1GPages: true,
  ept1GPages: true,
  ept5Levels: true,
  pdeCache: null,
  pdpteCache: null,
  pml4eCache: null,
  nestedTlb: null,
};

const EPT_LEAF = 0b111 | (6 << 3);
const PML4 = 0x10;
const EPT_ROOT = 0x100;
const ADDRESS = 0x5123n;

let memory: PhysicalMemory;
let mmu: Mmu;

function write(pfn: number, index: number, target: number, flags: number, highFlags = 0): void {
  memory.write(pfn, index, entryLow(target, flags), entryHigh(target, highFlags));
}

/** Guest page n is host page n; the linear page 5 is guest page 0x25. */
beforeEach(() => {
  memory = new PhysicalMemory();
  mmu = new Mmu(geometry, memory, new Ledger(X86_PRIMITIVES));
  for (let level = 0; level < 3; level++) {
    write(PML4 + level, 0, PML4 + level + 1, 0x67);
    write(EPT_ROOT + level, 0, EPT_ROOT + level + 1, 0b111);
  }
  write(PML4 + 3, 5, 0x25, 0x67);
  for (let gfn = 0; gfn < 64; gfn++) write(EPT_ROOT + 3, gfn, gfn, EPT_LEAF);
  mmu.loadRegisters(LONG_MODE, PML4 * PAGE);
  mmu.enableEpt(EPT_ROOT * PAGE + 0x1e);
});

describe("a probe of a translated address", () => {
  it("names the 24 entries of a 4 by 4 walk in order, and both addresses", () => {
    const { outcome, reason, steps, hostPhysicalAddress, guestPhysicalAddress } = probeTranslation(
      mmu,
      ADDRESS,
      READ,
    );
    expect([outcome, reason]).toEqual(["translated", null]);
    expect([hostPhysicalAddress, guestPhysicalAddress]).toEqual([0x25123, 0x25123]);
    const ept = ["EPT 4", "EPT 3", "EPT 2", "EPT 1"];
    expect(steps.map(({ structure, level }) => `${structure} ${level}`)).toEqual([
      ...[4, 3, 2, 1].flatMap((level) => [...ept, `guest ${level}`]),
      ...ept,
    ]);
    expect([...new Set(steps.map(({ purpose }) => purpose))]).toEqual(["PML4", "PDPT", "PD", "PT", "data"]);
    expect(steps[4]).toMatchObject({ hostPhysicalAddress: PML4 * PAGE, entry: 0x11067n });
  });

  it("changes nothing: no flag, no count, no cache", () => {
    write(PML4 + 3, 5, 0x25, 0x07);
    probeTranslation(mmu, ADDRESS, WRITE);
    expect(memory.low(PML4 + 3, 5)).toBe(0x25007);
    mmu.translate(5, 0, READ);
    const ledger = new Ledger(X86_PRIMITIVES);
    const other = new Mmu(geometry, memory, ledger);
    other.loadRegisters(LONG_MODE, PML4 * PAGE);
    probeTranslation(other, ADDRESS, READ);
    expect(ledger.counts.every((count) => count === 0)).toBe(true);
  });
});

describe("a probe of an address that is not translated says which entry, which bits and why", () => {
  const smap = { ...LONG_MODE, cr4: LONG_MODE.cr4 | CR4_SMAP | CR4_SMEP };
  it.each<[string, () => void, bigint, number, string, object]>([
    [
      "a guest entry that is not present",
      () => write(PML4 + 2, 0, 0, 0),
      ADDRESS,
      READ,
      "page-fault",
      { at: "guest PDE", level: 2, bits: "0", why: "P = 0: not present" },
    ],
    [
      "reserved bits",
      () => write(PML4, 0, PML4 + 1, 0xe7),
      ADDRESS,
      READ,
      "page-fault",
      { at: "guest PML4E", level: 4, bits: "7", why: "reserved bits are set" },
    ],
    [
      "reserved address bits",
      () => write(PML4 + 3, 5, 2 ** 36, 0x67),
      ADDRESS,
      READ,
      "page-fault",
      { at: "guest PTE", level: 1, bits: "48", why: "reserved bits are set" },
    ],
    [
      "R/W = 0 in an upper entry",
      () => write(PML4 + 1, 0, PML4 + 2, 0x65),
      ADDRESS,
      WRITE,
      "page-fault",
      { at: "guest PDPTE", level: 3, bits: "1", why: "R/W = 0: no supervisor write" },
    ],
    [
      "U/S = 0",
      () => write(PML4 + 3, 5, 0x25, 0x63),
      ADDRESS,
      USER + READ,
      "page-fault",
      { at: "guest PTE", level: 1, bits: "2", why: "U/S = 0: no user read" },
    ],
    [
      "XD = 1",
      () => write(PML4 + 2, 0, PML4 + 3, 0x67, 1 << 31),
      ADDRESS,
      FETCH,
      "page-fault",
      { at: "guest PDE", level: 2, bits: "63", why: "XD = 1: no supervisor fetch" },
    ],
    [
      "SMEP",
      () => mmu.loadRegisters(smap, PML4 * PAGE),
      ADDRESS,
      FETCH,
      "page-fault",
      {
        at: "guest PTE",
        level: 1,
        bits: "2",
        why: "U/S = 1 at every level: SMEP denies the supervisor fetch",
      },
    ],
    [
      "SMAP, which EFLAGS.AC does not lift for an implicit access",
      () => mmu.loadRegisters({ ...smap, ac: true }, PML4 * PAGE),
      ADDRESS,
      IMPLICIT + READ,
      "page-fault",
      {
        at: "guest PTE",
        level: 1,
        bits: "2",
        why: "U/S = 1 at every level: SMAP denies the implicit supervisor read",
      },
    ],
    [
      "a protection key",
      () => {
        write(PML4 + 3, 5, 0x25, 0x67, 3 << 27);
        mmu.loadRegisters({ ...LONG_MODE, cr4: LONG_MODE.cr4 | CR4_PKE, pkru: 1 << 6 }, PML4 * PAGE);
      },
      ADDRESS,
      READ,
      "page-fault",
      {
        at: "guest PTE",
        level: 1,
        bits: "62:59",
        why: "PKRU denies the supervisor read with protection key 3",
      },
    ],
    [
      "an EPT entry that is not present",
      () => write(EPT_ROOT + 3, 0x25, 0, 0),
      ADDRESS,
      READ,
      "ept-violation",
      { at: "EPT PTE", level: 1, bits: "2:0", why: "not present" },
    ],
    [
      "W = 0 in an upper EPT entry",
      () => write(EPT_ROOT + 1, 0, EPT_ROOT + 2, 0b101),
      ADDRESS,
      WRITE,
      "ept-violation",
      { at: "EPT PDPTE", level: 3, bits: "1", why: "W = 0, and the access needs it" },
    ],
    [
      "a flag that cannot be set",
      () => {
        write(PML4 + 3, 5, 0x25, 0x27);
        write(EPT_ROOT + 3, PML4 + 3, PML4 + 3, 0b101 | (6 << 3));
      },
      ADDRESS,
      WRITE,
      "ept-violation",
      {
        at: "guest PTE",
        level: 1,
        bits: "6",
        why: "the dirty flag must be set, and the EPT does not let the table be written",
      },
    ],
    [
      "writable but not readable",
      () => write(EPT_ROOT + 3, 0x25, 0, 0b110),
      ADDRESS,
      READ,
      "ept-misconfig",
      { at: "EPT PTE", level: 1, bits: "1:0", why: "writable but not readable" },
    ],
    [
      "a reserved memory type",
      () => write(EPT_ROOT + 3, 0x25, 0x25, 0b111 | (3 << 3)),
      ADDRESS,
      READ,
      "ept-misconfig",
      { at: "EPT PTE", level: 1, bits: "5:3", why: "memory type 3 is reserved" },
    ],
    [
      "bits of an EPT entry that references a table",
      () => write(EPT_ROOT + 2, 0, EPT_ROOT + 3, 0b111 | (6 << 3)),
      ADDRESS,
      READ,
      "ept-misconfig",
      { at: "EPT PDE", level: 2, bits: "5:4", why: "reserved bits are set" },
    ],
    [
      "a page where none may be",
      () => write(EPT_ROOT, 0, EPT_ROOT + 1, 0b111 | 0x80),
      ADDRESS,
      READ,
      "ept-misconfig",
      { at: "EPT PML4E", level: 4, bits: "7", why: "no page may be mapped here" },
    ],
    [
      "an address beyond the width",
      () => write(EPT_ROOT + 3, 0x25, 2 ** 34 + 2 ** 35, EPT_LEAF),
      ADDRESS,
      READ,
      "ept-misconfig",
      { at: "EPT PTE", level: 1, bits: "47:46", why: "address beyond the physical address width" },
    ],
    [
      "an address that is not canonical",
      () => {},
      0x8000_0000_0000n,
      READ,
      "general-protection",
      { at: "linear address", level: 0, bits: "63:47", why: "is not canonical" },
    ],
  ])("%s", (_, change, address, kind, outcome, reason) => {
    change();
    expect(probeTranslation(mmu, address, kind)).toMatchObject({
      outcome,
      reason,
      hostPhysicalAddress: null,
    });
  });
});

describe("a probe under nested page tables says which nested entry, which bits and why", () => {
  /** The same tables as an EPT's: bits 2:0 grant everything in either format. */
  beforeEach(() => {
    mmu.enableNpt(EPT_ROOT * PAGE);
  });

  it.each<[string, () => void, number, object]>([
    [
      "not present",
      () => write(EPT_ROOT + 3, 0x25, 0, 0b110),
      READ,
      { at: "NPT PTE", level: 1, bits: "0", why: "P = 0: not present" },
    ],
    [
      "U/S = 0 in an upper entry",
      () => write(EPT_ROOT + 1, 0, EPT_ROOT + 2, 0b011),
      READ,
      { at: "NPT PDPTE", level: 3, bits: "2", why: "U/S = 0, and the walk is a user's to the host" },
    ],
    [
      "R/W = 0 for a write",
      () => write(EPT_ROOT + 3, 0x25, 0x25, 0b101),
      WRITE,
      { at: "NPT PTE", level: 1, bits: "1", why: "R/W = 0, and the access is a write" },
    ],
    [
      "R/W = 0 for a guest's page table",
      () => write(EPT_ROOT + 3, PML4 + 2, PML4 + 2, 0b101),
      READ,
      { at: "NPT PTE", level: 1, bits: "1", why: "R/W = 0, and the walk is a write" },
    ],
    [
      "NX = 1 for a fetch",
      () => write(EPT_ROOT + 3, 0x25, 0x25, 0b111, 1 << 31),
      FETCH,
      { at: "NPT PTE", level: 1, bits: "63", why: "NX = 1, and the access is a fetch" },
    ],
    [
      "bits of a PML4E that must be 0",
      () => write(EPT_ROOT, 0, EPT_ROOT + 1, 0b111 | 0x180),
      READ,
      { at: "NPT PML4E", level: 4, bits: "8:7", why: "no page may be mapped here" },
    ],
    [
      "address bits below a large page",
      () => write(EPT_ROOT + 2, 0, 0x3, 0b111 | 0x80),
      READ,
      { at: "NPT PDE", level: 2, bits: "13", why: "reserved bits are set" },
    ],
    [
      "an address beyond the width",
      () => write(EPT_ROOT + 3, 0x25, 2 ** 34 + 2 ** 35, 0b111),
      READ,
      { at: "NPT PTE", level: 1, bits: "47:46", why: "address beyond the physical address width" },
    ],
  ])("%s", (_, change, kind, reason) => {
    change();
    expect(probeTranslation(mmu, ADDRESS, kind)).toMatchObject({ outcome: "nested-page-fault", reason });
  });
});

const OUTCOMES = new Map<number, string>([
  [TRANSLATED, "translated"],
  [PAGE_FAULT, "page-fault"],
  [EPT_VIOLATION, "ept-violation"],
  [EPT_MISCONFIG, "ept-misconfig"],
  [GENERAL_PROTECTION, "general-protection"],
  [NESTED_PAGE_FAULT, "nested-page-fault"],
]);

/** An entry with mostly sensible flags: any target among the few frames, now and then any of the bits that matter. */
const entry = (sensible: number) =>
  fc.record({
    target: fc.integer({ min: 0x10, max: 0x1f }),
    low: fc.oneof(
      { weight: 9, arbitrary: fc.constant(sensible) },
      { weight: 1, arbitrary: fc.integer({ min: 0, max: 0xfff }) },
    ),
    high: fc.oneof(
      { weight: 20, arbitrary: fc.constant(0) },
      { weight: 1, arbitrary: fc.constantFrom(1 << 31, 3 << 27, 1 << 19, 1 << 12) },
    ),
  });
const frames = (sensible: number) =>
  fc.array(fc.array(entry(sensible), { minLength: 4, maxLength: 4 }), { minLength: 16, maxLength: 16 });

const bits = (...each: number[]) =>
  fc.subarray(each).map((chosen) => chosen.reduce((all, bit) => all | bit, 0));
const registers = fc.record({
  cr0: fc.constantFrom(CR0_PG, CR0_PG, CR0_PG | CR0_WP, CR0_PG | CR0_WP, 0).map((cr0) => cr0 | CR0_PE),
  cr4: bits(CR4_PSE, CR4_PAE, CR4_PGE, CR4_LA57, CR4_SMEP, CR4_SMAP, CR4_PKE),
  efer: bits(EFER_LME, EFER_NXE),
  pkru: fc.integer({ min: 0, max: 0xffff_ffff }),
  ac: fc.boolean(),
});

describe("a probe", () => {
  it("ends as the processor does, by the same entries, in any mode over any entries", () => {
    fc.assert(
      fc.property(
        registers,
        frames(0b111 | 0x60),
        frames(0b111),
        fc.constantFrom(null, 0x1e, 0x5e, 0x26, 0x66, "NPT" as const, "NPT5" as const),
        fc.boolean(),
        fc.constantFrom(READ, WRITE, FETCH, USER + READ, USER + WRITE, USER + FETCH, IMPLICIT + READ),
        fc.integer({ min: 0, max: 3 }),
        (state, guestFrames, eptFrames, eptp, modeBased, kind, index) => {
          const memory = new PhysicalMemory();
          const ledger = new Ledger(X86_PRIMITIVES);
          const mmu = new Mmu(geometry, memory, ledger);
          // The same few frames at every level; index 0 to 3 of each, by all levels of the address alike.
          guestFrames.forEach((entries, n) => {
            entries.forEach(({ target, low, high }, i) => {
              memory.write(0x10 + n, i, entryLow(target, low), entryHigh(target, high));
            });
          });
          eptFrames.forEach((entries, n) => {
            entries.forEach(({ target, low, high }, i) => {
              memory.write(0x20 + n, i, entryLow(target + 0x10, low), entryHigh(target, high));
              // Guest pages 0x10 to 0x1f are themselves in the end.
              memory.write(0x20 + n, 0x10 + i, entryLow(0x10 + ((n + i) % 16), EPT_LEAF | 0x80), 0);
            });
          });
          if (eptp === "NPT" || eptp === "NPT5") mmu.enableNpt(0x20 * PAGE, eptp === "NPT" ? 4 : 5);
          else if (eptp !== null) mmu.enableEpt(0x20 * PAGE + eptp, modeBased);
          if (mmu.loadRegisters(state, 0x10 * PAGE) !== TRANSLATED) return;
          const shift = { none: 12, "32-bit": 22, PAE: 21, "4-level": 39, "5-level": 48 }[mmu.guest.mode];
          const address = (BigInt(index) << BigInt(shift)) | (BigInt(index) << 12n);
          const probe = probeTranslation(mmu, address, kind);
          const before = ledger.counts.slice(GUEST_WALK_REF, DATA_REF).reduce((sum, n) => sum + n, 0);
          const outcome = mmu.translateAddress(address, kind);
          const references = ledger.counts.slice(GUEST_WALK_REF, DATA_REF).reduce((sum, n) => sum + n, 0);
          expect(probe.outcome).toBe(OUTCOMES.get(outcome));
          expect(probe.steps).toHaveLength(references - before);
          if (outcome === TRANSLATED) expect(probe.hostPhysicalAddress).toBe(mmu.pfn * PAGE);
          if (outcome === EPT_VIOLATION || outcome === EPT_MISCONFIG || outcome === NESTED_PAGE_FAULT) {
            expect(probe.guestPhysicalAddress).toBe(mmu.guestPhysicalAddress);
          }
          if (outcome === NESTED_PAGE_FAULT) {
            const { exitInfo1 } = mmu;
            const why = probe.reason?.why ?? "";
            expect((exitInfo1 & NPF_PRESENT) === 0).toBe(/^(P = 0|not 0)/.test(why));
            expect((exitInfo1 & NPF_RESERVED) !== 0).toBe(/(reserved|mapped|beyond)/.test(why));
            expect(exitInfo1 >= NPF_GUEST_PAGE).toBe(probe.steps.at(-1)?.purpose !== "data");
          }
          expect(probe.reason === null).toBe(outcome === TRANSLATED);
        },
      ),
      { numRuns: 5000, seed: 7 },
    );
  });
});
