/**
 * The data caches that walk references and data go through: L1D, L2, L3, DRAM. A reference is served by the first level
 * that holds its line and fills all nearer levels. Nothing is prefetched, and a store is a reference like a load.
 */
import type { CacheGeometry, CpuGeometry } from "./cpu.js";
import { ABSENT, type Hash, type SetAssociativeStores, type Store } from "./set-associative.js";

/** Bytes of a cache line. */
export const LINE = 64;

/** Above the upper bits of a line's number in a key: lines belong to no address space. */
const PHYSICAL = 1 << 14;

export class MemoryHierarchy {
  private readonly l1d: Store;
  private readonly l2: Store;
  private readonly l3: Store;
  private readonly inclusive: boolean;

  constructor(
    private readonly stores: SetAssociativeStores,
    geometry: CpuGeometry,
  ) {
    const cache = ({ bytes, ways, replacement }: CacheGeometry, hash: Hash = "none") =>
      stores.add({ entries: bytes / LINE, ways }, 0, replacement, hash);
    this.l1d = cache(geometry.l1d);
    this.l2 = cache(geometry.l2, geometry.l2Hash);
    this.l3 = cache(geometry.l3, geometry.l3Hash);
    this.inclusive = geometry.l3Inclusive;
  }

  /**
   * References a line and returns the level that served it: 0 = L1 .. 3 = DRAM.
   *
   * @param pfnLow, pfnHigh page frame number, as in page-number.ts
   * @param line the line in its page, 0 to 63
   */
  reference(pfnLow: number, pfnHigh: number, line: number): number {
    const low = (pfnLow << 6) | line;
    const high = PHYSICAL | (pfnHigh << 6) | (pfnLow >>> 26);
    if (this.stores.lookup(this.l1d, low, high, high) !== ABSENT) return 0;
    return this.referenceBehindL1(low, high) | 0;
  }

  /** Empties L1D; L2 and L3 keep what they have. */
  evictL1(): void {
    this.stores.clear(this.l1d);
  }

  evictL2(): void {
    this.stores.clear(this.l2);
  }

  private referenceBehindL1(low: number, high: number): number {
    const { stores } = this;
    let level = 1;
    if ((stores.lookup(this.l2, low, high, high) | 0) === ABSENT) {
      level = 2;
      if ((stores.lookup(this.l3, low, high, high) | 0) === ABSENT) {
        level = 3;
        stores.insert(this.l3, low, high);
        if (this.inclusive && stores.evictedHigh !== 0)
          this.evictInner(stores.evictedLow, stores.evictedHigh);
      }
      stores.insert(this.l2, low, high);
    }
    stores.insert(this.l1d, low, high);
    return level;
  }

  /** What leaves L3 leaves L1D and L2. */
  private evictInner(low: number, high: number): void {
    this.stores.remove(this.l2, low, high, high);
    this.stores.remove(this.l1d, low, high, high);
  }
}
