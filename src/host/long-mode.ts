/**
 * What a vCPU needs to start in 64-bit mode without a boot: registers as software would have set them, and page tables.
 * Specified in the Intel SDM, volume 3A, "Initializing IA-32e mode" and "4-level paging", and for segments as KVM_SET_SREGS
 * takes them in volume 3C, "Checks on guest segment registers".
 */

import { GUEST_LEAVES } from "../workload/guest-tables.js";
import { TableTree } from "../workload/table-tree.js";
import { PTE_ACCESSED, PTE_DIRTY, PTE_PAGE_SIZE, PTE_PRESENT, PTE_WRITABLE } from "../x86/guest-paging.js";
import { PAGE } from "../x86/mmu.js";
import { ENTRY_BYTES, entryHigh, entryLow } from "../x86/physical-memory.js";
import { CR0_PE, CR0_PG, CR0_WP, CR4_PAE, EFER_LME } from "../x86/registers.js";
import type { KvmSegment, KvmSregs } from "./uapi.js";

/** Floating-point errors as exceptions, which VMX operation demands, and a bit that is always 1. */
const CR0_ET = 1 << 4;
const CR0_NE = 1 << 5;
/** SSE instructions may be used: movups is one. */
const CR4_OSFXSR = 1 << 9;
/** 64-bit mode has been entered. */
const EFER_LMA = 1 << 10;

const CODE_ACCESSED = 0xb;
const DATA_ACCESSED = 0x3;

/**
 * Registers of a vCPU in ring 0 of 64-bit mode, with flat segments, SSE on, and no interrupt table: an exception shuts the
 * guest down. What is not about that stays as it was.
 *
 * @param sregs what KVM_GET_SREGS gave
 * @param cr3 guest-physical address of the page tables' root
 */
export function longModeSregs(sregs: KvmSregs, cr3: number): KvmSregs {
  const flat = (segment: KvmSegment, selector: number, type: number): KvmSegment => ({
    ...segment,
    base: 0,
    limit: 0xffff_ffff,
    selector,
    type,
    present: 1,
    dpl: 0,
    db: type === CODE_ACCESSED ? 0 : 1,
    s: 1,
    l: type === CODE_ACCESSED ? 1 : 0,
    g: 1,
    avl: 0,
    unusable: 0,
  });
  const data = (segment: KvmSegment) => flat(segment, 0x10, DATA_ACCESSED);
  return {
    ...sregs,
    cs: flat(sregs.cs, 0x8, CODE_ACCESSED),
    ds: data(sregs.ds),
    es: data(sregs.es),
    fs: data(sregs.fs),
    gs: data(sregs.gs),
    ss: data(sregs.ss),
    gdt: { ...sregs.gdt, base: 0, limit: 0 },
    idt: { ...sregs.idt, base: 0, limit: 0 },
    cr0: (CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG) >>> 0,
    cr3,
    cr4: CR4_PAE | CR4_OSFXSR,
    efer: EFER_LME | EFER_LMA,
  };
}

/** Accessed and dirty from the start, so that neither the processor nor KVM in its place writes into the tables. */
const TABLE = PTE_PRESENT | PTE_WRITABLE | PTE_ACCESSED;
const LEAF = TABLE | PTE_DIRTY;

/** Page tables that map linear addresses to the same guest-physical ones. */
export class GuestPageTables {
  private readonly tree: TableTree;

  /**
   * @param memory where the tables go, one page each from its beginning on: zeros so far. With four tables for the first
   *   page, two more for each Gbyte that has others, and with pages of 4 Kbyte one for each 2 Mbyte, a few pages are enough
   * @param gpa guest-physical address of this memory, a multiple of 4096
   */
  constructor(memory: Uint8Array, gpa: number) {
    const entries = new DataView(memory.buffer, memory.byteOffset, memory.byteLength);
    const first = gpa / PAGE;
    const end = first + Math.floor(memory.byteLength / PAGE);
    let next = first;
    this.tree = new TableTree({
      levels: 4,
      indexBits: 9,
      allocate: () => {
        if (next === end)
          throw new RangeError(`${memory.byteLength} bytes have no room for another page table`);
        return next++;
      },
      tableFlags: () => TABLE,
      write: (table, index, gfn, flags) => {
        const offset = (table - first) * PAGE + index * ENTRY_BYTES;
        entries.setUint32(offset, entryLow(gfn, flags), true);
        entries.setUint32(offset + 4, entryHigh(gfn), true);
      },
    });
  }

  /** Guest-physical address of the root, for CR3. */
  get cr3(): number {
    return this.tree.root * PAGE;
  }

  /** Maps the pages from `first` to before `end` (4-Kbyte page numbers) to themselves, with pages of this size. */
  mapIdentity(first: number, end: number, size: "4K" | "2M"): void {
    const { level, pages } = GUEST_LEAVES[size];
    const flags = level === 1 ? LEAF : LEAF | PTE_PAGE_SIZE;
    for (let page = first - (first % pages); page < end; page += pages)
      this.tree.map(page, level, page, flags);
  }
}
