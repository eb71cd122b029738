/**
 * The data caches that walk references and data go through: L1D, L2, L3, DRAM. A reference is served by the first level
 * that holds its line and fills all nearer levels. Nothing is prefetched, and a store is a reference like a load.
 */
import type { CacheGeometry, CpuGeometry } from "./cpu.js";
import { ABSENT, SetAssociative } from "./set-associative.js";

/** Bytes of a cache line. */
export const LINE = 64;

/** Above the upper bits of a line's number in a key: lines belong to no address space. */
const PHYSICAL = 1 << 14;

function cache({ bytes, ways, replacement }: CacheGeometry): SetAssociative {
  return new SetAssociative({ entries: bytes / LINE, ways }, 0, replacement);
}

export class MemoryHierarchy {
  private readonly l1d: SetAssociative;
  private readonly l2: SetAssociative;
  private readonly l3: SetAssociative;
  private readonly inclusive: boolean;

  constructor(geometry: CpuGeometry) {
    this.l1d = cache(geometry.l1d);
    this.l2 = cache(geometry.l2);
    this.l3 = cache(geometry.l3);
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
    return this.l1d.lookup(low, high, high) !== ABSENT ? 0 : this.referenceBehindL1(low, high);
  }

  /** Empties L1D; L2 and L3 keep what they have. */
  evictL1(): void {
    this.l1d.clear();
  }

  evictL2(): void {
    this.l2.clear();
  }

  private referenceBehindL1(low: number, high: number): number {
    let level = 1;
    if (this.l2.lookup(low, high, high) === ABSENT) {
      level = 2;
      if (this.l3.lookup(low, high, high) === ABSENT) {
        level = 3;
        const slot = this.l3.choose(low);
        if (this.inclusive) this.evictInner(slot);
        this.l3.fill(slot, low, high);
      }
      this.l2.insert(low, high);
    }
    this.l1d.insert(low, high);
    return level;
  }

  /** What leaves a slot of L3 leaves L1D and L2. */
  private evictInner(slot: number): void {
    const low = this.l3.lowIn(slot);
    const high = this.l3.highIn(slot);
    if (high === 0) return;
    this.l2.remove(low, high);
    this.l1d.remove(low, high);
  }
}
