/**
 * The guest's paging structures: an identity mapping of what the workload touches, made the way a guest would, as entries
 * in its own memory. The tables take pages from the end of a writable memory slot downwards.
 */
import { KvmError } from "../kvm/errno.js";
import type { KvmMain } from "../kvm/kvm-main.js";
import { PTE_PAGE_SIZE, PTE_PRESENT, PTE_WRITABLE } from "../x86/guest-paging.js";
import { PAGE } from "../x86/mmu.js";
import { entryHigh, entryIndex, entryLow } from "../x86/physical-memory.js";
import { PAGES_2M } from "../x86/tlb.js";

/** Levels of the guest's 4-level paging. */
const LEVELS = 4;

const TABLE = PTE_PRESENT | PTE_WRITABLE;

export class GuestTables {
  /** Guest page frame numbers of the tables below each table, by entry. */
  private readonly children = new Map<number, Map<number, number>>();
  private next: number;
  readonly root: number;

  /** @param first, end guest page frame numbers of the slot: of its first page, and of the page behind its last */
  constructor(
    private readonly vm: KvmMain,
    private readonly first: number,
    end: number,
  ) {
    this.next = end;
    this.root = this.allocate();
    vm.cpu.writeCr3(this.root * PAGE);
  }

  /** First guest page frame number that the tables take. */
  get firstGfn(): number {
    return this.next;
  }

  /** Maps the pages from `first` to before `end` (4-Kbyte page numbers) to themselves, with 2-Mbyte pages if `large`. */
  mapIdentity(first: number, end: number, large: boolean): void {
    const step = large ? PAGES_2M : 1;
    for (let page = first - (first % step); page < end; page += step) {
      if (large) this.write(this.table(page, 2), entryIndex(page, 2), page, TABLE | PTE_PAGE_SIZE);
      else this.write(this.table(page, 1), entryIndex(page, 1), page, TABLE);
    }
  }

  /** The table at `level` that translates a page; made, with those above it, if it is not there. */
  private table(page: number, level: number): number {
    let table = this.root;
    for (let above = LEVELS; above > level; above--) {
      const entry = entryIndex(page, above);
      let child = this.children.get(table)?.get(entry);
      if (child === undefined) {
        child = this.allocate();
        this.children.get(table)?.set(entry, child);
        this.write(table, entry, child, TABLE);
      }
      table = child;
    }
    return table;
  }

  private allocate(): number {
    if (this.next === this.first) throw new KvmError("EFAULT", "the slot has no room for another page table");
    const gfn = --this.next;
    this.children.set(gfn, new Map());
    return gfn;
  }

  private write(table: number, entry: number, gfn: number, flags: number): void {
    this.vm.kvmWriteGuest(table, entry, entryLow(gfn, flags), entryHigh(gfn));
  }
}
