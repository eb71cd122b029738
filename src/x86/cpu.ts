/**
 * A processor as far as it decides behaviour: what it supports, the geometry of its caches, and how it behaves where the
 * manual leaves it open. A profile in `data/cpus` gives it; what its references cost is in the same file and is used only
 * by `src/cost`.
 */
import type { Associativity, Hash, Replacement } from "./set-associative.js";

/** A data cache: size in bytes, ways; lines are 64 bytes. */
export interface CacheGeometry {
  readonly bytes: number;
  readonly ways: number;
  readonly replacement: Replacement;
}

/**
 * What the Intel SDM leaves open, or documents only as allowed. A study that hangs on one of these shows both sides.
 */
export interface Switches {
  /**
   * Walks that a permission fault costs when a cached translation denies the access. 1: the processor walks again before
   * it reports anything. 2: it walks to find out and walks again to report. 0: it reports from the entry, which then must
   * hold the guest-physical address too; no document says that any does, so 0 is a bound and no case.
   */
  readonly permissionFaultWalks: 0 | 1 | 2;
  /** Where the walk that reports a permission fault starts: at the nearest cached table, or at CR3. */
  readonly faultWalkStart: "paging-structure-caches" | "root";
  /**
   * What an EPT violation drops. "mappings" is the manual's rule read strictly: all that would translate the address, the
   * upper entries that neighbours share too. "translations" keeps the paging-structure caches; "nothing" is less than the
   * manual demands, so that a permission given back without INVEPT may never be seen; "everything" drops all mappings of
   * the EPT pointer.
   */
  readonly violationDrops: Drops;
  /** What an EPT misconfiguration drops. The manual demands nothing; it allows anything. */
  readonly misconfigDrops: Drops;
  /**
   * What a nested page fault of AMD's drops. Its manual has the processor walk again without the cached upper entries before
   * it reports a page fault, and does not say whether that holds for nested ones.
   */
  readonly nestedPageFaultDrops: Drops;
  /** Whether the guest-physical TLB holds the pages of the guest's paging structures only, or data pages as well. */
  readonly nestedTlbHolds: "tables" | "all";
  /** Whether the guest's accessed and dirty flags are set before or after the EPT translation of the data address. */
  readonly guestFlags: "before-final-translation" | "after-final-translation";
}

export const DROPS = ["nothing", "translations", "mappings", "everything"] as const;
export type Drops = (typeof DROPS)[number];

export const DEFAULT_SWITCHES: Switches = {
  permissionFaultWalks: 1,
  faultWalkStart: "paging-structure-caches",
  violationDrops: "mappings",
  misconfigDrops: "nothing",
  nestedPageFaultDrops: "nothing",
  nestedTlbHolds: "tables",
  guestFlags: "before-final-translation",
};

export interface CpuGeometry {
  /** MAXPHYADDR in bits, 36 to 52; entry bits 51:MAXPHYADDR are reserved. */
  readonly physicalAddressBits: number;
  /** Whether the guest, and AMD's nested page tables, may use 1-Gbyte pages (CPUID.80000001H:EDX.Page1GB). */
  readonly guest1GPages: boolean;
  /** Execute-only EPT entries (IA32_VMX_EPT_VPID_CAP bit 0). */
  readonly executeOnlyEpt: boolean;
  /** 2-Mbyte and 1-Gbyte EPT pages (bits 16 and 17). */
  readonly ept2MPages: boolean;
  readonly ept1GPages: boolean;
  /** EPT page-walk length 5 (bit 7). */
  readonly ept5Levels: boolean;
  /** EPT accessed and dirty flags (bit 21). */
  readonly eptAccessedDirty: boolean;
  /** Advanced VM-exit information for EPT violations (bit 22): qualification bits 11:9. */
  readonly advancedExitInformation: boolean;
  /** Supervisor shadow-stack control (bit 23): EPTP bit 7. */
  readonly supervisorShadowStack: boolean;

  readonly itlb4K: Associativity;
  readonly itlb2M: Associativity;
  readonly dtlb4K: Associativity;
  readonly dtlb2M: Associativity;
  /** null: 1-Gbyte pages use the 2-Mbyte entries, cut into pieces. */
  readonly dtlb1G: Associativity | null;
  readonly stlb: Associativity;
  /** Whether the second-level TLB holds translations of 2-Mbyte pages too. */
  readonly stlbHolds2M: boolean;
  /** Second-level entries for 1-Gbyte pages, if any. */
  readonly stlb1G: Associativity | null;
  /**
   * Paging-structure caches by the entry they cache, for combined and, once more, for guest-physical mappings. null: the
   * processor has none.
   */
  readonly pdeCache: Associativity | null;
  readonly pdpteCache: Associativity | null;
  readonly pml4eCache: Associativity | null;
  readonly pml5eCache: Associativity | null;
  /** Guest-physical translations. */
  readonly nestedTlb: Associativity | null;
  /** Replacement in the TLBs and paging-structure caches. */
  readonly tlbReplacement: Replacement;
  readonly l1d: CacheGeometry;
  readonly l2: CacheGeometry;
  readonly l3: CacheGeometry;
  /** How L2 and L3 choose the set of a line. */
  readonly l2Hash: Hash;
  readonly l3Hash: Hash;
  /** Whether a line that leaves L3 leaves L1 and L2 with it. */
  readonly l3Inclusive: boolean;
  readonly switches: Switches;
}
