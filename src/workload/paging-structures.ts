/**
 * The paging structures of a guest without a hypervisor behind it: linear pages to guest pages to host pages, in every
 * paging mode and page size, natively or under EPT, as entries in memory that a processor walks.
 *
 * Guest page n is host page n + HOST, so that a mix-up of the two shows; natively it is host page n. All entries are marked
 * as used and written to, so that no access sets a flag.
 */
import type { CpuGeometry } from "../x86/cpu.js";
import { EPT_PAGE_SIZE, EPT_PERMISSIONS, Ept } from "../x86/ept.js";
import {
  GuestPaging,
  type PagingMode,
  PTE_ACCESSED,
  PTE_DIRTY,
  PTE_PAGE_SIZE,
  PTE_PRESENT,
  PTE_USER,
  PTE_WRITABLE,
} from "../x86/guest-paging.js";
import { Ledger, X86_PRIMITIVES } from "../x86/ledger.js";
import { Mmu, PAGE } from "../x86/mmu.js";
import { ENTRY_BYTES, entryHigh, entryLow, PhysicalMemory } from "../x86/physical-memory.js";
import {
  CR0_PG,
  CR4_LA57,
  CR4_PAE,
  EFER_LME,
  EFER_NXE,
  LONG_MODE,
  type PagingRegisters,
} from "../x86/registers.js";
import { TableTree } from "./table-tree.js";

/** Sizes of a page, and the level of the entry that maps one. */
const LEAF_LEVEL = { "4K": 1, "2M": 2, "4M": 2, "1G": 3 } as const;
export type PageSize = keyof typeof LEAF_LEVEL;

/** The sizes that each paging mode has; 1G where the processor has it. */
export const PAGE_SIZES: Readonly<Record<PagingMode, readonly PageSize[]>> = {
  none: ["4K"],
  "32-bit": ["4K", "4M"],
  PAE: ["4K", "2M"],
  "4-level": ["4K", "2M", "1G"],
  "5-level": ["4K", "2M", "1G"],
};

export interface GuestFormat {
  readonly mode: PagingMode;
  /** Size of all pages. */
  readonly pages: PageSize;
}

export interface EptFormat {
  readonly levels: 4 | 5;
  /** Size of all pages, those that hold guest paging structures too. */
  readonly pages: "4K" | "2M" | "1G";
}

export interface PagingFormat {
  readonly guest: GuestFormat;
  /** null: no EPT, and guest pages are host pages. */
  readonly ept: EptFormat | null;
}

/** Flags, bits 11:0, of the entries that map a page. Page size and memory type are added. */
export interface LeafFlags {
  readonly guest: number;
  readonly ept: number;
}

/** Host page of guest page 0; the EPT's own tables lie below. A multiple of 1 Gbyte, so that pages of every size fit. */
const HOST = 2 ** 22;

const GUEST_TABLE = PTE_PRESENT | PTE_WRITABLE | PTE_USER | PTE_ACCESSED;
const EPT_WRITE_BACK = 6 << 3;

const REGISTERS: Readonly<Record<PagingMode, PagingRegisters>> = {
  none: { ...LONG_MODE, cr0: LONG_MODE.cr0 & ~CR0_PG, efer: 0 },
  "32-bit": { ...LONG_MODE, cr4: LONG_MODE.cr4 & ~CR4_PAE, efer: 0 },
  PAE: { ...LONG_MODE, efer: EFER_NXE },
  "4-level": LONG_MODE,
  "5-level": { ...LONG_MODE, cr4: LONG_MODE.cr4 | CR4_LA57, efer: EFER_LME | EFER_NXE },
};

export class PagingStructures {
  readonly memory = new PhysicalMemory();
  private readonly guest: TableTree | null;
  private readonly guestLevel: number;
  /** Pages of 4 Kbyte in a page of the guest, and of the EPT. */
  private readonly guestPages: number;
  private readonly ept: TableTree | null;
  private readonly eptLevel: number;
  private readonly eptPages: number;

  /**
   * @param tableGfn guest page number of the guest's n-th paging structure, from 0 in the order in which they are made: the
   *   root, then those that a page needs, from the top
   * @throws RangeError for pages or levels that the processor or the paging mode does not have
   */
  constructor(
    private readonly geometry: CpuGeometry,
    private readonly format: PagingFormat,
    private readonly tableGfn: (n: number) => number,
  ) {
    const { guest, ept } = format;
    const paging = new GuestPaging(REGISTERS[guest.mode], geometry);
    this.guestLevel = LEAF_LEVEL[guest.pages];
    this.guestPages = 2 ** paging.shifts[this.guestLevel];
    this.eptLevel = ept === null ? 1 : LEAF_LEVEL[ept.pages];
    this.eptPages = 2 ** (9 * (this.eptLevel - 1));
    // The EPT first: a guest's table needs it.
    this.ept = ept === null ? null : this.eptTree(ept);
    this.guest = guest.mode === "none" ? null : this.guestTree(guest, paging);
  }

  /**
   * Maps linear pages from `page` on to guest pages from `gfn` on, and those to host pages. Both are 4-Kbyte page numbers;
   * of a larger page all is mapped, and `page` and `gfn` must be as far from its beginning.
   *
   * @throws RangeError where they are not
   */
  map(page: number, gfn: number, pages = 1, flags: Partial<LeafFlags> = {}): void {
    this.mapGuest(page, gfn, pages, flags.guest ?? GUEST_TABLE | PTE_DIRTY);
    this.mapEpt(gfn, pages, flags.ept ?? EPT_PERMISSIONS);
  }

  /** A processor that has loaded these structures, with nothing cached and nothing counted. */
  processor(): { readonly mmu: Mmu; readonly ledger: Ledger } {
    const ledger = new Ledger(X86_PRIMITIVES);
    const mmu = new Mmu(this.geometry, this.memory, ledger);
    if (this.format.ept !== null && this.ept !== null)
      mmu.enableEpt(eptPointer(this.ept.root, this.format.ept));
    // PAE reads its PDPTEs here.
    mmu.loadRegisters(REGISTERS[this.format.guest.mode], (this.guest?.root ?? 0) * PAGE);
    mmu.caches.clear();
    ledger.reset();
    return { mmu, ledger };
  }

  private mapGuest(page: number, gfn: number, pages: number, flags: number): void {
    const { guest, guestLevel, guestPages } = this;
    if (guest === null) {
      if (page !== gfn) throw new RangeError("without guest paging a linear page is the guest page");
      return;
    }
    const inside = page % guestPages;
    if (gfn % guestPages !== inside) {
      throw new RangeError(
        `linear page ${page} and guest page ${gfn} differ in their place in a page of ${guestPages}`,
      );
    }
    const size = guestLevel > 1 ? PTE_PAGE_SIZE : 0;
    for (let first = page - inside; first < page + pages; first += guestPages) {
      guest.map(first, guestLevel, gfn + first - page, flags | size);
    }
  }

  private mapEpt(gfn: number, pages: number, flags: number): void {
    const { ept, eptLevel, eptPages } = this;
    if (ept === null) return;
    const size = eptLevel > 1 ? EPT_PAGE_SIZE : 0;
    for (let first = gfn - (gfn % eptPages); first < gfn + pages; first += eptPages) {
      ept.map(first, eptLevel, HOST + first, flags | size | EPT_WRITE_BACK);
    }
  }

  private guestTree({ mode, pages }: GuestFormat, paging: GuestPaging): TableTree {
    if (!PAGE_SIZES[mode].includes(pages) || !paging.isLeaf(LEAF_LEVEL[pages], PTE_PAGE_SIZE)) {
      throw new RangeError(`pages of ${pages}: ${mode} paging has none on this processor`);
    }
    let tables = 0;
    const host = this.ept === null ? 0 : HOST;
    return new TableTree({
      // The PDPT of PAE paging lies in memory too, though no access walks it.
      levels: mode === "PAE" ? 3 : paging.levels,
      indexBits: Math.log2(paging.entries),
      allocate: () => {
        const gfn = this.tableGfn(tables++);
        this.mapEpt(gfn, 1, EPT_PERMISSIONS);
        return gfn;
      },
      // A PDPTE of PAE paging has no rights.
      tableFlags: (above) => (mode === "PAE" && above === 3 ? PTE_PRESENT : GUEST_TABLE),
      write: (table, index, gfn, flags) => {
        const low = entryLow(gfn, flags);
        if (paging.entryBytes === ENTRY_BYTES) this.memory.write(host + table, index, low, entryHigh(gfn));
        else this.memory.writeWord(host + table, index, low);
      },
    });
  }

  private eptTree(format: EptFormat): TableTree {
    const ept = new Ept(eptPointer(0, format), false, this.geometry);
    if (!ept.isLeaf(LEAF_LEVEL[format.pages], EPT_PAGE_SIZE)) {
      throw new RangeError(`pages of ${format.pages}: the EPT has none on this processor`);
    }
    let tables = 0;
    return new TableTree({
      levels: format.levels,
      indexBits: 9,
      allocate: () => ++tables,
      tableFlags: () => EPT_PERMISSIONS,
      write: (table, index, pfn, flags) => {
        this.memory.write(table, index, entryLow(pfn, flags), entryHigh(pfn));
      },
    });
  }
}

/** The EPT pointer: write-back, a walk of so many levels, without accessed and dirty flags. */
function eptPointer(root: number, { levels }: EptFormat): number {
  return root * PAGE + 6 + 8 * (levels - 1);
}
