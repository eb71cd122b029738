/**
 * The data caches that walk references and data go through: L1D, L2, L3, DRAM. A reference is served by the first level
 * that holds its line and fills all nearer levels. Lines evicted from L3 stay in L1 and L2 (no inclusion is enforced),
 * and nothing is prefetched.
 */
import type { CacheGeometry, CpuGeometry } from "./cpu.js";
import { ABSENT, SetAssociative } from "./set-associative.js";

/** Bytes of a cache line. */
export const LINE = 64;

function cache({ bytes, ways }: CacheGeometry): SetAssociative {
  return new SetAssociative({ entries: bytes / LINE, ways });
}

export class MemoryHierarchy {
  private readonly l1d: SetAssociative;
  private readonly l2: SetAssociative;
  private readonly l3: SetAssociative;

  constructor(geometry: CpuGeometry) {
    this.l1d = cache(geometry.l1d);
    this.l2 = cache(geometry.l2);
    this.l3 = cache(geometry.l3);
  }

  /** References a line (physical address / 64) and returns the level that served it: 0 = L1 .. 3 = DRAM. */
  reference(line: number): number {
    if (this.l1d.lookup(line) !== ABSENT) return 0;
    let level = 1;
    if (this.l2.lookup(line) === ABSENT) {
      level = 2;
      if (this.l3.lookup(line) === ABSENT) {
        level = 3;
        this.l3.insert(line, 0);
      }
      this.l2.insert(line, 0);
    }
    this.l1d.insert(line, 0);
    return level;
  }

  evictL1(): void {
    this.l1d.clear();
  }

  evictL2(): void {
    this.l2.clear();
  }
}
