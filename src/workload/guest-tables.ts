/**
 * The guest's paging structures, made the way a guest would, as entries in its own memory. The tables take pages from the
 * end of a writable memory slot downwards.
 */
import { KvmError } from "../kvm/errno.js";
import type { ShadowMmu } from "../kvm/shadow-mmu.js";
import { PTE_PAGE_SIZE, PTE_PRESENT, PTE_WRITABLE } from "../x86/guest-paging.js";
import { PAGE } from "../x86/mmu.js";
import { entryHigh, entryLow } from "../x86/physical-memory.js";
import { PAGES_2M } from "../x86/tlb.js";
import { TableTree } from "./table-tree.js";

/** Levels of the guest's 4-level paging. */
const LEVELS = 4;

const TABLE = PTE_PRESENT | PTE_WRITABLE;

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

  /** Maps the pages from `first` to before `end` (4-Kbyte page numbers) to themselves, with 2-Mbyte pages if `large`. */
  mapIdentity(first: number, end: number, large: boolean): void {
    const step = large ? PAGES_2M : 1;
    for (let page = first - (first % step); page < end; page += step) this.map(page, page, large);
  }

  /** Maps a page to a guest page frame, with a 2-Mbyte page if `large`; both are then multiples of 512. */
  map(page: number, gfn: number, large: boolean): void {
    if (large) this.tree.map(page, 2, gfn, TABLE | PTE_PAGE_SIZE);
    else this.tree.map(page, 1, gfn, TABLE);
  }
}
