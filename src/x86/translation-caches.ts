/**
 * What a processor remembers of translations with EPT on: combined mappings (linear address to host-physical address,
 * in the TLBs; upper linear-address bits to the host-physical address of a guest table, in the paging-structure caches)
 * and guest-physical mappings (the same two for guest-physical addresses).
 * Specified in the Intel SDM, volume 3C, "Caching translation information".
 *
 * One virtual processor and one EPT pointer: the tags VPID, PCID and EP4TA would always match and are left out.
 *
 * A cached translation is one number: host page frame number x 8 + permissions (bits of `EPT_PERMISSIONS`).
 */
import type { CpuGeometry } from "./cpu.js";
import { ABSENT, SetAssociative } from "./set-associative.js";

export const PERMISSION_BITS = 8;

/** 4-Kbyte pages in a 2-Mbyte page. */
export const PAGES_2M = 512;

/**
 * Keeps the keys of 2-Mbyte pages apart from those of 4-Kbyte pages in a TLB that holds both. A power of two: where the
 * number of sets is one too, it leaves a page in its set.
 */
const KEY_2M = 2 ** 46;

/** The paging-structure caches of one address space, indexed by the level of the table they lead to (3, 2, 1). */
export class PagingStructureCaches {
  private readonly byLevel: readonly SetAssociative[];

  constructor(geometry: CpuGeometry) {
    this.byLevel = [geometry.pdeCache, geometry.pdpteCache, geometry.pml4eCache].map(
      (g) => new SetAssociative(g),
    );
  }

  /** What leads to the table at `level` for this page number: table pfn x 8 + permissions so far, or ABSENT. */
  lookup(level: number, page: number): number {
    return this.byLevel[level - 1].lookup(PagingStructureCaches.key(level, page));
  }

  insert(level: number, page: number, value: number): void {
    this.byLevel[level - 1].insert(PagingStructureCaches.key(level, page), value);
  }

  /** Drops every entry that would be used to translate this page. */
  invalidate(page: number): void {
    for (let level = 1; level <= 3; level++) {
      this.byLevel[level - 1].remove(PagingStructureCaches.key(level, page));
    }
  }

  clear(): void {
    for (const cache of this.byLevel) cache.clear();
  }

  /** A table at level 1 spans 2^9 pages, at level 2 2^18, at level 3 2^27. */
  private static key(level: number, page: number): number {
    return Math.floor(page / 2 ** (9 * level));
  }
}

/** Combined translations: the data TLB for 4-Kbyte and for 2-Mbyte pages and the second-level TLB behind them. */
export class Tlb {
  /** Where the last successful lookup hit: 1 = data TLB, 2 = second-level TLB. */
  hitLevel = 0;
  private readonly dtlb4K: SetAssociative;
  private readonly dtlb2M: SetAssociative;
  private readonly stlb: SetAssociative;
  private readonly stlbHolds2M: boolean;

  constructor(geometry: CpuGeometry) {
    this.dtlb4K = new SetAssociative(geometry.dtlb4K);
    this.dtlb2M = new SetAssociative(geometry.dtlb2M);
    this.stlb = new SetAssociative(geometry.stlb);
    this.stlbHolds2M = geometry.stlbHolds2M;
  }

  /** The translation of a 4-Kbyte linear page, or ABSENT. A hit in the second level fills the first. */
  lookup(page: number): number {
    this.hitLevel = 1;
    let value = this.dtlb4K.lookup(page);
    if (value !== ABSENT) return value;
    const page2M = Math.floor(page / PAGES_2M);
    value = this.dtlb2M.lookup(page2M);
    if (value !== ABSENT) return value + (page % PAGES_2M) * PERMISSION_BITS;

    this.hitLevel = 2;
    value = this.stlb.lookup(page);
    if (value !== ABSENT) {
      this.dtlb4K.insert(page, value);
      return value;
    }
    if (!this.stlbHolds2M) return ABSENT;
    value = this.stlb.lookup(KEY_2M + page2M);
    if (value === ABSENT) return ABSENT;
    this.dtlb2M.insert(page2M, value);
    return value + (page % PAGES_2M) * PERMISSION_BITS;
  }

  /** Remembers `page` -> `pfn` for the whole 2-Mbyte page around it if `large`. */
  insert(page: number, pfn: number, permissions: number, large: boolean): void {
    if (!large) {
      const value = pfn * PERMISSION_BITS + permissions;
      this.dtlb4K.insert(page, value);
      this.stlb.insert(page, value);
      return;
    }
    const page2M = Math.floor(page / PAGES_2M);
    const value = (pfn - (page % PAGES_2M)) * PERMISSION_BITS + permissions;
    this.dtlb2M.insert(page2M, value);
    if (this.stlbHolds2M) this.stlb.insert(KEY_2M + page2M, value);
  }

  invalidate(page: number): void {
    const page2M = Math.floor(page / PAGES_2M);
    this.dtlb4K.remove(page);
    this.dtlb2M.remove(page2M);
    this.stlb.remove(page);
    this.stlb.remove(KEY_2M + page2M);
  }

  clear(): void {
    this.dtlb4K.clear();
    this.dtlb2M.clear();
    this.stlb.clear();
  }
}
