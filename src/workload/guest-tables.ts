/**
 * The guest's paging structures, made the way a guest would, as entries in its own memory. The tables take pages from the
 * end of a writable memory slot downwards.
 */
import { KvmError } from "../kvm/errno.js";
import type { ShadowMmu } from "../kvm/shadow-mmu.js";
import { PTE_PAGE_SIZE, PTE_PRESENT, PTE_WRITABLE } from "../x86/guest-paging.js";
import { PAGE } from "../x86/mmu.js";
import { entryHigh, entryLow } from "../x86/physical-memory.js";
import { PAGES_1G, PAGES_2M } from "../x86/tlb.js";
import { TableTree } from "./table-tree.js";

/** Levels of the guest's 4-level paging. */
const LEVELS = 4;

const TABLE = PTE_PRESENT | PTE_WRITABLE;

/** Sizes of a guest's page; 1G where the processor has it. */
export const GUEST_PAGES = ["4K", "2M", "1G"] as const;
export type GuestPageSize = (typeof GUEST_PAGES)[number];

/** By size of a page: the level of the entry that maps it, and 4-Kbyte pages in it. */
export const GUEST_LEAVES = {
  "4K": { level: 1, pages: 1 },
  "2M": { level: 2, pages: PAGES_2M },
  "1G": { level: 3, pages: PAGES_1G },
} as const satisfies Readonly<Record<GuestPageSize, object>>;

export class GuestTables {
  private readonly tree: TableTree;
  private next: number;

  /** @param first, end guest page frame numbers of the slot: of its first page, and of the page behind its last */
  constructor(vm: ShadowMmu, first: number, end: number) {
    this.next = end;
    this.tree = new TableTree({
      levels: LEVELS,
      indexBits: 9,
      allocate: () => {
        if (this.next === first) throw new KvmError("EFAULT", "the slot has no room for another page table");
        return --this.next;
      },
      tableFlags: () => TABLE,
      write: (table, index, gfn, flags) =>
        vm.kvmWriteGuest(table, index, entryLow(gfn, flags), entryHigh(gfn)),
    });
    for (const vcpu of vm.vcpus) vm.loadGuestCr3(vcpu, this.tree.root * PAGE);
  }

  /** First guest page frame number that the tables take. */
  get firstGfn(): number {
    return this.next;
  }

  /** Maps the pages from `first` to before `end` (4-Kbyte page numbers) to themselves, with pages of this size. */
  mapIdentity(first: number, end: number, size: GuestPageSize): void {
    const { pages } = GUEST_LEAVES[size];
    for (let page = first - (first % pages); page < end; page += pages) this.map(page, page, size);
  }

  /** Maps a page of this size to a guest page frame; both are multiples of the 4-Kbyte pages in it. */
  map(page: number, gfn: number, size: GuestPageSize): void {
    const { level } = GUEST_LEAVES[size];
    this.tree.map(page, level, gfn, level === 1 ? TABLE : TABLE | PTE_PAGE_SIZE);
  }
}
