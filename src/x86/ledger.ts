/**
 * The ledger of a run: how often each primitive happened. The silicon and the hypervisor only count here; cycles are
 * these counts times a cost vector, and that product is made elsewhere (`src/cost`).
 *
 * This file names the primitives of the silicon. A layer above appends its own names behind them.
 */

/** The levels of the memory hierarchy that can serve a reference, nearest first. */
export const MEMORY_LEVELS = ["L1", "L2", "L3", "Dram"] as const;

/** What an access does, in the order of READ, WRITE, FETCH; and the sizes that a walk can end with. */
const ACCESSES = ["Load", "Store", "Fetch"] as const;
const SIZES = ["4K", "2M", "1G"] as const;

// Numbers, not the lengths of the lists above: the compiled package has constants in place of their names, but no lengths.
/** Index of a primitive in the ledger. Hits, walks: add READ, WRITE or FETCH. */
export const DTLB_HIT = 0;
export const STLB_HIT = DTLB_HIT + 1;
export const WALK = STLB_HIT + 3;
/** Walks that end with a translation: add 3 x access, and the size that the TLB holds. */
export const WALK_COMPLETED = WALK + 3;
/** References: add the level that served them (0 = L1 .. 3 = DRAM). EPT_WALK_REF is also for AMD's nested page tables. */
export const GUEST_WALK_REF = WALK_COMPLETED + 3 * 3;
export const EPT_WALK_REF = GUEST_WALK_REF + 4;
export const DATA_REF = EPT_WALK_REF + 4;

/** Names of the silicon's primitives, in the order of their indexes. `dtlbHit` is any hit in a first-level TLB. */
export const X86_PRIMITIVES: readonly string[] = [
  "dtlbHit",
  ...ACCESSES.map((access) => `stlbHit${access}`),
  ...ACCESSES.map((access) => `walk${access}`),
  ...ACCESSES.flatMap((access) => SIZES.map((size) => `walkCompleted${access}${size}`)),
  ...MEMORY_LEVELS.map((level) => `guestWalkRef${level}`),
  ...MEMORY_LEVELS.map((level) => `eptWalkRef${level}`),
  ...MEMORY_LEVELS.map((level) => `dataRef${level}`),
];

/** Counts of primitives, in the order of `names`. Integers, exact up to 2^53. */
export class Ledger {
  readonly counts: Float64Array;

  constructor(readonly names: readonly string[]) {
    this.counts = new Float64Array(names.length);
  }

  reset(): void {
    this.counts.fill(0);
  }

  /** The counts by name. */
  toRecord(): Record<string, number> {
    return Object.fromEntries(this.names.map((name, index) => [name, this.counts[index]]));
  }
}
