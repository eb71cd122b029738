/**
 * Everything a processor remembers of translations, and what each event makes it forget: linear and combined mappings
 * (TLBs, paging-structure caches) and guest-physical mappings (the nested TLB and paging-structure caches of the EPT).
 * Specified in the Intel SDM, volume 3A "Caching translation information" and volume 3C "Caching translation
 * information" and "Operations that invalidate cached mappings".
 *
 * Where the manual lets a processor drop more than it must, the model drops what it must; exceptions are named.
 */
import { type AddressSpace, AddressSpaces, GLOBAL, NO_EPT, SPACE_UNIT } from "./address-spaces.js";
import type { CpuGeometry } from "./cpu.js";
import { shiftedHigh, shiftedLow } from "./page-number.js";
import { ABSENT, type Associativity, type Replacement, SetAssociative } from "./set-associative.js";
import { Tlb } from "./tlb.js";

/** Integers stored by slot: page frame number (two), and what its owner says with it. */
const PFN_LOW = 0;
const PFN_HIGH = 1;
const VALUE = 2;
const STORED = 3;

/** A structure whose entries hold a page frame number and a value, found by a page number. */
class FrameCache {
  private readonly slots: SetAssociative;
  private readonly stored: Int32Array;

  constructor(associativity: Associativity, replacement: Replacement) {
    this.slots = new SetAssociative(associativity, replacement);
    this.stored = new Int32Array(associativity.entries * STORED);
  }

  /** Whether the key is there; then `found` has what is stored with it. */
  lookup(low: number, high: number, found: Found): boolean {
    const slot = this.slots.lookup(low, high, high);
    if (slot === ABSENT) return false;
    const at = slot * STORED;
    found.pfnLow = this.stored[at + PFN_LOW];
    found.pfnHigh = this.stored[at + PFN_HIGH];
    found.value = this.stored[at + VALUE];
    return true;
  }

  /** Stores under a key, in place of what it had. */
  insert(low: number, high: number, pfnLow: number, pfnHigh: number, value: number): void {
    const held = this.slots.find(low, high, high);
    const at = (held === ABSENT ? this.slots.insert(low, high) : held) * STORED;
    this.stored[at + PFN_LOW] = pfnLow;
    this.stored[at + PFN_HIGH] = pfnHigh;
    this.stored[at + VALUE] = value;
  }

  remove(low: number, high: number): void {
    this.slots.remove(low, high);
  }

  invalidateSpaces(selected: Uint8Array): void {
    this.slots.removeWhere((_, high) => selected[Math.floor(high / SPACE_UNIT)] !== 0);
  }

  clear(): void {
    this.slots.clear();
  }
}

/** What a lookup found. */
interface Found {
  pfnLow: number;
  pfnHigh: number;
  value: number;
}

/**
 * The paging-structure caches of the guest's structures or of the EPT's: what leads to the table at a level, so that a walk
 * can start there. Indexed by that level: 1 = cached PDEs, 2 = PDPTEs, 3 = PML4Es, 4 = PML5Es.
 *
 * Page numbers are two integers, as in page-number.ts; `shifts` are those of the structures, by level.
 */
export class PagingStructureCaches implements Found {
  /** What the last successful lookup found: page frame number of the table, and what was stored with it. */
  pfnLow = 0;
  pfnHigh = 0;
  value = 0;
  private readonly caches: readonly (FrameCache | null)[];

  constructor(geometry: CpuGeometry) {
    const { pdeCache, pdpteCache, pml4eCache, pml5eCache, tlbReplacement } = geometry;
    this.caches = [null, pdeCache, pdpteCache, pml4eCache, pml5eCache].map((one) =>
      one === null ? null : new FrameCache(one, tlbReplacement),
    );
  }

  /** The level of the table nearest to the leaf that is cached for a page, of `levels`, or 0. */
  lookup(low: number, high: number, shifts: Int32Array, levels: number, tag: number): number {
    for (let level = 1; level < levels; level++) {
      const cache = this.caches[level];
      if (cache === null) continue;
      const shift = shifts[level + 1];
      if (cache.lookup(shiftedLow(low, high, shift), tag | shiftedHigh(high, shift), this)) return level;
    }
    return 0;
  }

  insert(
    level: number,
    low: number,
    high: number,
    shifts: Int32Array,
    tag: number,
    pfnLow: number,
    pfnHigh: number,
    value: number,
  ): void {
    const shift = shifts[level + 1];
    const keyHigh = tag | shiftedHigh(high, shift);
    this.caches[level]?.insert(shiftedLow(low, high, shift), keyHigh, pfnLow, pfnHigh, value);
  }

  /** Drops every entry that would be used to translate this page. */
  invalidate(low: number, high: number, shifts: Int32Array, levels: number, tag: number): void {
    for (let level = 1; level < levels; level++) {
      const shift = shifts[level + 1];
      this.caches[level]?.remove(shiftedLow(low, high, shift), tag | shiftedHigh(high, shift));
    }
  }

  invalidateSpaces(selected: Uint8Array): void {
    for (const cache of this.caches) cache?.invalidateSpaces(selected);
  }

  clear(): void {
    for (const cache of this.caches) cache?.clear();
  }
}

/** Guest-physical translations, one per 4-Kbyte page; of a larger EPT page, the part that was used. */
export class NestedTlb implements Found {
  /** What the last successful lookup found: host page frame number, and what was stored with it. */
  pfnLow = 0;
  pfnHigh = 0;
  value = 0;
  private readonly cache: FrameCache | null;

  constructor({ nestedTlb, tlbReplacement }: CpuGeometry) {
    this.cache = nestedTlb === null ? null : new FrameCache(nestedTlb, tlbReplacement);
  }

  lookup(gfnLow: number, gfnHigh: number, tag: number): boolean {
    return this.cache?.lookup(gfnLow, tag | gfnHigh, this) ?? false;
  }

  insert(gfnLow: number, gfnHigh: number, tag: number, pfnLow: number, pfnHigh: number, value: number): void {
    this.cache?.insert(gfnLow, tag | gfnHigh, pfnLow, pfnHigh, value);
  }

  invalidate(gfnLow: number, gfnHigh: number, tag: number): void {
    this.cache?.remove(gfnLow, tag | gfnHigh);
  }

  invalidateSpaces(selected: Uint8Array): void {
    this.cache?.invalidateSpaces(selected);
  }

  clear(): void {
    this.cache?.clear();
  }
}

export class TranslationCaches {
  readonly tlb: Tlb;
  /** Of the guest's paging structures. */
  readonly pagingStructures: PagingStructureCaches;
  readonly nestedTlb: NestedTlb;
  /** Of the EPT. */
  readonly eptStructures: PagingStructureCaches;

  /** Tags of the current address space: its own mappings, its global ones, and the guest-physical ones of its EPT. */
  tag = 0;
  globalTag = 0;
  guestPhysicalTag = 0;
  private readonly spaces = new AddressSpaces();
  private vpid = 0;
  private pcid = 0;

  constructor(geometry: CpuGeometry) {
    this.tlb = new Tlb(geometry);
    this.pagingStructures = new PagingStructureCaches(geometry);
    this.nestedTlb = new NestedTlb(geometry);
    this.eptStructures = new PagingStructureCaches(geometry);
    this.enter(0, 0, NO_EPT);
  }

  /** Makes an address space the current one. Nothing is dropped, but for everything once tags run out, after 32,000 spaces. */
  enter(vpid: number, pcid: number, ep4ta: number): void {
    if (this.spaces.isFull) {
      this.spaces.reset();
      this.clear();
    }
    this.vpid = vpid;
    this.pcid = pcid;
    this.tag = this.spaces.tag(vpid, pcid, ep4ta);
    this.globalTag = this.spaces.tag(vpid, GLOBAL, ep4ta);
    this.guestPhysicalTag = this.spaces.guestPhysicalTag(ep4ta);
  }

  /** Drops everything. */
  clear(): void {
    this.tlb.clear();
    this.pagingStructures.clear();
    this.nestedTlb.clear();
    this.eptStructures.clear();
  }

  /** INVLPG: the page, global or of the current PCID, and all paging-structure caches of the current PCID; any EP4TA. */
  invlpg(page: number): void {
    const { vpid, pcid } = this;
    this.dropPage(page, (space) => space.vpid === vpid && (space.pcid === pcid || space.pcid === GLOBAL));
  }

  /** INVPCID of individual-address type: the page for one PCID, but no global translation. */
  invpcidAddress(pcid: number, page: number): void {
    const { vpid } = this;
    this.dropPage(page, (space) => space.vpid === vpid && space.pcid === pcid);
  }

  /** INVPCID of single-context type, and MOV to CR3: one PCID, but no global translation. */
  invpcidSingle(pcid: number): void {
    const { vpid } = this;
    this.drop((space) => space.vpid === vpid && space.pcid === pcid);
  }

  /** INVPCID of all-context type, and MOV to CR4 that changes PGE: all PCIDs, with global translations. */
  invpcidAll(): void {
    const { vpid } = this;
    this.drop((space) => space.vpid === vpid);
  }

  /** INVPCID of all-context type retaining global translations. */
  invpcidAllRetainingGlobals(): void {
    const { vpid } = this;
    this.drop((space) => space.vpid === vpid && space.pcid !== GLOBAL);
  }

  /** INVVPID of individual-address type: the page for one VPID, any PCID and EP4TA. */
  invvpidAddress(vpid: number, page: number): void {
    this.dropPage(page, (space) => space.vpid === vpid);
  }

  /** INVVPID of single-context type, and a VM entry or exit without VPID (`vpid` 0): any PCID and EP4TA. */
  invvpidSingle(vpid: number): void {
    this.drop((space) => space.vpid === vpid);
  }

  /** INVVPID of all-context type: every VPID but 0. */
  invvpidAll(): void {
    this.drop((space) => space.vpid > 0);
  }

  /** INVVPID of single-context type retaining global translations. */
  invvpidSingleRetainingGlobals(vpid: number): void {
    this.drop((space) => space.vpid === vpid && space.pcid !== GLOBAL);
  }

  /** INVEPT of single-context type: combined and guest-physical mappings of one EP4TA. */
  inveptSingle(ep4ta: number): void {
    this.dropWithGuestPhysical((space) => space.ep4ta === ep4ta);
  }

  /** INVEPT of all-context type: combined and guest-physical mappings. */
  inveptAll(): void {
    this.dropWithGuestPhysical((space) => space.ep4ta !== NO_EPT);
  }

  private drop(matches: (space: AddressSpace) => boolean): void {
    const selected = this.spaces.select(matches);
    this.tlb.invalidateSpaces(selected);
    this.pagingStructures.invalidateSpaces(selected);
  }

  /** Of the paging-structure caches all entries go: the manual demands it of INVLPG and allows it of the others. */
  private dropPage(page: number, matches: (space: AddressSpace) => boolean): void {
    const selected = this.spaces.select(matches);
    this.tlb.invalidatePage(page, selected);
    this.pagingStructures.invalidateSpaces(selected);
  }

  private dropWithGuestPhysical(matches: (space: AddressSpace) => boolean): void {
    this.drop(matches);
    const selected = this.spaces.select(matches);
    this.nestedTlb.invalidateSpaces(selected);
    this.eptStructures.invalidateSpaces(selected);
  }
}
