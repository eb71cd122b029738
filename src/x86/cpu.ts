/**
 * The geometry of a processor: what decides behaviour. A profile in `data/cpus` gives it; what its references cost is in
 * the same file and is used only by `src/cost`.
 */
import type { Associativity } from "./set-associative.js";

/** A data cache: size in bytes, ways; lines are 64 bytes. */
export interface CacheGeometry {
  readonly bytes: number;
  readonly ways: number;
}

export interface CpuGeometry {
  /** MAXPHYADDR in bits; entry bits 51:MAXPHYADDR are reserved. */
  readonly physicalAddressBits: number;
  /** Whether execute-only EPT entries are allowed (IA32_VMX_EPT_VPID_CAP bit 0). */
  readonly executeOnlyEpt: boolean;
  readonly dtlb4K: Associativity;
  readonly dtlb2M: Associativity;
  readonly stlb: Associativity;
  /** Whether the second-level TLB holds translations of 2-Mbyte pages too. */
  readonly stlbHolds2M: boolean;
  /** Paging-structure caches by the entry they cache, for combined and, once more, for guest-physical mappings. */
  readonly pdeCache: Associativity;
  readonly pdpteCache: Associativity;
  readonly pml4eCache: Associativity;
  /** Guest-physical translations, used for the pages that hold guest paging structures. */
  readonly nestedTlb: Associativity;
  readonly l1d: CacheGeometry;
  readonly l2: CacheGeometry;
  readonly l3: CacheGeometry;
}
