/**
 * The data caches that walk references and data go through: L1D, L2, L3, DRAM. A reference is served by the first level
 * that holds its line and fills all nearer levels. Nothing is prefetched, and a store is a reference like a load.
 */
import type { CacheGeometry, CpuGeometry } from "./cpu.js";
import { ABSENT, type Hash, KeyRun, type Place, SetAssociativeStore } from "./set-associative.js";

/** Bytes of a cache line. */
export const LINE = 64;

/** Above the upper bits of a line's number in a key: lines belong to no address space. */
const PHYSICAL = 1 << 14;

/**
 * Lines that are referenced one after the other, again and again, and in no other way: so a line that is not where the run
 * left it in a cache is not in it.
 */
export class LineRun {
  private readonly inL1d: KeyRun;
  /** Where each was in L2 when it was referenced there last. */
  private readonly placesInL2: Int32Array;

  /**
   * @param pfns page frame number of each, below 2^32
   * @param lines the line in its page, 0 to 63; no line is there twice
   */
  constructor(
    private readonly hierarchy: MemoryHierarchy,
    pfns: readonly number[],
    lines: readonly number[],
  ) {
    this.inL1d = new KeyRun(
      Int32Array.from(pfns, (pfn, index) => lineLow(pfn | 0, lines[index])),
      Int32Array.from(pfns, (pfn) => lineHigh(pfn | 0, 0)),
    );
    this.placesInL2 = new Int32Array(pfns.length);
  }

  /** References the lines from `first` to before `end`. */
  reference(first: number, end: number): void {
    const { hierarchy, inL1d, placesInL2 } = this;
    const { lows, highs, places } = inL1d;
    const { l1d, l2 } = hierarchy;
    for (let index = first; index < end; index++) {
      index = l1d.useRun(inL1d, index, end) | 0;
      // Where one was pushed out, more were.
      for (; index < end && !l1d.useAt(places[index], lows[index], highs[index]); index++) {
        const low = lows[index];
        const high = highs[index];
        if (!l2.useAt(placesInL2[index], low, high)) placesInL2[index] = hierarchy.bringToL2(low, high);
        places[index] = l1d.insert(low, high);
      }
    }
  }
}

export class MemoryHierarchy {
  readonly l1d: SetAssociativeStore;
  readonly l2: SetAssociativeStore;
  private readonly l3: SetAssociativeStore;
  private readonly inclusive: boolean;

  constructor(geometry: CpuGeometry) {
    const cache = ({ bytes, ways, replacement }: CacheGeometry, hash: Hash = "none") =>
      new SetAssociativeStore({ entries: bytes / LINE, ways }, 0, replacement, hash);
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
    const low = lineLow(pfnLow, line);
    const high = lineHigh(pfnLow, pfnHigh);
    if ((this.l1d.lookup(low, high, high) | 0) !== ABSENT) return 0;
    return this.referenceBehindL1(low, high) | 0;
  }

  /** References a line, by its key, that L1D and L2 do not have, and fills L2. Returns its place there. */
  bringToL2(low: number, high: number): Place {
    this.bringToL3(low, high);
    return this.l2.insert(low, high) | 0;
  }

  /** Leaves the memory of the largest cache to another hierarchy of the same size. Nothing is referenced any more. */
  release(): void {
    this.l3.release();
  }

  /** Empties L1D; L2 and L3 keep what they have. */
  evictL1(): void {
    this.l1d.clear();
  }

  evictL2(): void {
    this.l2.clear();
  }

  private referenceBehindL1(low: number, high: number): number {
    const { l1d, l2 } = this;
    let level = 1;
    if ((l2.lookupInSet(low, high, high) | 0) === ABSENT) {
      level = this.bringToL3(low, high) | 0;
      l2.insert(low, high);
    }
    l1d.insert(low, high);
    return level;
  }

  /** Returns the level that had the line: 2 = L3, 3 = DRAM. */
  private bringToL3(low: number, high: number): number {
    const { l3 } = this;
    if ((l3.lookupInSet(low, high, high) | 0) !== ABSENT) return 2;
    l3.insert(low, high);
    if (this.inclusive && l3.evictedHigh !== 0) this.evictInner(l3.evictedLow, l3.evictedHigh);
    return 3;
  }

  /** What leaves L3 leaves L1D and L2. */
  private evictInner(low: number, high: number): void {
    this.l2.remove(low, high, high);
    this.l1d.remove(low, high, high);
  }
}

/** A line as a key: lower integer. */
function lineLow(pfnLow: number, line: number): number {
  return (pfnLow << 6) | line;
}

/** Upper integer. */
function lineHigh(pfnLow: number, pfnHigh: number): number {
  return PHYSICAL | (pfnHigh << 6) | (pfnLow >>> 26);
}
