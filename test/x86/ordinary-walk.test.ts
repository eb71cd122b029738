import { describe, expect, it } from "vitest";
import { loadCpu } from "../../src/cost/cpu-profile.js";
import { FETCH, READ, USER, WRITE } from "../../src/x86/access.js";
import { Ledger, X86_PRIMITIVES } from "../../src/x86/ledger.js";
import { Mmu, PAGE, TRANSLATED } from "../../src/x86/mmu.js";
import { entryHigh, entryLow, PhysicalMemory } from "../../src/x86/physical-memory.js";
import { CR4_PGE, CR4_SMEP, LONG_MODE } from "../../src/x86/registers.js";

const { geometry } = loadCpu("haswell-ep-e5-2660v3");

/** Guest page n is host page HOST + n. */
const HOST = 0x400;
const GUEST = { pml4: 0x10, pdpt: 0x11, pd: 0x12, pt: 0x13 };
const EPT = { pml4: 0x100, pdpt: 0x101, pd: 0x102, pt: 0x103 };
const LINEAR = 5;
const NEIGHBOUR = 6;
const GFN = 0x20;

/** Flags of entries as they stand in the two words. */
const GUEST_TABLE = 0b10_0111;
const EPT_TABLE = 0b111 | (1 << 8);
const WRITE_BACK = 6 << 3;
const XD_HIGH = 2 ** 31;

const KINDS = [READ, WRITE, FETCH, USER + READ, USER + WRITE, USER + FETCH];
const GUEST_LEAVES = [0b01, 0b11].flatMap((writable) =>
  [0, 1 << 2].flatMap((user) =>
    [0, 1 << 5, (1 << 5) | (1 << 6)].flatMap((marks) =>
      [0, 1 << 8].map((global) => writable | user | marks | global),
    ),
  ),
);
/** Leaves of the second level: bits 31:0 and 63:32. */
type Leaf = readonly [low: number, high: number];
const EPT_LEAVES = [0b111, 0b101, 0b011, 0b001, 0b100, 0].flatMap((permissions) =>
  [0, 1 << 8, (1 << 8) | (1 << 9)].map((marks): Leaf => [permissions | WRITE_BACK | marks, 0]),
);
const NPT_LEAVES = [0b111, 0b101, 0b011, 0b110].flatMap((permissions) =>
  [0, 1 << 5, (1 << 5) | (1 << 6)].flatMap((marks) =>
    [0, XD_HIGH, 1 << 19].map((high): Leaf => [permissions | marks, high]),
  ),
);

/** What translates guest-physical addresses: flags of a table and of any other leaf, the leaves under test. */
interface Nested {
  readonly table: number;
  readonly leaf: number;
  readonly leaves: readonly Leaf[];
  readonly enable: (mmu: Mmu) => void;
}
const EPT_FLAGS = { table: EPT_TABLE, leaf: 0b111 | WRITE_BACK | (3 << 8), leaves: EPT_LEAVES };
const NESTED: Readonly<Record<string, Nested>> = {
  "an EPT": { ...EPT_FLAGS, enable: (mmu) => mmu.enableEpt(EPT.pml4 * PAGE + 0x1e) },
  "an EPT with flags": { ...EPT_FLAGS, enable: (mmu) => mmu.enableEpt(EPT.pml4 * PAGE + 0x5e) },
  "nested page tables": {
    table: GUEST_TABLE,
    leaf: GUEST_TABLE | (1 << 6),
    leaves: NPT_LEAVES,
    enable: (mmu) => mmu.enableNpt(EPT.pml4 * PAGE),
  },
};

/** A guest of which two pages share all tables. */
class Guest {
  readonly memory = new PhysicalMemory();
  readonly ledger = new Ledger(X86_PRIMITIVES);
  readonly mmu = new Mmu(geometry, this.memory, this.ledger);
  /** Walks that took the ordinary course. */
  ordinary = 0;

  constructor({ table, leaf, enable }: Nested, isOpen: boolean) {
    const walk = Reflect.get(this.mmu, "walkOrdinary").bind(this.mmu);
    const walkOrdinary = (table: number) => {
      const was = isOpen && walk(table);
      if (was) this.ordinary++;
      return was;
    };
    Object.assign(this.mmu, { walkOrdinary });
    this.write(EPT.pml4, 0, EPT.pdpt, table);
    this.write(EPT.pdpt, 0, EPT.pd, table);
    this.write(EPT.pd, 0, EPT.pt, table);
    for (let gfn = 0; gfn < 64; gfn++) this.write(EPT.pt, gfn, HOST + gfn, leaf);
    this.write(HOST + GUEST.pml4, 0, GUEST.pdpt, GUEST_TABLE);
    this.write(HOST + GUEST.pdpt, 0, GUEST.pd, GUEST_TABLE);
    this.write(HOST + GUEST.pt, NEIGHBOUR, GFN + 1, GUEST_TABLE);
    this.mmu.loadRegisters({ ...LONG_MODE, cr4: LONG_MODE.cr4 | CR4_PGE | CR4_SMEP }, GUEST.pml4 * PAGE);
    enable(this.mmu);
  }

  /** Caches the tables by an access to the neighbour; then accesses the page, and says all that is seen. */
  access(guestLeaf: number, tableHigh: number, [low, high]: Leaf, kinds: readonly number[]): unknown[] {
    const { mmu, ledger } = this;
    this.write(HOST + GUEST.pd, 0, GUEST.pt, GUEST_TABLE, tableHigh);
    this.write(HOST + GUEST.pt, LINEAR, GFN, guestLeaf);
    this.write(EPT.pt, GFN, HOST + GFN, low, high);
    mmu.caches.clear();
    mmu.translate(NEIGHBOUR, 0, READ);
    const seen = [...kinds, READ].map((kind, i) => {
      // The last one finds global translations only.
      if (i === kinds.length) mmu.caches.invpcidSingle(0);
      const outcome = mmu.access(LINEAR, 8, kind);
      const { errorCode, exitQualification, exitInfo1, guestPhysicalAddress } = mmu;
      const pfn = outcome === TRANSLATED && mmu.pfn;
      return [outcome, pfn, errorCode, exitQualification, exitInfo1, guestPhysicalAddress];
    });
    const entries = [this.memory.low(HOST + GUEST.pt, LINEAR), this.memory.low(EPT.pt, GFN)];
    return [...seen, entries, Array.from(ledger.counts)];
  }

  private write(pfn: number, index: number, target: number, flags: number, high = 0): void {
    this.memory.write(pfn, index, entryLow(target, flags), entryHigh(target, high));
  }
}

describe("the ordinary course of a walk", () => {
  it.each(Object.entries(NESTED))(
    "ends as the long one, now and at the next access; under %s",
    (_, nested) => {
      const short = new Guest(nested, true);
      const long = new Guest(nested, false);
      for (const guestLeaf of GUEST_LEAVES) {
        for (const tableHigh of [0, XD_HIGH]) {
          for (const nestedLeaf of nested.leaves) {
            for (const first of KINDS) {
              for (const then of KINDS) {
                const got = short.access(guestLeaf, tableHigh, nestedLeaf, [first, then]);
                const wanted = long.access(guestLeaf, tableHigh, nestedLeaf, [first, then]);
                // Not toEqual() each time: it takes as long as all else.
                if (String(got) !== String(wanted)) {
                  expect({ guestLeaf, tableHigh, nestedLeaf, first, then, got }).toEqual({ got: wanted });
                }
              }
            }
          }
        }
      }
      expect(short.ordinary).toBeGreaterThan(2000);
    },
  );
});
